"""The command line's options as one table: what is parsed is what --help says. Names and meanings are gdbserver's."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

from debugserver.errors import UsageError
from debugserver.stub.settings import OnDisconnect, Settings
from debugserver.target.model import LaunchSettings

SYNOPSIS = """\
Usage:	debugserver [OPTIONS] COMM PROG [ARGS ...]
	debugserver [OPTIONS] --attach COMM PID
	debugserver [OPTIONS] --multi COMM
	debugserver gdbserver [OPTIONS] HOST:PORT
	debugserver platform [OPTIONS] --listen HOST:PORT
	debugserver demo

COMM is where the client connects: [HOST]:PORT or PORT (TCP; without HOST, from this machine only), unix:PATH,
a terminal device, fd:N (an inherited descriptor), connect:HOST:PORT (a client that listens), or '-' or 'stdio' for
standard input and output.
PROG is the program to debug; what follows it are its arguments. PID is the process to attach to.
gdbserver and platform take the command lines of lldb-server; each has its own --help.
"""

STDIO = {
    "inherit": "the server's own (default)",
    "client": "output goes to the client, input is empty",
    "client-pty": "a terminal of its own, which leads to the client (LLDB)",
    "pty": "a terminal of its own, which the server's standard streams lead to",
    "null": "nowhere",
    "files": "the files of --stdin, --stdout and --stderr, otherwise nowhere",
}
"""Where the standard streams of programs may lead."""

_DEBUG_COMPONENTS = ("threads", "event-loop", "remote")
_MOST_VERBOSE, _MOST_QUIET = 2, 3
DISABLEABLE = {
    "vCont": "All vCont packets",
    "vConts": "vCont;s and vCont;S, as if threads could not be stepped",
    "qC": "Querying the current thread",
    "qfThreadInfo": "Thread listing",
    "Tthread": "Passing the thread specifier in the T stop reply packet",
    "T": "All 'T' stop replies",
    "threads": "vCont, qC, qfThreadInfo and Tthread",
}
"""Names that --disable-packet takes besides those of packets."""
_DISABLED = {
    "vCont": ("vCont", "vCont?"),
    "threads": ("vCont", "vCont?", "qC", "qfThreadInfo", "Tthread"),
    # The packet T, which asks whether a thread lives, is not meant.
    "T": ("stop reply T",),
}
DISABLED_NAMES = frozenset(name for names in _DISABLED.values() for name in names) | {"vConts"}
"""What `disabled_packets` may hold besides the names of packets."""


class CommandLine:
    """What the user asked for."""

    def __init__(self) -> None:
        self.settings = Settings()
        self.launch = LaunchSettings()
        self.launch.environment = dict(os.environ)
        self.comm = ""
        self.has_program = False
        self.pid = 0
        self.process_name = ""
        """In place of the pid."""
        self.attach = False
        self.once = False
        self.stdio = "inherit"
        """One of STDIO."""
        self.connects = False
        """The client listens, and we come to it."""
        self.tell_port: tuple[int | str, ...] = ()
        """Descriptors and files that are told where we listen."""
        self.new_session = False
        self.accept_timeout: float | None = None
        """Seconds until the first client must have come."""
        self.information = ""
        """Print this instead of serving."""


Apply = Callable[[CommandLine, str], None]


class Option(NamedTuple):
    """One option. `value` as --help shows it: none, `=FILE` (needed), `[=N]`, or words up to ` --`."""

    flag: str
    value: str
    help: str
    apply: Apply


def _attach(line: CommandLine, _: str) -> None:
    line.attach = True


def _multi(line: CommandLine, _: str) -> None:
    line.settings.extended = True


def _once(line: CommandLine, _: str) -> None:
    line.once = True


def _help(line: CommandLine, _: str) -> None:
    line.information = usage()


def _version(line: CommandLine, _: str) -> None:
    from debugserver import __version__

    line.information = f"debugserver {__version__}\nA drop-in for GNU gdbserver. Apache License, version 2.0."


def _randomization(disable: bool) -> Apply:
    def apply(line: CommandLine, _: str) -> None:
        line.launch.disable_randomization = disable

    return apply


def _shell(start_with: bool) -> Apply:
    def apply(line: CommandLine, _: str) -> None:
        line.launch.startup_with_shell = start_with

    return apply


def _no_escape(line: CommandLine, _: str) -> None:
    line.launch.escape_arguments = False


def _stdio(line: CommandLine, value: str) -> None:
    line.stdio = _one_of("--stdio", value, STDIO)


def _stream(name: str) -> Apply:
    def apply(line: CommandLine, value: str) -> None:
        setattr(line.launch, name, value)

    return apply


def _on_disconnect(line: CommandLine, value: str) -> None:
    known = [policy.value for policy in OnDisconnect]
    line.settings.on_disconnect = OnDisconnect(_one_of("--on-disconnect", value, known))


def _one_of(flag: str, value: str, known: Iterable[str]) -> str:
    if value not in known:
        raise UsageError(f"Invalid argument for {flag}: {value}", f"Known: {_listed(tuple(known))}.")
    return value


def _notification_timeout(line: CommandLine, value: str) -> None:
    try:
        line.settings.notification_timeout = float(value)
    except ValueError:
        line.settings.notification_timeout = 0.0
    if not line.settings.notification_timeout > 0:
        raise UsageError(f"Invalid argument for --notification-timeout: {value}", "It is a number of seconds.")


def _debug(line: CommandLine, value: str) -> None:
    for word in (value or "threads").split(","):
        name = word.removeprefix("-")
        if name not in (*_DEBUG_COMPONENTS, "all"):
            raise UsageError(
                f"debugserver: unknown debug option '{name}'", f"Known: all, {_listed(_DEBUG_COMPONENTS)}."
            )
        components = set(_DEBUG_COMPONENTS if name == "all" else (name,))
        if word.startswith("-"):
            line.settings.debug -= components
        else:
            line.settings.debug |= components


def _remote_debug(line: CommandLine, _: str) -> None:
    line.settings.debug.add("remote")


def _debug_file(line: CommandLine, value: str) -> None:
    line.settings.debug_file = value


def _debug_format(line: CommandLine, value: str) -> None:
    for word in value.split(","):
        if word not in ("all", "none", "timestamp"):
            raise UsageError(f'Unknown debug-format argument: "{word}"', "Known: all, none, timestamp.")
        line.settings.debug_timestamps = word != "none"


def _disable_packet(line: CommandLine, value: str) -> None:
    line.settings.disabled_packets |= {packet for name in value.split(",") for packet in _DISABLED.get(name, (name,))}


def _verbose(line: CommandLine, value: str) -> None:
    if line.settings.verbosity <= 0:
        line.settings.verbosity = -_level("--verbose", value, _MOST_VERBOSE)


def _quiet(line: CommandLine, value: str) -> None:
    line.settings.verbosity = _level("--quiet", value, _MOST_QUIET)


def _level(flag: str, value: str, most: int) -> int:
    level = value or "1"
    if not level.isdecimal() or not 1 <= int(level) <= most:
        raise UsageError(f"Invalid argument for {flag}: {value}", f"It is a number from 1 to {most}.")
    return int(level)


def _wrapper(line: CommandLine, value: str) -> None:
    """Its words come one by one."""
    line.launch.wrapper += (value,)


_WRAPPER = "--wrapper"

GROUPS: dict[str, tuple[Option, ...]] = {
    "Operating modes": (
        Option("--attach", "", "Attach to the running process PID.", _attach),
        Option("--multi", "", "Start without a program, and stay when one ends (target extended-remote).", _multi),
        Option("--once", "", "End when the first client has gone.", _once),
        Option(
            "--on-disconnect",
            "=WHAT",
            "When a client just goes away: stop the processes (default), detach from them, or kill them.",
            _on_disconnect,
        ),
        Option(
            "--notification-timeout",
            "=SEC",
            "Tell a non-stop client of a stop again that it has not acknowledged (30).",
            _notification_timeout,
        ),
        Option("--help", "", "Print this message.", _help),
        Option("--version", "", "Print the version.", _version),
    ),
    "Starting programs": (
        Option(_WRAPPER, " WRAPPER --", "Start PROG through the words of WRAPPER, which must exec it.", _wrapper),
        Option("--disable-randomization", "", "The same addresses at every start (default).", _randomization(True)),
        Option("--no-disable-randomization", "", "Addresses as the kernel gives them.", _randomization(False)),
        Option("--startup-with-shell", "", "Start PROG by way of $SHELL (default).", _shell(True)),
        Option("--no-startup-with-shell", "", "Start PROG directly.", _shell(False)),
        Option("--no-escape-args", "", "Let the shell expand wildcards and variables in ARGS.", _no_escape),
        Option("--stdio", "=WHERE", f"The program's standard streams: {', '.join(STDIO)}.", _stdio),
        Option("--stdin", "=FILE", "The program reads this, whatever --stdio says.", _stream("stdin")),
        Option("--stdout", "=FILE", "The program prints there.", _stream("stdout")),
        Option("--stderr", "=FILE", "The program prints errors there.", _stream("stderr")),
    ),
    "Finding faults": (
        Option(
            "--debug", "[=NAME,...]", "Log: all, threads (default), event-loop, remote; -NAME takes one out.", _debug
        ),
        Option("--remote-debug", "", "Log what goes over the wire: --debug=remote.", _remote_debug),
        Option("--debug-file", "=FILE", "Log there, not on standard error.", _debug_file),
        Option("--debug-format", "=FORMAT", "all or timestamp: the log has the time; none.", _debug_format),
        Option(
            "--disable-packet",
            "=NAME,...",
            "Do without these packets: any, or one of " + ", ".join(DISABLEABLE) + ".",
            _disable_packet,
        ),
        Option("--verbose", "[=N]", "Say more: event loop (1, default), packets (2).", _verbose),
        Option("--quiet", "[=N]", "Say less: only errors (1 to 3). Wins over --verbose.", _quiet),
    ),
}
_OPTIONS = {option.flag: option for group in GROUPS.values() for option in group}


def usage() -> str:
    """The text of --help."""
    parts = [SYNOPSIS]
    for title, options in GROUPS.items():
        parts.append(f"{title}:\n")
        parts += [f"  {option.flag + option.value:<28}{option.help}" for option in options]
        parts.append("")
    return "\n".join(parts)


def parse(arguments: list[str]) -> CommandLine:
    """Read the command line; options end at COMM. UsageError."""
    line = CommandLine()
    words = arguments[::-1]
    while words and words[-1].startswith("-") and words[-1] != "-":
        word = words.pop()
        if word == "--":
            break
        _parse_option(line, word, words)
        if line.information:
            return line
    if line.stdio == "files" and not (line.launch.stdin or line.launch.stdout or line.launch.stderr):
        raise UsageError("--stdio=files needs a file", "Write --stdin=FILE, --stdout=FILE or --stderr=FILE.")
    _parse_operands(line, words[::-1])
    return line


def _parse_option(line: CommandLine, word: str, rest: list[str]) -> None:
    """`rest` holds what follows, last word first."""
    flag, equals, value = word.partition("=")
    option = _OPTIONS.get(flag)
    if option is None or (equals and "=" not in option.value):
        raise UsageError(f"Unknown argument: {word}", "debugserver --help lists the options.")
    if flag == _WRAPPER:
        _parse_wrapper(line, option, rest)
        return
    if option.value.startswith("=") and not equals:
        raise UsageError(f"Missing argument value for: {flag}", f"Write {flag}{option.value}.")
    option.apply(line, value)


def _parse_wrapper(line: CommandLine, option: Option, rest: list[str]) -> None:
    while rest and rest[-1] != "--":
        option.apply(line, rest.pop())
    if not (rest and line.launch.wrapper):
        raise UsageError(f"Missing argument value for: {option.flag}", f"Write {option.flag}{option.value}.")
    rest.pop()


def _parse_operands(line: CommandLine, operands: list[str]) -> None:
    if not operands:
        raise UsageError(usage())
    line.comm, *rest = operands
    # gdbserver, too, takes --attach after COMM.
    if rest[:1] == ["--attach"]:
        line.attach = True
        del rest[0]
    if line.attach:
        line.pid = _pid(rest)
    elif rest:
        line.has_program = True
        line.launch.program, *arguments = rest
        quote = str if line.launch.escape_arguments else _quote_lightly
        line.launch.arguments = tuple(map(quote, arguments))
    elif not line.settings.extended:
        raise UsageError(usage())


def _quote_lightly(argument: str) -> str:
    """Keep it one word with its quotes, and let the shell expand the rest."""
    escaped = re.sub(r"""[ \t"']""", r"\\\g<0>", argument)
    return escaped.replace("\n", "'\n'") or "''"


def _pid(operands: list[str]) -> int:
    if len(operands) != 1 or not operands[0].removeprefix("-").isdecimal():
        raise UsageError("--attach needs COMM and one PID", "debugserver --attach :2345 4711")
    return int(operands[0])


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names)
