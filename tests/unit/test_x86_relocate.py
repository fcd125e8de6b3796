"""Instructions that are run somewhere else against the same in their own place: nothing may be different."""

from __future__ import annotations

import random
import signal
from typing import TYPE_CHECKING

import pytest

from tests.unit.scratch import CODE, RESUME_FLAG, SLOTS, Scratch, State, instructions
from tests.unit.x86_samples import MOVED, UNMOVED, assemble

if TYPE_CHECKING:
    from pathlib import Path

    from debugserver.arch.instructions import Relocated

ROUNDS = 8


def run_elsewhere(process: Scratch, moved: Relocated, slot: int, before: State) -> tuple[State, int]:
    """What `Scratch.step` tells; what failed is tried again in its own place."""
    start = before.copy()
    saved = moved.prepare(start.registers)
    after, stopped_by = process.step(start)
    if stopped_by == signal.SIGTRAP:
        moved.finish(after.registers, after, saved)
        return after, stopped_by
    assert after["rip"] == slot
    moved.undo(after.registers, saved)
    after["eflags"] &= ~RESUME_FLAG
    assert after.registers == before.registers
    return process.step(after)


@pytest.mark.parametrize("bits", [64, 32])
@pytest.mark.parametrize("name", MOVED)
def test_it_does_the_same(scratch_process: Scratch, tmp_path: Path, name: str, bits: int) -> None:
    chance = random.Random(f"{name} {bits}")
    slot = SLOTS[bits]
    texts = list(MOVED[name](bits))
    for text, code in zip(texts, assemble(tmp_path, bits, *texts), strict=True):
        moved = instructions(bits).relocate(code, CODE, slot)
        assert moved is not None, text
        scratch_process.place(CODE, code)
        scratch_process.place(slot, moved.code)
        for _ in range(ROUNDS):
            before = scratch_process.state(chance, bits)
            vectors = chance.randbytes(256)
            scratch_process.set_vectors(vectors)
            there, there_by = run_elsewhere(scratch_process, moved, slot, before)
            there_vectors = scratch_process.vectors()
            scratch_process.set_vectors(vectors)
            here, here_by = scratch_process.step(before)
            assert (there.shown(), there_by) == (here.shown(), here_by), (text, before.shown())
            assert there_vectors == scratch_process.vectors(), text


def test_what_tells_where_it_ran_stays_in_its_place(tmp_path: Path) -> None:
    for text, code in zip(UNMOVED, assemble(tmp_path, 64, *UNMOVED), strict=True):
        assert instructions(64).relocate(code, CODE, SLOTS[64]) is None, text
