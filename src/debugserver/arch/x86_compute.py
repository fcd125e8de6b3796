"""Computing what an x86 instruction does to registers and memory: the ones that functions and loops begin with.

A builder turns one decoded instruction into a function with everything that is constant bound in. It reads before it
writes, and writes memory before registers, so a fault leaves all as it was. Source: Intel SDM vol. 2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from iced_x86 import ConditionCode, FlowControl, Instruction, Mnemonic, OpKind, Register

from debugserver.arch import x86_flags, x86_stack
from debugserver.arch.user_regs import EFLAGS_OFFSET
from debugserver.arch.x86_code import POINTER, RIP, Unknown, place
from debugserver.arch.x86_flags import STATUS, Condition, Operation
from debugserver.arch.x86_operands import (
    Build,
    Read,
    Write,
    branch_target,
    effective_address,
    fixed_target,
    following,
    operand_size,
    reader,
    register_reader,
    register_writer,
    writer,
)

if TYPE_CHECKING:
    from iced_x86._iced_x86_py import Register as RegisterId

    from debugserver.arch.instructions import Computation, MemoryAccess

_pack = POINTER.pack
_unpack_from = POINTER.unpack_from
_pack_into = POINTER.pack_into
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


def _nothing(instruction: Instruction) -> Computation:
    behind = following(instruction)

    def compute(registers: bytearray, _memory: MemoryAccess) -> None:
        registers[RIP] = behind

    return compute


def _assign(instruction: Instruction, write: Write, read: Read) -> Computation:
    """All that it does is to write what was read."""
    behind = following(instruction)

    def compute(registers: bytearray, memory: MemoryAccess) -> None:
        write(registers, memory, read(registers, memory))
        registers[RIP] = behind

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
    behind = following(instruction)
    read_first, read_second = reader(instruction, 0), reader(instruction, 1)
    write_first, write_second = writer(instruction, 0), writer(instruction, 1)

    def compute(registers: bytearray, memory: MemoryAccess) -> None:
        first, second = read_first(registers, memory), read_second(registers, memory)
        write_first(registers, memory, second)
        write_second(registers, memory, first)
        registers[RIP] = behind

    return compute


def _arithmetic(operate: Operation, operands: int = 2) -> Build:
    """The result goes to the first operand."""

    def build(instruction: Instruction) -> Computation:
        behind, sign = following(instruction), 1 << 8 * operand_size(instruction, 0) - 1
        read_first, write = reader(instruction, 0), writer(instruction, 0)
        read_second = reader(instruction, 1) if operands == 2 else read_first

        def compute(registers: bytearray, memory: MemoryAccess) -> None:
            flags = _unpack_from(registers, EFLAGS_OFFSET)[0]
            result, status = operate(read_first(registers, memory), read_second(registers, memory), flags, sign)
            write(registers, memory, result)
            _pack_into(registers, EFLAGS_OFFSET, flags & ~STATUS | status)
            registers[RIP] = behind

        return compute

    return build


def _comparison(operate: Operation) -> Build:
    """Only the flags change."""

    def build(instruction: Instruction) -> Computation:
        behind, sign = following(instruction), 1 << 8 * operand_size(instruction, 0) - 1
        read_first, read_second = reader(instruction, 0), reader(instruction, 1)

        def compute(registers: bytearray, memory: MemoryAccess) -> None:
            flags = _unpack_from(registers, EFLAGS_OFFSET)[0]
            status = operate(read_first(registers, memory), read_second(registers, memory), flags, sign)[1]
            _pack_into(registers, EFLAGS_OFFSET, flags & ~STATUS | status)
            registers[RIP] = behind

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
    holds, behind = _condition(instruction), following(instruction)
    target = _pack(fixed_target(instruction))

    def compute(registers: bytearray, _memory: MemoryAccess) -> None:
        registers[RIP] = target if holds(_unpack_from(registers, EFLAGS_OFFSET)[0]) else behind

    return compute


def _change_flags(change: Callable[[int], int]) -> Build:
    """clc and its kin."""

    def build(instruction: Instruction) -> Computation:
        behind = following(instruction)

        def compute(registers: bytearray, _memory: MemoryAccess) -> None:
            _pack_into(registers, EFLAGS_OFFSET, change(_unpack_from(registers, EFLAGS_OFFSET)[0]))
            registers[RIP] = behind

        return compute

    return build


def _swap_bytes(instruction: Instruction) -> Computation:
    size = operand_size(instruction, 0)
    if size == 2:  # undefined
        raise Unknown
    read = reader(instruction, 0)
    return _assign(
        instruction,
        writer(instruction, 0),
        lambda registers, memory: int.from_bytes(read(registers, memory).to_bytes(size, "little"), "big"),
    )


_WITHOUT_EFFECT = (
    *(Mnemonic.NOP, Mnemonic.ENDBR64, Mnemonic.ENDBR32, Mnemonic.PAUSE),
    *(Mnemonic.LFENCE, Mnemonic.SFENCE, Mnemonic.MFENCE),
    *(Mnemonic.PREFETCHT0, Mnemonic.PREFETCHT1, Mnemonic.PREFETCHT2, Mnemonic.PREFETCHNTA, Mnemonic.PREFETCHW),
)
"""A thread that stops and runs on is as good as a fence."""

_CONDITIONAL: dict[str, Build] = {"J": _jump_if, "SET": _set, "CMOV": _move_if}

_BUILDERS: dict[int, Build] = {
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
    Mnemonic.BSWAP: _swap_bytes,
    Mnemonic.CLC: _change_flags(lambda flags: flags & ~x86_flags.CF),
    Mnemonic.STC: _change_flags(lambda flags: flags | x86_flags.CF),
    Mnemonic.CMC: _change_flags(lambda flags: flags ^ x86_flags.CF),
    Mnemonic.CLD: _change_flags(lambda flags: flags & ~x86_flags.DF),
    Mnemonic.STD: _change_flags(lambda flags: flags | x86_flags.DF),
    **{getattr(Mnemonic, head + name): build for head, build in _CONDITIONAL.items() for name in x86_flags.CONDITIONS},
    **dict.fromkeys(_WITHOUT_EFFECT, _nothing),
    **x86_stack.BUILDERS,
}
