"""Starting, attaching to, letting go of and ending processes, and what a program is started with."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from debugserver.errors import LaunchFailed, MalformedPacket, Refused, TargetError
from debugserver.rsp import fields
from debugserver.stub.registry import LLDB_ONLY, Dialect, Outcome, packet
from debugserver.target.capabilities import Attach, Detach, Kill, Launch

if TYPE_CHECKING:
    from debugserver.stub.registry import Reply
    from debugserver.stub.session import Session
    from debugserver.target.model import LaunchSettings, ThreadId


@packet("vRun", needs=Launch, explains=True, feature="single-inf-arg+")
def run(session: Session, launcher: Launch, args: bytes) -> Reply:
    """Start a program; without a name, the one of the command line or of the last run."""
    program, *arguments = (fields.text(part) for part in args.split(b";"))
    _allow_one_more(session)
    settings = session.settings_for_launch(launcher)
    settings.program = program or settings.program
    settings.arguments = tuple(arguments)
    settings.escape_arguments = not session.offers("single-inf-arg")
    return _start(session, launcher, settings)


def _start(session: Session, launcher: Launch, settings: LaunchSettings) -> Reply:
    if not settings.program:
        raise MalformedPacket("no program to run", errno.EPERM)
    try:
        thread = launcher.launch(settings)
    except Refused as refusal:
        sentence = f'Running "{settings.program}" on the remote target failed: {refusal}'
        raise LaunchFailed(sentence, number=refusal.number) from None
    session.settings.announce(f"Process {settings.program} created; pid = {thread.pid}")
    _choose(session, thread)
    return session.stops.current()


def _choose(session: Session, thread: ThreadId) -> None:
    session.general_thread = thread
    session.continue_thread = None


def _allow_one_more(session: Session) -> None:
    if session.target.processes() and not session.multiprocess:
        raise TargetError("a process is being debugged already, and the client knows only one (multiprocess+)")


@packet("vAttach", needs=Attach, explains=True)
def attach(session: Session, attacher: Attach, args: bytes) -> Reply:
    """Attach to a process and stop it."""
    pid = fields.number(args)
    _allow_one_more(session)
    thread = attacher.attach(pid)
    session.settings.announce(f"Attached; pid = {pid}")
    _choose(session, thread)
    return session.stops.report_new(thread)


@packet("D", needs=Detach, no_process=errno.EPERM, lldb="`D1` and `D1;pid` leave the process stopped.")
def detach(session: Session, detacher: Detach, args: bytes) -> Reply:
    """Let a process go, unharmed; without a pid, the current one. `1` before the pid: it stays stopped."""
    stopped, separator, pid_text = args.partition(b";")
    if stopped not in (b"", b"1"):
        raise MalformedPacket("D takes 1 and ;pid")
    pid = fields.number(pid_text) if separator else session.process()
    if pid not in session.target.processes():
        raise MalformedPacket(f"process {pid} is not being debugged")
    session.settings.announce(f"Detaching from process {pid}")
    # The client lets go of those children itself that it knows of.
    for each in (*session.stops.unreported_children(pid), pid):
        if each in session.target.processes():
            detacher.detach(each, stopped=bool(stopped))
            _forget(session, each)
    return b"OK"


@packet("qSupportsDetachAndStayStopped", needs=Detach, dialects=LLDB_ONLY)
def supports_detaching_stopped(session: Session, detacher: Detach, args: bytes) -> Reply:
    """A process that is let go may stay stopped (`D1`)."""
    return b"OK"


def _forget(session: Session, pid: int) -> None:
    session.stops.forget(pid)
    session.forget_process(pid)


@packet("vKill", needs=Kill, no_process=errno.EPERM)
def kill_process(session: Session, killer: Kill, args: bytes) -> Reply:
    """End a process."""
    pid = fields.number(args)
    if pid not in session.target.processes():
        raise MalformedPacket(f"process {pid} is not being debugged")
    killer.kill(pid)
    _forget(session, pid)
    return b"OK"


@packet("k", needs=Kill, lldb="The reply is `X09`; for GDB there is none.")
def kill_all(session: Session, killer: Kill, args: bytes) -> Reply:
    """End all processes; outside extended mode the server ends too. Only LLDB gets a reply, and waits for it."""
    _kill_all(session, killer)
    session.ended = not session.settings.extended
    return b"X09" if session.dialect is Dialect.LLDB else Outcome.SILENT


def _kill_all(session: Session, killer: Kill) -> None:
    session.settings.announce("Killing all inferiors")
    for pid in tuple(session.target.processes()):
        killer.kill(pid)
        _forget(session, pid)


@packet("R", needs=Launch)
def restart(session: Session, launcher: Launch, args: bytes) -> Reply:
    """End all processes and start the program anew."""
    killer = session.target.capability(Kill)
    if killer is not None:
        _kill_all(session, killer)
    settings = session.settings_for_launch(launcher)
    if settings.program:
        _start(session, launcher, settings)
    return Outcome.SILENT


@packet("qExecAndArgs", needs=Launch)
def exec_and_arguments(session: Session, launcher: Launch, args: bytes) -> Reply:
    """Tell the program that would be started, and its arguments as one line for the shell."""
    settings = session.settings_for_launch(launcher)
    if not settings.program:
        return b"U"
    return b"S;%b;%b;" % (fields.hex_text(settings.program), fields.hex_text(settings.argument_line()))


@packet("QDisableRandomization", needs=Launch, feature="QDisableRandomization+")
def disable_randomization(session: Session, launcher: Launch, args: bytes) -> Reply:
    """Start programs with (0) or without (1) address space randomization."""
    session.settings_for_launch(launcher).disable_randomization = _switch(args)
    return b"OK"


@packet("QStartupWithShell", needs=Launch, feature="QStartupWithShell+")
def startup_with_shell(session: Session, launcher: Launch, args: bytes) -> Reply:
    """Start programs through the shell (1) or directly (0)."""
    session.settings_for_launch(launcher).startup_with_shell = _switch(args)
    return b"OK"


def _switch(args: bytes) -> bool:
    if args not in (b"0", b"1"):
        raise MalformedPacket("0 or 1 is needed")
    return args == b"1"


@packet("QEnvironmentHexEncoded", needs=Launch, feature="QEnvironmentHexEncoded+")
def set_environment(session: Session, launcher: Launch, args: bytes) -> Reply:
    """Set a variable for programs to be started."""
    name, separator, value = fields.text(args).partition("=")
    if not name or not separator:
        raise MalformedPacket("NAME=VALUE is needed")
    session.settings_for_launch(launcher).environment[name] = value
    return b"OK"


@packet("QEnvironmentUnset", needs=Launch, feature="QEnvironmentUnset+")
def unset_environment(session: Session, launcher: Launch, args: bytes) -> Reply:
    """Unset a variable for programs to be started."""
    session.settings_for_launch(launcher).environment.pop(fields.text(args), None)
    return b"OK"


@packet("QEnvironmentReset", needs=Launch, feature="QEnvironmentReset+")
def reset_environment(session: Session, launcher: Launch, args: bytes) -> Reply:
    """Start programs with the server's own environment again."""
    session.settings_for_launch(launcher).environment = launcher.launch_settings().environment
    return b"OK"


@packet("QSetWorkingDir", needs=Launch, feature="QSetWorkingDir+")
def set_working_directory(session: Session, launcher: Launch, args: bytes) -> Reply:
    """Start programs in this directory; empty: the server's own."""
    session.settings_for_launch(launcher).directory = fields.text(args)
    return b"OK"
