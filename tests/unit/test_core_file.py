"""Core files: sizes by the kernel's structures (pahole of a 6.1 kernel), and what the kernel dumps (vma_dump_size)."""

from __future__ import annotations

import struct

import pytest

from debugserver.linux.core_dump import Mapping, parse_smaps, stored_size
from debugserver.linux.core_file import (
    FORMATS,
    NT_FILE,
    PAGE,
    MappedFile,
    Note,
    ProcessState,
    Segment,
    ThreadState,
)

THREAD = ThreadState(12, 1, 10, 9, 11, 1 << 40 | 2, 4)
GENERAL = bytes(range(216))
PROCESS = ProcessState(10, 1, 10, 9, "t".upper(), -5, 0x400000, 70000, 100, b"a_name_that_is_long", b"prog arg")


@pytest.mark.parametrize(("pointer_size", "size", "registers_at"), [(8, 336, 112), (4, 144, 72)])
def test_thread_status(pointer_size: int, size: int, registers_at: int) -> None:
    note = FORMATS[pointer_size].thread_status(THREAD, GENERAL)
    assert len(note.data) == size
    assert struct.unpack_from("<3ih", note.data) == (11, 0, 0, 11)
    pids_at = registers_at - (80 if pointer_size == 8 else 48)
    assert struct.unpack_from("<4i", note.data, pids_at) == (12, 1, 10, 9)
    if pointer_size == 8:
        assert note.data[112:328] == GENERAL
    else:
        # ebx and esp, which are the sixth and the twentieth of 64 bits.
        assert note.data[72:76] == GENERAL[40:44]
        assert note.data[72 + 15 * 4 :][:4] == GENERAL[152:156]


@pytest.mark.parametrize(("pointer_size", "size", "name_at"), [(8, 136, 40), (4, 124, 28)])
def test_process_info(pointer_size: int, size: int, name_at: int) -> None:
    data = FORMATS[pointer_size].process_info(PROCESS).data
    assert len(data) == size
    assert data[:4] == b"\x03T\x00\xfb"
    assert data[name_at : name_at + 16] == b"a_name_that_is_" + b"\0"
    assert data[name_at + 16 :] == b"prog arg".ljust(80, b"\0")


def test_files() -> None:
    note = FORMATS[8].files([MappedFile(0x1000, 0x3000, 0x2000, b"/a"), MappedFile(0x5000, 0x6000, 0, b"/b c")])
    numbers = struct.pack("<8Q", 2, 4096, 0x1000, 0x3000, 2, 0x5000, 0x6000, 0)
    assert note == Note(b"CORE", NT_FILE, numbers + b"/a\0/b c\0")


@pytest.mark.parametrize("pointer_size", [8, 4])
def test_layout(pointer_size: int) -> None:
    segments = [
        Segment(0x10000, 0x3000, "r", PAGE),
        Segment(0x20000, 0x2000, "rwx", 0x2000),
        Segment(0x30000, PAGE, "", 0),
    ]
    head, offsets = FORMATS[pointer_size].layout([Note(b"CORE", 1, b"12345")], segments)
    assert offsets == [PAGE, 2 * PAGE, 4 * PAGE]
    assert head.endswith(struct.pack("<3I", 5, 5, 1) + b"CORE\0\0\0\0" + b"12345\0\0\0")
    assert struct.unpack_from("<2H", head, 16) == (4, 62 if pointer_size == 8 else 3)


SMAPS = b"""\
555555554000-555555555000 r--p 00000000 fe:00 1234                       /bin/some prog
Size:                  4 kB
Anonymous:             0 kB
VmFlags: rd mr mw me sd
7ffff7fc2000-7ffff7fc6000 r--p 00000000 00:00 0                          [vvar]
Size:                 16 kB
VmFlags: rd mr pf io de dd sd
7ffff7fc6000-7ffff7fc8000 rw-p 00000000 00:00 0
Anonymous:             8 kB
VmFlags: rd wr mr mw me ac sd
"""


def test_smaps() -> None:
    program, vvar, anonymous = parse_smaps(SMAPS)
    assert program == Mapping(
        0x555555554000, 0x555555555000, "r--p", 0, 1234, b"/bin/some prog", 0,
        frozenset({b"rd", b"mr", b"mw", b"me", b"sd"}),
    )  # fmt: skip
    assert b"dd" in vvar.flags
    assert (anonymous.name, anonymous.anonymous) == (b"", 8)


FILE = Mapping(0x1000, 0x5000, "r-xp", 0, 1234, b"/lib", 0, frozenset())
WHOLE = 0x4000
DEFAULT = 0x33


@pytest.mark.parametrize(
    ("mapping", "wanted", "stored"),
    [
        (FILE, DEFAULT, PAGE),
        (FILE, 0x23, 0),
        (FILE, 0x37, WHOLE),
        (FILE._replace(offset=0x1000), DEFAULT, 0),
        (FILE._replace(permissions="--xp"), DEFAULT, 0),
        (FILE._replace(anonymous=4), DEFAULT, WHOLE),
        (FILE._replace(anonymous=4), 0x10, PAGE),
        (FILE._replace(permissions="rw-s"), DEFAULT, 0),
        (FILE._replace(permissions="rw-s"), 0x3B, WHOLE),
        (FILE._replace(permissions="rw-s", name=b"/dev/zero (deleted)"), DEFAULT, WHOLE),
        (FILE._replace(permissions="rw-s", name=b"/dev/zero (deleted)"), 0x31, 0),
        (FILE._replace(inode=0, name=b"", anonymous=4), DEFAULT, WHOLE),
        (FILE._replace(inode=0, name=b"", anonymous=0), DEFAULT, 0),
        (FILE._replace(inode=0, name=b"[heap]", anonymous=4), 0x30, 0),
        (FILE._replace(inode=0, name=b"[vdso]"), 0, WHOLE),
        (FILE._replace(anonymous=4, flags=frozenset({b"dd"})), DEFAULT, 0),
        (FILE._replace(flags=frozenset({b"io"})), DEFAULT, 0),
        (FILE._replace(flags=frozenset({b"ht"})), DEFAULT, WHOLE),
        (FILE._replace(flags=frozenset({b"ht"}), permissions="rw-s"), DEFAULT, 0),
    ],
)
def test_what_the_kernel_would_dump(mapping: Mapping, wanted: int, stored: int) -> None:
    assert stored_size(mapping, wanted) == stored
