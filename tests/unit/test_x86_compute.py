"""Computed instructions against the CPU: registers and memory must be the same, bit for bit."""

from __future__ import annotations

import random
import signal
from typing import TYPE_CHECKING

import pytest

from debugserver.errors import MemoryFault
from tests.unit.scratch import CODE, Scratch, instructions
from tests.unit.x86_samples import COMPUTED, assemble

if TYPE_CHECKING:
    from pathlib import Path

ROUNDS = 16
USER_TOP = 1 << 47


def compare(process: Scratch, bits: int, code: bytes, text: str, chance: random.Random) -> bool:
    """Whether the instruction was run, and not left to the CPU."""
    compute = instructions(bits).computation(code, CODE)
    assert compute is not None, text
    before = process.state(chance, bits)
    computed = before.copy()
    completed = True
    try:
        compute(computed.registers, computed)
    except MemoryFault:
        completed = False
    stepped, stopped_by = process.step(before)
    if completed:
        assert stopped_by == signal.SIGTRAP, (text, before.shown())
        assert computed.shown() == stepped.shown(), (text, before.shown())
    else:
        assert computed.shown() == before.shown(), (text, before.shown())
        assert stopped_by != signal.SIGTRAP or stepped["rip"] >= USER_TOP, (text, before.shown())
    return completed


@pytest.mark.parametrize("bits", [64, 32])
@pytest.mark.parametrize("name", COMPUTED)
def test_it_does_what_the_cpu_does(scratch_process: Scratch, tmp_path: Path, name: str, bits: int) -> None:
    chance = random.Random(f"{name} {bits}")
    texts = list(COMPUTED[name](bits))
    for text, code in zip(texts, assemble(tmp_path, bits, *texts), strict=True):
        scratch_process.place(CODE, code)
        completed = [compare(scratch_process, bits, code, text, chance) for _ in range(ROUNDS)]
        assert any(completed), f"never computed: {text}"
