"""A stopped process's memory as C structures see it: words, strings, and the program headers of the ELF files in it.

Lives as long as one question: pages are read once and kept. Source: elf(5), getauxval(3).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from debugserver.errors import MemoryFault

if TYPE_CHECKING:
    from debugserver.arch.architecture import Architecture
    from debugserver.target.capabilities import Memory

AT_PHDR, AT_PHENT, AT_PHNUM = 3, 4, 5
PT_DYNAMIC, PT_PHDR, PT_TLS = 2, 6, 7

_PAGE = 4096
_LONGEST_STRING = 4096
_WORD_CODES = {4: "I", 8: "Q"}


class Segment(NamedTuple):
    """A program header; `address` is as linked, that is without the load bias."""

    type: int
    address: int
    memory_size: int
    alignment: int


class AddressSpace:
    """One process's memory. What cannot be read raises MemoryFault."""

    def __init__(self, memory: Memory, pid: int, architecture: Architecture) -> None:
        self._memory = memory
        self._pid = pid
        self._order = ">" if architecture.byteorder == "big" else "<"
        self.word_size = architecture.pointer_size
        self._pages: dict[int, bytes] = {}

    def read(self, address: int, length: int) -> bytes:
        """Exactly `length` bytes."""
        data = b""
        while len(data) < length:
            page, offset = divmod(address + len(data), _PAGE)
            part = self._page(page)[offset : offset + length - len(data)]
            if not part:
                raise MemoryFault(address + len(data))
            data += part
        return data

    def _page(self, number: int) -> bytes:
        """A page never ends inside a mapping that begins in it, so whole pages cost no partial reads."""
        page = self._pages.get(number)
        if page is None:
            page = self._pages[number] = self._memory.read_memory(self._pid, number * _PAGE, _PAGE)
        return page

    def words(self, address: int, count: int) -> tuple[int, ...]:
        """Consecutive unsigned words of the pointer's size."""
        return self.unpack(f"{count}{_WORD_CODES[self.word_size]}", address)

    def unpack(self, layout: str, address: int) -> tuple[int, ...]:
        """Integers, by codes of the struct module and in the target's byte order."""
        layout = self._order + layout
        return struct.unpack(layout, self.read(address, struct.calcsize(layout)))

    def string(self, address: int) -> str:
        """A C string, as a file name; cut where it is longer than any."""
        data = b""
        while len(data) < _LONGEST_STRING:
            page, offset = divmod(address + len(data), _PAGE)
            text, end, _ = self._page(page)[offset:].partition(b"\0")
            data += text
            if end:
                break
        return data.decode(errors="surrogateescape")

    def program_segments(self, auxv: bytes) -> tuple[int, list[Segment]]:
        """The program's load bias and segments."""
        values = self._auxv(auxv)
        table = values.get(AT_PHDR, 0)
        segments = self._segments(table, values.get(AT_PHENT, 0), values.get(AT_PHNUM, 0)) if table else []
        linked = next((segment.address for segment in segments if segment.type == PT_PHDR), table)
        return table - linked, segments

    def _auxv(self, auxv: bytes) -> dict[int, int]:
        layout = f"{self._order}2{_WORD_CODES[self.word_size]}"
        whole = len(auxv) - len(auxv) % struct.calcsize(layout)
        return dict(struct.iter_unpack(layout, auxv[:whole]))

    def library_segments(self, load_bias: int) -> list[Segment]:
        """The segments of a shared object, whose ELF header is the first thing that is mapped of it."""
        header = load_bias + (32 if self.word_size == 8 else 28)
        (offset,) = self.words(header, 1)
        entry_size, count = self.unpack("HH", load_bias + (54 if self.word_size == 8 else 42))
        return self._segments(load_bias + offset, entry_size, count)

    def _segments(self, table: int, entry_size: int, count: int) -> list[Segment]:
        return [self._segment(table + index * entry_size) for index in range(count)]

    def _segment(self, address: int) -> Segment:
        if self.word_size == 8:
            kind, _, _, virtual, _, _, memory_size, alignment = self.unpack("II6Q", address)
        else:
            kind, _, virtual, _, _, memory_size, _, alignment = self.unpack("8I", address)
        return Segment(kind, virtual, memory_size, alignment)
