"""The x87 control registers in an FXSAVE image: values worked out by hand from Intel SDM vol. 1, 10.5.1 and 8.1.7."""

from __future__ import annotations

import struct

import pytest

from debugserver.arch.x87 import ControlRegisters, abridged_tags, full_tags

ONES = bytes(b"\xff" * 512)
EMPTY, VALID, ZERO, SPECIAL = 0b11, 0b00, 0b01, 0b10


def image_with(st0: str) -> bytes:
    """An image whose st0 has this content, most significant byte first as in the manual."""
    return bytes(32) + bytes.fromhex(st0)[::-1] + bytes(470)


@pytest.mark.parametrize(
    ("st0", "tag"),
    [
        ("0000 0000000000000000", ZERO),
        ("8000 0000000000000000", ZERO),  # minus zero
        ("3fff 8000000000000000", VALID),
        ("bfff c000000000000000", VALID),
        ("7ffe ffffffffffffffff", VALID),
        ("0000 0000000000000001", SPECIAL),  # denormal
        ("0000 8000000000000000", SPECIAL),  # pseudo-denormal
        ("3fff 4000000000000000", SPECIAL),  # unnormal
        ("7fff 8000000000000000", SPECIAL),  # infinity
        ("ffff c000000000000000", SPECIAL),  # NaN
    ],
)
@pytest.mark.parametrize("top", [0, 3, 7])
def test_the_tag_follows_from_the_content(st0: str, tag: int, top: int) -> None:
    image = image_with(st0)
    others = 0xFFFF & ~(EMPTY << 2 * top)
    assert full_tags(1 << top, top << 11, image) == others | tag << 2 * top


def test_an_unused_register_is_empty_whatever_it_holds() -> None:
    assert full_tags(0, 0, ONES) == 0xFFFF


@pytest.mark.parametrize(
    ("full", "abridged"),
    [(0xFFFF, 0x00), (0x0000, 0xFF), (0x5555, 0xFF), (0xFFFD, 0x01), (0x3FFF, 0x80), (0xF0CF, 0x34)],
)
def test_abridged_tags(full: int, abridged: int) -> None:
    assert abridged_tags(full) == abridged


def test_the_opcode_has_eleven_bits() -> None:
    registers = struct.unpack("<8I", ControlRegisters(2).read(ONES))
    assert registers[7] == 0x7FF
    assert registers[:2] == (0xFFFF, 0xFFFF)
    assert registers[3:7] == (0xFFFF, 0xFFFFFFFF, 0xFFFF, 0xFFFFFFFF)


def test_reserved_bits_are_left_alone() -> None:
    image = bytearray(ONES)
    ControlRegisters(2).write(image, bytes(28) + struct.pack("<I", 0xFFFF))
    # fctrl, fstat, tags (all used), reserved, fop, fioff, fiseg, bits 48 to 63 of the pointer, fooff, foseg
    assert struct.unpack_from("<HHBBHIHHIH", image) == (0, 0, 0xFF, 0xFF, 0xFFFF, 0, 0, 0xFFFF, 0, 0)
    assert image[22:] == ONES[22:]
