"""Instructions that are run somewhere else against the same in their own place: nothing may be different."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.unit.one_by_one import CODE, RESUME_FLAG, SLOTS, TRAPPED, Result, State, instructions, random_state, run
from tests.unit.x86_samples import MOVED, UNMOVED, assemble

if TYPE_CHECKING:
    from pathlib import Path

    from debugserver.arch.instructions import Relocated

ROUNDS = 12


class Case(NamedTuple):
    """One instruction from one state, and its moved form with the state that goes with it."""

    text: str
    code: bytes
    before: State
    moved: Relocated
    prepared: State
    saved: bytes

    @classmethod
    def make(cls, text: str, code: bytes, before: State, bits: int) -> Case:
        moved = instructions(bits).relocate(code, CODE, SLOTS[bits])
        assert moved is not None, text
        prepared = before.copy()
        saved = moved.prepare(prepared.registers)
        return cls(text, code, before, moved, prepared, saved)

    def settle(self, there: Result) -> Result:
        """What it would be in its own place, after it was run in the slot."""
        if there.signal == TRAPPED:
            self.moved.finish(there.state.registers, there.state, self.saved)
        else:
            assert there.state["rip"] in SLOTS.values(), self.text
            self.moved.undo(there.state.registers, self.saved)
        return there


@pytest.mark.parametrize("bits", [64, 32])
@pytest.mark.parametrize("name", MOVED)
def test_it_does_the_same(one_by_one_program: Path, tmp_path: Path, name: str, bits: int) -> None:
    """What fails is tried again in its own place. Atomic access across cache lines can hang a virtual machine."""
    chance = random.Random(f"{name} {bits}")
    texts = list(MOVED[name](bits))
    samples = zip(texts, assemble(tmp_path, bits, *texts), strict=True)
    states = (random_state(chance, bits, aligned=name == "atomic") for _ in range(ROUNDS * len(texts)))
    cases = [Case.make(*sample, next(states), bits) for sample in samples for _ in range(ROUNDS)]
    here = run(one_by_one_program, [(case.before, CODE, case.code) for case in cases])
    there = run(one_by_one_program, [(case.prepared, SLOTS[bits], case.moved.code) for case in cases])
    there = [case.settle(result) for case, result in zip(cases, there, strict=True)]
    failed = [number for number, result in enumerate(there) if result.signal != TRAPPED]
    for number in failed:
        assert there[number].state.registers == here[number].state.registers, cases[number].text
        there[number].state["eflags"] &= ~RESUME_FLAG
    again = run(one_by_one_program, [(there[number].state, CODE, cases[number].code) for number in failed])
    for number, result in zip(failed, again, strict=True):
        there[number] = result
    for case, found, expected in zip(cases, there, here, strict=True):
        assert_same(case, found, expected)


def assert_same(case: Case, found: Result, expected: Result) -> None:
    assert found.signal == expected.signal, case.text
    assert found.state.differences(expected.state) == {}, case.text
    assert found.state.vectors == expected.state.vectors, case.text


@pytest.mark.parametrize("bits", [64, 32])
def test_what_tells_where_it_ran_stays_in_its_place(tmp_path: Path, bits: int) -> None:
    for text, code in zip(UNMOVED[bits], assemble(tmp_path, bits, *UNMOVED[bits]), strict=True):
        assert instructions(bits).relocate(code, CODE, SLOTS[bits]) is None, text


def test_a_branch_whose_moved_target_the_cpu_would_refuse_stays_in_its_place() -> None:
    jump = bytes.fromhex("e9 00 00 00 70")
    assert instructions(64).relocate(jump, CODE, (1 << 47) - 0x1000) is None
    assert instructions(64).relocate(jump, CODE, (1 << 46)) is not None
