"""What can be reached in a range of code: told by hand, and by computing random code step by step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from debugserver.arch.code_range import RangePlan, reachable
from debugserver.errors import MemoryFault
from tests.unit.one_by_one import DATA, State, instructions
from tests.unit.x86_samples import assemble_block

if TYPE_CHECKING:
    from pathlib import Path

START = 0x401000
INSTRUCTIONS = instructions(64)

# Of two bytes each: `inc al`, `test al, 1`, jumps by up to eight instructions, `call rax`, `push 1`, `syscall`
PIECES = [bytes.fromhex(text) for text in ("fec0", "a801", "ffd0", "6a01", "0f05")]
PIECES += [bytes((opcode, 2 * distance & 0xFF)) for opcode in (0x74, 0x75, 0xEB) for distance in range(-8, 8)]


def plan(code: bytes, pc: int = START, size: int | None = None) -> RangePlan | None:
    """Of a range that `code` fills, or only `size` bytes of it."""

    def read(address: int, length: int) -> bytes:
        return code[address - START : address - START + length]

    return reachable(INSTRUCTIONS, read, START, START + (len(code) if size is None else size), pc)


@pytest.mark.parametrize(
    ("text", "exits", "stepped"),
    [
        ("nop; nop", {2}, set()),
        ("l: dec eax; jnz l", {4}, set()),
        ("test eax, eax; je .+0x42; nop", {5, 0x44}, set()),
        ("jmp .-0x10; nop", {-0x10}, set()),
        ("call .+0x100; nop", {0x100}, set()),
        ("nop; ret; nop", set(), {1}),
        ("call rax; nop", set(), {0}),
        ("jmp [rip]; nop", set(), {0}),
        ("mov eax, 39; syscall; nop", {8}, {5}),
        ("rep movsb; nop", {3}, set()),
        ("je l; jmp .+0x20; l: ud2", {0x22, 6}, {4}),
    ],
)
def test_where_a_thread_has_to_be_stopped(tmp_path: Path, text: str, exits: set[int], stepped: set[int]) -> None:
    found = plan(assemble_block(tmp_path, 64, text))
    assert found is not None
    assert {address - START for address in found.exits} == exits
    assert {address - START for address in found.stepped} == stepped


def test_what_cannot_be_reached_does_not_matter(tmp_path: Path) -> None:
    code = assemble_block(tmp_path, 64, "jmp l; .byte 6, 6; l: nop")
    assert plan(code) == RangePlan(frozenset({START + 5}), frozenset(), frozenset({START, START + 4}))
    assert plan(code, pc=START + 2) is None


def test_the_last_instruction_may_reach_beyond_the_end(tmp_path: Path) -> None:
    code = assemble_block(tmp_path, 64, "nop; mov eax, 1")
    found = plan(code, size=2)
    assert found is not None
    assert found.exits == {START + 6}


@pytest.mark.parametrize(
    "text", ["je .+3; lock inc dword ptr [rax]", "jmp .+1", ".byte 6", ".fill 4097, 1, 0x90", ".byte 0xe8"]
)
def test_what_cannot_be_told(tmp_path: Path, text: str) -> None:
    """A jump into an instruction, no code, too much of it, the end of what can be read."""
    assert plan(assemble_block(tmp_path, 64, text)) is None


@settings(deadline=None)
@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=12), st.sampled_from([0x202, 0x242]))
def test_no_way_leads_past_it(pieces: list[bytes], flags: int) -> None:
    code = b"".join(pieces)
    found = plan(code)
    assert found is not None
    state = State(bytes(216), b"", bytes(512))
    state["rip"], state["rsp"], state["eflags"] = START, DATA + 400, flags
    for _ in range(40):
        address = state["rip"]
        if not START <= address < START + len(code):
            assert address in found.exits
            return
        assert address in found.covered
        if address in found.stepped:
            return
        compute = INSTRUCTIONS.computation(code[address - START :], address)
        assert compute is not None
        try:
            compute(state.registers, state)
        except MemoryFault:
            return
