"""Several processes in one session of the real GDB: started, attached to, resumed one by one and together."""

from __future__ import annotations

import re
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.support.gdb import expect, printed
from tests.support.processes import Output, end_process, is_stopped, status, thread_ids, wait_until
from tests.support.programs import compile_program, line_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.gdb import Gdb
    from tests.support.server import Server

MODES = pytest.mark.parametrize("non_stop", ["off", "on"], ids=["all-stop", "non-stop"])


def start_another(program: Path, arguments: str = "") -> tuple[str, ...]:
    return "add-inferior", "inferior 2", f"file {program}", f"set remote exec-file {program}", f"run {arguments}"


@contextmanager
def turning() -> Iterator[subprocess.Popen[bytes]]:
    """A process with ten threads to attach to."""
    process = subprocess.Popen([compile_program("ten_threads")], stdout=subprocess.PIPE)
    assert process.stdout is not None
    output = Output(process.stdout)
    try:
        output.wait_for("ready")
        yield process
    finally:
        end_process(process)
        output.close()


@MODES
def test_two_programs_one_after_the_other(gdb: Gdb, multi_server: Server, non_stop: str) -> None:
    steps, signals = compile_program("steps"), compile_program("signals")
    out = gdb(
        f"set non-stop {non_stop}",
        f"target extended-remote {multi_server.address}",
        f"file {steps}",
        f"set remote exec-file {steps}",
        "break add",
        "run",
        *start_another(signals),
        "info inferiors",
        "info threads",
        "thread 1.1",
        "bt 1",
        "continue",
        "thread 2.1",
        "print $_siginfo.si_signo",
        "handle SIGUSR1 SIGUSR2 nostop noprint pass",
        "continue",
        "inferior 1",
        "delete",
        "continue",
        "info inferiors",
        "run",
        "print 6 * 7",
    )
    both = printed(out, "info inferiors")
    assert len(re.findall(r"process \d+", both)) == 2
    expect(out, r"hit Breakpoint 1(\.1)?, .*add|Breakpoint 1, add", r"received signal SIGUSR1", r"add \(", r"= 10$")
    expect(out, r"Inferior 2 \(process \d+\) exited with code 013", r"Inferior 1 \(process \d+\) exited with code 07")
    expect(out, r"exited with code 07(.*\n)+.*exited with code 07", r"= 42$")


def test_only_the_current_process_runs(gdb: Gdb, multi_server: Server) -> None:
    """GDB's default, `schedule-multiple off`."""
    program = compile_program("ten_threads")
    with turning() as other:
        out = gdb.remote(
            multi_server.address,
            f"file {program}",
            f"attach {other.pid}",
            *start_another(program, "30"),
            "inferior 1",
            "print $before = turns[3] + turns[4]",
            "inferior 2",
            "run 50",
            "inferior 1",
            "print turns[3] + turns[4] == $before",
            "detach",
            extended=True,
        )
    expect(out, r"\[Inferior 2 .* exited normally\]", r"\[Inferior 2 .* exited normally\]", r"= 1$", r"detached\]")


def test_all_processes_run(gdb: Gdb, multi_server: Server) -> None:
    """`schedule-multiple on`: one continue resumes both, and both stand still when one reports."""
    program = compile_program("ten_threads")
    with turning() as other:
        out = gdb.remote(
            multi_server.address,
            f"file {program}",
            f"attach {other.pid}",
            "print $before = turns[3]",
            *start_another(program, "100"),
            "inferior 1",
            "print turns[3] == $before ? 111 : -1",
            "inferior 2",
            "break ready",
            "run 100",
            "set schedule-multiple on",
            "continue",
            "inferior 1",
            "print turns[3] > $before ? 222 : -1",
            "set var done = 1",
            "continue",
            extended=True,
        )
        assert other.wait(20) == 0
    expect(out, r"\[Inferior 2 .* exited normally\]", r"= 111$", r"\[Inferior 2 .* exited normally\]", r"= 222$")
    expect(out, r"\[Inferior 1 .* exited normally\]")


def test_one_stops_and_the_other_runs_on(gdb: Gdb, multi_server: Server) -> None:
    program = compile_program("ten_threads")
    with gdb.talk(program) as conversation, turning() as other:
        conversation.run("set non-stop on", f"target extended-remote {multi_server.address}", f"attach {other.pid} &")
        conversation.run(*start_another(program)[:-1], f"break {line_of('ten_threads', 'ready(void)') + 2}")
        conversation.send("run &")
        report = conversation.wait_for(r"Thread 2\.1 .*hit Breakpoint.*")
        assert "Thread 1." not in report
        threads = printed(conversation.run("info threads"), "info threads")
        states = {number: "(running)" in line for number, line in re.findall(r"^[* ] (\d+\.\d+) +(.*)", threads, re.M)}
        assert [number for number, runs in states.items() if not runs] == ["2.1"]
        assert len(states) == 22
        conversation.run("delete")
        conversation.send("continue -a &")
        conversation.send("inferior 1")
        conversation.run("detach", "inferior 2")
        assert status(other.pid, "TracerPid") == "0"
        conversation.run("set var done = 1")
        conversation.wait_for(r"\[Inferior 2 .* exited normally\]")


@MODES
def test_started_and_attached(gdb: Gdb, multi_server: Server, non_stop: str) -> None:
    program = compile_program("ten_threads")
    with turning() as other:
        out = gdb(
            f"set non-stop {non_stop}",
            f"target extended-remote {multi_server.address}",
            f"file {program}",
            f"set remote exec-file {program}",
            "break ready",
            "run",
            "add-inferior",
            "inferior 2",
            f"attach {other.pid}",
            "info inferiors",
            "print visits",
            "detach",
            "inferior 1",
            "print visits <= 10",
            "info threads",
            "kill",
            "info inferiors",
        )
        expect(out, r"hit Breakpoint 1.*ready", r"process \d+", r"process \d+", r"= 10$", r"Inferior 2 .*detached\]")
        expect(out, r"= 1$", r"Inferior 1 .*killed\]")
        assert status(other.pid, "TracerPid") == "0"
        wait_until(lambda: not any(is_stopped(other.pid, tid) for tid in thread_ids(other.pid)), "it runs on")
