"""lldb-server's command lines, read: `gdbserver`, `platform`, one table of options each. What they mean is `cli`'s."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from debugserver.errors import UsageError
from debugserver.options import CommandLine

GDBSERVER_SYNOPSIS = """\
Usage:	debugserver gdbserver [OPTIONS] [HOST]:PORT [[--] PROG [ARGS ...]]
	debugserver gdbserver [OPTIONS] --fd=FD [-- PROG [ARGS ...]]

As lldb-server gdbserver: set LLDB_DEBUGSERVER_PATH to this command, and LLDB starts it by itself.
"""


_FIRST_UNPRIVILEGED, _END_OF_PORTS = 1024, 1 << 16

PLATFORM_SYNOPSIS = """\
Usage:	debugserver platform [OPTIONS] --listen [HOST]:PORT [-- PROG [ARGS ...]]

As lldb-server platform, for LLDB's `platform select remote-linux` and `platform connect connect://HOST:PORT`.
Whoever can connect can read and write files and run programs as you. Without HOST, that is this machine only.
PROG is started under a debug server of its own for each client, which finds it waiting.
"""


class PlatformLine(CommandLine):
    """What the user asked for of a platform."""

    def __init__(self) -> None:
        super().__init__()
        self.once = True
        self.settings.extended = True
        self.launch.startup_with_shell = False
        self.first_port = 0
        self.end_port = 0
        """Of those for debug servers; 0: as the other says, or any that is free if both are."""
        self.port_offset = 0
        """Clients are told of a port that is higher by so much: something in between forwards it."""
        self.socket_file = ""
        """This file is told where we listen."""
        self.allow_shell = False
        self.program: tuple[str, ...] = ()

    @property
    def ports(self) -> range:
        """For debug servers, in this order; 0 is any that is free."""
        if not (self.first_port or self.end_port):
            return range(1)
        return range(self.first_port or _FIRST_UNPRIVILEGED, self.end_port or _END_OF_PORTS)


class LldbOption(NamedTuple):
    """One option: `--flag`, with `VALUE` unless that is empty, as `--flag=VALUE`, `--flag VALUE` or `-s VALUE`."""

    flag: str
    short: str
    value: str
    help: str
    apply: Callable[[Any, str], None]
    """Given the CommandLine that it is for."""


def _fd(line: CommandLine, value: str) -> None:
    line.comm = f"fd:{_number('--fd', value)}"


def _pipe(line: CommandLine, value: str) -> None:
    line.tell_port += (_number("--pipe", value),)


def _named_pipe(line: CommandLine, value: str) -> None:
    line.tell_port += (value,)


def _reverse_connect(line: CommandLine, _: str) -> None:
    line.connects = True


def _attach(line: CommandLine, value: str) -> None:
    if not value:
        raise UsageError("argument to '--attach' is missing", "It is the pid or the name of a process.")
    line.attach = True
    if value.isdecimal():
        line.pid = int(value)
    else:
        line.process_name = value


def _accept_timeout(line: CommandLine, value: str) -> None:
    _number("--accept-timeout", value)
    line.accept_timeout = float(value)


def _set_session(line: CommandLine, _: str) -> None:
    line.new_session = True


def _nothing(line: CommandLine, _: str) -> None:
    """What it asks for is so in any case."""


def _log_file(line: CommandLine, value: str) -> None:
    line.settings.debug_file = value


_LOG_CHANNELS = {
    "gdb-remote": {"remote"},
    "lldb": {"threads", "event-loop"},
    "posix": {"threads"},
    "linux": {"threads"},
}
"""lldb-server's channels -> what we call it. Its categories within a channel are all or nothing here."""


def _log_channels(line: CommandLine, value: str) -> None:
    for channel in filter(None, (entry.strip().partition(" ")[0] for entry in value.split(":"))):
        if channel not in _LOG_CHANNELS:
            raise UsageError(f"Unable to log channel: {channel}", f"Known: {', '.join(_LOG_CHANNELS)}.")
        line.settings.debug |= _LOG_CHANNELS[channel]


def _number(flag: str, value: str) -> int:
    if not value.isdecimal():
        raise UsageError(f"Invalid argument for {flag}: {value}", "It is a number.")
    return int(value)


_LOGGING = (
    LldbOption("log-file", "l", "FILE", "Log there, not on standard error.", _log_file),
    LldbOption(
        "log-channels", "c", "CHANNELS", "What to log: gdb-remote, lldb, posix; with : in between.", _log_channels
    ),
)

GDBSERVER = (
    LldbOption("fd", "", "FD", "Serve the client at this inherited descriptor.", _fd),
    LldbOption("pipe", "", "FD", "Write the port there that is listened on.", _pipe),
    LldbOption("named-pipe", "", "FILE", "Write the port to this file.", _named_pipe),
    LldbOption("reverse-connect", "", "", "Connect to a client that listens at HOST:PORT.", _reverse_connect),
    LldbOption("attach", "", "PID-OR-NAME", "Attach to this running process.", _attach),
    LldbOption("accept-timeout", "", "SEC", "End if no client comes within so many seconds.", _accept_timeout),
    LldbOption("setsid", "S", "", "Run in a session of its own.", _set_session),
    LldbOption("native-regs", "", "", "Accepted; the registers are native anyway.", _nothing),
    *_LOGGING,
)


def _listen(line: PlatformLine, value: str) -> None:
    line.comm = comm_of(value)


def _server(line: PlatformLine, _: str) -> None:
    line.once = False


def _socket_file(line: PlatformLine, value: str) -> None:
    line.socket_file = value


def _gdbserver_port(line: PlatformLine, value: str) -> None:
    line.first_port = _port("--gdbserver-port", value)
    line.end_port = line.first_port and line.first_port + 1


def _min_port(line: PlatformLine, value: str) -> None:
    line.first_port = _port("--min-gdbserver-port", value)


def _max_port(line: PlatformLine, value: str) -> None:
    line.end_port = _port("--max-gdbserver-port", value)


def _port_offset(line: PlatformLine, value: str) -> None:
    line.port_offset = _port("--port-offset", value)


def _allow_shell(line: PlatformLine, _: str) -> None:
    line.allow_shell = True


def _port(flag: str, value: str) -> int:
    number = _number(flag, value)
    if number >= _END_OF_PORTS:
        raise UsageError(f"Invalid argument for {flag}: {value}", "A port is a number up to 65535.")
    return number


PLATFORM = (
    LldbOption("listen", "L", "ADDRESS", "Where clients connect.", _listen),
    LldbOption("server", "", "", "Stay, and serve any number of clients at a time; else only the first.", _server),
    LldbOption("socket-file", "f", "FILE", "Write the port, or the path of the socket, to this file.", _socket_file),
    LldbOption("gdbserver-port", "P", "PORT", "Where debug servers listen (a free port).", _gdbserver_port),
    LldbOption("min-gdbserver-port", "m", "PORT", "The first port for debug servers.", _min_port),
    LldbOption("max-gdbserver-port", "M", "PORT", "The port behind their last.", _max_port),
    LldbOption("port-offset", "p", "N", "Tell clients of ports that are higher by so much.", _port_offset),
    LldbOption("allow-shell", "", "", "Let clients run shell commands (platform shell).", _allow_shell),
    LldbOption("debug", "", "", "Accepted.", _nothing),
    LldbOption("verbose", "", "", "Accepted.", _nothing),
    *_LOGGING,
)


def parse_platform(arguments: list[str]) -> PlatformLine:
    """The command line of a platform. UsageError."""
    line = PlatformLine()
    operands, program = parse_options(line, arguments, PLATFORM, PLATFORM_SYNOPSIS)
    if line.information:
        return line
    if not line.comm:
        raise UsageError("--listen is needed", "debugserver platform --help says what for.")
    if not line.ports:
        raise UsageError("there is no port between --min-gdbserver-port and --max-gdbserver-port", "Leave one out.")
    line.program = (*operands, *program)
    return line


def usage(synopsis: str, options: tuple[LldbOption, ...]) -> str:
    """The text of --help."""
    lines = [f"  {_shown(option):<34}{option.help}" for option in options]
    return "\n".join([synopsis, *lines, ""])


def _shown(option: LldbOption) -> str:
    short = f", -{option.short}" if option.short else ""
    return f"--{option.flag}{f'={option.value}' if option.value else ''}{short}"


def parse_gdbserver(arguments: list[str]) -> CommandLine:
    """The command line of one debugging session. UsageError."""
    line = CommandLine()
    # As lldb-server: it serves one client, debugs whatever that one names, and takes no shell to start it.
    line.once = True
    line.settings.extended = True
    line.settings.stands_for_lldb_server = True
    line.stdio = "client-pty"
    line.launch.startup_with_shell = False
    operands, program = parse_options(line, arguments, GDBSERVER, GDBSERVER_SYNOPSIS)
    if line.information:
        return line
    if not line.comm:
        if not operands:
            raise UsageError("no connection arguments", "debugserver gdbserver --help lists them.")
        line.comm = ("connect:" if line.connects else "") + comm_of(operands.pop(0))
    program = [*operands, *program]
    if program:
        line.has_program = True
        line.launch.program, *rest = program
        line.launch.arguments = tuple(rest)
    return line


def parse_options(
    line: CommandLine, arguments: list[str], options: tuple[LldbOption, ...], synopsis: str
) -> tuple[list[str], list[str]]:
    """Apply the options, which may stand anywhere; the words that are none, and those after `--`."""
    operands: list[str] = []
    words = arguments[::-1]
    while words:
        word = words.pop()
        if word == "--":
            break
        if word in ("--help", "-h"):
            line.information = usage(synopsis, options)
            break
        if word.startswith("-"):
            _apply(line, word, words, options)
        else:
            operands.append(word)
    return operands, words[::-1]


def _apply(line: CommandLine, word: str, rest: list[str], options: tuple[LldbOption, ...]) -> None:
    """`rest` holds what follows, last word first."""
    name, equals, value = word.lstrip("-").partition("=")
    for option in options:
        if name == option.flag or (name == option.short and not word.startswith("--")):
            break
    else:
        raise UsageError(f"unknown argument '{word}'", "--help lists the options.")
    if equals and not option.value:
        raise UsageError(f"--{option.flag} takes no value", "--help lists the options.")
    if option.value and not equals:
        if not rest:
            raise UsageError(f"argument to '--{option.flag}' is missing", f"Write {_shown(option)}.")
        value = rest.pop()
    option.apply(line, value)


_SCHEMES = {"tcp": "", "connect": "", "unix": "unix:", "unix-abstract": "unix:@", "fd": "fd:", "serial": ""}
"""Of LLDB's URLs -> the prefix of our COMM."""


def comm_of(url: str) -> str:
    """LLDB's way to name an address, `[SCHEME://]HOST:PORT`, as COMM. `*` is every address of this machine; of a
    terminal, speed and parity are left as they are."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        scheme, rest = "tcp", url
    if scheme not in _SCHEMES:
        raise UsageError(f"unknown kind of address '{url}'", f"Known: {', '.join(_SCHEMES)}.")
    if scheme == "serial":
        rest = rest.partition("?")[0]
    elif scheme in ("tcp", "connect"):
        host, colon, port = rest.rpartition(":")
        rest = f"{'0.0.0.0' if host == '*' else host}{colon}{port}"
    return _SCHEMES[scheme] + rest
