"""The registers that travel with every stop. Knows nothing of why it stopped."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from debugserver.rsp.stop_reply import RegisterPairs

if TYPE_CHECKING:
    from debugserver.arch.architecture import Architecture


@lru_cache
def register_pairs(architecture: Architecture) -> RegisterPairs:
    """How the general registers of an architecture stand in a stop reply."""
    registers = [architecture.registers[number] for number in architecture.general]
    return RegisterPairs([(register.number, register.size) for register in registers])
