"""Computed instructions against the CPU: registers and memory must be the same, bit for bit."""

from __future__ import annotations

import random
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from debugserver.errors import MemoryFault
from tests.support.server import SOURCE
from tests.unit.one_by_one import CODE, DATA, TRAPPED, Result, State, instructions, random_state, run
from tests.unit.x86_samples import COMPUTED, FLAGS, UNCOMPUTED, assemble

if TYPE_CHECKING:
    from pathlib import Path

ROUNDS = 16
USER_TOP = 1 << 47
IDENTIFICATION = 1 << 21
MATTERING = IDENTIFICATION | 1 << 18 | 1 << 8
"""ID, AC and TF in eflags. The first stays from one case to the next: no frame has it."""


def compare(bits: int, code: bytes, before: State, result: Result) -> bool:
    """Whether the instruction was run, and not left to the CPU."""
    compute = instructions(bits).computation(code, CODE)
    assert compute is not None
    computed = before.copy()
    try:
        compute(computed.registers, computed)
    except MemoryFault:
        assert computed.differences(before) == {}
        assert result.signal != TRAPPED or result.state["rip"] >= USER_TOP
        return False
    assert result.signal == TRAPPED
    assert computed.differences(result.state) == {}
    return True


@pytest.mark.parametrize("bits", [64, 32])
@pytest.mark.parametrize("name", COMPUTED)
def test_it_does_what_the_cpu_does(one_by_one_program: Path, tmp_path: Path, name: str, bits: int) -> None:
    chance = random.Random(f"{name} {bits}")
    texts = list(COMPUTED[name](bits))
    codes = assemble(tmp_path, bits, *texts)
    assert len(codes) == len(texts)
    cases = [(random_state(chance, bits), CODE, code) for code in codes for _ in range(ROUNDS)]
    results = run(one_by_one_program, cases)
    computed = set()
    for number, ((before, _, code), result) in enumerate(zip(cases, results, strict=True)):
        text = texts[number // ROUNDS]
        try:
            if compare(bits, code, before, result):
                computed.add(text)
        except AssertionError as error:
            error.add_note(text)
            raise
    assert set(texts) == computed


@pytest.mark.parametrize("bits", [64, 32])
def test_flags_are_pushed_and_popped(one_by_one_program: Path, tmp_path: Path, bits: int) -> None:
    """The program pushes a trap flag that is its own; a flag that makes a difference is left to the CPU to pop."""
    chance = random.Random(bits)
    codes = assemble(tmp_path, bits, *FLAGS[bits])
    cases = [(random_state(chance, bits), CODE, code) for code in codes for _ in range(10 * ROUNDS)]
    completed = dict.fromkeys(codes, 0)
    for (before, _, code), result in zip(cases, run(one_by_one_program, cases), strict=True):
        computed = before.copy()
        compute = instructions(bits).computation(code, CODE)
        assert compute is not None
        try:
            compute(computed.registers, computed)
        except MemoryFault:
            assert computed.differences(before) == {}
            assert result.signal != TRAPPED or int.from_bytes(before.read(before["rsp"], 4), "little") & MATTERING
            continue
        expected = result.state
        expected["eflags"] &= ~IDENTIFICATION
        if b"\x9c" in code:
            expected.data[expected["rsp"] - DATA + 1] &= ~1
        assert result.signal == TRAPPED
        assert computed.differences(expected) == {}
        completed[code] += 1
    assert all(completed.values())


@pytest.mark.parametrize("bits", [64, 32])
def test_what_is_not_known_exactly_is_left_to_the_cpu(tmp_path: Path, bits: int) -> None:
    for text, code in zip(UNCOMPUTED[bits], assemble(tmp_path, bits, *UNCOMPUTED[bits]), strict=True):
        assert instructions(bits).computation(code, CODE) is None, text


@pytest.mark.parametrize("bits", [64, 32])
@pytest.mark.parametrize(
    ("name", "value"), [("eflags", 0x302), ("eflags", 0x10202), ("eflags", 0x40202), ("orig_rax", 1), ("rip", CODE)]
)
def test_it_applies_where_nothing_changes_what_instructions_do(bits: int, name: str, value: int) -> None:
    """A trap flag of the program's own, a resume flag, alignment checks, and a system call that may be restarted do."""
    state = random_state(random.Random(0), bits)
    state[name] = value
    assert instructions(bits).applies(state.registers) == (name == "rip")
    assert not instructions(96 - bits).applies(state.registers)


def test_without_a_decoder_nothing_is_known() -> None:
    code = """
import sys
sys.modules["iced_x86"] = None
from debugserver.arch import amd64
found = amd64.architecture(0, 0).instructions
assert found.computation(b"\\x90", 0) is None
assert found.relocate(b"\\x90", 0, 4096) is None
assert found.flow(b"\\x90", 0) is None
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, env={"PYTHONPATH": str(SOURCE)})
