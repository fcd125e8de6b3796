"""The registers that travel with every stop. Knows nothing of why it stopped."""

from __future__ import annotations

from functools import lru_cache
from itertools import accumulate, pairwise, starmap
from typing import TYPE_CHECKING

from debugserver.rsp.stop_reply import RegisterPairs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from debugserver.arch.architecture import Architecture

_CALL_FRAME = 1024
"""Bytes of the stack between where it was and where it is when a call begins: arguments, the red zone, alignment."""
_NOWHERE = slice(0, 0)


@lru_cache
def register_pairs(architecture: Architecture) -> RegisterPairs:
    """How the general registers of an architecture stand in a stop reply."""
    return _pairs(architecture, architecture.general)


@lru_cache
def other_pairs(architecture: Architecture) -> RegisterPairs:
    """How all the others stand in one."""
    return _pairs(architecture, others(architecture))


@lru_cache
def others(architecture: Architecture) -> tuple[int, ...]:
    """The numbers of all registers but the general ones."""
    return tuple(register.number for register in architecture.registers if register.number not in architecture.general)


def runs_on_stack(architecture: Architecture, general: bytes) -> bool:
    """Whether the pc is right above the stack pointer: a place where GDB has calls return to. `general`: the values of
    the general registers."""
    pc_place, sp_place = _frame(architecture)
    pc = int.from_bytes(general[pc_place], architecture.byteorder)
    sp = int.from_bytes(general[sp_place], architecture.byteorder)
    return sp != 0 and 0 <= pc - sp < _CALL_FRAME


@lru_cache
def _frame(architecture: Architecture) -> tuple[slice, slice]:
    """Where among the general registers the pc and the stack pointer are; nowhere, if they are not."""
    ends = accumulate([architecture.registers[number].size for number in architecture.general], initial=0)
    places = dict(zip(architecture.general, starmap(slice, pairwise(ends)), strict=True))
    return places.get(architecture.pc, _NOWHERE), places.get(architecture.sp, _NOWHERE)


def _pairs(architecture: Architecture, numbers: Iterable[int]) -> RegisterPairs:
    registers = [architecture.registers[number] for number in numbers]
    return RegisterPairs([(register.number, register.size) for register in registers])
