"""Threads, as a user of LLDB sees them. `pytest --server lldb` runs the same with lldb-server."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.support.gdb import expect
from tests.support.programs import compile_program

if TYPE_CHECKING:
    from tests.support.lldb import Lldb

LAUNCH = "process launch -i /dev/null"


def test_the_list_of_threads(lldb: Lldb) -> None:
    out = lldb("breakpoint set -n ready", LAUNCH, "thread list", "process kill", program=compile_program("threads"))
    names = re.findall(r"thread #\d+: tid = .*?name = '([\w-]+)'", out)
    assert sorted(names) == [*(f"counter-{number}" for number in range(4)), "threads"]
    expect(out, r"\* thread #1: tid = .*stop reason = breakpoint 1\.1")
    assert out.count("stop reason = breakpoint") == 2


def test_backtraces_of_all_threads_through_the_c_library(lldb: Lldb) -> None:
    out = lldb(
        "breakpoint set -n ready", LAUNCH, "thread backtrace all", "process kill", program=compile_program("threads")
    )
    assert len(re.findall(r"frame #\d+: .*`counting\(", out)) == 4
    expect(out, "frame #0: .*`ready", "frame #1: .*`main", "libc.so.6`__libc_start_main")


def test_one_thread_is_stepped_and_the_others_are_not(lldb: Lldb) -> None:
    out = lldb(
        "breakpoint set -n work",
        LAUNCH,
        "breakpoint disable",
        "expression -- turns[0] + turns[1] + turns[2] + turns[3]",
        "thread step-over -m this-thread",
        "thread step-out -m this-thread",
        "expression -- turns[0] + turns[1] + turns[2] + turns[3]",
        "expression -- done = 1",
        "continue",
        program=compile_program("threads"),
    )
    before, after = map(int, re.findall(r"\(long\) \$\d = (\d+)", out))
    assert after == before + 1
    expect(out, "exited with status = 0 ")


def test_a_breakpoint_of_one_thread(lldb: Lldb) -> None:
    out = lldb(
        "breakpoint set -n ready",
        LAUNCH,
        "breakpoint set -n work -T counter-2",
        "continue",
        "thread list",
        "process kill",
        program=compile_program("threads"),
    )
    expect(out, r"name = 'counter-2', stop reason = breakpoint 2\.1\n.*`work\(number=2\)")


def test_a_call_in_a_thread_that_sleeps(lldb: Lldb) -> None:
    """The system call that it sleeps in goes on afterwards as if nothing had been."""
    out = lldb(
        "breakpoint set -n checkpoint",
        LAUNCH,
        "breakpoint disable",
        "thread select 2",
        "expression -- call(41)",
        "thread select 3",
        "expression -- call(51)",
        "continue",
        program=compile_program("asleep"),
    )
    expect(out, r"\$0 = 42", r"\$1 = 52", "exited with status = 0 ")


def test_a_watchpoint_in_another_thread(lldb: Lldb) -> None:
    out = lldb(
        "breakpoint set -n main",
        LAUNCH,
        "watchpoint set expression -w write -s 8 -- &cells[7]",
        "continue",
        "process kill",
        program=compile_program("watched"),
    )
    expect(out, r"thread #[2-9]\d*, name = 'watched', stop reason = watchpoint 1")
