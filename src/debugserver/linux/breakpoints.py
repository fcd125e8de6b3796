"""Breakpoint instructions in an address space: which lie where, and what lies under them.

Shared between a process and its vfork children. Knows memory; knows no thread and does not run anything.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from debugserver.errors import MemoryFault
from debugserver.target.capabilities import SoftwareBreakpoints
from debugserver.target.conditions import UNCONDITIONAL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from debugserver.linux.memory import MemoryFile
    from debugserver.linux.table import ProcessTable
    from debugserver.target.conditions import BreakpointProgram


class BreakpointTable:
    """The breakpoints of one address space: the client's, and our own for the time that a thread runs through a range.

    All of them are in its memory, and those that are gone stay there until `settle`: clients take all out at each stop,
    and put them back before they go on."""

    def __init__(self, instruction: bytes) -> None:
        self.instruction = instruction
        self.programs: dict[int, BreakpointProgram] = {}
        """Of the client's that have conditions or commands."""
        self.stale: set[int] = set()
        """Those that nobody wants any more, and that are still in memory."""
        self._wanted: set[int] = set()
        """The client's."""
        self.returned: set[int] = set()
        """Those that were stale and are wanted again: the program may have written over them meanwhile."""
        self._own: Counter[int] = Counter()
        """For how many threads' ranges we have one there."""
        self._covered: dict[int, bytes] = {}
        """What lies under all that are in memory."""
        self._removed: dict[int, bytes] = {}
        """What lay under those that are gone: a child may have been forked while they were in."""

    def __contains__(self, address: int) -> bool:
        """Whether the client has one there."""
        return address in self._wanted

    def insert(self, address: int, memory: MemoryFile) -> None:
        """Put one of the client's in; a second one at the address changes nothing. MemoryFault."""
        self._put_in(address, memory)
        self._wanted.add(address)

    def remove(self, address: int) -> None:
        """The client has none there any more; none there changes nothing."""
        self.programs.pop(address, None)
        self._wanted.discard(address)
        self._let_be(address)

    def retain(self, is_wanted: Callable[[BreakpointProgram], bool]) -> None:
        """Remove the client's but for those whose program is wanted."""
        for address in tuple(self._wanted):
            if not is_wanted(self.programs.get(address, UNCONDITIONAL)):
                self.remove(address)

    def insert_own(self, addresses: Iterable[int], memory: MemoryFile) -> None:
        """Put some of our own in: all, or none and MemoryFault."""
        done = []
        try:
            for address in addresses:
                self._put_in(address, memory)
                self._own[address] += 1
                done.append(address)
        except MemoryFault:
            self.remove_own(done)
            raise

    def remove_own(self, addresses: Iterable[int]) -> None:
        """They have served their turn."""
        for address in addresses:
            self._own[address] -= 1
            if not self._own[address]:
                del self._own[address]
            self._let_be(address)

    def is_own(self, address: int) -> bool:
        """Whether there is one of our own."""
        return address in self._own

    def _put_in(self, address: int, memory: MemoryFile) -> None:
        if address in self._covered:
            if address in self.stale:
                self.stale.discard(address)
                self.returned.add(address)
            return
        covered = memory.read(address, len(self.instruction))
        if len(covered) < len(self.instruction):
            raise MemoryFault(address + len(covered))
        memory.write(address, self.instruction)
        self._covered[address] = covered

    def _let_be(self, address: int) -> None:
        if address in self._covered and address not in self._wanted and address not in self._own:
            self.stale.add(address)

    def renew(self, memory: MemoryFile) -> None:
        """Put those in again that the program has written over since they were, before a thread may come there."""
        size = len(self.instruction)
        for address in self.returned:
            try:
                if (found := memory.read(address, size)) != self.instruction:
                    memory.write(address, self.instruction)
                    self._covered[address] = found
            except MemoryFault:
                continue
        self.returned.clear()

    def settle(self, memory: MemoryFile) -> None:
        """Take out of memory what nobody wants any more, before a thread may come there. Memory that was unmapped
        meanwhile has no breakpoint any more."""
        for address in self.stale:
            covered = self._removed[address] = self._covered.pop(address)
            self._restore(address, covered, memory)
        self.returned -= self.stale
        self.stale.clear()

    def clear(self, memory: MemoryFile) -> None:
        """Take all out."""
        for address, covered in self._covered.items():
            self._restore(address, covered, memory)
        for found in (self._covered, self._wanted, self._own, self.stale, self.returned, self.programs):
            found.clear()

    def copy(self, memory: MemoryFile) -> BreakpointTable:
        """The same breakpoints for `memory`, a copy of ours that may have been made while others were in. Their
        commands do not persist unless the client says so of the copy itself."""
        other = BreakpointTable(self.instruction)
        other._covered = dict(self._covered)
        other._wanted = set(self._wanted)
        other.stale = self._covered.keys() - self._wanted
        other.programs = {address: program._replace(persistent=False) for address, program in self.programs.items()}
        for address in self._removed.keys() - self._covered.keys():
            self._restore(address, self._removed[address], memory)
        return other

    @property
    def is_empty(self) -> bool:
        """Whether there is none in memory."""
        return not self._covered

    def is_in_memory(self, address: int) -> bool:
        """Whether the instruction there is ours, wanted or not."""
        return address in self._covered

    def overlaps(self, address: int, length: int) -> bool:
        """Whether any of our instructions lies there."""
        size = len(self.instruction)
        return any(start < address + length and start + size > address for start in self._covered)

    def lift(self, address: int, memory: MemoryFile) -> None:
        """Take one out for a moment, for a thread that steps over it."""
        memory.write(address, self._covered[address])

    def put_back(self, address: int, memory: MemoryFile) -> None:
        """Put a lifted one back, unless it was removed meanwhile."""
        if address in self._covered:
            memory.write(address, self.instruction)

    def _restore(self, address: int, covered: bytes, memory: MemoryFile) -> None:
        try:
            if memory.read(address, len(covered)) == self.instruction:
                memory.write(address, covered)
        except MemoryFault:
            return

    def hide(self, address: int, data: bytes) -> bytes:
        """Memory as the program wrote it: `data` was read at `address`. Where it has written over a breakpoint, that
        is what is there."""
        end = address + len(data)
        hidden: bytearray | None = None
        for start, covered in self._covered.items():
            if start < end and start + len(covered) > address and self._shows(address, data, start):
                hidden = bytearray(data) if hidden is None else hidden
                _overlay(hidden, address, start, covered)
        return data if hidden is None else bytes(hidden)

    def _shows(self, address: int, data: bytes, start: int) -> bool:
        """Whether what was read at `address` has our instruction, as far as it reaches, at `start`."""
        low, high = max(address, start), min(address + len(data), start + len(self.instruction))
        return data[low - address : high - address] == self.instruction[low - start : high - start]

    def keep(self, address: int, data: bytes, memory: MemoryFile) -> bytes:
        """What to write so that the breakpoints stay in and `data` shows when they go."""
        end = address + len(data)
        kept: bytearray | None = None
        for start, covered in self._covered.items():
            if start < end and start + len(covered) > address:
                kept = bytearray(data) if kept is None else kept
                under = bytearray(covered)
                _overlay(under, start, address, data)
                self._covered[start] = bytes(under)
                _overlay(kept, address, start, self.instruction)
        return data if kept is None else bytes(kept)


def _overlay(data: bytearray, address: int, start: int, patch: bytes) -> None:
    """Write the part of `patch`, which lies at `start`, that falls into `data`, which lies at `address`."""
    low = max(address, start)
    high = min(address + len(data), start + len(patch))
    data[low - address : high - address] = patch[low - start : high - start]


class LinuxBreakpoints(SoftwareBreakpoints):
    """The SoftwareBreakpoints of traced processes."""

    def __init__(self, table: ProcessTable) -> None:
        self._table = table

    def insert_breakpoint(self, pid: int, address: int, kind: int, program: BreakpointProgram = UNCONDITIONAL) -> None:
        process = self._table.process(pid)
        process.breakpoints.insert(address, process.memory)
        if program is not UNCONDITIONAL:
            process.breakpoints.programs[address] = program
        else:
            process.breakpoints.programs.pop(address, None)

    def remove_breakpoint(self, pid: int, address: int, kind: int) -> None:
        process = self._table.process(pid)
        process.breakpoints.remove(address)
        if process.runs():
            process.breakpoints.settle(process.memory)

    def clear_breakpoints(self) -> None:
        for process in self._table.processes():
            process.breakpoints.clear(process.memory)
