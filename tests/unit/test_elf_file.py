"""ELF files, against what readelf says of them."""

from __future__ import annotations

import os
import re
import struct
import subprocess
from typing import TYPE_CHECKING

import pytest

from debugserver.errors import TargetError
from debugserver.linux import elf_file
from tests.support.programs import compile_program

if TYPE_CHECKING:
    from pathlib import Path


def build_id_of(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return elf_file.build_id(descriptor, elf_file.read_header(descriptor))
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("flags", [(), ("-static",), ("-no-pie",), ("-s",), ("-Wl,--build-id=md5",)])
def test_the_build_id_is_what_readelf_reads(flags: tuple[str, ...]) -> None:
    program = compile_program("steps", *flags)
    notes = subprocess.run(["readelf", "-n", program], capture_output=True, text=True, check=True, timeout=20).stdout
    (wanted,) = re.findall(r"Build ID: ([0-9a-f]+)", notes)
    assert build_id_of(program).hex() == wanted


def test_a_file_without_build_id() -> None:
    assert build_id_of(compile_program("steps", "-Wl,--build-id=none")) == b""


def test_triples(tmp_path: Path) -> None:
    program = compile_program("steps")
    assert elf_file.triple(str(program)) == "x86_64-pc-linux-gnu"
    narrow = bytearray(program.read_bytes()[:64])
    narrow[4], narrow[18:20] = 1, struct.pack("<H", 3)
    (tmp_path / "i386").write_bytes(narrow)
    assert elf_file.triple(str(tmp_path / "i386")) == "i386-pc-linux-gnu"
    narrow[18:20] = struct.pack("<H", 0xFEED)
    (tmp_path / "other").write_bytes(narrow)
    assert elf_file.triple(str(tmp_path / "other")) == ""
    assert elf_file.triple(str(tmp_path / "none")) == ""
    assert elf_file.triple(str(tmp_path)) == ""


@pytest.mark.parametrize(
    "content", [b"", b"#!/bin/sh\n", b"\x7fELF", b"\x7fELF\x02\x01", b"\x7fELF\x03\x01" + bytes(60)]
)
def test_what_is_no_elf_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(TargetError, match="not a"):
        build_id_of(tmp_path / "file")


def test_notes_that_end_early_or_lie() -> None:
    note = struct.pack("<3I", 4, 2, 3) + b"GNU\0\x01\x02\0\0"
    assert list(elf_file.notes(note * 2, "<")) == [(b"GNU\0", 3, b"\x01\x02")] * 2
    assert list(elf_file.notes(note[:-3], "<")) == []
    assert list(elf_file.notes(struct.pack("<3I", 1 << 31, 1 << 31, 3) + b"GNU\0", "<")) == []
