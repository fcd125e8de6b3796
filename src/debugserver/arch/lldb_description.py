"""The target description that LLDB reads: GDB's format, with what LLDB wants to know besides. Written from an
Architecture.

Source: LLVM's lldbgdbremote document, "qRegisterInfo", whose keys the attributes correspond to.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import chain, repeat
from typing import TYPE_CHECKING, NamedTuple

from debugserver.arch import description
from debugserver.arch.register_roles import GENERAL, Role

if TYPE_CHECKING:
    from debugserver.arch.architecture import Architecture, Register
    from debugserver.arch.register_roles import View

_LLVM_NAMES = {"i386:x86-64": "x86_64"}
"""Of architectures that LLVM calls by another name than GDB."""
_VECTOR_BITS = 80
"""Registers of so many bits or more are shown byte by byte."""


class RegisterInfo(NamedTuple):
    """One register as LLDB sees it: a whole one, or (`parts` not empty) a view of these. `offset` is in the register
    file, that of the first part where several are composed."""

    name: str
    bits: int
    number: int
    offset: int
    role: Role
    parts: tuple[int, ...] = ()

    @property
    def encoding(self) -> str:
        """What the bits mean."""
        return "vector" if self.bits >= _VECTOR_BITS else "uint"

    @property
    def format(self) -> str:
        """How it is shown."""
        return "vector-uint8" if self.bits >= _VECTOR_BITS else "hex"


@lru_cache
def register_infos(architecture: Architecture) -> tuple[RegisterInfo, ...]:
    """All registers by their numbers, then the views, numbered on."""
    whole = [
        RegisterInfo(register.name, register.bits, register.number, register.offset, _role(architecture, register))
        for register in architecture.registers
    ]
    views = [_view(architecture, number, view) for number, view in enumerate(architecture.views, len(whole))]
    return (*whole, *views)


def _role(architecture: Architecture, register: Register) -> Role:
    generic = {architecture.pc: "pc", architecture.sp: "sp"}.get(register.number, "")
    return architecture.roles.get(register.name) or Role(register.group or GENERAL, generic=generic)


def _view(architecture: Architecture, number: int, view: View) -> RegisterInfo:
    parts = [architecture.by_name[name] for name in view.parts]
    role = Role(view.set, view.dwarf)
    numbers = tuple(part.number for part in parts)
    return RegisterInfo(view.name, view.bits, number, parts[0].offset + view.shift, role, numbers)


def lldb_description(architecture: Architecture) -> bytes:
    """The whole of `target.xml`: one feature, in the order of the numbers, as lldb-server's."""
    types = "".join(feature.types for feature in architecture.features)
    kinds = chain((register.type for register in architecture.registers), repeat(""))
    rows = "".join(map(_row, register_infos(architecture), kinds))
    name = _LLVM_NAMES.get(architecture.name, architecture.name)
    return description.document(name, architecture.osabi, description.feature("registers", types, rows))


def _row(info: RegisterInfo, kind: str) -> str:
    parts = ",".join(map(str, info.parts))
    values = {
        "name": info.name,
        "altname": info.role.alias,
        "bitsize": info.bits,
        "regnum": info.number,
        "offset": info.offset,
        "encoding": info.encoding,
        "format": info.format,
        "type": kind,
        "group": info.role.set,
        "ehframe_regnum": info.role.dwarf,
        "dwarf_regnum": info.role.dwarf,
        "generic": info.role.generic,
        "value_regnums": parts,
        "invalidate_regnums": parts,
    }
    return description.element("reg", {key: str(value) for key, value in values.items() if value not in (None, "")})


def register_info(info: RegisterInfo) -> str:
    """The reply of qRegisterInfo: `key:value;` pairs."""
    parts = ",".join(f"{part:x}" for part in info.parts)
    values = {
        "name": info.name,
        "alt-name": info.role.alias,
        "bitsize": info.bits,
        "offset": info.offset,
        "encoding": info.encoding,
        "format": info.format,
        "set": info.role.set,
        "ehframe": info.role.dwarf,
        "dwarf": info.role.dwarf,
        "generic": info.role.generic,
        "container-regs": parts,
        "invalidate-regs": parts,
    }
    return "".join(f"{key}:{value};" for key, value in values.items() if value not in (None, ""))
