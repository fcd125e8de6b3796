"""Attaching to a process and leaving it: it must not notice."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.support.gdb import expect, printed
from tests.support.processes import (
    Output,
    end_process,
    is_gone,
    is_stopped,
    status,
    text_segment,
    thread_ids,
    wait_until,
)
from tests.support.programs import compile_program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.gdb import Gdb
    from tests.support.server import Server

STATUS_FIELDS = ("SigBlk", "SigIgn", "SigCgt", "Cpus_allowed", "Threads", "TracerPid")


@contextmanager
def running(name: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process of our own to attach to, once it says that it is ready."""
    process = subprocess.Popen([compile_program(name), *arguments], stdout=subprocess.PIPE)
    assert process.stdout is not None
    output = Output(process.stdout)
    try:
        output.wait_for("ready")
        yield process
    finally:
        end_process(process)
        output.close()


def context_switches(pid: int) -> dict[int, int]:
    return {tid: int(status(pid, "voluntary_ctxt_switches", tid)) for tid in thread_ids(pid)}


def assert_unharmed(pid: int, program: Path, before: dict[str, str]) -> None:
    """As before the debugger came: the same code, nobody traces or stops a thread, and each that was busy still is."""
    in_memory, in_file = text_segment(pid, program)
    assert in_memory == in_file
    for tid in thread_ids(pid):
        assert status(pid, "TracerPid", tid) == "0"
        wait_until(lambda tid=tid: not is_stopped(pid, tid), f"thread {tid} runs")  # type: ignore[misc]
    assert {field: status(pid, field) for field in STATUS_FIELDS} == before
    start = context_switches(pid)
    workers = [tid for tid in start if tid != pid]
    wait_until(lambda: all(context_switches(pid)[tid] > start[tid] + 3 for tid in workers), "every thread goes on")


def test_attach_and_detach(gdb: Gdb, serve: Callable[..., Server]) -> None:
    program = compile_program("threads")
    with running("threads") as process:
        before = {field: status(process.pid, field) for field in STATUS_FIELDS}
        server = serve(process.pid, options=("--once", "--attach"))
        out = gdb.remote(
            server.address,
            "info threads",
            "thread apply all bt 3",
            "set breakpoint always-inserted on",
            "break work",
            "watch turns[2]",
            "continue",
            "stepi",
            "continue",
            "detach",
            program=program,
        )
        expect(out, r'"counter-3"', r"hit (Breakpoint 1|Hardware watchpoint 2)", r"\[Inferior 1 .* detached\]")
        assert_unharmed(process.pid, program, before)
        assert server.wait() == 0


def test_quitting_gdb_leaves_an_attached_process_running(gdb: Gdb, serve: Callable[..., Server]) -> None:
    program = compile_program("threads")
    with running("threads") as process:
        before = {field: status(process.pid, field) for field in STATUS_FIELDS}
        server = serve(process.pid, options=("--once", "--attach"))
        out = gdb.remote(server.address, "break work", "continue", program=program)
        expect(out, r"hit Breakpoint 1, work")
        server.wait()
        assert_unharmed(process.pid, program, before)


def test_attach_under_extended_remote_again_and_again(gdb: Gdb, multi_server: Server) -> None:
    program = compile_program("threads")
    with running("threads") as process:
        before = {field: status(process.pid, field) for field in STATUS_FIELDS}
        attach = f"attach {process.pid}", "break work", "continue", "delete", "detach"
        out = gdb.remote(multi_server.address, *attach * 3, program=program, extended=True)
        assert out.count("hit Breakpoint") == 3
        assert out.count("detached]") == 3
        assert_unharmed(process.pid, program, before)


def test_attach_without_a_program_named(gdb: Gdb, multi_server: Server) -> None:
    with running("threads") as process:
        out = gdb.remote(
            multi_server.address,
            f"attach {process.pid}",
            "info files",
            "bt",
            "print turns[0] > 0",
            "detach",
            extended=True,
        )
        expect(out, r"threads', file type elf64-x86-64", r"main \(argc=1", r"= 1$", r"detached\]")


@pytest.mark.beyond_gnu("GNU gdbserver gives the process the SIGSEGV by which the call ended")
def test_a_call_before_leaving(gdb: Gdb, multi_server: Server) -> None:
    """It ends on the stack, which is not executable; that SIGSEGV is the debugger's own."""
    program = compile_program("threads")
    with running("threads") as process:
        before = {field: status(process.pid, field) for field in STATUS_FIELDS}
        out = gdb.remote(
            multi_server.address,
            *(f"attach {process.pid}", "tbreak work", "continue", "call ready()", "detach"),
            program=program,
            extended=True,
        )
        expect(out, r"hit Temporary breakpoint 1, work", r"detached\]")
        assert_unharmed(process.pid, program, before)


def test_attach_refused(gdb: Gdb, multi_server: Server) -> None:
    program = compile_program("threads")
    out = gdb.remote(
        multi_server.address,
        "attach 4194303",
        f"set remote exec-file {program}",
        "run 2",
        program=program,
        extended=True,
    )
    expect(printed(out, "attach 4194303"), r"4194303.*failed|[Nn]o such process|[Nn]o process")
    expect(out, r"exited normally")


def test_detach_from_a_started_process(gdb: Gdb, serve: Callable[..., Server]) -> None:
    program = compile_program("threads")
    server = serve(program, "20")
    out = gdb.remote(server.address, "break work", "continue", "detach", program=program)
    expect(out, r"hit Breakpoint 1, work", r"detached\]")
    server.output.wait_for("joined")
    wait_until(lambda: is_gone(server.debuggee), "the program runs to its end")


def test_disconnect_and_reconnect(gdb: Gdb, serve: Callable[..., Server]) -> None:
    program = compile_program("threads")
    server = serve(program, "20")
    out = gdb.remote(
        server.address,
        "break work if number == 3",
        "continue",
        "print turns[0] = 7",
        "print $pc",
        "disconnect",
        program=program,
    )
    expect(out, r"hit Breakpoint 1, work \(number=3\)", r"= 7$")
    server.log.wait_for(r"Listening on port(.*\n)+.*Listening on port")
    again = gdb.remote(
        server.address, "print $pc", "print turns[0]", "info threads", "x/i $pc", "continue", program=program
    )
    assert printed(again, "print $pc").split(" = ")[1] == printed(out, "print $pc").split(" = ")[1]
    assert is_gone(server.debuggee)
    expect(again, r"= 7$", r'"counter-3"', r"exited normally")


@pytest.mark.beyond_gnu("GNU gdbserver leaves the breakpoints in memory")
def test_client_dies(gdb: Gdb, serve: Callable[..., Server]) -> None:
    program = compile_program("threads")
    server = serve(program, "20")
    with gdb.talk(program) as conversation:
        conversation.run(
            f"target remote {server.address}", "set breakpoint always-inserted on", "break work", "continue"
        )
        conversation.kill()
    server.log.wait_for(r"Listening on port(.*\n)+.*Listening on port")
    in_memory, in_file = text_segment(server.debuggee, program)
    assert in_memory == in_file
    assert all(is_stopped(server.debuggee, tid) for tid in thread_ids(server.debuggee))
    expect(gdb.remote(server.address, "continue", program=program), r"exited normally")


def test_attached_process_exits(gdb: Gdb, serve: Callable[..., Server]) -> None:
    program = compile_program("threads")
    with running("threads") as process:
        server = serve(process.pid, options=("--once", "--attach"))
        out = gdb.remote(server.address, "set var done = 1", "continue", "info threads", program=program)
        expect(out, r"exited normally", r"No threads")
        assert process.wait(20) == 0


@pytest.mark.skipif(not os.path.exists("/bin/sleep"), reason="no /bin/sleep")
def test_attach_to_a_process_in_job_control_stop(gdb: Gdb, multi_server: Server) -> None:
    with subprocess.Popen(["/bin/sleep", "1000"]) as process:
        try:
            process.send_signal(19)
            wait_until(lambda: status(process.pid, "State").startswith("T"), "the process stops")
            out = gdb.remote(multi_server.address, f"attach {process.pid}", "info threads", "detach", extended=True)
            expect(out, r"^\* 1 .*sleep", r"detached\]")
            assert status(process.pid, "TracerPid") == "0"
        finally:
            process.kill()
