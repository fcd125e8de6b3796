"""Computing what an x86 instruction does to registers and memory: the ones that functions and loops begin with.

A builder turns one decoded instruction into a function with everything that is constant bound in. It reads before it
writes, and writes memory before registers, so a fault leaves all as it was. Source: Intel SDM vol. 2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from iced_x86 import Code, ConditionCode, FlowControl, Instruction, Mnemonic, OpKind, Register

from debugserver.arch import x86_flags
from debugserver.arch.amd64 import EFLAGS_OFFSET
from debugserver.arch.instructions import Computation, MemoryAccess
from debugserver.arch.x86_code import POINTER, RIP, Unknown, canonical, place, pointer_size
from debugserver.arch.x86_flags import STATUS, Condition, Operation
from debugserver.arch.x86_operands import (
    UNSIGNED,
    Read,
    Write,
    allowed_target,
    branch_target,
    effective_address,
    fixed_target,
    operand_size,
    reader,
    register_reader,
    register_writer,
    writer,
)

if TYPE_CHECKING:
    from iced_x86._iced_x86_py import Register as RegisterId

Build = Callable[[Instruction], Computation]

_FLAGS = slice(EFLAGS_OFFSET, EFLAGS_OFFSET + 4)
_pack = POINTER.pack
_unpack_from = POINTER.unpack_from
_pack_into = POINTER.pack_into
_RSP = place(Register.RSP).offset
_RBP = place(Register.RBP).offset
_CONDITIONS = {getattr(ConditionCode, name): holds for name, holds in x86_flags.CONDITIONS.items()}


def computation(instruction: Instruction) -> Computation | None:
    """How to compute it; None where that is not known exactly."""
    build = _BUILDERS.get(instruction.mnemonic)
    if build is None or instruction.has_lock_prefix or _repeats(instruction):
        return None
    try:
        return build(instruction)
    except Unknown:
        return None


def _repeats(instruction: Instruction) -> bool:
    """Whether a prefix may change what it does; on branches it says something to the predictor."""
    if instruction.flow_control != FlowControl.NEXT:
        return False
    return instruction.has_repe_prefix or instruction.has_repne_prefix


def _following(instruction: Instruction) -> bytes:
    """The address of the instruction behind, as rip has it. Unknown: it cannot go on there."""
    if not canonical(instruction.next_ip):
        raise Unknown
    return _pack(instruction.next_ip)


def _nothing(instruction: Instruction) -> Computation:
    following = _following(instruction)

    def compute(registers: bytearray, _memory: MemoryAccess) -> None:
        registers[RIP] = following

    return compute


def _assign(instruction: Instruction, write: Write, read: Read) -> Computation:
    """All that it does is to write what was read."""
    following = _following(instruction)

    def compute(registers: bytearray, memory: MemoryAccess) -> None:
        write(registers, memory, read(registers, memory))
        registers[RIP] = following

    return compute


def _move(instruction: Instruction) -> Computation:
    return _assign(instruction, writer(instruction, 0), reader(instruction, 1))


def _move_signed(instruction: Instruction) -> Computation:
    wide, narrow = operand_size(instruction, 0), operand_size(instruction, 1)
    return _assign(instruction, writer(instruction, 0), _signed(reader(instruction, 1), narrow, wide))


def _signed(read: Read, narrow: int, wide: int) -> Read:
    """A value of one size in bytes as one of another with the same sign."""
    sign, mask = 1 << 8 * narrow - 1, (1 << 8 * wide) - 1
    return lambda registers, memory: (read(registers, memory) ^ sign) - sign & mask


def _widen(target: RegisterId, source: RegisterId) -> Build:
    """cbw and its kin."""
    narrow, wide = place(source).size, place(target).size
    read, write = register_reader(source), register_writer(target)
    return lambda instruction: _assign(instruction, write, _signed(read, narrow, wide))


def _spread_sign(target: RegisterId, source: RegisterId) -> Build:
    """cwd and its kin."""
    size = place(source).size
    shift, ones = 8 * size - 1, (1 << 8 * size) - 1
    read, write = register_reader(source), register_writer(target)

    def sign(registers: bytearray, memory: MemoryAccess) -> int:
        return ones if read(registers, memory) >> shift else 0

    return lambda instruction: _assign(instruction, write, sign)


def _load_address(instruction: Instruction) -> Computation:
    address_of = effective_address(instruction)
    mask = (1 << 8 * operand_size(instruction, 0)) - 1
    return _assign(instruction, writer(instruction, 0), lambda registers, _memory: address_of(registers) & mask)


def _exchange(instruction: Instruction) -> Computation:
    """Of registers: with memory it locks."""
    if instruction.op0_kind != OpKind.REGISTER or instruction.op1_kind != OpKind.REGISTER:
        raise Unknown
    following = _following(instruction)
    read_first, read_second = reader(instruction, 0), reader(instruction, 1)
    write_first, write_second = writer(instruction, 0), writer(instruction, 1)

    def compute(registers: bytearray, memory: MemoryAccess) -> None:
        first, second = read_first(registers, memory), read_second(registers, memory)
        write_first(registers, memory, second)
        write_second(registers, memory, first)
        registers[RIP] = following

    return compute


def _arithmetic(operate: Operation, operands: int = 2) -> Build:
    """The result goes to the first operand."""

    def build(instruction: Instruction) -> Computation:
        following, sign = _following(instruction), 1 << 8 * operand_size(instruction, 0) - 1
        read_first, write = reader(instruction, 0), writer(instruction, 0)
        read_second = reader(instruction, 1) if operands == 2 else read_first

        def compute(registers: bytearray, memory: MemoryAccess) -> None:
            flags = _unpack_from(registers, EFLAGS_OFFSET)[0]
            result, status = operate(read_first(registers, memory), read_second(registers, memory), flags, sign)
            write(registers, memory, result)
            _pack_into(registers, EFLAGS_OFFSET, flags & ~STATUS | status)
            registers[RIP] = following

        return compute

    return build


def _comparison(operate: Operation) -> Build:
    """Only the flags change."""

    def build(instruction: Instruction) -> Computation:
        following, sign = _following(instruction), 1 << 8 * operand_size(instruction, 0) - 1
        read_first, read_second = reader(instruction, 0), reader(instruction, 1)

        def compute(registers: bytearray, memory: MemoryAccess) -> None:
            flags = _unpack_from(registers, EFLAGS_OFFSET)[0]
            status = operate(read_first(registers, memory), read_second(registers, memory), flags, sign)[1]
            _pack_into(registers, EFLAGS_OFFSET, flags & ~STATUS | status)
            registers[RIP] = following

        return compute

    return build


def _condition(instruction: Instruction) -> Condition:
    return _CONDITIONS[instruction.condition_code]


def _set(instruction: Instruction) -> Computation:
    holds = _condition(instruction)
    return _assign(
        instruction,
        writer(instruction, 0),
        lambda registers, _memory: holds(_unpack_from(registers, EFLAGS_OFFSET)[0]),
    )


def _move_if(instruction: Instruction) -> Computation:
    """The source is read, and a register of 32 bits is extended, in any case."""
    holds, old, new = _condition(instruction), reader(instruction, 0), reader(instruction, 1)

    def read(registers: bytearray, memory: MemoryAccess) -> int:
        value = new(registers, memory)
        return value if holds(_unpack_from(registers, EFLAGS_OFFSET)[0]) else old(registers, memory)

    return _assign(instruction, writer(instruction, 0), read)


def _jump(instruction: Instruction) -> Computation:
    target = branch_target(instruction)

    def compute(registers: bytearray, memory: MemoryAccess) -> None:
        registers[RIP] = _pack(target(registers, memory))

    return compute


def _jump_if(instruction: Instruction) -> Computation:
    holds, following = _condition(instruction), _following(instruction)
    target = _pack(fixed_target(instruction))

    def compute(registers: bytearray, _memory: MemoryAccess) -> None:
        registers[RIP] = target if holds(_unpack_from(registers, EFLAGS_OFFSET)[0]) else following

    return compute


def _push(instruction: Instruction) -> Computation:
    following, size = _following(instruction), -instruction.stack_pointer_increment
    read, pack, mask = reader(instruction, 0, size), UNSIGNED[size].pack, _stack_mask(instruction)

    def compute(registers: bytearray, memory: MemoryAccess) -> None:
        top = _unpack_from(registers, _RSP)[0] - size & mask
        memory.write(top, pack(read(registers, memory)))
        _pack_into(registers, _RSP, top)
        registers[RIP] = following

    return compute


def _pop(instruction: Instruction) -> Computation:
    """To a register: an address in memory would be that after rsp has changed."""
    following, size = _following(instruction), instruction.stack_pointer_increment
    write, mask = register_writer(instruction.op0_register), _stack_mask(instruction)

    def compute(registers: bytearray, memory: MemoryAccess) -> None:
        top = _unpack_from(registers, _RSP)[0] & mask
        value = int.from_bytes(memory.read(top, size), "little")
        _pack_into(registers, _RSP, top + size & mask)
        write(registers, memory, value)
        registers[RIP] = following

    return compute


def _call(instruction: Instruction) -> Computation:
    size, mask = pointer_size(instruction), _stack_mask(instruction)
    if instruction.stack_pointer_increment != -size:
        raise Unknown
    target, return_address = branch_target(instruction), _following(instruction)[:size]

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
    following, size, mask = _following(instruction), pointer_size(instruction), _stack_mask(instruction)

    def compute(registers: bytearray, memory: MemoryAccess) -> None:
        frame = _unpack_from(registers, _RBP)[0] & mask
        value = int.from_bytes(memory.read(frame, size), "little")
        _pack_into(registers, _RSP, frame + size & mask)
        _pack_into(registers, _RBP, value)
        registers[RIP] = following

    return compute


def _stack_mask(instruction: Instruction) -> int:
    return (1 << 8 * pointer_size(instruction)) - 1


_CONDITIONAL: dict[str, Build] = {"J": _jump_if, "SET": _set, "CMOV": _move_if}

_BUILDERS: dict[int, Build] = {
    Mnemonic.NOP: _nothing,
    Mnemonic.ENDBR64: _nothing,
    Mnemonic.ENDBR32: _nothing,
    Mnemonic.MOV: _move,
    Mnemonic.MOVZX: _move,
    Mnemonic.MOVSX: _move_signed,
    Mnemonic.MOVSXD: _move_signed,
    Mnemonic.LEA: _load_address,
    Mnemonic.XCHG: _exchange,
    Mnemonic.CBW: _widen(Register.AX, Register.AL),
    Mnemonic.CWDE: _widen(Register.EAX, Register.AX),
    Mnemonic.CDQE: _widen(Register.RAX, Register.EAX),
    Mnemonic.CWD: _spread_sign(Register.DX, Register.AX),
    Mnemonic.CDQ: _spread_sign(Register.EDX, Register.EAX),
    Mnemonic.CQO: _spread_sign(Register.RDX, Register.RAX),
    Mnemonic.ADD: _arithmetic(x86_flags.add),
    Mnemonic.ADC: _arithmetic(x86_flags.add_with_carry),
    Mnemonic.SUB: _arithmetic(x86_flags.subtract),
    Mnemonic.SBB: _arithmetic(x86_flags.subtract_with_borrow),
    Mnemonic.AND: _arithmetic(x86_flags.conjunction),
    Mnemonic.OR: _arithmetic(x86_flags.disjunction),
    Mnemonic.XOR: _arithmetic(x86_flags.exclusive_disjunction),
    Mnemonic.INC: _arithmetic(x86_flags.increment, 1),
    Mnemonic.DEC: _arithmetic(x86_flags.decrement, 1),
    Mnemonic.NEG: _arithmetic(x86_flags.negate, 1),
    Mnemonic.NOT: _arithmetic(x86_flags.invert, 1),
    Mnemonic.CMP: _comparison(x86_flags.subtract),
    Mnemonic.TEST: _comparison(x86_flags.conjunction),
    Mnemonic.JMP: _jump,
    Mnemonic.PUSH: _push,
    Mnemonic.POP: _pop,
    Mnemonic.CALL: _call,
    Mnemonic.RET: _return,
    Mnemonic.LEAVE: _leave,
    **{getattr(Mnemonic, head + name): build for head, build in _CONDITIONAL.items() for name in x86_flags.CONDITIONS},
}
