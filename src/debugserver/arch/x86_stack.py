"""Computing x86 instructions that work on the stack. Source: Intel SDM vol. 1, 6.2 to 6.4, and vol. 2."""

from __future__ import annotations

from typing import TYPE_CHECKING

from iced_x86 import Code, Instruction, Mnemonic, Register

from debugserver.arch.user_regs import EFLAGS_OFFSET
from debugserver.arch.x86_code import POINTER, RIP, Unknown, place, pointer_size
from debugserver.arch.x86_operands import (
    UNSIGNED,
    Build,
    allowed_target,
    branch_target,
    following,
    reader,
    register_writer,
)
from debugserver.errors import MemoryFault

if TYPE_CHECKING:
    from debugserver.arch.instructions import Computation, MemoryAccess

_pack = POINTER.pack
_unpack_from = POINTER.unpack_from
_pack_into = POINTER.pack_into
_RSP = place(Register.RSP).offset
_RBP = place(Register.RBP).offset

_PUSHED = 0x00FCFFFF
"""Of eflags: all but RF and VM."""
_POPPED = 0x4DD5
"""Of eflags, what a program may change and a tracer too: NT, OF, DF, SF, ZF, AF, PF, CF."""
_REFUSED = 0x240100
"""Of eflags: ID, which a tracer cannot change; AC and TF, which change what instructions do."""
_RESUME = 1 << 16


def _push(instruction: Instruction) -> Computation:
    behind, size = following(instruction), -instruction.stack_pointer_increment
    read, pack, mask = reader(instruction, 0, size), UNSIGNED[size].pack, _stack_mask(instruction)

    def compute(registers: bytearray, memory: MemoryAccess) -> None:
        top = _unpack_from(registers, _RSP)[0] - size & mask
        memory.write(top, pack(read(registers, memory)))
        _pack_into(registers, _RSP, top)
        registers[RIP] = behind

    return compute


def _pop(instruction: Instruction) -> Computation:
    """To a register: an address in memory would be that after rsp has changed."""
    behind, size = following(instruction), instruction.stack_pointer_increment
    write, mask = register_writer(instruction.op0_register), _stack_mask(instruction)

    def compute(registers: bytearray, memory: MemoryAccess) -> None:
        top = _unpack_from(registers, _RSP)[0] & mask
        value = int.from_bytes(memory.read(top, size), "little")
        _pack_into(registers, _RSP, top + size & mask)
        write(registers, memory, value)
        registers[RIP] = behind

    return compute


def _call(instruction: Instruction) -> Computation:
    size, mask = pointer_size(instruction), _stack_mask(instruction)
    if instruction.stack_pointer_increment != -size:
        raise Unknown
    target, return_address = branch_target(instruction), following(instruction)[:size]

    def compute(registers: bytearray, memory: MemoryAccess) -> None:
        found = target(registers, memory)
        top = _unpack_from(registers, _RSP)[0] - size & mask
        memory.write(top, return_address)
        _pack_into(registers, _RSP, top)
        registers[RIP] = _pack(found)

    return compute


def _return(instruction: Instruction) -> Computation:
    if instruction.code not in (Code.RETNQ, Code.RETNQ_IMM16, Code.RETND, Code.RETND_IMM16):
        raise Unknown
    size, mask, drop = pointer_size(instruction), _stack_mask(instruction), instruction.stack_pointer_increment

    def compute(registers: bytearray, memory: MemoryAccess) -> None:
        top = _unpack_from(registers, _RSP)[0] & mask
        target = int.from_bytes(memory.read(top, size), "little")
        registers[RIP] = _pack(allowed_target(target))
        _pack_into(registers, _RSP, top + drop & mask)

    return compute


def _leave(instruction: Instruction) -> Computation:
    if instruction.code not in (Code.LEAVEQ, Code.LEAVED):
        raise Unknown
    behind, size, mask = following(instruction), pointer_size(instruction), _stack_mask(instruction)

    def compute(registers: bytearray, memory: MemoryAccess) -> None:
        frame = _unpack_from(registers, _RBP)[0] & mask
        value = int.from_bytes(memory.read(frame, size), "little")
        _pack_into(registers, _RSP, frame + size & mask)
        _pack_into(registers, _RBP, value)
        registers[RIP] = behind

    return compute


def _push_flags(instruction: Instruction) -> Computation:
    """A step would push the trap flag that made it."""
    behind, size = following(instruction), -instruction.stack_pointer_increment
    mask, bits = _stack_mask(instruction), _PUSHED & (1 << 8 * size) - 1
    pack = UNSIGNED[size].pack

    def compute(registers: bytearray, memory: MemoryAccess) -> None:
        top = _unpack_from(registers, _RSP)[0] - size & mask
        memory.write(top, pack(_unpack_from(registers, EFLAGS_OFFSET)[0] & bits))
        _pack_into(registers, _RSP, top)
        registers[RIP] = behind

    return compute


def _pop_flags(instruction: Instruction) -> Computation:
    """After a step the kernel takes its own trap flag for the program's."""
    behind, size = following(instruction), instruction.stack_pointer_increment
    mask, bits = _stack_mask(instruction), (1 << 8 * size) - 1

    def compute(registers: bytearray, memory: MemoryAccess) -> None:
        top = _unpack_from(registers, _RSP)[0] & mask
        flags = _unpack_from(registers, EFLAGS_OFFSET)[0]
        popped = int.from_bytes(memory.read(top, size), "little")
        if (popped ^ flags) & bits & _REFUSED:
            raise MemoryFault(top)
        _pack_into(registers, EFLAGS_OFFSET, flags & ~_POPPED | popped & _POPPED)
        _pack_into(registers, _RSP, top + size & mask)
        registers[RIP] = behind

    return compute


def _stack_mask(instruction: Instruction) -> int:
    return (1 << 8 * pointer_size(instruction)) - 1


BUILDERS: dict[int, Build] = {
    Mnemonic.PUSH: _push,
    Mnemonic.POP: _pop,
    Mnemonic.CALL: _call,
    Mnemonic.RET: _return,
    Mnemonic.LEAVE: _leave,
    Mnemonic.PUSHF: _push_flags,
    Mnemonic.PUSHFD: _push_flags,
    Mnemonic.PUSHFQ: _push_flags,
    Mnemonic.POPF: _pop_flags,
    Mnemonic.POPFD: _pop_flags,
    Mnemonic.POPFQ: _pop_flags,
}
"""By mnemonic."""
