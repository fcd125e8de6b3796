"""The command line: from what the user typed to a server that runs, and back to an exit code.

Prints what GNU gdbserver prints, as scripts wait for it. Imports the target only once it is known that one is needed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from typing import TYPE_CHECKING

from debugserver import options
from debugserver.errors import ConfigurationError, LaunchFailed, Refused, TargetError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from debugserver.linux.target import LinuxTarget
    from debugserver.linux.terminal import PseudoTerminal
    from debugserver.lldb_options import PlatformLine
    from debugserver.options import CommandLine
    from debugserver.server.log import Log
    from debugserver.stub.settings import Settings
    from debugserver.stub.stub import Stub
    from debugserver.target.target import Target

_STANDARD_ERROR = 2
_FAILED = 1
_WRONG_USAGE = 2


def main(arguments: list[str] | None = None) -> int:
    """Run the command; the exit code: 0, 1 (cannot be done: why, and what to do), 2 (wrong usage)."""
    words = sys.argv[1:] if arguments is None else arguments
    _open_standard_streams()
    if words[:1] == ["demo"]:
        return _demonstrate(words[1:])
    try:
        line, serve = _parse(words)
        return _print(line.information) if line.information else _run(serve)
    except UsageError as error:
        _say(str(error))
        return _WRONG_USAGE


def _parse(words: list[str]) -> tuple[CommandLine, Callable[[], None]]:
    """What the user asks for, and what does it."""
    if words[:1] in (["gdbserver"], ["g"]):
        from debugserver import lldb_options

        line = lldb_options.parse_gdbserver(words[1:])
        return line, lambda: _serve(line)
    if words[:1] in (["platform"], ["p"]):
        from debugserver import lldb_options

        platform_line = lldb_options.parse_platform(words[1:])
        return platform_line, lambda: _serve_platform(platform_line, len(words))
    line = options.parse(words)
    _check_packets(line.settings.disabled_packets)
    return line, lambda: _serve(line)


def _serve_platform(line: PlatformLine, words: int) -> None:
    from debugserver import platform_server

    line.settings.announce = _say
    platform_server.serve(line, words, _say)


def _demonstrate(words: list[str]) -> int:
    from debugserver import demo

    try:
        return demo.main(words, main)
    except BrokenPipeError:
        # Nobody reads on (`debugserver demo | head`).
        _drop_output()
        return _FAILED


def _print(text: str) -> int:
    """Standard output may be full, and nobody may read it (`debugserver --help | head`)."""
    try:
        print(text, flush=True)
    except OSError as error:
        _drop_output()
        if not isinstance(error, BrokenPipeError):
            _say(f"Cannot write to standard output: {error.strerror}.")
        return _FAILED
    return 0


def _drop_output() -> None:
    """What has not been printed yet is tried again when Python ends, and would be complained of."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _run(serve: Callable[[], None]) -> int:
    try:
        serve()
    except LaunchFailed as failure:
        _say(f"{failure.outcome or failure.cause}.")
    except Refused as refusal:
        _say(f"{refusal.cause}\n{refusal.remedy}".rstrip())
    except UsageError:
        raise
    except ConfigurationError as error:
        _say(str(error))
    else:
        return 0
    _say("Exiting")
    return _FAILED


def _serve(line: CommandLine) -> None:
    from debugserver.server import transport
    from debugserver.server.log import Log
    from debugserver.server.server import Server

    settings = line.settings
    say = _say_at_raw_terminal if line.stdio == "pty" else _say
    settings.announce = lambda text: say(text) if settings.verbosity <= 0 else None
    if line.has_program and not line.launch.program:
        raise ConfigurationError("No program to debug")
    if line.new_session:
        _lead_session()
    if settings.stands_for_lldb_server:
        _keep_descriptors()
    endpoint = transport.parse(line.comm)
    source = endpoint.open()
    try:
        if isinstance(source, transport.Listener):
            _tell_port(line, source.port)
        if endpoint.notice:
            settings.announce(endpoint.notice)
        settings.announces_exits = settings.keeps_commands = not endpoint.shares_terminal
        settings.serial_line = endpoint.is_serial
        log = Log(settings)
        terminal = _make_terminal(line)
        target = _make_target(line, terminal, log)
        try:
            _take_hold(line, target)
            server = Server(
                target,
                settings,
                source,
                lambda: _new_stub(target, settings),
                prepare=_load_stub,
                once=line.once,
                reopen=endpoint.open if endpoint.reopens else None,
                accept_timeout=line.accept_timeout,
                log=log,
            )
            _ignore_ending_signals()
            server.end_on_signals()
            if terminal and line.stdio == "pty":
                server.mirror(terminal.descriptor)
            server.run()
        finally:
            _let_go(target, settings)
    finally:
        source.close()


def _ignore_ending_signals() -> None:
    """But while the server has them: it gives them back when it ends, and asks for what is happening anyway. Whoever is
    impatient must not interrupt us while we let go of processes, and LLDB sends SIGINT as soon as it has killed one."""
    from debugserver.server.loop import ENDING_SIGNALS

    for number in ENDING_SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


def _lead_session() -> None:
    """Of our own, which ^C at the client's terminal does not reach. Nor does it reach a process group of our own, whose
    leader cannot leave it."""
    try:
        os.setsid()
    except PermissionError:
        return


def _keep_descriptors() -> None:
    """What LLDB has left open when it started us is no business of the program, which would keep its pipes alive."""
    with contextlib.suppress(FileNotFoundError):  # Without /proc nothing can be debugged, as will be said.
        for descriptor in map(int, os.listdir("/proc/self/fd")):
            if descriptor > _STANDARD_ERROR:
                # That of the list itself is closed by now.
                with contextlib.suppress(OSError):
                    os.set_inheritable(descriptor, False)


def _tell_port(line: CommandLine, port: str) -> None:
    """As lldb-server tells whoever has started it: with a NUL at the end."""
    for sink in line.tell_port:
        try:
            with open(sink, "wb") as file:
                file.write(os.fsencode(port) + b"\0")
        except OSError as error:
            raise ConfigurationError(f"cannot write the port to {sink}: {error.strerror}") from error


def _load_stub() -> None:
    """A third of all modules, which nobody needs before the server listens."""
    import debugserver.stub.stub  # noqa: F401
    from debugserver.server.allocator import keep_large_buffers

    keep_large_buffers()


def _new_stub(target: Target, settings: Settings) -> Stub:
    from debugserver.stub.stub import Stub

    return Stub(target, settings)


def _make_terminal(line: CommandLine) -> PseudoTerminal | None:
    if line.stdio not in ("pty", "client", "client-pty"):
        return None
    from debugserver.linux.terminal import PseudoTerminal

    return PseudoTerminal()


def _make_target(line: CommandLine, terminal: PseudoTerminal | None, log: Log) -> LinuxTarget:
    from debugserver.linux.launch import INHERITED, NOWHERE
    from debugserver.linux.target import LinuxTarget

    if terminal is None:
        return LinuxTarget(line.launch, INHERITED if line.stdio == "inherit" else NOWHERE, log=log.text)
    if line.stdio == "client":
        return LinuxTarget(line.launch, terminal.output_streams(), terminal, log=log.text)
    if line.stdio == "client-pty":
        return LinuxTarget(line.launch, terminal.shared_streams(), terminal, terminal, log.text)
    return LinuxTarget(line.launch, terminal.streams(), log=log.text)


def _take_hold(line: CommandLine, target: Target) -> None:
    """Start the program, or attach to the process."""
    from debugserver.target.capabilities import Attach, Launch

    if line.has_program and (launcher := target.capability(Launch)):
        _foretell_failure(line)
        thread = launcher.launch(line.launch)
        line.settings.announce(f"Process {line.launch.program} created; pid = {thread.pid}")
    elif line.attach and (attacher := target.capability(Attach)):
        pid = _find_process(target, line.process_name) if line.process_name else line.pid
        attacher.attach(pid)
        line.settings.announce(f"Attached; pid = {pid}")


def _find_process(target: Target, name: str) -> int:
    from debugserver.target.capabilities import HostSystem

    system = target.capability(HostSystem)
    return system.the_one_named(name) if system else 0


def _foretell_failure(line: CommandLine) -> None:
    """Say what is wrong with the program before the shell does, whose words have to be followed by gdbserver's."""
    from debugserver.linux.diagnosis import explain_program

    # A wrapper may change the root directory, or PATH.
    if not line.launch.wrapper and (explanation := explain_program(line.launch.program)):
        _say("; ".join(filter(None, explanation)))


def _let_go(target: LinuxTarget, settings: Settings) -> None:
    from debugserver.target.capabilities import Unattended

    if unattended := target.capability(Unattended):
        unattended.take_back()
    processes = target.processes()
    launched = [pid for pid in processes if not target.attached(pid)]
    attached = [pid for pid in processes if target.attached(pid)]
    for doing, pids in (("Killing", launched), ("Detaching", attached)):
        if pids:
            settings.announce(f"{doing} process(es): {' '.join(map(str, pids))}")
    try:
        target.close()
    except TargetError as error:
        settings.announce(str(error))


def _check_packets(disabled: frozenset[str]) -> None:
    if not disabled:
        return
    import debugserver.stub.stub  # noqa: F401 - enters every packet in the table
    from debugserver.stub.registry import PACKETS

    for name in sorted(disabled - PACKETS.keys() - options.DISABLED_NAMES):
        known = "\n".join(f"  {name:<12}\t{what}" for name, what in options.DISABLEABLE.items())
        raise UsageError(f'Don\'t know how to disable "{name}".\n\nDisableable packets:\n{known}', "  or any packet")


def _open_standard_streams() -> None:
    """Whatever is opened later must not become a standard stream by accident."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _STANDARD_ERROR:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)


def _say_at_raw_terminal(text: str) -> None:
    """Where nobody but us adds carriage returns."""
    _say(text.replace("\n", "\r\n") + "\r" if os.isatty(2) else text)


def _say(text: str) -> None:
    """One write, so that lines of several processes do not mix; whoever would have read it may be gone."""
    try:
        os.write(2, text.encode(errors="backslashreplace") + b"\n")
    except OSError:
        return
