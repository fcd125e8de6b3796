"""The instructions of x86 in its two modes under Linux, as far as iced-x86 can decode them; without it nothing is
known. It and what uses it are loaded on first use.

Source: Intel SDM vol. 1, 3.4.3 (flags).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

from debugserver.arch.instructions import Computation, Flow, Instructions, Relocated

if TYPE_CHECKING:
    from iced_x86 import Instruction

_TRAP_FLAG = 1 << 8
_RESUME_FLAG = 1 << 16
_ALIGNMENT_CHECK = 1 << 18
_DISTURBING = _TRAP_FLAG | _RESUME_FLAG | _ALIGNMENT_CHECK
"""Of eflags. The CPU clears the resume flag at the end of every instruction."""

_NO_SYSTEM_CALL = b"\xff" * 4
"""In orig_rax, which is an int to the kernel. After any other it may move rip back, to restart a system call."""

_REMEMBERED = 4096


class X86Instructions(Instructions):
    """Of code of 64 or 32 bits."""

    longest = 15

    def __init__(self, bits: int, flags: int, system_call: int, selectors: Mapping[int, int]) -> None:
        """`flags` and `system_call`: the offsets of eflags and orig_rax in the register state; `selectors`: what
        segment registers, by their offsets, hold where segments are as Linux makes them."""
        self._bits = bits
        self._flags = slice(flags, flags + 4)
        self._system_call = slice(system_call, system_call + 4)
        self._selectors = tuple(selectors.items())

    def applies(self, registers: bytearray) -> bool:
        if int.from_bytes(registers[self._flags], "little") & _DISTURBING:
            return False
        if registers[self._system_call] != _NO_SYSTEM_CALL:
            return False
        for offset, selector in self._selectors:  # noqa: SIM110  (a generator takes twice as long)
            if registers[offset] != selector:
                return False
        return True

    def computation(self, code: bytes, address: int) -> Computation | None:
        return _computation(self._bits, code, address)

    def relocate(self, code: bytes, address: int, slot: int) -> Relocated | None:
        return _relocated(self._bits, code, address, slot)

    def flow(self, code: bytes, address: int) -> Flow | None:
        return _flow(self._bits, code, address)


@lru_cache
def _has_decoder() -> bool:
    try:
        import iced_x86  # noqa: F401
    except ImportError:
        return False
    return True


def _decode(bits: int, code: bytes, address: int) -> Instruction | None:
    if not _has_decoder():
        return None
    from debugserver.arch import x86_code

    return x86_code.decode(bits, code, address)


@lru_cache(_REMEMBERED)
def _computation(bits: int, code: bytes, address: int) -> Computation | None:
    instruction = _decode(bits, code, address)
    if instruction is None:
        return None
    from debugserver.arch import x86_compute

    return x86_compute.computation(instruction)


@lru_cache(_REMEMBERED)
def _relocated(bits: int, code: bytes, address: int, slot: int) -> Relocated | None:
    instruction = _decode(bits, code, address)
    if instruction is None:
        return None
    from debugserver.arch import x86_relocate

    return x86_relocate.relocate(instruction, code, slot)


@lru_cache(_REMEMBERED)
def _flow(bits: int, code: bytes, address: int) -> Flow | None:
    instruction = _decode(bits, code, address)
    if instruction is None:
        return None
    from debugserver.arch import x86_flow

    return x86_flow.flow(instruction)
