"""Registers, memory and expressions, as a user of LLDB sees them. `pytest --server lldb` runs the same with
lldb-server."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.gdb import expect
from tests.support.i386 import PROGRAM as I386
from tests.support.programs import compile_program

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.lldb import Lldb

STEPS = compile_program("steps")
LAUNCH = "process launch -i /dev/null"
AT_ADD = ("breakpoint set -n add", LAUNCH)


def printed(output: str, command: str) -> str:
    """What was printed between a command and the next one."""
    _, found, rest = output.partition(f"(lldb) {command}\n")
    assert found, f"no command {command!r} in:\n{output}"
    return rest.partition("\n(lldb) ")[0]


def test_all_registers(lldb: Lldb) -> None:
    out = printed(lldb(*AT_ADD, "register read --all", program=STEPS), "register read --all")
    values = dict(re.findall(r"^ *(\w+) = (\S+)", out, re.MULTILINE))
    assert re.search("General Purpose Registers:", out)
    assert int(values["rip"], 16) > int(values["eax"], 16) >= int(values["al"], 16)
    assert values["edi"] == values["rdi"][:2] + values["rdi"][-8:]
    for name in ("st0", "xmm0", "mxcsr", "fctrl", "fs_base", "r15"):
        assert name in values
    assert "unavailable" not in out


def test_general_registers_are_written(lldb: Lldb) -> None:
    out = lldb(
        *AT_ADD,
        "register write rbx 0x1122334455667788",
        "register read rbx ebx bx bh bl",
        "thread step-inst",
        "register write rdx 40",
        "thread step-over",
        "frame variable sum",
        program=STEPS,
    )
    expect(out, "rbx = 0x1122334455667788", "ebx = 0x55667788", "bx = 0x7788", "bh = 0x77", "bl = 0x88", "sum = 42")


def test_names_by_use(lldb: Lldb) -> None:
    out = lldb(*AT_ADD, "register read pc sp fp flags arg1 arg2 rflags", program=STEPS)
    expect(out, "rip = .*`add", "rsp = ", "rbp = ", "flags = ", "rdi = 0x0*1$", "rsi = 0x0*2$", "flags = ")


def test_vector_registers(lldb: Lldb) -> None:
    """What a user writes, the program finds there."""
    value = " ".join(str(byte) for number in (77, 2, 3, 4, 55, 6, 7, 88) for byte in number.to_bytes(4, "little"))
    out = lldb(
        "breakpoint set -K false -n stopped",
        LAUNCH,
        "register read xmm0 ymm0",
        f"register write ymm0 '{{{value}}}'",
        "register read xmm0",
        "breakpoint disable",
        "continue",
        program=compile_program("vectors"),
    )
    first = r"0x01 0x00 0x00 0x00 0x02 0x00 0x00 0x00 0x03 0x00 0x00 0x00 0x04 0x00 0x00 0x00"
    expect(out, f"xmm0 = {{{first}}}", f"ymm0 = {{{first} 0x05", "xmm0 = {0x4d 0x00", "77 55 88 2.5")


def test_memory_is_read_found_and_written(lldb: Lldb) -> None:
    out = lldb(
        *AT_ADD,
        "memory read --format x --size 4 --count 4 &table[0]",
        "memory find -s needle -c 2 -- &text[0] &text[29]",
        "memory write -s 4 &limit 100",
        "breakpoint delete -f 1",
        "breakpoint set -n compare",
        "continue",
        "target variable counter",
        program=STEPS,
    )
    expect(
        out, "0x00000003 0x00000001 0x00000004 0x00000001", "data found at location: 0x", "data found at location: 0x"
    )
    expect(out, r"stop reason = breakpoint 2", "counter = (1280|500)")


def test_regions(lldb: Lldb) -> None:
    out = lldb(
        *AT_ADD, "memory region $pc", "memory region $sp", "memory region 0", "memory region &counter", program=STEPS
    )
    expect(out, rf"\) r-x {re.escape(str(STEPS))}", r"\) rw- \[stack\]", r"\[0x0+-0x[0-9a-f]+\) ---", r"\) rw- ")


@pytest.mark.parametrize("program", [STEPS, I386], ids=["64", "32"])
def test_all_regions(lldb: Lldb, program: Path) -> None:
    if lldb.version < 23:
        pytest.skip("needs LLDB 23, which has --all")
    out = lldb("process launch --stop-at-entry", "memory region --all", "process kill", program=program)
    listed = re.findall(r"^\[(0x\w+)-(0x\w+)\)", printed(out, "memory region --all"), re.MULTILINE)
    assert [start for start, _ in listed[1:]] == [end for _, end in listed[:-1]]
    assert listed[0][0] == "0x" + "0" * 16
    assert listed[-1][1] == "0x" + "f" * 16


def test_an_expression_that_calls(lldb: Lldb) -> None:
    out = lldb(
        *AT_ADD,
        "breakpoint disable",
        "expression factorial(6) + twice(a)",
        "expression int $sum = 0; for (int i = 0; i < 4; i++) $sum += table[i]; $sum",
        'expression (int)printf("printed by %s\\n", "us")',
        "expression (unsigned long)strlen(text)",
        "continue",
        program=STEPS,
    )
    expect(
        out,
        r"\(int\) \$0 = 722",
        r"\(int\) \$1 = 9",
        r"\$2 = 14",
        r"\(unsigned long\) \$3 = 29",
        "exited with status = 7 ",
    )
    assert "printed by us" in out


def test_an_expression_that_crashes_leaves_everything_as_it_was(lldb: Lldb) -> None:
    program = compile_program("crash")
    out = lldb(
        "breakpoint set -n crash",
        LAUNCH,
        "expression crash((int *)8)",
        "register read rdi",
        "thread backtrace",
        program=program,
    )
    expect(out, r"stop reason = breakpoint 1\.1", "error: .*(signal SIGSEGV|invalid address)", "rdi = 0x0*1234$")
    expect(printed(out, "thread backtrace"), "frame #0: .*`crash", "frame #1: .*`main")


def test_an_expression_that_throws_leaves_everything_as_it_was(lldb: Lldb, tmp_path: Path) -> None:
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("g++ is not installed")
    source = tmp_path / "throws.cc"
    source.write_text("int guard(int n) { if (n < 0) throw n; return n; }\nint main() { return guard(3); }\n")
    program = tmp_path / "throws"
    subprocess.run([compiler, "-g", "-O0", source, "-o", program], check=True, timeout=60)
    out = lldb(
        "breakpoint set -n guard",
        LAUNCH,
        "breakpoint disable",
        "expression guard(-1)",
        "thread backtrace",
        "expression guard(4)",
        "continue",
        program=program,
    )
    expect(out, "error: ", "frame #0: .*`guard", "frame #1: .*`main", r"\$\d = 4", "exited with status = 3 ")


def test_an_expression_that_meets_a_breakpoint(lldb: Lldb) -> None:
    out = lldb(
        "breakpoint set -n main",
        LAUNCH,
        "breakpoint set -n add",
        "expression -i false -- twice(4)",
        "thread backtrace",
        program=STEPS,
    )
    expect(out, "error: .*(interrupted|hit a breakpoint).*breakpoint 2", "frame #0: .*`add", "frame #1: .*`twice")


def test_the_return_value_can_be_replaced(lldb: Lldb) -> None:
    out = lldb(*AT_ADD, "breakpoint disable", "thread return 39", "continue", program=STEPS)
    expect(out, "exited with status = 79 ")


def test_siginfo(lldb: Lldb) -> None:
    program = compile_program("crash")
    out = lldb(LAUNCH, "thread siginfo", "process kill", program=program)
    if "not a valid command" in out:
        pytest.skip("this LLDB has no `thread siginfo`")
    expect(out, "stop reason = signal SIGSEGV", "si_signo = 11", "si_code = 1", r"si_addr = 0x0*1234")
