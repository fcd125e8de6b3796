"""Where instructions lead, against where the CPU goes."""

from __future__ import annotations

import random
from itertools import islice
from typing import TYPE_CHECKING

import pytest

from debugserver.arch.instructions import FlowKind
from tests.unit.one_by_one import CODE, TRAPPED, instructions, random_state, run
from tests.unit.x86_samples import MOVED, assemble

if TYPE_CHECKING:
    from pathlib import Path

ROUNDS = 4


@pytest.mark.parametrize("bits", [64, 32])
@pytest.mark.parametrize("name", ["branches", "stack", "loops", "integers", "moves"])
def test_the_cpu_goes_where_it_says(one_by_one_program: Path, tmp_path: Path, name: str, bits: int) -> None:
    chance = random.Random(f"{name} {bits}")
    texts = list(MOVED[name](bits))
    codes = assemble(tmp_path, bits, *texts)
    cases = [(random_state(chance, bits), CODE, code) for code in codes for _ in range(ROUNDS)]
    results = iter(run(one_by_one_program, cases))
    for text, code in zip(texts, codes, strict=True):
        flow = instructions(bits).flow(code, CODE)
        assert flow is not None, text
        assert flow.kind is kind(text), text
        assert flow.repeats == (text.startswith("rep") and text != "rep ret"), text
        possible = {flow.target, CODE + flow.length if flow.falls_through else None, CODE if flow.repeats else None}
        reached = {result.state["rip"] for result in islice(results, ROUNDS) if result.signal == TRAPPED}
        assert flow.kind is FlowKind.INDIRECT or reached <= possible, text


def kind(text: str) -> FlowKind:
    """By the mnemonic."""
    name, _, operand = text.removeprefix("rep ").partition(" ")
    if name == "ret" or (name in ("jmp", "call") and not operand.startswith(".")):
        return FlowKind.INDIRECT
    if name.startswith(("j", "loop")):
        return FlowKind.JUMP if name == "jmp" else FlowKind.CONDITIONAL
    return FlowKind.CALL if name == "call" else FlowKind.NEXT


@pytest.mark.parametrize("text", ["syscall", "sysenter", "int 0x80", "int3", "ud2", "xbegin .+6"])
def test_what_enters_the_kernel_may_lead_anywhere(tmp_path: Path, text: str) -> None:
    (code,) = assemble(tmp_path, 64, text)
    flow = instructions(64).flow(code, CODE)
    assert flow is not None
    assert (flow.kind, flow.target) == (FlowKind.SYSTEM, None)
