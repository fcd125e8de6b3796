"""What is known of a CPU's instructions: where they lead, what they do, and how to run one somewhere else. Abstract.

Register state is always one register bank, NT_PRSTATUS. Knows no process: memory is reached through what the caller
gives.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from enum import Enum, auto
from typing import NamedTuple, Protocol


class MemoryAccess(Protocol):
    """Memory as the running thread would reach it: page protections hold, nothing is watched, and what other threads
    may look at goes in one piece, as aligned values of up to eight bytes do. What raises has changed nothing."""

    def read(self, address: int, length: int) -> bytes:
        """Exactly `length` bytes; MemoryFault."""

    def write(self, address: int, data: bytes) -> None:
        """All of it; MemoryFault."""


Computation = Callable[[bytearray, MemoryAccess], None]
"""Does to registers and memory what one instruction does. MemoryFault: nothing was done, the CPU has to try."""


class FlowKind(Enum):
    """Where an instruction leads."""

    NEXT = auto()
    """To the one behind it."""
    JUMP = auto()
    """To its target."""
    CONDITIONAL = auto()
    """To its target or the one behind it."""
    CALL = auto()
    """To its target, which may return behind it."""
    INDIRECT = auto()
    """To where a register or memory says: also calls, and every return."""
    SYSTEM = auto()
    """Into the kernel, which may do anything, or into an exception."""


_REACH_NEXT = frozenset({FlowKind.NEXT, FlowKind.CONDITIONAL, FlowKind.SYSTEM})


class Flow(NamedTuple):
    """An instruction of `length` bytes. `target` is that of JUMP, CONDITIONAL and CALL, else None; `repeats`: it has a
    prefix that makes it run many times, each of which is a step."""

    length: int
    kind: FlowKind
    target: int | None = None
    repeats: bool = False

    @property
    def falls_through(self) -> bool:
        """Whether the instruction behind this one can be the very next."""
        return self.kind in _REACH_NEXT


class Relocated(ABC):
    """An instruction moved to a scratch place, its slot. Has no state, so any number of threads may use it at once.

    Write `code` to the slot, call `prepare`, single-step, and then call `finish`, or `undo` if the thread stopped for
    something else with its pc still at the slot. No signal may be delivered meanwhile. What failed must be run in its
    own place then: the signal tells of addresses.
    """

    code: bytes
    """What to write to the slot."""

    @abstractmethod
    def prepare(self, registers: bytearray) -> bytes:
        """Point the registers of a thread that stands at the instruction to the slot. Returns what `finish` and `undo`
        need."""

    @abstractmethod
    def finish(self, registers: bytearray, memory: MemoryAccess, saved: bytes) -> None:
        """The step was completed: make registers and memory what they would be after the instruction in its own place.

        MemoryFault when the return address that a call pushed can no longer be written."""

    @abstractmethod
    def undo(self, registers: bytearray, saved: bytes) -> None:
        """The instruction was not run: let the thread stand at it in its own place."""


class Instructions(ABC):
    """The instructions of one CPU in one mode. `code` is always what lies at `address`, without breakpoints, and may
    be longer than the instruction that it begins with."""

    longest: int
    """No instruction has more bytes."""

    @abstractmethod
    def applies(self, registers: bytearray) -> bool:
        """Whether all this holds for a thread with these registers: it runs in this mode, and nothing in them changes
        what instructions do. They do not show a shadow stack, which calls and returns use, nor a restartable sequence
        (rseq), which the kernel no longer restarts once it has seen the pc of a moved instruction."""

    @abstractmethod
    def computation(self, code: bytes, address: int) -> Computation | None:
        """How to compute what the instruction does; None where that is not known exactly."""

    @abstractmethod
    def relocate(self, code: bytes, address: int, slot: int) -> Relocated | None:
        """How to run the instruction at `slot`, which may be far away; None where that would not be the same."""

    @abstractmethod
    def flow(self, code: bytes, address: int) -> Flow | None:
        """Where the instruction leads; None where it is none."""
