"""Breakpoints, watchpoints and steps of a single thread, as a user of GDB gives them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.support.gdb import expect, printed
from tests.support.programs import compile_program, line_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.gdb import Gdb
    from tests.support.server import Server


def line(text: str) -> int:
    return line_of("steps", f"/* {text} */")


def test_break_and_tbreak(debug: Callable[..., str]) -> None:
    out = debug("steps", "break add", "tbreak main", "continue", "continue", "bt", "continue", "info breakpoints")
    expect(
        out,
        r"Temporary breakpoint 2, main \(argc=1",
        r"Breakpoint 1, add \(a=1, b=2\)",
        rf"#1 .* main \(.*\) at .*steps\.c:{line('first')}",
        r"Breakpoint 1, add \(a=3, b=3\)",
        r"breakpoint already hit 2 times",
    )
    assert "del" not in printed(out, "info breakpoints")


def test_conditional_break_and_ignore_count(debug: Callable[..., str]) -> None:
    counting = line("counting")
    out = debug(
        "steps",
        f"break {counting} if i == 3",
        "break factorial",
        "ignore 2 3",
        "continue",
        "print n",
        "delete 2",
        "continue",
        "print i",
        "print counter",
    )
    expect(out, r"Breakpoint 2, factorial \(n=2\)", r"\$1 = 2", rf"Breakpoint 1, count .*:{counting}", r"= 3", r"= 9")


def test_next_step_finish_until_advance(debug: Callable[..., str]) -> None:
    out = debug(
        "steps",
        f"break {line('first')}",
        "continue",
        "next",
        "step",
        "finish",
        "next",
        "next",
        "step",
        "next",
        "next",
        f"until {line('fifth')}",
        f"advance {line('last')}",
        "print second",
    )
    assert f"{line('second')}\t" in printed(out, "next")
    expect(
        out,
        r"^twice \(n=3\)",
        r"Value returned is .* = 6",
        rf"^{line('third')}\t",
        rf"^{line('fourth')}\t",
        r"^count \(times=5\)",
        rf"^{line('counting')}\t",
        rf":{line('fifth')}$",
        rf":{line('last')}$",
        r"= 6",
    )


def test_stepi_and_nexti(debug: Callable[..., str]) -> None:
    out = debug(
        "steps",
        "break *add",
        "continue",
        "print $pc == (long)&add",
        "stepi",
        "print $pc > (long)&add && $pc <= (long)&add + 4",
        "up",
        "tbreak *$pc",
        "continue",
        "print $pc == (long)&add",
        "info symbol $pc",
        "stepi 3",
        "nexti 2",
        "info line",
    )
    expect(
        out, r"\$1 = 1", r"\$2 = 1", r"Temporary breakpoint 2, .* main", r"\$3 = 0", r"main \+ \d+ in section \.text"
    )
    assert "exited" not in out


def test_backtrace_through_the_library_and_recursion(debug: Callable[..., str]) -> None:
    out = debug("steps", f"break {line('innermost')}", "break compare", "continue", "bt", "continue", "bt", "finish")
    frames = printed(out, "bt")
    assert [f"factorial (n={n})" in frames for n in range(1, 6)] == [True] * 5
    expect(out, r"Breakpoint 2, compare", r"^#0  compare", r" in |__GI_", rf"main .*:{line('fifth')}")
    expect(out, r"^\(gdb\) finish", r"Value returned is .* = 2$")


def test_watchpoints(debug: Callable[..., str]) -> None:
    out = debug(
        "steps",
        "tbreak count",
        "continue",
        "watch counter",
        "continue",
        "continue",
        "delete 2",
        "rwatch limit",
        "continue",
        "delete 3",
        "awatch counter",
        "continue",
        "continue",
        "delete 4",
        "continue",
    )
    expect(
        out,
        r"^Hardware watchpoint 2: counter",
        r"Old value = 0\nNew value = 3",
        r"Old value = 3\nNew value = 6",
        r"Hardware read watchpoint 3: limit\n\nValue = 3",
        r"Hardware access \(read/write\) watchpoint 4: counter\n\nOld value = 6\nNew value = 9",
        r"watchpoint 4: counter\n\nValue = 9",
        r"exited with code 07",
    )


def test_conditional_and_local_watchpoints(debug: Callable[..., str]) -> None:
    out = debug(
        "steps",
        "watch counter if counter > 8",
        "continue",
        "delete",
        "tbreak twice",
        "tbreak compare",
        "jump main",
        "watch doubled",
        "continue",
        "continue",
    )
    expect(
        out, r"New value = 9", r"twice \(n=3\)", r"New value = 6", r"deleted because|went out of scope|which its|frame"
    )


def test_hardware_breakpoints_and_a_fifth_watchpoint(debug: Callable[..., str]) -> None:
    out = debug(
        "steps",
        "hbreak add",
        "thbreak factorial",
        "continue",
        "bt 1",
        "continue",
        "continue",
        "delete",
        *(f"watch table[{i}]" for i in range(4)),
        "watch counter",
        "continue",
    )
    expect(out, r"Breakpoint 1, add \(a=1", r"Breakpoint 1, add \(a=3", r"breakpoint 2, factorial \(n=5\)")
    expect(out, r"Hardware watchpoint 7: counter", r"Could not insert hardware (watchpoint|breakpoint)|[Tt]oo many")


def test_no_trap_bytes_in_memory(debug: Callable[..., str]) -> None:
    compare = "x/4i add", "x/8xb add"
    out = debug("steps", *compare, "set breakpoint always-inserted on", "break *add", "echo --inserted--\\n", *compare)
    before, after = out.split("--inserted--", 1)
    for command in compare:
        assert printed(before, command) == printed(after, command)
        assert "int3" not in printed(after, command)


def test_display_printf_dprintf_and_commands(debug: Callable[..., str]) -> None:
    counting = line("counting")
    out = debug(
        "steps",
        f'dprintf {counting},"turn %d of %d\\n", i, times',
        f"break {line('fifth')}",
        "display counter",
        "continue",
        'printf "ratio %.2f, %s\\n", ratio, text',
        "undisplay 1",
        "next",
    )
    expect(out, *(rf"turn {i} of 5" for i in range(5)), r"1: counter = 15", r"ratio 1\.50, hay hay")
    assert "1: counter" not in printed(out, "next")


def test_dprintf_printed_by_the_debuggee(debug: Callable[..., str]) -> None:
    out = debug(
        "steps",
        "set dprintf-style call",
        f'dprintf {line("counting")},"turn %d\\n", i',
        f"break {line('last')}",
        "continue",
        "info breakpoints",
    )
    expect(out, r"Breakpoint 2, main", r"already hit 5 times")


def test_return_jump_and_set_var(debug: Callable[..., str]) -> None:
    out = debug(
        "steps",
        "break add",
        "continue",
        "return 40",
        "next",
        "print first",
        "set var first = 20",
        "delete",
        f"tbreak {line('fourth')}",
        f"jump {line('second')}",
        "print second",
        "set var limit = 100",
        f"tbreak {line('last')}",
        "continue",
        "print counter",
        "set var argc = 1",
        "continue",
    )
    expect(out, r"\$1 = 40", r"\$2 = 40", r"\$3 = 500", r"exited with code 051")


def test_software_watchpoint(debug: Callable[..., str]) -> None:
    """GDB steps instruction by instruction until the value changes."""
    out = debug(
        "steps",
        "set can-use-hw-watchpoints 0",
        "break count",
        "continue",
        "watch counter",
        "continue",
        "continue",
        "delete",
        "continue",
    )
    expect(out, r"^Watchpoint 2: counter", r"^New value = 3$", r"^New value = 6$", r"exited with code 07")


def test_record_and_reverse(debug: Callable[..., str]) -> None:
    out = debug(
        "steps",
        "break count",
        "continue",
        "print $rip",
        "record",
        *["next"] * 4,
        "print counter",
        "reverse-next",
        "reverse-continue",
        "print $rip",
        "record stop",
        "delete",
        "continue",
    )
    expect(out, r"= 6$", rf"^{line('counting')}\t", r"reverse-execution history|recorded history|Breakpoint 1, count")
    expect(out, r"Process record is stopped", r"exited with code 07")
    start, end = re.findall(r"^\$\d+ = (\(void.*)$", out, re.MULTILINE)
    assert start == end


def test_old_packets(gdb: Gdb, serve: Callable[..., Server]) -> None:
    """GDB falls back to `c`, `s`, `g`, `G`, `M` and `m` where it is told that the newer packets are not there."""
    program = compile_program("steps")
    packets = "verbose-resume", "set-register", "fetch-register", "binary-download", "binary-upload", "noack", "threads"
    out = gdb(
        *(f"set remote {packet}-packet off" for packet in packets),
        f"target remote {serve(program).address}",
        "break add",
        "continue",
        "set var a = 20",
        "set var $rsi = 5",
        "stepi",
        "next",
        "print sum",
        "print factorial(4)",
        "watch counter",
        "continue",
        "continue",
        "info threads",
        "delete",
        "continue",
        program=program,
    )
    expect(out, r"Breakpoint 1, add \(a=1, b=2\)", r"= 22$", r"= 24$", r"Breakpoint 1, add", r"New value = 3$", r"code")
