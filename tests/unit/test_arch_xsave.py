"""Which layout an XSAVE area has."""

from __future__ import annotations

import pytest

from debugserver.arch import xsave
from tests.unit.amd64_state import LAYOUTS, NT_X86_XSTATE, load


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_layout_follows_from_xcr0_and_size(name: str) -> None:
    layout = LAYOUTS[name]
    found = xsave.component_offsets(layout.xcr0, layout.size)
    assert [found.get(bit, 0) for bit in (xsave.AVX, xsave.OPMASK, xsave.ZMM_HI256, xsave.HI16_ZMM, xsave.PKRU)] == [
        layout.avx,
        layout.opmask,
        layout.zmm_hi256,
        layout.hi16_zmm,
        layout.pkru,
    ]


@pytest.mark.parametrize(
    ("xcr0", "size", "expected"),
    [
        pytest.param(0x3, 576, {}, id="no extended component"),
        pytest.param(0xE7, 2560, {xsave.AVX: 576}, id="a size that nobody knows"),
        pytest.param(0xE7, 512, {}, id="too short for any"),
    ],
)
def test_what_is_not_known_is_left_out(xcr0: int, size: int, expected: dict[int, int]) -> None:
    assert xsave.component_offsets(xcr0, size) == expected


def test_xcr0_of_a_recorded_area() -> None:
    # x87, SSE, AVX and the three of AVX-512: the flags of the CPU that the recording names
    assert xsave.xcr0_of(load().banks[NT_X86_XSTATE]) == 0b1110_0111
