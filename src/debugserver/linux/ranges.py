"""Letting a thread run through a range instead of stepping it: breakpoints of our own lie wherever it may leave, and at
each instruction of which only a step can tell where it leads.

Every stop of the thread ends its run, and the next time it is let go it begins another. Other threads that meet the
breakpoints step over them.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from debugserver.arch.code_range import reachable
from debugserver.errors import MemoryFault
from debugserver.linux import registers, stepping
from debugserver.target.model import ActionKind

if TYPE_CHECKING:
    from debugserver.arch.code_range import RangePlan
    from debugserver.arch.instructions import Instructions
    from debugserver.linux.threads import LinuxThread

_MOST_STOPS = 24
"""Breakpoints that are worth their while."""


def begin(thread: LinuxThread) -> bool:
    """Prepare a stopped thread that is to step through a range to run instead; whether that is possible."""
    action, process = thread.action, thread.process
    if action.kind is not ActionKind.RANGE_STEP or thread.signal or process.caught_system_calls is not None:
        return False
    if thread.group != process.pid:
        return False  # A clone's memory may be its own, where no breakpoint of ours is.
    if any(other.in_vfork for other in process.threads.values()):
        return False  # The child may be one that nobody follows, and the memory is its, too.
    instructions = stepping.instructions_of(thread)
    if instructions is None:
        return False
    pc = registers.read_pc(thread)
    if not action.start <= pc < action.end:
        return False
    try:
        code = process.read(action.start, action.end - action.start + instructions.longest)
        plan = _plan(instructions, code, action.start, action.end, pc)
        if plan is None or pc in plan.stepped:
            return False
        stops = plan.exits | plan.stepped
        if len(stops) > _MOST_STOPS:
            return False
        process.breakpoints.insert_own(stops, process.memory)
    except MemoryFault:
        return False
    thread.range_stops = stops
    return True


@lru_cache
def _plan(instructions: Instructions, code: bytes, start: int, end: int, pc: int) -> RangePlan | None:
    def read(address: int, length: int) -> bytes:
        return code[address - start : address - start + length]

    return reachable(instructions, read, start, end, pc)


def end(thread: LinuxThread) -> None:
    """The thread has stopped: its breakpoints are not needed any more, but may be why it did."""
    thread.process.breakpoints.remove_own(thread.range_stops)
    thread.range_stops = frozenset()


def clear_up(thread: LinuxThread) -> None:
    """Take them out of memory if others run that would meet them."""
    process = thread.process
    if process.breakpoints.stale and process.runs(but=thread):
        process.breakpoints.settle(process.memory)
