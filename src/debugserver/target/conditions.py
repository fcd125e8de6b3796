"""What a breakpoint does by itself when it is hit: conditions that decide whether anybody is told, and commands.

Who made them out of what is not known here. A target asks `program.reports(state)` whenever a breakpoint is hit.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from debugserver.errors import ExpressionError, MemoryFault

if TYPE_CHECKING:
    from debugserver.arch.architecture import Architecture
    from debugserver.target.capabilities import Memory, Registers
    from debugserver.target.model import ThreadId

_PIECE = 64
"""Bytes of a string that are read at a time."""
_LONGEST_STRING = 1 << 16


class ThreadState(ABC):
    """What conditions and commands see of the thread that hit the breakpoint."""

    @abstractmethod
    def register(self, number: int) -> int:
        """A register by its number in the architecture, unsigned. ExpressionError if there is none that fits into 64
        bits."""

    @abstractmethod
    def load(self, address: int, size: int) -> int:
        """An unsigned integer of `size` bytes, in the target's byte order. MemoryFault."""

    @abstractmethod
    def read(self, address: int, length: int) -> bytes:
        """Up to `length` bytes, at least one. MemoryFault."""

    def string(self, address: int) -> bytes:
        """What lies at an address, up to its zero. MemoryFault, also where it goes on for ever."""
        text = b""
        while len(text) < _LONGEST_STRING:
            # Pieces end where pages may.
            position = address + len(text)
            piece, zero, _ = self.read(position, _PIECE - position % _PIECE).partition(b"\0")
            text += piece
            if zero:
                return text
        raise MemoryFault(address + len(text))


Condition = Callable[[ThreadState], object]
"""Whether the stop is wanted, as a truth value. ExpressionError, MemoryFault."""
Command = Callable[[ThreadState], object]
"""Does something on the server. Its failures are its own: they are no reason for a stop, since a client that gave
commands counts on none, and would resume the thread right into the breakpoint again."""


class BreakpointProgram(NamedTuple):
    """The conditions and commands of one breakpoint."""

    conditions: tuple[Condition, ...] = ()
    commands: tuple[Command, ...] = ()
    persistent: bool = False
    """The commands are to be run after the client has let the process go, too."""

    def reports(self, state: ThreadState) -> bool:
        """Whether the hit is to be reported: there are no conditions, or one holds or cannot be evaluated, and there
        are no commands, which are run instead."""
        if self.conditions and not self._holds(state):
            return False
        for command in self.commands:
            command(state)
        return not self.commands

    def note_other_stop(self, state: ThreadState) -> None:
        """The thread is about to be reported at the breakpoint, but for another reason, such as a step that ended
        there. Commands are run now: a client that sees a thread at a breakpoint counts it as hit, and steps over it."""
        if self.commands:
            self.reports(state)

    def _holds(self, state: ThreadState) -> bool:
        try:
            return any(condition(state) for condition in self.conditions)
        except (ExpressionError, MemoryFault):
            return True


UNCONDITIONAL = BreakpointProgram()
"""Of a breakpoint that is always reported."""


class TargetState(ThreadState):
    """The state of a stopped thread of any target."""

    def __init__(self, registers: Registers, memory: Memory, architecture: Architecture, thread: ThreadId) -> None:
        self._registers = registers
        self._memory = memory
        self._architecture = architecture
        self._thread = thread

    def register(self, number: int) -> int:
        check_register(self._architecture, number)
        return int.from_bytes(self._registers.read_register(self._thread, number), self._architecture.byteorder)

    def load(self, address: int, size: int) -> int:
        data = self.read(address, size)
        if len(data) < size:
            raise MemoryFault(address + len(data))
        return int.from_bytes(data, self._architecture.byteorder)

    def read(self, address: int, length: int) -> bytes:
        return self._memory.read_memory(self._thread.pid, address, length)


def check_register(architecture: Architecture, number: int) -> None:
    """ExpressionError unless there is such a register, of at most 64 bits."""
    if number >= len(architecture.registers) or architecture.registers[number].bits > 64:
        raise ExpressionError(f"register {number} has no value of 64 bits")
