"""`process save-core` of LLDB writes what GDB, LLDB and readelf read as the process was. Sources: core(5), proc(5)."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.gdb import expect, printed
from tests.support.i386 import PROGRAM as PROGRAM_32
from tests.support.programs import compile_program

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.gdb import Gdb
    from tests.support.lldb import Lldb


def save(lldb: Lldb, core: Path, program: Path, *commands: str) -> str:
    """Stop the program as `commands` say and save its core; LLDB's transcript."""
    output = lldb(*commands, f"process save-core {core}", "process kill", program=program)
    assert core.exists(), output
    return output


@pytest.mark.parametrize("lldb", ["lldb23"], indirect=True)
def test_gdb_reads_the_core(lldb: Lldb, gdb: Gdb, tmp_path: Path) -> None:
    program, core = compile_program("ten_threads"), tmp_path / "core"
    output = save(lldb, core, program, "breakpoint set -n visit", "process launch", "thread info", "register read rip")
    (tid,) = set(re.findall(r"thread #\d+: tid = (\d+)", output))
    (rip,) = re.findall(r"rip = (0x\w+)", output)
    out = gdb(
        f"core-file {core}", "info threads", "print/x $rip", "x/i visit", "print $_siginfo.si_signo", "info auxv",
        "info proc mappings", "thread apply all backtrace 1", program=program,
    )  # fmt: skip
    expect(printed(out, "info threads"), rf"^\* 1 +Thread .*LWP {tid}\)")
    assert len(re.findall(r"LWP \d+", printed(out, "info threads"))) == 11
    assert int(printed(out, "print/x $rip").split()[-1], 16) == int(rip, 16)
    # What GDB would call a breakpoint of ours is not in it.
    assert "int3" not in printed(out, "x/i visit")
    expect(printed(out, "print $_siginfo.si_signo"), r"= 5$")
    expect(printed(out, "info auxv"), "AT_PHDR", "AT_NULL")
    expect(printed(out, "info proc mappings"), str(program), "libc.so.6")
    assert len(re.findall(r"^#0 ", printed(out, "thread apply all backtrace 1"), re.MULTILINE)) == 11


def test_lldb_reads_the_core(lldb: Lldb, tmp_path: Path) -> None:
    program, core = compile_program("crash"), tmp_path / "core"
    expect(save(lldb, core, program, "process launch"), "stop reason = signal SIGSEGV")
    read = lldb(f"target create {program} --core {core}", "thread backtrace", "frame variable where", "image list")
    expect(read, "stop reason = .*SIGSEGV", r"frame #0: .*`crash\(where=0x0+1234\)", r"frame #1: .*`main", "0x0+1234")
    expect(read, "crash", "libc.so.6")


def test_vector_registers_are_in_it(lldb: Lldb, gdb: Gdb, tmp_path: Path) -> None:
    program, core = compile_program("crash"), tmp_path / "core"
    value = "{0x01 0x02 0x03 0x04 0x05 0x06 0x07 0x08 0x09 0x0a 0x0b 0x0c 0x0d 0x0e 0x0f 0x10}"
    save(lldb, core, program, "process launch", f'register write xmm3 "{value}"', "register write r12 0x1122")
    out = gdb(f"core-file {core}", "print $xmm3.v16_int8", "print/x $r12", program=program)
    expect(printed(out, "print $xmm3.v16_int8"), r"\{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16\}")
    assert printed(out, "print/x $r12").endswith("= 0x1122")


@pytest.mark.parametrize("lldb", ["lldb23"], indirect=True)
def test_a_32_bit_core(lldb: Lldb, gdb: Gdb, tmp_path: Path) -> None:
    core = tmp_path / "core"
    save(lldb, core, PROGRAM_32, "breakpoint set -n add", "process launch")
    out = gdb(f"core-file {core}", "backtrace", "print $eip == add", "print/x $eax", program=PROGRAM_32)
    expect(printed(out, "backtrace"), r"^#0 .*add \(", "^#1 ")


@pytest.mark.parametrize("lldb", ["lldb23"], indirect=True)
def test_readelf_finds_nothing_wrong(lldb: Lldb, tmp_path: Path) -> None:
    core = tmp_path / "core"
    save(lldb, core, compile_program("crash"), "process launch")
    read = subprocess.run(["readelf", "-hlnW", core], capture_output=True, text=True, check=True, timeout=20)
    assert "Warning" not in read.stderr
    assert "Error" not in read.stderr
    for note in ("NT_PRSTATUS", "NT_PRPSINFO", "NT_SIGINFO", "NT_AUXV", "NT_FILE", "NT_FPREGSET"):
        assert note in read.stdout


@pytest.mark.parametrize("lldb", ["lldb23"], indirect=True)
def test_no_file_is_overwritten_on_the_way(lldb: Lldb, tmp_path: Path) -> None:
    """LLDB itself overwrites what its user named, with what it has fetched."""
    core = tmp_path / "core"
    core.write_text("something else")
    save(lldb, core, compile_program("crash"), "process launch")
    assert core.read_bytes().startswith(b"\x7fELF")
