"""Non-stop mode: one thread stops, and the others go on."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.gdb import expect, printed
from tests.support.processes import Output, is_stopped, send_to_thread, status, thread_ids, wait_until
from tests.support.programs import compile_program

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.gdb import Conversation, Gdb
    from tests.support.server import Server


def test_one_thread_stops_and_steps_while_others_run(gdb: Gdb, serve: Callable[..., Server]) -> None:
    program = compile_program("threads")
    server = serve(program)
    with gdb.talk(program) as conversation:
        conversation.run("set non-stop on", f"target remote {server.address}", "break work if number == 2")
        conversation.send("continue -a &")
        report = conversation.wait_for(r"hit Breakpoint 1, work \(number=2\)")
        (number,) = re.findall(r"^Thread (\d+) .*hit", report, re.MULTILINE)
        running = "(running)"
        assert conversation.run("info threads").count(running) == 4
        out = conversation.run(f"thread {number}", "next", "next", "print own_number", "bt")
        expect(out, r"= 2$", r"counting \(")
        assert conversation.run("info threads").count(running) == 4
        conversation.send("interrupt -a")
        for _ in range(4):
            conversation.wait_for(r"^Thread \d+ .* stopped\.$")
        assert running not in conversation.run("info threads")
        wait_until(lambda: all(is_stopped(server.debuggee, tid) for tid in thread_ids(server.debuggee)), "all stop")
        conversation.run("delete", "set var done = 1")
        conversation.send("continue -a &")
        conversation.wait_for(r"exited normally")


def test_background_step_and_detach(gdb: Gdb, serve: Callable[..., Server]) -> None:
    program = compile_program("threads")
    server = serve(program, "500")
    with gdb.talk(program) as conversation:
        conversation.run("set non-stop on", f"target remote {server.address}", "break ready", "continue")
        out = conversation.run("info threads", "print turns[1]")
        assert len(re.findall(r"\(running\)", out)) == 4
        conversation.run("delete", "detach")
    server.output.wait_for("joined")


def start(conversation: Conversation, server: Server, *commands: str) -> None:
    conversation.run("set non-stop on", f"target remote {server.address}", *commands)


def states(conversation: Conversation) -> dict[str, bool]:
    """Thread number -> whether it runs."""
    threads = printed(conversation.run("info threads"), "info threads")
    return {number: "(running)" in line for number, line in re.findall(r"^[* ] ([\d.]+) +(.*)", threads, re.MULTILINE)}


def hits(conversation: Conversation, count: int) -> list[str]:
    """The numbers of the next `count` threads that report a breakpoint."""
    return [
        re.findall(r"^Thread (\d+) .*hit", conversation.wait_for(r"hit [^\n]*\n.*\n"), re.M)[0] for _ in range(count)
    ]


def test_ten_threads_at_one_breakpoint(gdb: Gdb, serve: Callable[..., Server]) -> None:
    program = compile_program("ten_threads")
    server = serve(program)
    with gdb.talk(program) as conversation:
        start(conversation, server, "break visit")
        conversation.send("continue -a &")
        found = hits(conversation, 10)
        assert len(set(found)) == 10
        stopped = [number for number, runs in states(conversation).items() if not runs]
        assert sorted(stopped) == sorted(found), "all but the leader"
        out = conversation.run(f"thread apply {' '.join(found)} -q print number", f"thread {found[0]}", "print visits")
        assert sorted(re.findall(r"= (\d)$", printed(out, out.splitlines()[0][6:]), re.M)) == list("0123456789")
        assert printed(out, "print visits").endswith("= 0")
        conversation.run("delete", "set var done = 1")
        conversation.send("continue -a &")
        conversation.wait_for(r"exited normally")


def test_ten_threads_at_one_breakpoint_go_on_one_by_one(gdb: Gdb, serve: Callable[..., Server]) -> None:
    program = compile_program("ten_threads")
    server = serve(program)
    with gdb.talk(program) as conversation:
        start(conversation, server, "break visit")
        conversation.send("continue -a &")
        found = hits(conversation, 10)
        for count, number in enumerate(found, 1):
            conversation.run(f"thread {number}", "continue &")
            assert sum(states(conversation).values()) == 1 + count
        wait_until(lambda: re.search(r"= 10$", conversation.run("print visits"), re.M), "all have passed it")
        conversation.send("interrupt")
        conversation.wait_for(r"^Thread \d+ .* stopped\.$|SIGINT")
        conversation.run("set var done = 1")
        conversation.send("continue &")
        conversation.wait_for(r"exited normally")


def test_one_is_stepped_while_nine_run(gdb: Gdb, serve: Callable[..., Server]) -> None:
    program = compile_program("ten_threads")
    server = serve(program)
    with gdb.talk(program) as conversation:
        start(conversation, server, "break turn if number == 3")
        conversation.send("continue -a &")
        (number,) = hits(conversation, 1)
        conversation.run(f"thread {number}", "delete")
        for _ in range(5):
            conversation.run("print $before = turns[4] + turns[8]", "print $own = turns[3]")
            expect(conversation.run("stepi", "next", "next", "next", "next"), r"turn|run")
            assert [each for each, runs in states(conversation).items() if not runs] == [number]
        expect(conversation.run("print turns[3] > 1", "print turns[3] < 20"), r"= 1$", r"= 1$")
        expect(conversation.run("print turns[4] + turns[8] > $before"), r"= 1$")
        conversation.run("set var done = 1")
        conversation.send("continue &")
        conversation.wait_for(r"exited normally")


def test_background_and_interrupt(gdb: Gdb, serve: Callable[..., Server]) -> None:
    """`interrupt -a` stops all, once each; `thread apply all` looks at them and resumes them."""
    program = compile_program("ten_threads")
    server = serve(program)
    with gdb.talk(program) as conversation:
        start(conversation, server)
        conversation.send("continue -a &")
        server.output.wait_for("ready")
        for _ in range(3):
            conversation.send("interrupt -a")
            for _ in range(11):
                conversation.wait_for(r"^Thread \d+ .* stopped\.$")
            assert list(states(conversation).values()) == [False] * 11
            out = conversation.run("thread apply all -q bt -1")
            assert len(re.findall(r"^#\d+ ", out, re.MULTILINE)) == 11
            conversation.run("thread apply all -q continue &")
            assert list(states(conversation).values()) == [True] * 11
        conversation.send("interrupt")
        conversation.wait_for(r"^Thread \d+ .* stopped\.$")
        conversation.run("set var done = 1")
        conversation.send("continue &")
        conversation.wait_for(r"exited normally")


def test_breakpoints_come_and_go_while_everything_runs(gdb: Gdb, serve: Callable[..., Server]) -> None:
    program = compile_program("ten_threads")
    server = serve(program)
    with gdb.talk(program) as conversation:
        start(conversation, server)
        conversation.send("continue -a &")
        server.output.wait_for("ready")
        for number in range(3):
            conversation.send(f"tbreak turn if number == {number}")
            conversation.wait_for(rf"hit Temporary breakpoint \d+, turn \(number={number}\)")
            assert sum(states(conversation).values()) == 10 - number
        conversation.run("set var done = 1")
        conversation.send("continue -a &")
        conversation.wait_for(r"exited normally")


def test_attach_in_the_background(gdb: Gdb, multi_server: Server) -> None:
    """Nothing stops: the process is looked at, one thread of it is stopped, and it is left."""
    program = compile_program("ten_threads")
    with subprocess.Popen([program], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        output = Output(process.stdout)
        try:
            output.wait_for("ready")
            with gdb.talk(program) as conversation:
                conversation.run("set non-stop on", f"target extended-remote {multi_server.address}")
                conversation.run(f"attach {process.pid} &")
                assert list(states(conversation).values()) == [True] * 11
                assert not any(is_stopped(process.pid, tid) for tid in thread_ids(process.pid))
                conversation.run("break turn if number == 5")
                (number,) = hits(conversation, 1)
                assert [each for each, runs in states(conversation).items() if not runs] == [number]
                conversation.run("delete", f"thread {number}", "next", "detach")
                assert status(process.pid, "TracerPid") == "0"
                wait_until(lambda: not any(is_stopped(process.pid, t) for t in thread_ids(process.pid)), "it runs on")
        finally:
            process.kill()
            process.wait(20)
            output.close()


@pytest.mark.parametrize("way", ["fork", "vfork"])
def test_catch_a_birth(request: pytest.FixtureRequest, gdb: Gdb, serve: Callable[..., Server], way: str) -> None:
    if request.node.callspec.params["gdb"] == "gdb13" and way == "vfork":
        pytest.skip("GDB 13 waits for ever for the end of the vfork, with GNU gdbserver too")
    program = compile_program("children")
    out = gdb(
        "set non-stop on",
        f"target remote {serve(program, way).address}",
        f"catch {way}",
        "continue",
        "bt",
        "delete",
        "break made",
        "continue",
        "print status",
        "continue",
        program=program,
    )
    expect(
        out, rf"Catchpoint 1 \({way}ed process \d+\)", rf"by_{way}", r"made \(status=0\)", r"= 0", r"exited normally"
    )


@pytest.mark.parametrize("way", ["fork", "vfork"])
def test_follow_the_child(gdb: Gdb, serve: Callable[..., Server], way: str) -> None:
    program = compile_program("children")
    out = gdb(
        "set non-stop on",
        f"target remote {serve(program, way).address}",
        "set follow-fork-mode child",
        "break shared",
        "continue",
        "inferior 2",
        "bt",
        "continue",
        program=program,
    )
    expect(
        out,
        r"hit Breakpoint 1.*, shared|Breakpoint 1.*, shared",
        r"Switching to inferior 2",
        rf"by_{way}",
        r"[Ii]nferior 2 .*exited normally",
    )


def test_keep_parent_and_child(gdb: Gdb, serve: Callable[..., Server]) -> None:
    """Both run at the same time, and both stop at the breakpoint."""
    program = compile_program("children")
    with gdb.talk(program) as conversation:
        start(conversation, serve(program, "fork"), "set detach-on-fork off", "break shared")
        conversation.send("continue &")
        conversation.wait_for(r"New inferior 2")
        conversation.send("inferior 2")
        conversation.send("continue &")
        conversation.wait_for(r"Thread 2\.1 .*hit Breakpoint")
        conversation.send("continue &")
        conversation.wait_for(r"Inferior 2 .* exited normally")
        conversation.wait_for(r"Thread 1\.1 .*hit Breakpoint")
        conversation.run("inferior 1")
        conversation.send("continue &")
        conversation.wait_for(r"Inferior 1 .* exited normally")


def test_catch_exec(gdb: Gdb, serve: Callable[..., Server]) -> None:
    program = compile_program("executes")
    out = gdb(
        "set non-stop on",
        f"target remote {serve(program, compile_program('steps')).address}",
        "catch exec",
        "continue",
        "break twice",
        "continue",
        "delete",
        "continue",
        program=program,
    )
    expect(out, r"Catchpoint 1 \(exec'd .*/steps\)", r"twice \(n=3\)", r"exited with code 07")


def test_catch_system_calls(gdb: Gdb, serve: Callable[..., Server]) -> None:
    program = compile_program("steps")
    out = gdb(
        "set non-stop on",
        f"target remote {serve(program).address}",
        "break main",
        "continue",
        "catch syscall write",
        *["continue"] * 3,
        program=program,
    )
    expect(out, r"Catchpoint 2 \(call to syscall write\)", r"returned from syscall write\)", r"exited with code 07")


@pytest.mark.parametrize("handling", ["stop print", "nostop print", "nostop noprint"])
def test_signals(gdb: Gdb, serve: Callable[..., Server], handling: str) -> None:
    program = compile_program("signals")
    with gdb.talk(program) as conversation:
        start(conversation, serve(program), f"handle SIGUSR1 {handling} pass", "handle SIGUSR2 nostop noprint pass")
        out = conversation.run("continue")
        if handling == "stop print":
            expect(out, r"received signal SIGUSR1")
            out += conversation.run("print $_siginfo.si_signo", "break on_usr1", "stepi", "bt", "finish", "continue")
            expect(out, r"= 10$", r"on_usr1 \(", r"<signal handler called>")
        assert ("received signal SIGUSR1" in out) == (handling != "nostop noprint")
        expect(out, r"exited with code 013")


def test_a_signal_stops_one_thread_and_a_handler_is_stepped_in_and_out_of(
    gdb: Gdb, serve: Callable[..., Server]
) -> None:
    program = compile_program("ten_threads")
    server = serve(program)
    with gdb.talk(program) as conversation:
        start(conversation, server)
        conversation.send("continue -a &")
        server.output.wait_for("ready")
        for victim in sorted(thread_ids(server.debuggee))[3:6]:
            send_to_thread(server.debuggee, victim, signal.SIGUSR1)
            report = conversation.wait_for(r"received signal SIGUSR1.*\n")
            (number,) = re.findall(r"^Thread (\d+) ", report, re.MULTILINE)
            assert [each for each, runs in states(conversation).items() if not runs] == [number]
            out = conversation.run(f"thread {number}", "print $_siginfo._sifields._kill.si_pid", "tbreak handler")
            expect(out, rf"\.{victim}\b", rf"= {os.getpid()}$")
            expect(conversation.run("continue", "bt", "finish"), r"handler \(number=10\)", r"<signal handler called>")
            conversation.run("stepi", "stepi")
            conversation.run("continue &")
        conversation.send("interrupt")
        conversation.wait_for(r"^Thread \d+ .* stopped\.$")
        out = conversation.run(
            "print handled[0] + handled[1] + handled[2] + handled[3] + handled[4]", "set var done = 1"
        )
        expect(out, r"= 3$")
        conversation.send("continue &")
        conversation.wait_for(r"exited normally")
