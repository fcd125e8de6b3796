"""Which addresses the code of a range can reach: how to let a thread run through it instead of stepping.

Works on what `Instructions.flow` says, for any CPU. Knows no process.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from debugserver.arch.instructions import Flow, FlowKind, Instructions

_LARGEST = 4096
"""Bytes of a range that are looked at."""

_TO_STEP = frozenset({FlowKind.INDIRECT, FlowKind.SYSTEM})


class RangePlan(NamedTuple):
    """Where a thread that runs freely from within a range has to be stopped. All are addresses of instructions."""

    exits: frozenset[int]
    """Outside of the range: a branch, a call or running on may lead there."""
    stepped: frozenset[int]
    """Inside: only a step can tell what comes next."""
    covered: frozenset[int]
    """Inside: all that can be reached without such a step. Behind a step that led elsewhere another plan is needed."""


def reachable(
    instructions: Instructions, read: Callable[[int, int], bytes], start: int, end: int, pc: int
) -> RangePlan | None:
    """The plan for the range [start, end) and a thread at `pc` in it. `read(address, length)` reads code, without
    breakpoints; it may return less, or raise MemoryFault.

    None: the range is too large, or what lies in it cannot be told to be code: undecodable, or overlapping.
    """
    if end - start > _LARGEST:
        return None
    code = read(start, end - start + instructions.longest)
    flows: dict[int, Flow] = {}
    exits = set()
    pending = [pc]
    while pending:
        address = pending.pop()
        if not start <= address < end:
            exits.add(address)
        elif address not in flows:
            flow = instructions.flow(code[address - start :][: instructions.longest], address)
            if flow is None:
                return None
            flows[address] = flow
            pending += _successors(address, flow)
    if _overlap(flows):
        return None
    stepped = {address for address, flow in flows.items() if flow.kind in _TO_STEP}
    return RangePlan(frozenset(exits), frozenset(stepped), frozenset(flows))


def _successors(address: int, flow: Flow) -> list[int]:
    successors = [] if flow.target is None else [flow.target]
    if flow.falls_through:
        successors.append(address + flow.length)
    return successors


def _overlap(flows: dict[int, Flow]) -> bool:
    """Whether some instruction begins within another."""
    return any(address + n in flows for address, flow in flows.items() for n in range(1, flow.length))
