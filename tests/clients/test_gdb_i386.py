"""GDB debugs 32-bit programs: from the start, by attaching, and where a program of the other kind takes over."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.gdb import expect, printed
from tests.support.i386 import FREESTANDING, PROGRAM
from tests.support.processes import Output, end_process, is_stopped, status, wait_until
from tests.support.programs import compile_program

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.gdb import Gdb
    from tests.support.server import Server

    Debug = Callable[..., str]


@pytest.fixture
def debug32(debug: Debug) -> Debug:
    """`debug` of the 32-bit program: its arguments, then GDB commands."""

    def run(arguments: tuple[str, ...], *commands: str) -> str:
        return debug("i386", *commands, arguments=arguments, flags=FREESTANDING)

    return run


def test_everyday_debugging(debug32: Debug) -> None:
    out = debug32(
        (),
        "break add",
        "continue",
        "print $_siginfo.si_signo",
        "backtrace",
        "finish",
        "delete",
        "print add(5, 6)",
        "print counter * ratio",
        "show architecture",
        "next",
        "stepi",
        "x/i $pc",
        "continue",
    )
    expect(
        out,
        r"Breakpoint 1, add \(a=1, b=2\)",
        r"^\$1 = 5$",
        r"#1 .* in main",
        r"Value returned is \$\d+ = 3",
        r"= 11$",
        r"= 3$",
        r"i386",
        r"^\d+\s+add\(3, 4\);",
        r"=> 0x.*:",
        r"exited with code 03",
    )


def test_registers(debug32: Debug) -> None:
    out = debug32(
        (),
        "break add",
        "continue",
        "set var $xmm3.v4_float = {1.5, 2.5, 3.5, 4.5}",
        "set var $st0 = 2.25",
        "set var $esi = 0x87654321",
        "stepi",
        "print $xmm3.v4_float",
        "print $st0",
        "print/x $esi",
        "print $orig_eax",
        "info registers eflags",
        "print/x $i386_tls_gdt_0[0]",
        "print/x $gs >> 3",
    )
    expect(out, r"= \{1\.5, 2\.5, 3\.5, 4\.5\}", r"= 2\.25", r"= 0x87654321", r"= -1", r"eflags .*\[.*IF.*\]", r"= 0xc")


def test_watching_eight_bytes(debug32: Debug) -> None:
    out = debug32((), "watch wide", "continue", "continue", "info watchpoints", "delete", "continue")
    expect(out, r"Hardware watchpoint 1: wide", r"Old value = 0$", r"New value = 1$", r"New value = 4294967297")


@pytest.mark.beyond_gnu("it needs a libthread_db that fits the program's C library")
def test_thread_local_variables_of_each_thread(debug32: Debug) -> None:
    out = debug32(
        ("threads",),
        "break arrived",
        "continue",
        "print own_number",
        "continue",
        "print own_number",
        "thread 1",
        "print own_number",
        "delete",
        "continue",
    )
    found = re.findall(r"^\$\d = (\d+)$", out, re.MULTILINE)
    assert sorted(found[:2]) == ["10", "20"]
    assert found[2:] == ["7"]
    expect(out, r"exited with code 02")


@pytest.mark.beyond_gnu("it takes the first entry that it sees for a return")
def test_system_calls_by_their_names(debug32: Debug) -> None:
    out = debug32((), "catch syscall write", "continue", "continue", "delete", "continue")
    expect(out, r"call to syscall.* write", r"returned from syscall.* write", r"exited with code 02")


def test_signals_and_their_details(debug32: Debug) -> None:
    out = debug32(
        ("signals",),
        "continue",
        "continue",
        "print/x $_siginfo._sifields._rt.si_sigval.sival_int",
        "break on_signal",
        "continue",
        "backtrace",
        "delete",
        "continue",
    )
    expect(
        out,
        r"SIGUSR1",
        r"SIGUSR2",
        r"= 0x12345678",
        r"Breakpoint \d, on_signal \(number=12",
        r"#1 .*signal handler called",
        r"#2 .*call \(number=178",
        r"exited with code",
    )


def test_a_crash(debug32: Debug) -> None:
    out = debug32(("fault",), "continue", "print $_siginfo._sifields._sigfault.si_addr", "backtrace")
    expect(out, r"SIGSEGV", r"\(void \*\) 0x10", r"#0 .*main")


@pytest.mark.parametrize("mode", ["same", "new"])
def test_exec_from_64_to_32_bits_and_back(gdb: Gdb, serve: Callable[..., Server], mode: str) -> None:
    first = compile_program("executes")
    last = compile_program("steps")
    out = gdb.remote(
        serve(first, PROGRAM, "execute", last).address,
        f"set follow-exec-mode {mode}",
        "break main",
        "continue",
        "continue",
        "print sizeof(long)",
        "print $eip",
        "break add",
        "continue",
        "backtrace",
        "delete 2",
        "continue",
        "print sizeof(long)",
        "print $rip",
        "info inferiors",
        "delete",
        "continue",
        program=first,
    )
    expect(
        out,
        r"executing new program: .*/i386",
        r"main .*i386\.c",
        r"= 4$",
        r"main",
        r"add \(a=1, b=2\)",
        r"executing new program: .*/steps",
        r"main .*steps\.c",
        r"= 8$",
        r"main",
        r"exited with code 07",
    )
    assert printed(out, "info inferiors").count("\n") == {"same": 1, "new": 3}[mode]


def test_attach_and_detach(gdb: Gdb, multi_server: Server) -> None:
    process = subprocess.Popen([PROGRAM, "turn"], stdout=subprocess.PIPE)
    assert process.stdout is not None
    output = Output(process.stdout)
    try:
        output.wait_for("ready")
        out = gdb.remote(
            multi_server.address,
            f"attach {process.pid}",
            "print $eip > 0",
            "print wide",
            "watch turns",
            "continue",
            "backtrace",
            "delete",
            "detach",
            extended=True,
            program=PROGRAM,
        )
        expect(out, r"= 1$", r"= 8589934594", r"Hardware watchpoint", r"New value", r"#0 .*main", r"detached\]")
        assert status(process.pid, "TracerPid") == "0"
        wait_until(lambda: not is_stopped(process.pid, process.pid), "the program turns on")
    finally:
        end_process(process)
        output.close()


def test_conditions(debug32: Debug) -> None:
    """Registers are of 32 bits, the arithmetic is of 64."""
    out = debug32(
        (),
        "set breakpoint condition-evaluation target",
        "break main",
        "continue",
        "break add if (a < b && counter >= 0 && $esp > 0x7fffffff) || $eax == -1",
        "set debug remote 1",
        "continue",
        "set debug remote 0",
        "info breakpoints",
        "print a < b",
    )
    expect(out, r"stop only if .*\(target evals\)", r"\$1 = 1$")
