"""Processes that clients have let go, all but for breakpoints whose commands persist: they run on under our eyes, but
nobody is told what happens to them.

Decides what such a process is given and what it loses; that its threads are held meanwhile is `lifecycle`'s business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from debugserver.linux.release import last_signal
from debugserver.target.capabilities import Unattended
from debugserver.target.model import Stop, StopReason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from debugserver.linux.threads import LinuxProcess, LinuxThread
    from debugserver.linux.tracer import Tracer
    from debugserver.target.conditions import BreakpointProgram
    from debugserver.target.model import ProcessExit


def stays(tracer: Tracer, process: LinuxProcess) -> bool:
    """Whether to leave it unattended when it is let go. A child that has its memory from a debugged process does not
    stay."""
    if not any(program.persistent for program in _programs(process)):
        return False
    is_parent = any(thread.in_vfork for thread in process.threads.values())
    return is_parent or all(sharer.is_guest for sharer in tracer.table.sharers(process))


def _programs(process: LinuxProcess) -> list[BreakpointProgram]:
    return [*process.breakpoints.programs.values(), *process.watchpoints.programs.values()]


def leave(tracer: Tracer, process: LinuxProcess) -> None:
    """From now on it is unattended, and all of its threads run as soon as they are not held any more."""
    tracer.unattended.add(process.pid)
    process.announced = False
    process.inherited = frozenset()
    process.caught_system_calls = None
    process.breakpoints.retain(lambda program: program.persistent)
    process.watchpoints.retain(lambda program: program.persistent)
    for thread in process.threads.values():
        thread.signal = last_signal(tracer, thread)
        thread.let_run()
        thread.last_stop = Stop(thread.id, 0, StopReason.HALTED)
        thread.announced = True
        thread.reports_clones = thread.reports_exit = False


def take_back(tracer: Tracer, process: LinuxProcess) -> None:
    """Clients see it again, running."""
    tracer.unattended.discard(process.pid)
    process.announced = True
    process.inherited = frozenset(_programs(process))


def end_inheritance(tracer: Tracer, process: LinuxProcess) -> None:
    """A client takes over: what it has not put in itself goes."""
    inherited, process.inherited = process.inherited, frozenset()
    process.breakpoints.retain(lambda program: program not in inherited)
    process.breakpoints.settle(process.memory)
    if process.watchpoints.retain(lambda program: program not in inherited):
        tracer.refresh(process)


def pass_over(tracer: Tracer, thread: LinuxThread) -> None:
    """An event that nobody hears of: a signal goes to the program, and a breakpoint that would be reported (a vfork
    child's client has put it in) is of no use."""
    event, thread.event = thread.event, None
    if event is not None and event.reason is StopReason.SIGNAL:
        thread.signal = event.signal
    elif event is not None and event.reason is StopReason.SOFTWARE_BREAKPOINT:
        thread.process.breakpoints.remove(event.address)
    tracer.run_on(thread)


class LinuxUnattended(Unattended):
    """The Unattended of traced processes."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def stays(self, pid: int) -> bool:
        return stays(self._tracer, self._tracer.table.process(pid))

    def unattended(self) -> Sequence[int]:
        return tuple(self._tracer.unattended)

    def take_back(self) -> None:
        for pid in tuple(self._tracer.unattended):
            if process := self._tracer.table.find_process(pid):
                take_back(self._tracer, process)

    def look_after(self) -> None:
        self._tracer.drain_wakeup()
        self._tracer.collect()
        self._tracer.find_dead_leaders()

    def take_ends(self) -> Sequence[ProcessExit]:
        ends = tuple(self._tracer.unattended_ends)
        self._tracer.unattended_ends.clear()
        return ends
