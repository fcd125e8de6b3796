"""The registers that travel with every stop. Knows nothing of why it stopped."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from debugserver.rsp.stop_reply import RegisterPairs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from debugserver.arch.architecture import Architecture


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


def _pairs(architecture: Architecture, numbers: Iterable[int]) -> RegisterPairs:
    registers = [architecture.registers[number] for number in numbers]
    return RegisterPairs([(register.number, register.size) for register in registers])
