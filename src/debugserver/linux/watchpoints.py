"""The debug registers of x86: who has which slot of a process, and putting them into its threads. ptrace(2),
PTRACE_POKEUSER."""

from __future__ import annotations

from typing import TYPE_CHECKING

from debugserver.arch import x86_debug
from debugserver.arch.x86_debug import Access, Slot
from debugserver.errors import NoDebugRegister, NoSuchThread, TargetError
from debugserver.linux import ptrace
from debugserver.target.capabilities import Watchpoints
from debugserver.target.conditions import UNCONDITIONAL
from debugserver.target.model import Stop, StopReason, WatchKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from debugserver.linux.threads import LinuxProcess, LinuxThread
    from debugserver.linux.tracer import Tracer
    from debugserver.target.conditions import BreakpointProgram

_ACCESS = {
    WatchKind.EXECUTE: Access.EXECUTE,
    WatchKind.WRITE: Access.WRITE,
    WatchKind.ACCESS: Access.READ_WRITE,
}
_REASONS = {
    Access.EXECUTE: StopReason.HARDWARE_BREAKPOINT,
    Access.WRITE: StopReason.WRITE_WATCHPOINT,
    Access.READ_WRITE: StopReason.ACCESS_WATCHPOINT,
}
_Point = tuple[WatchKind, int, int]


class WatchpointTable:
    """The points of one process and the slots that serve them; equal slots are shared and counted."""

    def __init__(self) -> None:
        self.programs: dict[int, BreakpointProgram] = {}
        """Of breakpoints, by their addresses."""
        self._points: dict[_Point, list[Slot]] = {}
        self._slots: list[Slot | None] = [None] * x86_debug.SLOTS
        self._users = [0] * x86_debug.SLOTS
        self.in_use = False
        """Whether there is any point."""
        self.values: tuple[int, ...] | None = None
        """What every thread's debug registers are to hold: four addresses and the control word; None: never used."""

    def insert(self, kind: WatchKind, address: int, length: int) -> bool:
        """Take slots; whether anything changed. NoDebugRegister."""
        if (kind, address, length) in self._points:
            return False
        taken: list[Slot] = []
        pieces = [(address, 1)] if kind is WatchKind.EXECUTE else x86_debug.aligned_pieces(address, length)
        try:
            for start, size in pieces:
                slot = Slot(start, size, _ACCESS[kind])
                self._take(slot)
                taken.append(slot)
        except NoDebugRegister:
            for slot in taken:
                self._release(slot)
            raise
        self._points[kind, address, length] = taken
        self._update()
        return True

    def remove(self, kind: WatchKind, address: int, length: int) -> bool:
        """Give the slots back; whether anything changed."""
        taken = self._points.pop((kind, address, length), None)
        if taken is None:
            return False
        for slot in taken:
            self._release(slot)
        if kind is WatchKind.EXECUTE:
            self.programs.pop(address, None)
        self._update()
        return True

    def clear(self) -> bool:
        """Give everything back; whether anything changed."""
        return self.retain(lambda program: False)

    def retain(self, is_wanted: Callable[[BreakpointProgram], bool]) -> bool:
        """Give back all but breakpoints whose program is wanted; whether anything changed."""
        unwanted = [
            (kind, address, length)
            for kind, address, length in self._points
            if kind is not WatchKind.EXECUTE or not is_wanted(self.programs.get(address, UNCONDITIONAL))
        ]
        return bool([self.remove(*point) for point in unwanted])

    def _take(self, slot: Slot) -> None:
        if slot in self._slots:
            index = self._slots.index(slot)
        elif None in self._slots:
            index = self._slots.index(None)
        else:
            holders = ", ".join(f"{kind.value} {address:#x}+{length}" for kind, address, length in self._points)
            raise NoDebugRegister(
                f"all {x86_debug.SLOTS} hardware debug registers are in use ({holders}); "
                "remove one of these points first"
            )
        self._slots[index] = slot
        self._users[index] += 1

    def _release(self, slot: Slot) -> None:
        index = self._slots.index(slot)
        self._users[index] -= 1
        if not self._users[index]:
            self._slots[index] = None

    def _update(self) -> None:
        addresses = (slot.address if slot else 0 for slot in self._slots)
        self.values = (*addresses, x86_debug.control_word(self._slots))
        self.in_use = bool(self._points)

    def watches(self, address: int) -> bool:
        """Whether a slot begins there."""
        return any(slot is not None and slot.address == address for slot in self._slots)

    def find_hit(self, status: int) -> tuple[int, Slot] | None:
        """The slot that DR6 says was hit, and its number."""
        for index in x86_debug.triggered_slots(status):
            if slot := self._slots[index]:
                return index, slot
        return None


def flush(thread: LinuxThread) -> bool:
    """Put the process's points into a thread in a ptrace-stop; whether there was anything to change."""
    wanted = thread.process.watchpoints.values
    held = thread.debug_registers
    if wanted == held or wanted is None:
        return False
    *addresses, control = wanted
    if held and held[-1]:
        ptrace.write_debug_register(thread.tid, x86_debug.CONTROL, 0)
    for index, address in enumerate(addresses):
        if held is None or held[index] != address:
            ptrace.write_debug_register(thread.tid, index, address)
    ptrace.write_debug_register(thread.tid, x86_debug.CONTROL, control)
    thread.debug_registers = wanted
    return True


def clear(thread: LinuxThread) -> None:
    """Empty a thread's debug registers before it is let go."""
    if thread.debug_registers and thread.debug_registers[-1]:
        ptrace.write_debug_register(thread.tid, x86_debug.CONTROL, 0)
        for index in range(x86_debug.SLOTS):
            ptrace.write_debug_register(thread.tid, index, 0)
    thread.debug_registers = None


def find_stop(thread: LinuxThread, signal_number: int) -> Stop | None:
    """The stop for the point that the thread just hit, if it did; DR6 is cleared, since the CPU never does."""
    if not thread.debug_registers or not thread.debug_registers[-1]:
        return None
    hit = thread.process.watchpoints.find_hit(ptrace.read_debug_register(thread.tid, x86_debug.STATUS))
    if hit is None:
        return None
    ptrace.write_debug_register(thread.tid, x86_debug.STATUS, 0)
    index, slot = hit
    return Stop(thread.id, signal_number, _REASONS[slot.access], slot.address, number=index)


def _try(tracer: Tracer, process: LinuxProcess) -> None:
    """Put the points into one thread, to see whether the kernel takes them."""
    for thread in process.threads.values():
        if not thread.stopped:
            continue
        try:
            tracer.flush_points(thread)
        except NoSuchThread:
            continue
        except TargetError:
            thread.debug_registers = None
            raise
        return


class LinuxWatchpoints(Watchpoints):
    """The Watchpoints of traced processes."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def watch_kinds(self) -> frozenset[WatchKind]:
        return frozenset(_ACCESS)

    def watch_slots(self) -> int:
        return x86_debug.SLOTS

    def insert_watchpoint(
        self, pid: int, kind: WatchKind, address: int, length: int, program: BreakpointProgram = UNCONDITIONAL
    ) -> None:
        process = self._tracer.table.process(pid)
        is_new = process.watchpoints.insert(kind, address, length)
        if kind is WatchKind.EXECUTE:
            process.watchpoints.programs[address] = program
        if not is_new:
            return
        self._tracer.hold([process])
        try:
            _try(self._tracer, process)
        except TargetError as error:
            process.watchpoints.remove(kind, address, length)
            raise NoDebugRegister(f"the kernel refuses to watch {address:#x}+{length}: {error}", error.number) from None
        finally:
            self._tracer.let_go()

    def remove_watchpoint(self, pid: int, kind: WatchKind, address: int, length: int) -> None:
        process = self._tracer.table.process(pid)
        if process.watchpoints.remove(kind, address, length):
            self._tracer.refresh(process)

    def clear_watchpoints(self) -> None:
        for process in self._tracer.table.processes():
            if process.watchpoints.clear():
                self._tracer.refresh(process)
