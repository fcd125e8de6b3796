"""The format of an agent expression's `printf`, as C has it, less floating point and wide characters.

Source: GDB manual, "Bytecode Descriptions" and "Dynamic Printf"; ISO C, fprintf.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from debugserver.errors import MalformedPacket

_ESCAPES = {
    b"\\": b"\\",
    b'"': b'"',
    b"a": b"\a",
    b"b": b"\b",
    b"e": b"\x1b",
    b"f": b"\f",
    b"n": b"\n",
    b"r": b"\r",
    b"t": b"\t",
    b"v": b"\v",
}
_ESCAPE = re.compile(rb"\\(.?)", re.DOTALL)
_DIRECTIVE = re.compile(rb"%(%|([-+ #0]*)([0-9]{0,4})(?:\.([0-9]{0,4}))?(h|ll|l|z|t)?(.?))", re.DOTALL)
_BITS = {"h": 16, "": 32, "l": 64, "ll": 64, "z": 64, "t": 64}
_POINTER_BITS = 64
_DIGITS = {"d": "d", "i": "d", "u": "d", "o": "o", "x": "x", "X": "x"}
"""Conversion -> Python's."""
_ALLOWED = {
    "d": ("-+ #0", True, frozenset(_BITS)),
    "i": ("-+ #0", True, frozenset(_BITS)),
    "u": ("-0", True, frozenset(_BITS)),
    "o": ("-#0", True, frozenset(_BITS)),
    "x": ("-#0", True, frozenset(_BITS)),
    "X": ("-#0", True, frozenset(_BITS)),
    "c": ("-#", False, frozenset({""})),
    "s": ("-#", True, frozenset({""})),
    "p": ("-", False, frozenset({""})),
}
"""Conversion -> its flags, whether a precision may stand there, its length modifiers."""

ReadString = Callable[[int], bytes]
"""What lies at an address, up to its zero."""


class Directive(NamedTuple):
    """One argument's place. `precision` -1: none is given; `bits`: how many of the argument count."""

    conversion: str
    flags: str
    width: int
    precision: int
    bits: int

    def render(self, value: int, read: ReadString) -> bytes:
        """The text of one argument, an integer of any size."""
        value &= (1 << self.bits) - 1
        if self.conversion == "s":
            text = read(value) if value else b"(null)"
            return self._padded(text if self.precision < 0 else text[: self.precision])
        if self.conversion == "c":
            return self._padded(bytes([value & 0xFF]))
        if self.conversion == "p":
            return self._padded(b"%#x" % value if value else b"(nil)")
        return self._integer(value)

    def _integer(self, value: int) -> bytes:
        if self.conversion in "di" and value >> (self.bits - 1):
            value -= 1 << self.bits
        digits = format(abs(value), _DIGITS[self.conversion])
        digits = "" if value == self.precision == 0 else digits.rjust(self.precision, "0")
        sign = "-" if value < 0 else "+" if "+" in self.flags else " " if " " in self.flags else ""
        if "#" in self.flags and self.conversion == "o" and digits[:1] != "0":
            digits = "0" + digits
        elif "#" in self.flags and self.conversion in "xX" and value:
            sign = "0x"
        if "0" in self.flags and "-" not in self.flags and self.precision < 0:
            digits = digits.rjust(self.width - len(sign), "0")
        text = sign + digits
        return self._padded((text.upper() if self.conversion == "X" else text).encode())

    def _padded(self, text: bytes) -> bytes:
        return text.ljust(self.width) if "-" in self.flags else text.rjust(self.width)


class Format(NamedTuple):
    """A format: text and directives in turn, beginning and ending with text."""

    texts: tuple[bytes, ...]
    directives: tuple[Directive, ...]

    def render(self, values: Sequence[int], read: ReadString) -> bytes:
        """What is printed. There are as many values as directives."""
        parts = [self.texts[0]]
        for directive, value, text in zip(self.directives, values, self.texts[1:], strict=True):
            parts += (directive.render(value, read), text)
        return b"".join(parts)


def parse_format(raw: bytes) -> Format:
    """A format as a C program has it in its source. MalformedPacket."""
    text = _ESCAPE.sub(_unescape, raw)
    texts, directives = [b""], []
    end = 0
    for match in _DIRECTIVE.finditer(text):
        texts[-1] += text[end : match.start()]
        end = match.end()
        if match[1] == b"%":
            texts[-1] += b"%"
        else:
            directives.append(_directive(match))
            texts.append(b"")
    texts[-1] += text[end:]
    return Format(tuple(texts), tuple(directives))


def _unescape(match: re.Match[bytes]) -> bytes:
    found = _ESCAPES.get(match[1])
    if found is None:
        raise MalformedPacket("an unknown escape sequence in the format")
    return found


def _directive(match: re.Match[bytes]) -> Directive:
    flags, width, length, conversion = ((match[group] or b"").decode("latin-1") for group in (2, 3, 5, 6))
    allowed = _ALLOWED.get(conversion)
    if allowed is None:
        raise MalformedPacket(f"the format has %{conversion}, which is not supported")
    known_flags, has_precision, lengths = allowed
    if set(flags) - set(known_flags) or length not in lengths or (match[4] is not None and not has_precision):
        raise MalformedPacket(f"%{conversion} does not go with these modifiers")
    precision = -1 if match[4] is None else int(match[4] or b"0")
    bits = _POINTER_BITS if conversion in "sp" else _BITS[length]
    return Directive(conversion, flags, int(width or "0"), precision, bits)
