"""Decoding x86 instructions with iced-x86, and where the registers that it names are in struct user_regs_struct of
x86-64, which is the register state of 32-bit code too."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from iced_x86 import CodeSize, Decoder, DecoderOptions, Instruction, OpKind, Register, RegisterExt

from debugserver.arch.user_regs import OFFSETS, RIP_OFFSET

if TYPE_CHECKING:
    from iced_x86._iced_x86_py import Register as RegisterId

POINTER = struct.Struct("<Q")
RIP = slice(RIP_OFFSET, RIP_OFFSET + POINTER.size)

_ENCODED = "rax rcx rdx rbx rsp rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15".split()
_SECOND_BYTES = frozenset({Register.AH, Register.CH, Register.DH, Register.BH})

NEAR_BRANCHES = frozenset({OpKind.NEAR_BRANCH32, OpKind.NEAR_BRANCH64})


class Unknown(Exception):
    """This is not understood exactly."""


class Place(NamedTuple):
    """Where a general register is, in bytes."""

    offset: int
    size: int


def place(register: RegisterId) -> Place:
    """Of one of iced-x86's registers. Unknown: not a general one."""
    if not RegisterExt.is_gpr(register):
        raise Unknown
    name = _ENCODED[RegisterExt.number(RegisterExt.full_register(register))]
    return Place(OFFSETS[name] + (register in _SECOND_BYTES), RegisterExt.size(register))


def decode(bits: int, code: bytes, address: int) -> Instruction | None:
    """The instruction at the beginning of `code`; None where there is none, or Intel and AMD disagree."""
    instruction = Decoder(bits, code, ip=address).decode()
    if instruction.is_invalid or instruction != Decoder(bits, code, DecoderOptions.AMD, ip=address).decode():
        return None
    return instruction


def is_64_bit(instruction: Instruction) -> bool:
    """Whether it is code of 64 bits."""
    return instruction.code_size == CodeSize.CODE64


def pointer_size(instruction: Instruction) -> int:
    """Of its mode, in bytes; a stack slot is as large."""
    return 8 if is_64_bit(instruction) else 4


def canonical(address: int) -> bool:
    """Whether execution can go on there for all that the CPU cares: in the lower half of the address space of 48 bits.

    Programs that use more than that ask for it.
    """
    return address < 1 << 47
