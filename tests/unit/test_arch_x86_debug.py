"""The debug registers: values worked out by hand from Intel SDM vol. 3, figure 18-1 and table 18-1."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from debugserver.arch.x86_debug import SINGLE_STEP, Access, Slot, aligned_pieces, control_word, triggered_slots


@pytest.mark.parametrize(
    ("slots", "expected"),
    [
        ([], 0),
        ([None] * 4, 0),
        ([Slot(0x1000, 1, Access.EXECUTE)], 0x0000_0001),  # L0
        ([Slot(0x1000, 4, Access.WRITE)], 0x000D_0001),  # LEN0 11, R/W0 01
        ([Slot(0x1000, 8, Access.READ_WRITE)], 0x000B_0001),  # LEN0 10, R/W0 11
        ([None, Slot(0x1000, 2, Access.READ_WRITE)], 0x0070_0004),  # LEN1 01, R/W1 11, L1
        ([None, None, None, Slot(0x1000, 1, Access.WRITE)], 0x1000_0040),  # R/W3 01, L3
        ([Slot(0x1000, 4, Access.WRITE)] * 4, 0xDDDD_0055),
    ],
)
def test_control_word(slots: list[Slot | None], expected: int) -> None:
    assert control_word(slots) == expected


@pytest.mark.parametrize(
    ("address", "length", "expected"),
    [
        (0x1000, 8, [(0x1000, 8)]),
        (0x1004, 4, [(0x1004, 4)]),
        (0x1004, 8, [(0x1004, 4), (0x1008, 4)]),
        (0x1001, 7, [(0x1001, 1), (0x1002, 2), (0x1004, 4)]),
        (0x1000, 7, [(0x1000, 4), (0x1004, 2), (0x1006, 1)]),
        (0x1003, 2, [(0x1003, 1), (0x1004, 1)]),
        (0x1000, 32, [(0x1000, 8), (0x1008, 8), (0x1010, 8), (0x1018, 8)]),
        (0x1000, 0, []),
    ],
)
def test_a_range_is_split_into_aligned_pieces(address: int, length: int, expected: list[tuple[int, int]]) -> None:
    assert list(aligned_pieces(address, length)) == expected


@given(address=st.integers(0, 1 << 47), length=st.integers(1, 64))
def test_pieces_cover_the_range_and_nothing_else(address: int, length: int) -> None:
    pieces = list(aligned_pieces(address, length))
    assert [byte for start, size in pieces for byte in range(start, start + size)] == [
        *range(address, address + length)
    ]
    assert all(size in {1, 2, 4, 8} and start % size == 0 for start, size in pieces)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (0xFFFF_0FF0, ()),  # the value after reset: reserved bits are ones
        (0xFFFF_0FF1, (0,)),
        (0xFFFF_0FF8, (3,)),
        (0xFFFF_0FF6, (1, 2)),
        (0xFFFF_4FF0, ()),  # a single step
    ],
)
def test_triggered_slots(status: int, expected: tuple[int, ...]) -> None:
    assert triggered_slots(status) == expected
    assert bool(status & SINGLE_STEP) == (status == 0xFFFF_4FF0)
