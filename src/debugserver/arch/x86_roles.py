"""What the registers of x86-64 and i386 are to a debugger, and the names of their parts.

Source: System V ABI, AMD64 supplement (figure 3.36, "DWARF Register Number Mapping") and Intel386 supplement (table
2.14).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from debugserver.arch.register_roles import FLOAT, GENERAL, SYSTEM, VECTOR, Role, View

_AMD64_ORDER = "rax rdx rcx rbx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15 rip".split()
_AMD64_DWARF = {
    **{name: number for number, name in enumerate(_AMD64_ORDER)},
    **{f"xmm{index}": 17 + index for index in range(16)},
    **{f"st{index}": 33 + index for index in range(8)},
    **{name: 49 + number for number, name in enumerate("eflags es cs ss ds fs gs".split())},
    "fs_base": 58,
    "gs_base": 59,
    "mxcsr": 64,
    "fctrl": 65,
    "fstat": 66,
    **{f"xmm{index}": 67 + index - 16 for index in range(16, 32)},
    **{f"k{index}": 118 + index for index in range(8)},
}
_AMD64_GENERIC = {
    "rip": "pc",
    "rsp": "sp",
    "rbp": "fp",
    "eflags": "flags",
    "fs_base": "tp",
    **{name: f"arg{number}" for number, name in enumerate("rdi rsi rdx rcx r8 r9".split(), 1)},
}
_I386_DWARF = {
    **{name: number for number, name in enumerate("eax ecx edx ebx esp ebp esi edi eip eflags".split())},
    **{f"st{index}": 11 + index for index in range(8)},
    **{f"xmm{index}": 21 + index for index in range(8)},
    **{name: 37 + number for number, name in enumerate("fctrl fstat mxcsr es cs ss ds fs gs".split())},
}
_AMD64_FIRST_MM, _I386_FIRST_MM = 41, 29
_I386_GENERIC = {"eip": "pc", "esp": "sp", "ebp": "fp", "eflags": "flags"}


def amd64_roles(names: Iterable[str]) -> dict[str, Role]:
    """Those of x86-64 registers."""
    return _roles(names, _AMD64_DWARF, _AMD64_GENERIC, {"eflags": "rflags"})


def i386_roles(names: Iterable[str]) -> dict[str, Role]:
    """Those of i386 registers."""
    return _roles(names, _I386_DWARF, _I386_GENERIC, {})


def _roles(
    names: Iterable[str], dwarf: Mapping[str, int], generic: Mapping[str, str], aliases: Mapping[str, str]
) -> dict[str, Role]:
    return {name: Role(_set(name), dwarf.get(name), generic.get(name, ""), aliases.get(name, "")) for name in names}


def _set(name: str) -> str:
    if name.startswith(("orig_", "i386_tls", "pkru")):
        return SYSTEM
    if name.startswith(("ymm", "zmm", "k")) or (name.startswith("xmm") and int(name[3:]) >= 16):
        return VECTOR
    floats = ("st", "xmm", "mxcsr", "fctrl", "fstat", "ftag", "fiseg", "fioff", "foseg", "fooff", "fop")
    return FLOAT if name.startswith(floats) else GENERAL


_LETTERS = "abcd"
_POINTERS = ("si", "di", "bp", "sp")


def views(names: Iterable[str]) -> tuple[View, ...]:
    """The parts of these registers, and the vector registers that are composed of them."""
    present = set(names)
    return (*_integers(present), *_vectors(present))


def _integers(present: set[str]) -> Iterator[View]:
    classic = [*(letter + "x" for letter in _LETTERS), *_POINTERS]
    if "rax" in present:
        yield from (View("e" + name, 32, ("r" + name,), GENERAL) for name in classic)
        for suffix, bits in (("d", 32), ("w", 16), ("l", 8)):
            yield from (View(f"r{number}{suffix}", bits, (f"r{number}",), GENERAL) for number in range(8, 16))
        yield from (View(name + "l", 8, ("r" + name,), GENERAL) for name in _POINTERS)
    width = "r" if "rax" in present else "e"
    yield from (View(name, 16, (width + name,), GENERAL) for name in classic)
    for suffix, shift in (("h", 1), ("l", 0)):
        yield from (View(letter + suffix, 8, (f"{width}{letter}x",), GENERAL, shift) for letter in _LETTERS)
    first = _AMD64_FIRST_MM if "rax" in present else _I386_FIRST_MM
    yield from (View(f"mm{number}", 64, (f"st{number}",), FLOAT, dwarf=first + number) for number in range(8))


def _vectors(present: set[str]) -> Iterator[View]:
    for number in range(32):
        parts = (f"xmm{number}", f"ymm{number}h", f"zmm{number}h")
        if present.issuperset(parts[:2]):
            yield View(f"ymm{number}", 256, parts[:2], VECTOR)
        if present.issuperset(parts):
            yield View(f"zmm{number}", 512, parts, VECTOR)
