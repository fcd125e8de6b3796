"""Running and stopping: ? c C s S vCont vCtrlC vStopped; and what programs print in non-stop: vStdio."""

from __future__ import annotations

import errno
from functools import lru_cache
from typing import TYPE_CHECKING

from debugserver.errors import MalformedPacket, NoSuchProcess, NoSuchThread
from debugserver.rsp import resume as wire
from debugserver.rsp import thread_id
from debugserver.rsp.thread_id import ThreadSelector
from debugserver.stub.dialects import ILL_FORMED, RUNNING_ALREADY, SIGNAL_NUMBERS
from debugserver.stub.registry import LLDB_ONLY, Outcome, packet
from debugserver.target.capabilities import Execution, ProgramOutput, Registers
from debugserver.target.model import Action, ActionKind, ThreadId

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from debugserver.rsp.resume import ResumeAction
    from debugserver.stub.registry import Reply
    from debugserver.stub.session import Session

_KINDS = {
    "c": ActionKind.CONTINUE,
    "C": ActionKind.CONTINUE,
    "s": ActionKind.STEP,
    "S": ActionKind.STEP,
    "r": ActionKind.RANGE_STEP,
}


_ONE_PROCESS = (
    "Once suffixes are agreed on, all threads of the process continue, also beside one that `Hc` chose, and no other "
    "process."
)


@packet(
    "?",
    needs=Execution,
    lldb="Stop replies name the thread first and say more: its name, a `reason:`, the top of its stack; where all "
    "threads are, and why they stopped. LLDB hears of every exec.",
)
def report_stop(session: Session, execution: Execution, args: bytes) -> Reply:
    """Say why the target stands still; in non-stop, begin to report every stopped thread."""
    if args:
        return b""
    if session.non_stop:
        return session.stops.restart_notifications()
    if not session.target.processes():
        return session.stops.last_end() or b"W00"
    return session.stops.current()


@packet("c", needs=Execution, no_process=errno.EPERM, until_told=True, lldb=_ONE_PROCESS)
def continue_(session: Session, execution: Execution, args: bytes) -> Reply:
    """Continue, at an address if one is given."""
    return _resume_old_style(session, ActionKind.CONTINUE, 0, wire.parse_address(args))


@packet("C", needs=Execution, no_process=errno.EPERM, until_told=True, lldb=f"{_ONE_PROCESS} {SIGNAL_NUMBERS}")
def continue_with_signal(session: Session, execution: Execution, args: bytes) -> Reply:
    """Continue with a signal, at an address if one is given."""
    return _resume_old_style(session, ActionKind.CONTINUE, *wire.parse_signal_and_address(args))


@packet("s", needs=Execution, no_process=errno.EPERM, until_told=True)
def step(session: Session, execution: Execution, args: bytes) -> Reply:
    """Step one instruction, at an address if one is given."""
    return _resume_old_style(session, ActionKind.STEP, 0, wire.parse_address(args))


@packet("S", needs=Execution, no_process=errno.EPERM, until_told=True, lldb=SIGNAL_NUMBERS)
def step_with_signal(session: Session, execution: Execution, args: bytes) -> Reply:
    """Step one instruction with a signal, at an address if one is given."""
    return _resume_old_style(session, ActionKind.STEP, *wire.parse_signal_and_address(args))


def _resume_old_style(session: Session, kind: ActionKind, signal: int, address: int | None) -> Reply:
    """The thread of Hc, or with none chosen the current one, takes the action, and whoever `_goes_along` continues."""
    if not session.target.has_process():
        return session.stops.resume({})
    thread = session.continue_thread or session.thread()
    if session.stops.refuses_to_resume((thread,)):
        return RUNNING_ALREADY
    if thread not in session.stops.stopped_threads():
        raise NoSuchThread(f"thread {thread.tid} is gone or runs")
    action = Action(kind, session.decode_signal(signal))
    if address is not None:
        _write_pc(session, thread, address)
    others = (other for other in session.stops.stopped_threads() if _goes_along(session, other, thread, kind))
    return session.stops.resume(dict.fromkeys(others, Action(ActionKind.CONTINUE)) | {thread: action})


def _goes_along(session: Session, other: ThreadId, thread: ThreadId, kind: ActionKind) -> bool:
    """Whether a thread continues beside one that is told to: GDB means all, or with Hc only that one; LLDB a
    process."""
    if session.is_lldb and kind is ActionKind.CONTINUE:
        return other.pid == thread.pid
    return session.continue_thread is None


def _write_pc(session: Session, thread: ThreadId, address: int) -> None:
    registers = session.target.capability(Registers)
    if registers is None:
        raise MalformedPacket("this target has no registers")
    architecture = session.target.architecture(thread.pid)
    register = architecture.registers[architecture.pc]
    if address >= 1 << register.bits:
        raise MalformedPacket("the address is too large")
    registers.write_register(thread, architecture.pc, address.to_bytes(register.size, architecture.byteorder))


@packet("vCont?", needs=Execution, feature="vContSupported+;no-resumed+")
def list_actions(session: Session, execution: Execution, args: bytes) -> Reply:
    """List the actions of vCont."""
    steps = b"" if "vConts" in session.settings.disabled_packets else b";s;S"
    return b"vCont;c;C" + steps + b";t;r"


@packet(
    "vCont",
    needs=Execution,
    lldb="Once suffixes are agreed on: in all-stop the actions must be for one process, in non-stop for processes that "
    f"stand still (else `E37`), and `t` for whole ones. {SIGNAL_NUMBERS}",
    lldb_errors={MalformedPacket: ILL_FORMED},
)
def resume_threads(session: Session, execution: Execution, args: bytes) -> Reply:
    """Resume, step or stop threads one by one; the leftmost action that names a thread is its own."""
    wanted = wire.parse_actions(args)
    chosen = _choose_actions(session, wanted)
    if not chosen and not session.non_stop and not session.stops.knows_process():
        raise NoSuchProcess
    resumes: dict[ThreadId, Action] = {}
    stops: list[ThreadId] = []
    unreported = session.stops.unreported_threads()
    if session.is_lldb:
        _check_processes(session, wanted, chosen)
        if session.stops.refuses_to_resume(thread for thread, action in chosen.items() if action.verb != "t"):
            return RUNNING_ALREADY
    for thread, action in chosen.items():
        if action.verb == "t":
            stops.append(thread)
        elif not execution.running(thread) and thread not in unreported:
            signal = session.decode_signal(action.signal) if action.signal else 0
            resumes[thread] = _action(action.verb, signal, action.start, action.end)
    if not stops:
        return session.stops.resume(resumes, wanted)
    if resumes:
        execution.resume(resumes)
    if not session.non_stop:
        return session.stops.resume({}, wanted) if resumes else session.stops.current()
    session.stops.acknowledge_then_halt(stops)
    return Outcome.SILENT


def _check_processes(session: Session, actions: Iterable[ResumeAction], chosen: Iterable[ThreadId]) -> None:
    """MalformedPacket for what lldb-server's processes cannot do, and LLDB does not ask for."""
    if any(action.verb == "t" and action.selector and action.selector.tid > 0 for action in actions):
        raise MalformedPacket("a process is stopped as a whole")
    if not session.non_stop and len({thread.pid for thread in chosen}) > 1:
        raise MalformedPacket("several processes can be resumed only in non-stop")


def _choose_actions(session: Session, actions: Sequence[ResumeAction]) -> dict[ThreadId, ResumeAction]:
    if len(actions) == 1 and (thread := _only_thread(actions[0])):
        # A step, which need not look at all the other threads.
        return {thread: actions[0]} if session.target.has_thread(thread) else {}
    if len(actions) == 1 and actions[0].selector is None:
        return dict.fromkeys(session.stops.threads(), actions[0])
    chosen: dict[ThreadId, ResumeAction] = {}
    selected = [(action, _resolve_any(session, action.selector)) for action in actions]
    for pid in session.target.processes():
        for thread in session.target.threads(pid):
            for action, selector in selected:
                if selector is None or _names(selector, thread):
                    chosen[thread] = action
                    break
    return chosen


@lru_cache
def _action(verb: str, signal: int, start: int, end: int) -> Action:
    return Action(_KINDS[verb], signal, start, end)


@lru_cache
def _only_thread(action: ResumeAction) -> ThreadId | None:
    """The thread that an action names with all of its name."""
    selector = action.selector
    if selector is None or selector.pid is None or selector.pid <= 0 or selector.tid <= 0:
        return None
    return ThreadId(selector.pid, selector.tid)


def _resolve_any(session: Session, selector: ThreadSelector | None) -> ThreadSelector | None:
    """The thread that stands for "any", when the action says so. Where there is none, it names no thread."""
    if selector is None or selector.tid != thread_id.ANY:
        return selector
    try:
        return ThreadSelector(*session.select(selector))
    except (NoSuchProcess, NoSuchThread):
        return selector


def _names(selector: ThreadSelector, thread: ThreadId) -> bool:
    return selector.pid in (None, thread_id.ALL, thread.pid) and selector.tid in (thread_id.ALL, thread.tid)


@packet("vCtrlC", needs=Execution)
def interrupt(session: Session, execution: Execution, args: bytes) -> Reply:
    """Interrupt as ^C does, in non-stop."""
    session.stops.acknowledge_then_halt(None)
    return Outcome.SILENT


@packet("vStopped", needs=Execution)
def acknowledge_stop(session: Session, execution: Execution, args: bytes) -> Reply:
    """The notification in flight has arrived: the next stop, or OK."""
    return session.stops.next_notification()


@packet("vStdio", needs=ProgramOutput, dialects=LLDB_ONLY)
def acknowledge_output(session: Session, output: ProgramOutput, args: bytes) -> Reply:
    """The notification of program output in flight has arrived: the next piece, or OK."""
    return session.next_output()
