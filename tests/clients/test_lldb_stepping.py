"""Breakpoints, steps and watchpoints, as a user of LLDB gives them. `pytest --server lldb` runs the same with
lldb-server."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

from tests.support.gdb import expect
from tests.support.programs import compile_program, line_of

if TYPE_CHECKING:
    from tests.support.lldb import Lldb

STEPS = compile_program("steps")
LAUNCH = "process launch -i /dev/null"


def line(text: str) -> int:
    return line_of("steps", f"/* {text} */")


def test_breakpoints_by_name_line_and_regular_expression(lldb: Lldb) -> None:
    out = lldb(
        "breakpoint set -n twice",
        f"breakpoint set -f steps.c -l {line('counting')}",
        "breakpoint set -r '^fact'",
        LAUNCH,
        "continue",
        "breakpoint disable 3",
        "continue",
        "breakpoint list",
        program=STEPS,
    )
    expect(
        out,
        r"stop reason = breakpoint 1\.1\n.*`twice\(n=3\) at steps\.c",
        r"stop reason = breakpoint 3\.1\n.*`factorial\(n=5\)",
        rf"stop reason = breakpoint 2\.1\n.*`count\(times=5\) at steps\.c:{line('counting')}",
        r"1: name = 'twice'.*hit count = 1",
        r"3: regex = '\^fact'.*disabled",
    )


def test_a_breakpoint_by_address_and_one_that_is_there_once(lldb: Lldb) -> None:
    program = compile_program("steps", "-no-pie")
    out = lldb(
        "breakpoint set -o true -n main",
        LAUNCH,
        "breakpoint set -a `(long)&add`",
        "continue",
        "continue",
        program=program,
    )
    expect(
        out,
        r"stop reason = (one-shot )?breakpoint 1",
        "`main",
        r"stop reason = breakpoint 2\.1\n.*`add",
        "2\\.1\n.*`add",
    )


def test_conditions_and_ignored_hits(lldb: Lldb) -> None:
    out = lldb(
        f"breakpoint set -f steps.c -l {line('counting')} -c 'i == 3'",
        "breakpoint set -n factorial -i 2",
        LAUNCH,
        "frame variable n",
        "breakpoint disable 2",
        "continue",
        "frame variable i",
        "target variable counter",
        program=STEPS,
    )
    expect(
        out,
        r"stop reason = breakpoint 2\.1",
        r"\(int\) n = 3",
        r"stop reason = breakpoint 1\.1",
        r"i = 3",
        "counter = 9",
    )


def test_step_over_in_and_out(lldb: Lldb) -> None:
    out = lldb(
        f"breakpoint set -f steps.c -l {line('first')}",
        LAUNCH,
        "thread step-over",
        "thread step-in",
        "thread step-out",
        "thread step-over",
        "thread step-over",
        "thread step-in",
        program=STEPS,
    )
    expect(
        out,
        rf"stop reason = step over\n.*`main.*steps\.c:{line('second')}",
        r"stop reason = step in\n.*`twice\(n=3\)",
        r"stop reason = step out\n(?:.*\n)*?.*`main",
        rf"stop reason = step over\n.*steps\.c:{line('third')}",
        rf"stop reason = step over\n.*steps\.c:{line('fourth')}",
        r"stop reason = step in\n.*`count\(times=5\)",
    )


def test_a_step_over_a_call_that_meets_a_breakpoint(lldb: Lldb) -> None:
    out = lldb(
        f"breakpoint set -f steps.c -l {line('second')}",
        LAUNCH,
        "breakpoint set -n add",
        "thread step-over",
        "thread step-out",
        "thread step-out",
        program=STEPS,
    )
    expect(
        out,
        r"stop reason = breakpoint 2\.1\n.*`add\(a=3, b=3\)",
        r"step out\n(?:.*\n)*?.*`twice",
        r"step out\n(?:.*\n)*?.*`main",
    )


def test_steps_of_one_instruction(lldb: Lldb) -> None:
    out = lldb("breakpoint set -n add", LAUNCH, *["thread step-inst"] * 3, "thread step-inst-over", program=STEPS)
    places = [int(place, 16) for place in re.findall(r"frame #0: (0x[0-9a-f]+) steps`add", out)]
    assert len(places) == 5
    assert all(0 < after - before < 16 for before, after in pairwise(places)), places
    assert out.count("stop reason = instruction step") == 4


def test_until_and_a_jump(lldb: Lldb) -> None:
    out = lldb(
        f"breakpoint set -f steps.c -l {line('first')}",
        LAUNCH,
        f"thread until {line('fourth')}",
        "frame variable second third",
        f"thread jump --line {line('last')} --force",
        "continue",
        program=STEPS,
    )
    expect(out, rf"`main.*steps\.c:{line('fourth')}", "second = 6", "third = 120", "exited with status = 7 ")


def test_a_watchpoint_on_writes(lldb: Lldb) -> None:
    out = lldb(
        "breakpoint set -n main",
        LAUNCH,
        "watchpoint set variable -w write counter",
        "continue",
        "continue",
        "watchpoint list",
        program=STEPS,
    )
    expect(
        out,
        r"old value: 0\n.*new value: 3",
        r"stop reason = watchpoint 1",
        r"old value: 3\n.*new value: 6",
        "Number of supported hardware watchpoints: 4",
        r"Watchpoint 1: addr = .* size = 4",
    )


def test_watchpoints_on_reads_and_accesses(lldb: Lldb) -> None:
    out = lldb(
        "breakpoint set -n main",
        LAUNCH,
        "watchpoint set variable -w read limit",
        "continue",
        "watchpoint delete 1",
        "watchpoint set variable -w read_write counter",
        "continue",
        program=STEPS,
    )
    expect(out, r"stop reason = watchpoint 1\n.*`count", r"stop reason = watchpoint 2\n.*`count")


def test_a_watchpoint_that_is_conditional_and_goes(lldb: Lldb) -> None:
    out = lldb(
        "breakpoint set -n main",
        LAUNCH,
        "watchpoint set variable counter",
        "watchpoint modify -c 'counter > 10'",
        "continue",
        "target variable counter",
        "watchpoint delete 1",
        "continue",
        program=STEPS,
    )
    expect(out, r"stop reason = watchpoint 1", "counter = 12", "exited with status = 7 ")


def test_more_watchpoints_than_there_are_registers(lldb: Lldb) -> None:
    commands = [f"watchpoint set expression -s 4 -- &table[{index}]" for index in range(4)]
    out = lldb(
        "breakpoint set -n main", LAUNCH, *commands, "watchpoint set variable counter", "continue", program=STEPS
    )
    expect(
        out,
        *[f"Watchpoint {number}: addr" for number in range(1, 5)],
        "error: .*[Ww]atchpoint",
        "stop reason = watchpoint",
    )
