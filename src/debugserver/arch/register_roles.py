"""What debuggers want to know of a register beyond its size: its number in DWARF, its use, the names of its parts.

Source of the words: LLVM's lldbgdbremote document, "qRegisterInfo".
"""

from __future__ import annotations

from typing import NamedTuple

GENERAL = "General Purpose Registers"
FLOAT = "Floating Point Registers"
VECTOR = "Advanced Vector Extensions"
SYSTEM = "System Registers"
"""What the system keeps of a thread rather than the CPU."""


class Role(NamedTuple):
    """What a register is to a debugger. `set` is where it is shown; `dwarf` its number in debug and unwind information
    (None: it has none); `generic` one of pc, sp, fp, flags, tp, arg1 to arg8; `alias` a second name."""

    set: str
    dwarf: int | None = None
    generic: str = ""
    alias: str = ""


class View(NamedTuple):
    """A register by another name: bytes of one from `shift` on, or several that follow each other, lowest first.
    `dwarf` is as a Role's."""

    name: str
    bits: int
    parts: tuple[str, ...]
    set: str
    shift: int = 0
    dwarf: int | None = None
