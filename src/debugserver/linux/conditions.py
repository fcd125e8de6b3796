"""Conditions and commands of breakpoints on live threads: what they see of a thread that stands at one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from debugserver.errors import ExpressionError, MemoryFault, NoSuchThread
from debugserver.linux import registers
from debugserver.target.conditions import UNCONDITIONAL, ThreadState, check_register
from debugserver.target.model import StopReason

if TYPE_CHECKING:
    from debugserver.linux.threads import LinuxThread
    from debugserver.target.conditions import BreakpointProgram
    from debugserver.target.model import Stop


class LinuxThreadState(ThreadState):
    """The state of a thread in a ptrace-stop."""

    __slots__ = ("_thread",)

    def __init__(self, thread: LinuxThread) -> None:
        self._thread = thread

    def register(self, number: int) -> int:
        architecture = self._thread.process.architecture
        if architecture is None or architecture.codec is None:
            raise ExpressionError("the registers of this process are not known yet")
        check_register(architecture, number)
        return registers.read_number(self._thread, architecture.codec, number)

    def load(self, address: int, size: int) -> int:
        data = self.read(address, size)
        if len(data) < size:
            raise MemoryFault(address + len(data))
        return int.from_bytes(data, "little")

    def read(self, address: int, length: int) -> bytes:
        return self._thread.process.read(address, length)


def is_reported(thread: LinuxThread, program: BreakpointProgram) -> bool:
    """Whether the client is to hear of a thread at a breakpoint; if not, the commands have been run."""
    return program.reports(LinuxThreadState(thread))


def is_point_reported(thread: LinuxThread, stop: Stop) -> bool:
    """The same of a point in the debug registers, of which only breakpoints have conditions."""
    if stop.reason is not StopReason.HARDWARE_BREAKPOINT:
        return True
    return is_reported(thread, thread.process.watchpoints.programs.get(stop.address, UNCONDITIONAL))


def note_other_stop(thread: LinuxThread) -> None:
    """Run the commands of the breakpoint at which a thread is reported that has not hit it."""
    programs = thread.process.breakpoints.programs
    if not programs:
        return
    try:
        program = programs.get(registers.read_pc(thread))
        if program is None or not program.commands:
            return
        mark = program, registers.read_sp(thread)
        if thread.passed != mark:
            program.note_other_stop(LinuxThreadState(thread))
            thread.passed = mark
    except NoSuchThread:
        return
