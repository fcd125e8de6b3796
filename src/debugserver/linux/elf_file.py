"""ELF files, as far as a debug server has to look into them: what they are for, and their build-id. Knows no process.

Source: elf(5); the build-id is the note that ld(1), --build-id, describes.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import NamedTuple

from debugserver.errors import TargetError

PT_NOTE = 4
NT_GNU_BUILD_ID = 3

_BYTE_ORDERS = {1: "<", 2: ">"}
_MACHINES = {(62, 8): "x86_64", (62, 4): "x86_64", (3, 4): "i386", (183, 8): "aarch64", (40, 4): "arm"}
"""(e_machine, bytes of a pointer) -> what LLVM calls it."""
_VENDORS = {"x86_64": "pc", "i386": "pc"}
"""LLDB 14 takes no program for one of this system unless the vendor is named as for its own."""
_MOST_NOTES = 1 << 16
"""Bytes of one segment or section of notes that are looked at."""


class ElfHeader(NamedTuple):
    """The facts of an ELF header."""

    order: str
    """`<` or `>`, as struct has it."""
    pointer_size: int
    machine: int
    segments: tuple[int, int, int]
    """The table of program headers: offset, size of an entry, entries."""

    @property
    def triple(self) -> str:
        """As LLVM writes it; empty for a machine that is not known here."""
        name = _MACHINES.get((self.machine, self.pointer_size))
        return linux_triple(name) if name else ""


def linux_triple(machine: str) -> str:
    """What LLVM calls programs of a machine that it calls so."""
    return f"{machine}-{_VENDORS.get(machine, 'unknown')}-linux-gnu"


def read_header(descriptor: int) -> ElfHeader:
    """The header of an open file. TargetError if it is not an ELF file; OSError."""
    start = os.pread(descriptor, 64, 0)
    order = _BYTE_ORDERS.get(start[5]) if len(start) > 5 else None
    if not start.startswith(b"\x7fELF") or order is None or start[4] not in (1, 2):
        raise TargetError("not an ELF file")
    wide = start[4] == 2
    layout = struct.Struct(order + ("18xH12xQ14x2H" if wide else "18xH8xI10x2H"))
    if len(start) < layout.size:
        raise TargetError("not a whole ELF header")
    machine, segments, size, count = layout.unpack_from(start)
    return ElfHeader(order, 8 if wide else 4, machine, (segments, size, count))


def triple(path: str) -> str:
    """What the file was built for; empty if it is no ELF file, or cannot be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return read_header(descriptor).triple
    except (OSError, TargetError):
        return ""
    finally:
        os.close(descriptor)


def build_id(descriptor: int, header: ElfHeader) -> bytes:
    """What NT_GNU_BUILD_ID says; empty without one."""
    for offset, size in _note_segments(descriptor, header):
        for name, kind, description in notes(os.pread(descriptor, min(size, _MOST_NOTES), offset), header.order):
            if (name, kind) == (b"GNU\0", NT_GNU_BUILD_ID):
                return description
    return b""


def _note_segments(descriptor: int, header: ElfHeader) -> Iterator[tuple[int, int]]:
    """(offset, size) of each."""
    table, entry_size, count = header.segments
    layout = struct.Struct(header.order + ("I4xQ16xQ" if header.pointer_size == 8 else "2I8xI"))
    for start in range(table, table + entry_size * count, entry_size or 1):
        entry = os.pread(descriptor, layout.size, start)
        if len(entry) < layout.size:
            return
        kind, offset, size = layout.unpack(entry)
        if kind == PT_NOTE:
            yield offset, size


def notes(data: bytes, order: str) -> Iterator[tuple[bytes, int, bytes]]:
    """(name, type, description) of each note; stops where the data does."""
    position = 0
    while position + 12 <= len(data):
        name_size, size, kind = struct.unpack_from(f"{order}3I", data, position)
        name = position + 12
        description = name + _padded(name_size)
        position = description + _padded(size)
        if description + size > len(data):
            return
        yield data[name : name + name_size], kind, data[description : description + size]


def _padded(size: int) -> int:
    return (size + 3) & ~3
