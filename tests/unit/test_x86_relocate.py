"""Instructions that are run somewhere else against the same in their own place: nothing may be different."""

from __future__ import annotations

import random
import struct
from typing import TYPE_CHECKING, NamedTuple

import iced_x86
import pytest

from tests.unit.one_by_one import (
    CODE,
    DATA,
    RESUME_FLAG,
    SLOTS,
    TRAPPED,
    Result,
    State,
    instructions,
    random_state,
    run,
)
from tests.unit.x86_samples import MOVED, UNMOVED, assemble

if TYPE_CHECKING:
    from pathlib import Path

    from debugserver.arch.instructions import Relocated

ROUNDS = 12

RANDOM_CODES = 3000
LEGACY_PREFIXES = bytes.fromhex("66 67 f2 f3 64 65 2e 3e 26 36")
PREFIXES = {64: LEGACY_PREFIXES + bytes(range(0x40, 0x50)), 32: LEGACY_PREFIXES}
MAPS = [b"", b"", b"", b"", b"\x0f", b"\x0f", b"\x0f\x38", b"\x0f\x3a", b"\xc4", b"\xc5", b"\x62"]
"""What opcodes of one byte, two bytes, three bytes, and of the vector extensions begin with."""
UNREPEATABLE = {
    getattr(iced_x86.Mnemonic, name)
    for name in "RDTSC RDTSCP RDRAND RDSEED RDPID CPUID TPAUSE UMWAIT POPF POPFD POPFQ BT BTC BTR BTS".split()
}
"""Clocks and chance; flags that no frame restores; bits far away."""


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


def check(program: Path, bits: int, cases: list[Case]) -> None:
    """Run them here and there. What fails there is tried again here."""
    here = run(program, [(case.before, CODE, case.code) for case in cases])
    there = run(program, [(case.prepared, SLOTS[bits], case.moved.code) for case in cases])
    there = [case.settle(result) for case, result in zip(cases, there, strict=True)]
    failed = [number for number, result in enumerate(there) if result.signal != TRAPPED]
    for number in failed:
        assert there[number].state.registers == here[number].state.registers, cases[number].text
        there[number].state["eflags"] &= ~RESUME_FLAG
    again = run(program, [(there[number].state, CODE, cases[number].code) for number in failed])
    for number, result in zip(failed, again, strict=True):
        there[number] = result
    for case, found, expected in zip(cases, there, here, strict=True):
        assert_same(case, found, expected)


def assert_same(case: Case, found: Result, expected: Result) -> None:
    assert found.signal == expected.signal, case.text
    assert found.state.differences(expected.state) == {}, case.text
    assert found.state.vectors == expected.state.vectors, case.text


@pytest.mark.parametrize("bits", [64, 32])
@pytest.mark.parametrize("name", MOVED)
def test_it_does_the_same(one_by_one_program: Path, tmp_path: Path, name: str, bits: int) -> None:
    """Atomic access across cache lines can hang a virtual machine."""
    chance = random.Random(f"{name} {bits}")
    texts = list(MOVED[name](bits))
    samples = zip(texts, assemble(tmp_path, bits, *texts), strict=True)
    states = (random_state(chance, bits, aligned=name == "atomic") for _ in range(ROUNDS * len(texts)))
    cases = [Case.make(*sample, next(states), bits) for sample in samples for _ in range(ROUNDS)]
    check(one_by_one_program, bits, cases)


def random_code(chance: random.Random, bits: int) -> bytes:
    """Bytes that look like an instruction with prefixes."""
    prefixes = bytes(chance.choice(PREFIXES[bits]) for _ in range(chance.choice((0, 0, 0, 1, 2))))
    code = bytearray(prefixes + chance.choice(MAPS) + chance.randbytes(15))
    if chance.random() < 0.3:  # a memory operand that is only an offset: in 64-bit code one from rip
        position = len(prefixes) + 1
        code[position] = code[position] & 0o70 | 0o5
        code[position + 1 : position + 5] = struct.pack(
            "<I", DATA - (CODE if bits == 64 else 0) + chance.randrange(500)
        )
    return bytes(code[:15])


def is_repeatable(code: bytes, bits: int) -> bool:
    """Whether it is an instruction that does the same whenever it is run; none that locks."""
    instruction = iced_x86.Decoder(bits, code, ip=CODE).decode()
    locks = instruction.has_lock_prefix or instruction.mnemonic == iced_x86.Mnemonic.XCHG
    return not (instruction.is_invalid or locks or instruction.mnemonic in UNREPEATABLE)


@pytest.mark.parametrize("bits", [64, 32])
def test_random_bytes_do_the_same(one_by_one_program: Path, bits: int) -> None:
    chance = random.Random(bits)
    codes = (random_code(chance, bits) for _ in range(RANDOM_CODES))
    movable = (code for code in codes if is_repeatable(code, bits) and instructions(bits).relocate(code, CODE, 0))
    cases = [Case.make(code.hex(), code, random_state(chance, bits), bits) for code in movable]
    assert len(cases) > RANDOM_CODES // 3
    check(one_by_one_program, bits, cases)


@pytest.mark.parametrize("bits", [64, 32])
def test_what_tells_where_it_ran_stays_in_its_place(tmp_path: Path, bits: int) -> None:
    for text, code in zip(UNMOVED[bits], assemble(tmp_path, bits, *UNMOVED[bits]), strict=True):
        assert instructions(bits).relocate(code, CODE, SLOTS[bits]) is None, text


def test_a_branch_whose_moved_target_the_cpu_would_refuse_stays_in_its_place() -> None:
    jump = bytes.fromhex("e9 00 00 00 70")
    assert instructions(64).relocate(jump, CODE, (1 << 47) - 0x1000) is None
    assert instructions(64).relocate(jump, CODE, (1 << 46)) is not None
