"""The loader's lists of a real process, against what the process itself says, and lists that are broken."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

from debugserver.arch import amd64
from debugserver.linux.libraries import Svr4Libraries
from debugserver.target.model import Libraries, Library
from debugserver.testing.fake_target import FakeTarget
from tests.support.programs import compile_library, compile_program
from tests.unit.waiting_process import WaitingProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

    from debugserver.arch.architecture import Architecture


@pytest.fixture(scope="module")
def process() -> Iterator[WaitingProcess]:
    with WaitingProcess(compile_program("namespaces", "-ldl"), compile_library("late_library")) as waiting:
        yield waiting


def said_libraries(process: WaitingProcess) -> list[tuple[str, int, int, int]]:
    return [
        (words[1], int(words[2], 16), int(words[3], 16), int(words[4], 16))
        for words in process.said
        if words[0] == "library"
    ]


def test_libraries_of_both_namespaces(process: WaitingProcess) -> None:
    found = Svr4Libraries(process, process, process).libraries(process.pid)
    first, second = said_libraries(process)
    by_link_map = {library.link_map: library for library in found.libraries}
    assert by_link_map[first[1]][:4] == first
    assert by_link_map[second[1]][:4] == second
    assert by_link_map[first[1]].namespace != by_link_map[second[1]].namespace != 0
    main_names = [each.name for each in found.libraries if each.namespace == by_link_map[first[1]].namespace]
    assert sum("libc.so.6" in name for name in main_names) == 1
    assert sum("ld-linux" in each.name for each in found.libraries) == 2
    assert found.main_link_map not in by_link_map
    assert all(library.name for library in found.libraries)


def test_libraries_from_one_on(process: WaitingProcess) -> None:
    lists = Svr4Libraries(process, process, process)
    everything = lists.libraries(process.pid)
    space = everything.libraries[0].namespace
    main = [each for each in everything.libraries if each.namespace == space]
    assert lists.libraries_from(process.pid, main[1].link_map, main[0].link_map, space) == Libraries(0, tuple(main[1:]))
    assert lists.libraries_from(process.pid, main[1].link_map, main[0].link_map, 0) == Libraries(0, tuple(main[1:]))
    assert lists.libraries_from(process.pid, main[1].link_map, main[1].link_map, space) == Libraries(0, ())


def test_a_statically_linked_program_has_none() -> None:
    with WaitingProcess(compile_program("waits", "-static")) as static:
        assert Svr4Libraries(static, static, static).libraries(static.pid) == Libraries(0, ())


class Image(FakeTarget):
    """Hand-made memory of a 64-bit program: program headers at 0x1000, dynamic section at 0x2000, r_debug at 0x3000."""

    def __init__(self) -> None:
        super().__init__()
        self.add_process(1)
        headers = struct.pack("<II6Q", 6, 4, 0, 0x1000, 0, 112, 112, 8)
        headers += struct.pack("<II6Q", 2, 4, 0, 0x2000, 0, 64, 64, 8)
        self.auxiliary = struct.pack("<8Q", 3, 0x1000, 4, 56, 5, 2, 0, 0)
        self.memory[0x1000] = bytearray(headers.ljust(4096, b"\0"))
        self.memory[0x2000] = bytearray(struct.pack("<8Q", 1, 2, 21, 0x3000, 0, 0, 0, 0).ljust(4096, b"\0"))
        self.memory[0x3000] = bytearray(struct.pack("<iiQQQQQ", 1, 0, 0x4000, 0, 0, 0, 0).ljust(4096, b"\0"))
        self.memory[0x4000] = bytearray(8192)
        self.link(0x4000, b"", 0x4100, 0)
        self.link(0x4100, b"/a", 0x4200, 0x4000)
        self.link(0x4200, b"/b", 0, 0x4100)

    def architecture(self, pid: int) -> Architecture:
        return amd64.architecture(0, 0)

    def link(self, address: int, name: bytes, following: int, previous: int) -> None:
        entry = struct.pack("<5Q", 0x10000, address + 64, 0x10F00, following, previous)
        self.put(address, entry.ljust(64, b"\0") + name + b"\0")

    def put(self, address: int, data: bytes) -> None:
        region = self.memory[0x4000 if address >= 0x4000 else address & ~0xFFF]
        start = address - (0x4000 if address >= 0x4000 else address & ~0xFFF)
        region[start : start + len(data)] = data


def listed(image: Image) -> list[str]:
    return [library.name for library in Svr4Libraries(image, image, image).libraries(1).libraries]


A = Library("/a", 0x4100, 0x10000, 0x10F00, 0x3000)
B = Library("/b", 0x4200, 0x10000, 0x10F00, 0x3000)


def test_a_hand_made_list() -> None:
    image = Image()
    assert Svr4Libraries(image, image, image).libraries(1) == Libraries(0x4000, (A, B))


@pytest.mark.parametrize(
    ("following", "previous", "names"),
    [
        (0x4100, 0x4000, ["/a"]),  # points at itself
        (0x4000, 0x4000, ["/a"]),  # back to the beginning
        (0x4200, 0x4200, []),  # says that it follows another one
        (0xDEAD0000, 0x4000, ["/a"]),  # leads out of memory
        ((1 << 64) - 8, 0x4000, ["/a"]),
    ],
)
def test_broken_lists_end(following: int, previous: int, names: list[str]) -> None:
    image = Image()
    image.link(0x4100, b"/a", following, previous)
    assert listed(image) == names


def test_names_that_cannot_be_read_or_do_not_end() -> None:
    image = Image()
    image.put(0x4100 + 8, struct.pack("<Q", 0xDEAD0000))
    assert listed(image) == ["/b"]
    image.put(0x4100 + 8, struct.pack("<Q", 0x4800))
    image.put(0x4800, b"x" * (8192 - 0x800))
    assert listed(image)[-1] == "/b"


@pytest.mark.parametrize(
    ("address", "value"),
    [(0x2018, 0), (0x2018, 0xDEAD0000), (0x3008, 0), (0x3008, 0xDEAD0000), (0x2010, 22)],
    ids=["not yet set", "no r_debug", "no list", "no link map", "no DT_DEBUG"],
)
def test_before_the_loader_ran(address: int, value: int) -> None:
    image = Image()
    image.put(address, struct.pack("<Q", value))
    assert Svr4Libraries(image, image, image).libraries(1) == Libraries(0, ())


def test_namespaces_that_loop() -> None:
    image = Image()
    image.put(0x3000, struct.pack("<iiQQQQQ", 2, 0, 0x4000, 0, 0, 0, 0x3000))
    assert listed(image) == ["/a", "/b"]


@pytest.mark.parametrize("auxv", [b"", bytes(16), struct.pack("<4Q", 3, 0xDEAD0000, 5, 9), b"odd"])
def test_unusable_auxiliary_vectors(auxv: bytes) -> None:
    image = Image()
    image.auxiliary = auxv
    assert listed(image) == []
