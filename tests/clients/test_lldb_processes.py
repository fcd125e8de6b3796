"""Signals, crashes, children and other programs, as a user of LLDB sees them. `pytest --server lldb` runs the same with
lldb-server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.gdb import expect
from tests.support.programs import compile_program

if TYPE_CHECKING:
    from tests.support.lldb import Lldb

LAUNCH = "process launch -i /dev/null"
SIGNALS = compile_program("signals")
EVENTS = compile_program("events")


def test_a_signal_stops_and_is_delivered(lldb: Lldb) -> None:
    out = lldb(LAUNCH, "continue", "continue", program=SIGNALS)
    expect(out, "stop reason = signal SIGUSR1", "stop reason = signal SIGUSR2", "exited with status = 11 ")


def test_signals_that_pass_or_do_not(lldb: Lldb) -> None:
    out = lldb(
        "breakpoint set -n main",
        LAUNCH,
        "process handle -n false -s false -p true SIGUSR2",
        "process handle -s true -p false SIGUSR1",
        "continue",
        "continue",
        program=SIGNALS,
    )
    expect(out, "stop reason = signal SIGUSR1", "exited with status = 1 ")
    assert "signal SIGUSR2" not in out


@pytest.mark.parametrize(
    ("argument", "reason"),
    [
        ("", r"signal SIGSEGV: address not mapped to object \(fault address=0x1234\)"),
        ("a", "signal SIGABRT"),
        ("d", "signal SIGFPE: integer divide by zero"),
        ("i", "signal SIGILL: illegal operand"),
    ],
)
def test_a_crash_says_why(lldb: Lldb, argument: str, reason: str) -> None:
    out = lldb(f"{LAUNCH} -- {argument}", "thread backtrace", "continue", program=compile_program("crash"))
    expect(out, f"stop reason = {reason}", "frame #[0-9]+: .*`main", "exited with status = ")


def test_the_parent_is_followed_by_default(lldb: Lldb) -> None:
    out = lldb("breakpoint set -n finish", f"{LAUNCH} -- fork", "continue", program=EVENTS)
    expect(out, r"stop reason = breakpoint 1\.1\n.*`finish", "exited with status = 3 ")


@pytest.mark.parametrize("event", ["fork", "vfork"])
def test_a_child_is_followed(lldb: Lldb, event: str) -> None:
    out = lldb(
        "settings set target.process.follow-fork-mode child",
        "breakpoint set -n in_child",
        f"{LAUNCH} -- {event}",
        "thread backtrace",
        "continue",
        program=EVENTS,
    )
    if event == "fork":
        expect(out, r"stop reason = breakpoint 1\.1\n.*`in_child", "frame #1", r"exited with status = \d+ ")
    else:
        expect(out, r"exited with status = \d+ ")


def test_another_program_comes(lldb: Lldb) -> None:
    out = lldb(
        "settings set target.process.stop-on-exec true",
        f"{LAUNCH} -- exec",
        "process status",
        "continue",
        program=EVENTS,
    )
    expect(out, "stop reason = exec", "name = 'exe'", "handled 0", "exited with status = 3 ")


def test_a_breakpoint_in_another_program(lldb: Lldb) -> None:
    """LLDB looks for it in what it takes for the process's program now."""
    out = lldb(
        "settings set target.process.stop-on-exec false",
        "breakpoint set -n finish",
        f"{LAUNCH} -- exec",
        "thread backtrace",
        "continue",
        program=EVENTS,
    )
    expect(out, r"stop reason = breakpoint 1\.1\n.*`finish", "frame #[0-9]+: .*`main", "exited with status = 3 ")
