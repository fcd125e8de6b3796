"""Starting, attaching to, letting go of and ending processes."""

from __future__ import annotations

import errno
from functools import partial
from typing import TYPE_CHECKING

from debugserver.errors import LaunchFailed, MalformedPacket, Refused, TargetError
from debugserver.rsp import fields
from debugserver.rsp.framing import escape
from debugserver.stub.announcements import LEFT_UNATTENDED
from debugserver.stub.registry import LLDB_ONLY, Dialect, Outcome, packet
from debugserver.target.capabilities import Attach, Detach, Execution, HostSystem, Kill, Launch, Unattended

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from debugserver.stub.registry import Reply, Work
    from debugserver.stub.session import Session
    from debugserver.target.model import LaunchSettings, ThreadId

_LOOK_AGAIN = 0.005
"""Seconds until new processes are looked for again."""


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


@packet("A", needs=Launch, explains=True)
def run_arguments(session: Session, launcher: Launch, args: bytes) -> Reply:
    """Start a program: `length,index,hex` of it and of each argument, lengths and indices in decimal."""
    program, *arguments = _arguments(args.lstrip(b" "))
    settings = session.settings_for_launch(launcher)
    settings.program = program
    settings.arguments = tuple(arguments)
    settings.escape_arguments = True
    try:
        _allow_one_more(session)
        _launch(session, launcher, settings)
    except TargetError as error:
        session.launch_failure = str(error)
        raise
    session.launch_failure = ""
    return b"OK"


def _arguments(args: bytes) -> list[str]:
    parts = args.split(b",")
    words: dict[int, str] = {}
    for length, index, word in zip(parts[0::3], parts[1::3], parts[2::3], strict=False):
        if fields.decimal(length) != len(word):
            raise MalformedPacket(f"argument {index!r} has another length")
        words[fields.decimal(index)] = fields.text(word)
    if 3 * len(words) != len(parts) or sorted(words) != list(range(len(words))):
        raise MalformedPacket("length, index and hex of each argument are needed")
    return [words[index] for index in range(len(words))]


@packet("qLaunchSuccess", needs=Launch)
def launch_success(session: Session, launcher: Launch, args: bytes) -> Reply:
    """Tell whether the program of the last `A` was started, or `E` and why not."""
    return b"E" + escape(session.launch_failure.encode(errors="replace")) if session.launch_failure else b"OK"


def _start(session: Session, launcher: Launch, settings: LaunchSettings) -> Reply:
    _launch(session, launcher, settings)
    return session.stops.current()


def _launch(session: Session, launcher: Launch, settings: LaunchSettings) -> None:
    if not settings.program:
        raise MalformedPacket("no program to run", errno.EPERM)
    try:
        thread = launcher.launch(settings)
    except Refused as refusal:
        sentence = f'Running "{settings.program}" on the remote target failed: {refusal}'
        raise LaunchFailed(sentence, number=refusal.number) from None
    session.settings.announce(f"Process {settings.program} created; pid = {thread.pid}")
    _choose(session, thread)


def _choose(session: Session, thread: ThreadId) -> None:
    session.newest_process = thread.pid
    session.general_thread = thread
    session.continue_thread = None


def _allow_one_more(session: Session) -> None:
    """A platform only starts programs, as many as it is asked for."""
    debugs = session.target.capability(Execution) is not None
    if debugs and session.target.processes() and not session.multiprocess:
        raise TargetError("a process is being debugged already, and the client knows only one (multiprocess+)")


@packet("vAttach", needs=Attach, explains=True)
def attach(session: Session, attacher: Attach, args: bytes) -> Reply:
    """Attach to a process and stop it."""
    return _attach(session, attacher, fields.number(args))


def _attach(session: Session, attacher: Attach, pid: int) -> bytes:
    _allow_one_more(session)
    thread = attacher.attach(pid)
    session.settings.announce(f"Attached; pid = {pid}")
    _choose(session, thread)
    return session.stops.report_new(thread)


@packet("vAttachName", needs=Attach, explains=True)
def attach_by_name(session: Session, attacher: Attach, args: bytes) -> Reply:
    """Attach to the only process whose program has this name."""
    return _attach(session, attacher, _system(session).the_one_named(_name(args)))


@packet("vAttachWait", needs=Attach, explains=True)
def attach_to_next(session: Session, attacher: Attach, args: bytes) -> Reply:
    """Wait for a new process whose program has this name, and attach to it."""
    system, name = _system(session), _name(args)
    return _await_process(session, attacher, name, frozenset(system.named(name)))


@packet("qVAttachOrWaitSupported", needs=Attach)
def attach_or_wait_supported(session: Session, attacher: Attach, args: bytes) -> Reply:
    """Say that vAttachOrWait is there."""
    return b"OK"


@packet("vAttachOrWait", needs=Attach, explains=True)
def attach_or_wait(session: Session, attacher: Attach, args: bytes) -> Reply:
    """Attach to the process whose program has this name, or wait for one."""
    return _await_process(session, attacher, _name(args), frozenset())


def _await_process(session: Session, attacher: Attach, name: str, known: frozenset[int]) -> Work:
    """Until the client has enough of it, or is gone."""
    _allow_one_more(session)
    system = _system(session)
    while not (found := [pid for pid in system.named(name) if pid not in known]):
        yield _LOOK_AGAIN
    return _attach(session, attacher, system.the_one_named(name) if len(found) > 1 else found[0])


def _system(session: Session) -> HostSystem:
    system = session.target.capability(HostSystem)
    if system is None:
        raise TargetError("nothing is known of other processes here")
    return system


def _name(args: bytes) -> str:
    name = fields.text(args)
    if not name:
        raise MalformedPacket("the name of a program is needed")
    return name


@packet(
    "D",
    needs=Detach,
    no_process=errno.EPERM,
    until_told=True,
    lldb="`D1` and `D1;pid` leave the process stopped; without a pid, all processes are let go.",
)
def detach(session: Session, detacher: Detach, args: bytes) -> Reply:
    """Let a process go, unharmed; without a pid, the current one."""
    stopped, separator, pid_text = args.partition(b";")
    if stopped and (stopped != b"1" or session.dialect is not Dialect.LLDB):
        raise MalformedPacket("D takes ;pid, and from LLDB 1 before it")
    pids = [fields.number(pid_text)] if separator else _meant_by_default(session)
    for pid in pids:
        _require_known(session, pid)
    for pid in pids:
        _detach(session, detacher, pid, stopped=bool(stopped))
    return b"OK"


def _meant_by_default(session: Session) -> list[int]:
    if not session.target.has_process():
        return session.stops.ended_processes()
    return [session.process()] if session.dialect is Dialect.GDB else list(session.target.processes())


def _detach(session: Session, detacher: Detach, pid: int, *, stopped: bool) -> None:
    session.settings.announce(_parting_line(session, pid, stopped=stopped))
    _part_with(session, pid, partial(detacher.detach, stopped=stopped))


def _part_with(session: Session, pid: int, part: Callable[[int], None]) -> None:
    """Of a process that has ended, only the end is left, which is not told any more."""
    session.stops.leave(pid)
    if session.target.has_process(pid):
        part(pid)
    session.forget_process(pid)


def _parting_line(session: Session, pid: int, *, stopped: bool) -> str:
    unattended = session.target.capability(Unattended)
    can_stay = not stopped and session.target.has_process(pid)
    stays = unattended is not None and can_stay and unattended.stays(pid)
    return LEFT_UNATTENDED if stays else f"Detaching from process {pid}"


@packet("qSupportsDetachAndStayStopped", needs=Detach, dialects=LLDB_ONLY)
def supports_detaching_stopped(session: Session, detacher: Detach, args: bytes) -> Reply:
    """A process that is let go may stay stopped (`D1`)."""
    return b"OK"


@packet("vKill", needs=Kill, no_process=errno.EPERM, until_told=True)
def kill_process(session: Session, killer: Kill, args: bytes) -> Reply:
    """End a process."""
    pid = fields.number(args)
    _require_known(session, pid)
    _part_with(session, pid, killer.kill)
    return b"OK"


def _require_known(session: Session, pid: int) -> None:
    if not session.stops.knows_process(pid):
        raise MalformedPacket(f"process {pid} is not being debugged")


@packet("k", needs=Kill, lldb="The reply is `X09`, of each process; in non-stop, they are notifications.")
def kill_all(session: Session, killer: Kill, args: bytes) -> Reply:
    """End all processes; outside extended mode the server ends too. Only LLDB gets a reply, and waits for it."""
    killed = _kill_all(session, killer)
    return session.stops.report_killed(killed, last=not session.settings.extended)


def _kill_all(session: Session, killer: Kill) -> Sequence[int]:
    session.settings.announce("Killing all inferiors")
    pids = tuple(session.target.processes())
    for pid in pids:
        _part_with(session, pid, killer.kill)
    return pids


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
