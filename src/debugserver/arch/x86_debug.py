"""The debug registers of x86 (Intel SDM vol. 3, 18.2): encoding DR7, decoding DR6, covering a range with slots.

Numbers only: who owns a slot and how it reaches the CPU is the engine's business.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import NamedTuple

SLOTS = 4
STATUS = 6
CONTROL = 7
"""The numbers of DR6 and DR7; DR0 to DR3 hold the addresses."""

SINGLE_STEP = 1 << 14
"""BS in DR6: the trap flag caused the exception."""

_LENGTHS = {1: 0b00, 2: 0b01, 4: 0b11, 8: 0b10}
_SLOT_BITS = (1 << SLOTS) - 1


class Access(IntEnum):
    """The R/W field of a slot. A read is watched as READ_WRITE: the CPU has nothing narrower."""

    EXECUTE = 0b00
    WRITE = 0b01
    READ_WRITE = 0b11


class Slot(NamedTuple):
    """What one debug register watches: `length` is 1, 2, 4 or 8 bytes (1 for EXECUTE), and `address` aligned to it."""

    address: int
    length: int
    access: Access


def control_word(slots: Sequence[Slot | None]) -> int:
    """DR7 for up to four slots, enabled for the current task only; None is a slot that is free."""
    return sum(_slot_bits(index, slot) for index, slot in enumerate(slots) if slot is not None)


def _slot_bits(index: int, slot: Slot) -> int:
    return 1 << 2 * index | (_LENGTHS[slot.length] << 2 | slot.access) << 16 + 4 * index


def aligned_pieces(address: int, length: int) -> Iterator[tuple[int, int]]:
    """The range as the fewest pieces (address, length) of 1, 2, 4 or 8 bytes, each aligned to its length."""
    end = address + length
    while address < end:
        size = next(size for size in (8, 4, 2, 1) if address % size == 0 and address + size <= end)
        yield address, size
        address += size


def triggered_slots(status: int) -> tuple[int, ...]:
    """The slots whose condition was met, from DR6. A slot that is not enabled may be among them (18.2.3)."""
    return tuple(index for index in range(SLOTS) if status & _SLOT_BITS & 1 << index)
