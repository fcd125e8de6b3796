"""Where x86 instructions lead, as iced-x86 sees it."""

from __future__ import annotations

from iced_x86 import FlowControl, Instruction

from debugserver.arch.instructions import Flow, FlowKind
from debugserver.arch.x86_code import NEAR_BRANCHES

_KINDS = {
    FlowControl.NEXT: FlowKind.NEXT,
    FlowControl.UNCONDITIONAL_BRANCH: FlowKind.JUMP,
    FlowControl.CONDITIONAL_BRANCH: FlowKind.CONDITIONAL,
    FlowControl.CALL: FlowKind.CALL,
    FlowControl.INDIRECT_BRANCH: FlowKind.INDIRECT,
    FlowControl.INDIRECT_CALL: FlowKind.INDIRECT,
    FlowControl.RETURN: FlowKind.INDIRECT,
    FlowControl.INTERRUPT: FlowKind.SYSTEM,
    FlowControl.XBEGIN_XABORT_XEND: FlowKind.SYSTEM,
    FlowControl.EXCEPTION: FlowKind.SYSTEM,
}
_WITH_TARGET = frozenset({FlowKind.JUMP, FlowKind.CONDITIONAL, FlowKind.CALL})


def flow(instruction: Instruction) -> Flow:
    """Where it leads."""
    kind = _KINDS[instruction.flow_control]
    repeats = instruction.is_string_instruction and (instruction.has_rep_prefix or instruction.has_repne_prefix)
    if kind not in _WITH_TARGET:
        return Flow(instruction.len, kind, repeats=repeats)
    if instruction.op_count and instruction.op0_kind in NEAR_BRANCHES:
        return Flow(instruction.len, kind, instruction.near_branch_target)
    # iced-x86 counts what enters the kernel among the calls; a far branch or one of 16 bits leaves the world we know.
    return Flow(instruction.len, FlowKind.SYSTEM)
