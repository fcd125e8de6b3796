"""The x87 control registers as GDB shows them, from an FXSAVE image (Intel SDM vol. 1, 10.5.1 and 8.1).

GDB wants eight registers of 32 bits, and the tag word with two bits a register, of which FXSAVE keeps only one.
"""

from __future__ import annotations

from struct import Struct

from debugserver.arch.banks import Section

VALID, ZERO, SPECIAL, EMPTY = range(4)
"""What the tag of a physical register says (SDM vol. 1, 8.1.7)."""

STACK_OFFSET = 32
"""Of st0 in the FXSAVE image; the next one is 16 bytes on."""

# fctrl, fstat, abridged tags, reserved, fop, fioff, fiseg, reserved, fooff, foseg
_IMAGE = Struct("<HHBBHIHHIH")
_REGISTERS = Struct("<8I")
_OPCODE_BITS = 0x7FF
_WRITABLE = (0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFF, 0xFFFFFFFF, _OPCODE_BITS)
_TOP_SHIFT = 11


class ControlRegisters(Section):
    """fctrl, fstat, ftag, fiseg, fioff, foseg, fooff and fop.

    In a 64-bit process fiseg and foseg are bits 32 to 47 of the two pointers, as with GNU gdbserver.
    """

    def __init__(self, bank: int) -> None:
        super().__init__(bank, [4] * 8)

    def read(self, bank: bytes | bytearray) -> bytes:
        fctrl, fstat, tags, _, fop, fioff, fiseg, _, fooff, foseg = _IMAGE.unpack_from(bank)
        ftag = full_tags(tags, fstat, bank)
        return _REGISTERS.pack(fctrl, fstat, ftag, fiseg, fioff, foseg, fooff, fop & _OPCODE_BITS)

    def write(self, bank: bytearray, data: bytes) -> None:
        fctrl, fstat, ftag, fiseg, fioff, foseg, fooff, fop = (
            value & mask for value, mask in zip(_REGISTERS.unpack(data), _WRITABLE, strict=True)
        )
        old = _IMAGE.unpack_from(bank)
        fop |= old[4] & ~_OPCODE_BITS
        _IMAGE.pack_into(bank, 0, fctrl, fstat, abridged_tags(ftag), old[3], fop, fioff, fiseg, old[7], fooff, foseg)


def full_tags(abridged: int, fstat: int, image: bytes | bytearray) -> int:
    """The 16-bit tag word: a used register's tag follows from its content (SDM vol. 1, table 10-3)."""
    top = fstat >> _TOP_SHIFT & 7
    word = 0
    for physical in range(8):
        tag = _content_tag(image, (physical - top) % 8) if abridged >> physical & 1 else EMPTY
        word |= tag << 2 * physical
    return word


def abridged_tags(word: int) -> int:
    """One bit a physical register: whether it is used."""
    return sum((word >> 2 * physical & 3 != EMPTY) << physical for physical in range(8))


def _content_tag(image: bytes | bytearray, st: int) -> int:
    start = STACK_OFFSET + 16 * st
    significand = int.from_bytes(image[start : start + 8], "little")
    exponent = int.from_bytes(image[start + 8 : start + 10], "little") & 0x7FFF
    if exponent == 0 and significand == 0:
        return ZERO
    normal = 0 < exponent < 0x7FFF and significand >> 63
    return VALID if normal else SPECIAL
