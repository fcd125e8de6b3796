"""Running an x86 instruction somewhere else than where it lies.

What addresses memory relative to rip goes through a register that the instruction does not use. All others run as they
are, and what shows where they ran is put right afterwards. Source: Intel SDM vol. 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from iced_x86 import (
    Encoder,
    FlowControl,
    Instruction,
    InstructionInfoFactory,
    Mnemonic,
    OpCodeTableKind,
    Register,
    RegisterExt,
)

from debugserver.arch.instructions import MemoryAccess, Relocated
from debugserver.arch.user_regs import RSP_OFFSET
from debugserver.arch.x86_code import NEAR_BRANCHES, POINTER, RIP, canonical, is_64_bit, place, pointer_size

_HELPERS = (Register.RSI, Register.RDI, Register.RBX, Register.RDX, Register.RCX, Register.RAX)
"""As a base they need no prefix and no displacement; no instruction uses all of them."""

_EMULATED = frozenset(
    {Mnemonic.SGDT, Mnemonic.SIDT, Mnemonic.SLDT, Mnemonic.SMSW, Mnemonic.STR, Mnemonic.CLI, Mnemonic.STI}
)
"""Where the CPU refuses these, the kernel may do their work, and the step ends an instruction later (its umip.c)."""
_UNMOVABLE = _EMULATED | {
    Mnemonic.ENCLU,  # tells its caller's address
    Mnemonic.ENTER,  # with frames that overlap, trying again after a fault is not the same
}
_CALLS = frozenset({FlowControl.CALL, FlowControl.INDIRECT_CALL})
_RELATIVE = frozenset({FlowControl.UNCONDITIONAL_BRANCH, FlowControl.CONDITIONAL_BRANCH, FlowControl.CALL})


class _Body(NamedTuple):
    """What runs in the slot, and the register that has to have a certain value meanwhile."""

    code: bytes
    helper: slice = slice(0, 0)
    value: bytes = b""


class _Moved(Relocated):
    """`arrivals` says for each rip that tells of the slot which one it stands for; any other is meant as it is."""

    def __init__(self, start: int, slot: int, body: _Body, arrivals: Mapping[int, int]) -> None:
        self.code, self._helper, self._value = body
        self._start = POINTER.pack(start)
        self._slot = POINTER.pack(slot)
        self._arrivals = {POINTER.pack(seen): POINTER.pack(meant) for seen, meant in arrivals.items()}

    def prepare(self, registers: bytearray) -> bytes:
        saved = bytes(registers[self._helper])
        registers[self._helper] = self._value
        registers[RIP] = self._slot
        return saved

    def finish(self, registers: bytearray, memory: MemoryAccess, saved: bytes) -> None:
        reached = bytes(registers[RIP])
        registers[RIP] = self._arrivals.get(reached, reached)
        registers[self._helper] = saved

    def undo(self, registers: bytearray, saved: bytes) -> None:
        registers[RIP] = self._start
        registers[self._helper] = saved


class _MovedCall(_Moved):
    """Has pushed a return address."""

    def __init__(self, start: int, slot: int, body: _Body, arrivals: Mapping[int, int], return_address: bytes) -> None:
        super().__init__(start, slot, body, arrivals)
        self._return_address = return_address

    def finish(self, registers: bytearray, memory: MemoryAccess, saved: bytes) -> None:
        memory.write(POINTER.unpack_from(registers, RSP_OFFSET)[0], self._return_address)
        super().finish(registers, memory, saved)


def relocate(instruction: Instruction, code: bytes, slot: int) -> Relocated | None:
    """How to run it at `slot`; `code` begins with it. None where that would not be the same."""
    body = _body(instruction, code)
    if body is None or _is_special(instruction):
        return None
    arrivals = _arrivals(instruction, slot, len(body.code))
    if arrivals is None:
        return None
    if instruction.flow_control in _CALLS:
        return_address = POINTER.pack(instruction.next_ip)[: pointer_size(instruction)]
        return _MovedCall(instruction.ip, slot, body, arrivals, return_address)
    return _Moved(instruction.ip, slot, body, arrivals)


def _body(instruction: Instruction, code: bytes) -> _Body | None:
    if not instruction.is_ip_rel_memory_operand:
        return _Body(code[: instruction.len])
    uses = InstructionInfoFactory().info(instruction).used_registers()
    used = {RegisterExt.full_register(use.register) for use in uses}
    helper = next(register for register in _HELPERS if register not in used)
    moved = instruction.copy()
    moved.memory_base = helper
    moved.memory_displacement = moved.memory_displ_size = 0
    encoder = Encoder(64)
    try:
        encoder.encode(moved, 0)
    except ValueError:
        return None
    offset, size = place(helper)
    return _Body(encoder.take_buffer(), slice(offset, offset + size), POINTER.pack(instruction.ip_rel_memory_address))


def _is_special(instruction: Instruction) -> bool:
    """Whether it leaves in more places than rip and the stack where it ran, or the step does not end behind it."""
    if instruction.flow_control in _CALLS and instruction.stack_pointer_increment != -pointer_size(instruction):
        return True
    loads_stack_segment = instruction.op_count > 0 and instruction.op0_register == Register.SS
    return loads_stack_segment or instruction.mnemonic in _UNMOVABLE or _is_x87(instruction)


def _is_x87(instruction: Instruction) -> bool:
    """The FPU remembers where its last instruction was (SDM vol. 1, 8.1.8)."""
    operation = instruction.op_code()
    first = operation.op_code >> 8 * (operation.op_code_len - 1)
    return operation.table == OpCodeTableKind.NORMAL and first & 0xF8 == 0xD8


def _arrivals(instruction: Instruction, slot: int, length: int) -> dict[int, int] | None:
    """Where rip may be after the step, as far as that depends on the slot, and what it stands for; None: no telling."""
    flow = instruction.flow_control
    if flow == FlowControl.NEXT:
        return {slot: instruction.ip, slot + length: instruction.next_ip}
    if flow in _RELATIVE and instruction.op_count and instruction.op0_kind in NEAR_BRANCHES:
        return _relative_arrivals(instruction, slot)
    if instruction.is_jmp_near_indirect or instruction.is_call_near_indirect or instruction.mnemonic == Mnemonic.RET:
        return {}
    return None


def _relative_arrivals(instruction: Instruction, slot: int) -> dict[int, int] | None:
    target = instruction.near_branch_target
    seen = slot + target - instruction.ip & (1 << 8 * pointer_size(instruction)) - 1
    if is_64_bit(instruction) and not (canonical(target) and canonical(seen)):
        return None
    return {slot + instruction.len: instruction.next_ip, seen: target}
