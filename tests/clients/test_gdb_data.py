"""Registers, memory and called functions, as a user of GDB reads and writes them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.gdb import expect, printed
from tests.support.programs import SOURCES, compile_program

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.gdb import Gdb
    from tests.support.server import Server

needs_avx = pytest.mark.skipif(" avx " not in Path("/proc/cpuinfo").read_text(), reason="this CPU has no AVX")


def test_general_registers(debug: Callable[..., str]) -> None:
    out = debug(
        "steps",
        "break *add",
        "continue",
        "info registers rip",
        "print $rdi",
        "print $esi",
        "print $eflags",
        "print (long)$orig_rax",
        "set var $rdi = 30",
        "set var $rsi = 0x1200000001",
        "print/x $sil",
        "info registers",
        "tbreak twice",
        "continue",
        "print n",
    )
    expect(
        out, r"^rip +0x[0-9a-f]+ +0x[0-9a-f]+ <add", r"= 1$", r"= 2$", r"= \[.*IF.*\]", r"= -1$", r"= 0x1$", r"= 31$"
    )
    names = printed(out, "info registers")
    assert {"rax", "r15", "eflags", "cs"} <= {line.split()[0] for line in names.splitlines()}


@needs_avx
def test_vector_and_x87_registers(gdb: Gdb, serve: Callable[..., Server]) -> None:
    program = compile_program("vectors")
    with serve(program) as server:
        out = gdb.remote(
            server.address,
            "break *stopped",
            "continue",
            "print $ymm0.v8_int32",
            "print $xmm0.v4_int32",
            "print $st0",
            "print $mxcsr",
            "print/x $fctrl",
            "info float",
            "set var $ymm0.v8_int32[7] = 88",
            "set var $xmm0.v4_int32[0] = 11",
            "set var $st0 = 0.125",
            "print $ymm0.v8_int32",
            "print $fs_base != 0",
            "stepi",
            "print $ymm0.v8_int32",
            "print $st0",
            "continue",
            program=program,
        )
        server.wait()
        assert server.output.text == "11 5 88 0.125\n"
    expect(out, r"= \{1, 2, 3, 4, 5, 6, 7, 8\}", r"= \{1, 2, 3, 4\}", r"= 2\.5", r"= \[ .*IM", r"= 0x37f")
    changed = r"= \{11, 2, 3, 4, 5, 6, 7, 88\}"
    expect(out, r"=>R7: Valid", changed, r"= 1$", changed, r"= 0\.125", r"exited normally")


def test_x87_control_and_segments(debug: Callable[..., str]) -> None:
    out = debug(
        "vectors",
        "break *stopped",
        "continue",
        "set var $fctrl = 0x27f",
        "set var $mxcsr = 0x1fa0",
        "stepi",
        "print/x $fctrl",
        "print/x $mxcsr",
        "print/x $cs",
        "print $fs_base == *(long *)$fs_base",
        "continue",
    )
    expect(out, r"= 0x27f", r"= 0x1fa0", r"= 0x33", r"= 1$", r"exited normally")


def test_find_dump_restore_and_compare_sections(debug: Callable[..., str], tmp_path: Path) -> None:
    out = debug(
        "steps",
        "tbreak main",
        "continue",
        "find &text, +sizeof text, 'n', 'e', 'e', 'd', 'l', 'e'",
        'find &text, +sizeof text, "hay"',
        "find /b &text, +sizeof text, (char)7",
        f"dump binary memory {tmp_path}/text text text+sizeof(text)",
        "set var text[0] = 'm'",
        f"restore {tmp_path}/text binary text",
        "print text",
        "compare-sections .text",
        "compare-sections .rodata",
        "set var *(char *)add = 0x90",
        "compare-sections .text",
        flags=("-no-pie",),  # GDB compares at the addresses in the file
    )
    assert (tmp_path / "text").read_bytes() == b"hay hay needle hay needle hay\0"
    expect(
        out, r"<text\+8>", r"<text\+19>", r"2 patterns found", r"<text\+26>", r"1 pattern found", r"Pattern not found"
    )
    expect(out, r"Restoring binary file", r'= "hay hay', r"\.text.*: matched", r"\.rodata.*: matched")
    expect(out, r"\.text.*: MIS-MATCHED!")


def test_unreadable_memory(debug: Callable[..., str]) -> None:
    out = debug("steps", "tbreak main", "continue", "x/4x 0x10", "set var *(int *)16 = 1", "print *argv", "x/s *argv")
    expect(out, r"Cannot access memory at address 0x10", r"Cannot access memory at address 0x10", r'/steps"')


def test_call_functions(debug: Callable[..., str]) -> None:
    out = debug(
        "steps",
        "break twice",
        "continue",
        "print add(40, n)",
        "print factorial(10)",
        "call (void)count(2)",
        "print counter",
        'print (int)strlen("12345")',
        "print sizeof(int) * add(add(1, 2), 3)",
        "break factorial if n == 2",
        "print factorial(3)",
        "bt",
        "finish",
        "delete",
        "continue",
        "continue",
    )
    expect(
        out,
        r"= 43",
        r"= 3628800",
        r"= 6",
        r"= 5",
        r"= 24",
        r"being debugged stopped while in a function called from GDB",
    )
    expect(out, r"#0  factorial \(n=2\)", r"<function called from gdb>", r"= 2$", r"exited with code 07")


def test_call_that_crashes_is_unwound(debug: Callable[..., str]) -> None:
    out = debug(
        "crash",
        "break main",
        "continue",
        "set unwindonsignal on",
        "print crash((int *)8)",
        "bt",
        "print crash((int *)($sp - 256))",
        "continue",
    )
    expect(out, r"unwound|restored", r"^#0  main", r"SIGSEGV", r"^#0 .*crash|crash \(where=0x1234\)")


def test_list_and_disassemble(debug: Callable[..., str]) -> None:
    out = debug("steps", "break add", "continue", "list twice", "disassemble /s add", "info source", "info frame")
    expect(out, r"int doubled", r"Dump of assembler code for function add", r"=> 0x", r"End of assembler dump")
    assert str(SOURCES / "steps.c") in printed(out, "info source")
    expect(printed(out, "info frame"), r"rip = 0x[0-9a-f]+ in add", r"saved rip = 0x", r"caller of|called by frame")
