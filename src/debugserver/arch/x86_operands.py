"""The operands of x86 instructions as functions on register state and memory.

Writing a register of 32 bits clears what is above it. Source: Intel SDM vol. 1, 3.3.7 and 3.4.1.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING

from iced_x86 import Instruction, MemorySizeExt, OpKind, Register, RegisterExt

from debugserver.arch.instructions import Computation, MemoryAccess
from debugserver.arch.user_regs import OFFSETS
from debugserver.arch.x86_code import NEAR_BRANCHES, POINTER, Unknown, canonical, is_64_bit, place, pointer_size
from debugserver.errors import MemoryFault

if TYPE_CHECKING:
    from iced_x86._iced_x86_py import Register as RegisterId

Get = Callable[[bytearray], int]
Read = Callable[[bytearray, MemoryAccess], int]
Write = Callable[[bytearray, MemoryAccess, int], None]
Build = Callable[[Instruction], Computation]
"""How to compute an instruction of one kind. Unknown."""

UNSIGNED = {1: struct.Struct("<B"), 2: struct.Struct("<H"), 4: struct.Struct("<I"), 8: POINTER}
_STORED = UNSIGNED | {4: POINTER}

_SEGMENT_BASES = {Register.FS: OFFSETS["fs_base"], Register.GS: OFFSETS["gs_base"]}


def following(instruction: Instruction) -> bytes:
    """The address of the instruction behind this one, as rip has it. Unknown: the CPU may refuse to go there."""
    if not canonical(instruction.next_ip):
        raise Unknown
    return POINTER.pack(instruction.next_ip)


def operand_size(instruction: Instruction, operand: int) -> int:
    """Of a register or memory operand, in bytes."""
    if instruction.op_kind(operand) == OpKind.REGISTER:
        return RegisterExt.size(instruction.op_register(operand))
    return MemorySizeExt.size(instruction.memory_size)


def reader(instruction: Instruction, operand: int, size: int = 0) -> Read:
    """How to read an operand; an immediate one is of `size` bytes, 0: as the first operand. Unknown."""
    kind = instruction.op_kind(operand)
    if kind == OpKind.REGISTER:
        return register_reader(instruction.op_register(operand))
    if kind == OpKind.MEMORY:
        return _memory_reader(instruction)
    if OpKind.IMMEDIATE8 <= kind <= OpKind.IMMEDIATE32TO64:
        return _constant(instruction.immediate(operand) & (1 << 8 * (size or operand_size(instruction, 0))) - 1)
    raise Unknown


def writer(instruction: Instruction, operand: int) -> Write:
    """How to write an operand. Unknown."""
    kind = instruction.op_kind(operand)
    if kind == OpKind.REGISTER:
        return register_writer(instruction.op_register(operand))
    if kind == OpKind.MEMORY:
        return _memory_writer(instruction)
    raise Unknown


def register_reader(register: RegisterId) -> Read:
    """How to read a general register. Unknown."""
    offset, size = place(register)
    unpack_from = UNSIGNED[size].unpack_from

    def read(registers: bytearray, _memory: MemoryAccess) -> int:
        value: int = unpack_from(registers, offset)[0]
        return value

    return read


def register_writer(register: RegisterId) -> Write:
    """How to write a general register. Unknown."""
    offset, size = place(register)
    pack_into = _STORED[size].pack_into

    def write(registers: bytearray, _memory: MemoryAccess, value: int) -> None:
        pack_into(registers, offset, value)

    return write


def fixed_target(instruction: Instruction) -> int:
    """Where a near branch or call leads that says so itself. Unknown."""
    if instruction.op0_kind not in NEAR_BRANCHES or not canonical(instruction.near_branch_target):
        raise Unknown
    return instruction.near_branch_target


def allowed_target(address: int) -> int:
    """The address, if execution can go on there. MemoryFault."""
    if not canonical(address):
        raise MemoryFault(address)
    return address


def branch_target(instruction: Instruction) -> Read:
    """How to find where a near jump or call leads. Unknown; MemoryFault where the CPU may refuse to go."""
    if instruction.op0_kind in NEAR_BRANCHES:
        return _constant(fixed_target(instruction))
    if operand_size(instruction, 0) != pointer_size(instruction):
        raise Unknown
    read = reader(instruction, 0)
    return lambda registers, memory: allowed_target(read(registers, memory))


def effective_address(instruction: Instruction) -> Get:
    """How to find the address that the memory operand says, without the base of its segment. Unknown."""
    if instruction.is_ip_rel_memory_operand:
        address = instruction.ip_rel_memory_address
        return lambda _registers: address
    displacement = instruction.memory_displacement
    base, index = instruction.memory_base, instruction.memory_index
    scaled = [(base, 1)] * bool(base) + [(index, instruction.memory_index_scale)] * bool(index)
    terms = [(place(register).offset, scale) for register, scale in scaled]
    size = RegisterExt.size(scaled[0][0]) if scaled else instruction.memory_displ_size
    mask = (1 << 8 * size) - 1
    unpack_from = UNSIGNED[size].unpack_from
    if [scale for _, scale in terms] == [1]:
        offset = terms[0][0]
        return lambda registers: unpack_from(registers, offset)[0] + displacement & mask

    def address_of(registers: bytearray) -> int:
        address = displacement
        for offset, scale in terms:
            address += unpack_from(registers, offset)[0] * scale
        return address & mask

    return address_of


def _linear_address(instruction: Instruction) -> Get:
    """How to find where in memory the memory operand is."""
    address_of = effective_address(instruction)
    base = _SEGMENT_BASES.get(instruction.memory_segment)
    if base is None:
        return address_of
    if not is_64_bit(instruction):
        raise Unknown
    unpack_from = POINTER.unpack_from
    return lambda registers: unpack_from(registers, base)[0] + address_of(registers) & (1 << 64) - 1


def _constant(value: int) -> Read:
    return lambda _registers, _memory: value


def _memory_reader(instruction: Instruction) -> Read:
    address_of, size = _linear_address(instruction), _access_size(instruction)

    def read(registers: bytearray, memory: MemoryAccess) -> int:
        return int.from_bytes(memory.read(address_of(registers), size), "little")

    return read


def _memory_writer(instruction: Instruction) -> Write:
    """The code segment of 32 bits can only be read."""
    address_of, pack = _linear_address(instruction), UNSIGNED[_access_size(instruction)].pack
    if not is_64_bit(instruction) and instruction.memory_segment == Register.CS:
        raise Unknown

    def write(registers: bytearray, memory: MemoryAccess, value: int) -> None:
        memory.write(address_of(registers), pack(value))

    return write


def _access_size(instruction: Instruction) -> int:
    size = MemorySizeExt.size(instruction.memory_size)
    if size not in UNSIGNED:
        raise Unknown
    return size
