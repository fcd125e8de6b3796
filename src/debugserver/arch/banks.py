"""Registers that lie in a system's register banks: which bytes of which bank are which register. Knows no CPU.

A bank is what one PTRACE_GETREGSET call or one note of a core file gives.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from itertools import accumulate, groupby, pairwise
from operator import attrgetter, itemgetter

from debugserver.arch.architecture import RegisterCodec

NT_PRSTATUS = 1
NT_FPREGSET = 2

_NOTHING = slice(0, 0)


class Section(ABC):
    """Registers that follow each other in the register file and live together in one bank."""

    def __init__(self, bank: int, sizes: Sequence[int]) -> None:
        """`sizes`: of the registers, in bytes."""
        self.bank = bank
        self.parts = tuple(slice(start, end) for start, end in pairwise(accumulate(sizes, initial=0)))
        self.size = sum(sizes)

    @abstractmethod
    def read(self, bank: bytes | bytearray) -> bytes:
        """This section of the register file."""

    @abstractmethod
    def write(self, bank: bytearray, data: bytes) -> None:
        """Replace this section of the register file."""

    def read_one(self, bank: bytes | bytearray, index: int) -> bytes:
        """The value of one register."""
        return self.read(bank)[self.parts[index]]

    def write_one(self, bank: bytearray, index: int, value: bytes) -> None:
        """Replace the value of one register."""
        data = bytearray(self.read(bank))
        data[self.parts[index]] = value
        self.write(bank, bytes(data))


class PlainSection(Section):
    """Registers whose value is a run of bytes of the bank."""

    def __init__(self, bank: int, places: Sequence[slice]) -> None:
        """`places`: where in the bank each register is."""
        super().__init__(bank, [place.stop - place.start for place in places])
        self.places = tuple(places)
        # A getter of one item would return the item itself and not a tuple.
        self._take = itemgetter(*self.places, _NOTHING, _NOTHING)

    def read(self, bank: bytes | bytearray) -> bytes:
        return b"".join(self._take(bank))

    def write(self, bank: bytearray, data: bytes) -> None:
        for place, part in zip(self.places, self.parts, strict=True):
            bank[place] = data[part]

    def read_one(self, bank: bytes | bytearray, index: int) -> bytes:
        return bytes(bank[self.places[index]])

    def write_one(self, bank: bytearray, index: int, value: bytes) -> None:
        bank[self.places[index]] = value


class _Chapter:
    """Sections of one bank that follow each other. Remembers what it read last: from one stop to the next, most of
    the banks stay as they are."""

    def __init__(self, bank: int, sections: Sequence[Section]) -> None:
        self.bank = bank
        self._sections = sections
        self._seen: bytes | None = None
        self._read = b""

    def read(self, bank: bytes | bytearray) -> bytes:
        if bank != self._seen:
            self._read = b"".join([section.read(bank) for section in self._sections])
            self._seen = bytes(bank)
        return self._read


class BankCodec(RegisterCodec):
    """The register file as a chain of sections."""

    def __init__(self, sections: Sequence[Section], general: Sequence[slice]) -> None:
        """`sections` in the order of the register file; `general`: where in NT_PRSTATUS the general registers are."""
        ends = accumulate((section.size for section in sections), initial=0)
        self._sections = [(section, slice(*span)) for section, span in zip(sections, pairwise(ends), strict=True)]
        self._chapters = [_Chapter(kind, tuple(group)) for kind, group in groupby(sections, attrgetter("bank"))]
        self._banks = tuple(dict.fromkeys(section.bank for section in sections))
        self._registers = [(section, index) for section in sections for index in range(len(section.parts))]
        self._general_places = {
            number: section.places[index]
            for number, (section, index) in enumerate(self._registers)
            if section.bank == NT_PRSTATUS and isinstance(section, PlainSection)
        }
        self._general = itemgetter(*general)

    @property
    def banks(self) -> Sequence[int]:
        return self._banks

    def bank(self, number: int) -> int:
        return self._registers[number][0].bank

    def read(self, number: int, banks: Mapping[int, bytes | bytearray]) -> bytes:
        section, index = self._registers[number]
        return section.read_one(banks[section.bank], index)

    def general_place(self, number: int) -> slice | None:
        return self._general_places.get(number)

    def write(self, number: int, value: bytes, banks: Mapping[int, bytearray]) -> None:
        section, index = self._registers[number]
        section.write_one(banks[section.bank], index, value)

    def read_file(self, banks: Mapping[int, bytes | bytearray]) -> bytes:
        return b"".join([chapter.read(banks[chapter.bank]) for chapter in self._chapters])

    def write_file(self, data: bytes, banks: Mapping[int, bytearray]) -> None:
        for section, span in self._sections:
            section.write(banks[section.bank], data[span])

    def read_general(self, bank: bytes | bytearray) -> bytes:
        return b"".join(self._general(bytes(bank)))
