"""Signals, crashes and deaths, as a user of GDB meets them."""

from __future__ import annotations

import os
import re
import signal
from typing import TYPE_CHECKING

import pytest

from tests.support.gdb import expect, printed
from tests.support.processes import is_gone, is_stopped, status, thread_ids, wait_until
from tests.support.programs import compile_program

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.gdb import Gdb
    from tests.support.server import Server


def test_signals_stop_and_are_passed(debug: Callable[..., str]) -> None:
    out = debug(
        "signals",
        "continue",
        "print $_siginfo.si_signo",
        "print $_siginfo._sifields._kill.si_pid == $_inferior_pid",
        "break on_usr1",
        "continue",
        "bt",
        "continue",
        "print $_siginfo._sifields._rt.si_sigval.sival_int",
        "set var $_siginfo._sifields._rt.si_sigval.sival_int = 77",
        "break checkpoint if handled_usr2",
        "continue",
        "print last_value",
        "continue",
    )
    expect(out, r"Program received signal SIGUSR1", r"= 10$", r"hit Breakpoint 1, on_usr1|Breakpoint 1, on_usr1")
    expect(out, r"<signal handler called>", r"received signal SIGUSR2", r"= 42", r"= 77", r"exited with code 013")


def test_handle_nostop_noprint_nopass(debug: Callable[..., str]) -> None:
    out = debug(
        "signals",
        "handle SIGUSR1 nostop noprint pass",
        "handle SIGUSR2 nostop print nopass",
        "info signals SIGUSR2",
        "continue",
    )
    expect(out, r"SIGUSR2\s+No\s+Yes\s+No", r"received signal SIGUSR2", r"exited with code 012")
    assert "received signal SIGUSR1" not in out


def test_signal_0_and_another_signal(debug: Callable[..., str]) -> None:
    out = debug(
        "signals",
        "continue",
        "signal 0",
        "print handled_usr1",
        "tbreak checkpoint",
        "signal SIGUSR1",
        "print handled_usr1",
        "continue",
    )
    expect(out, r"SIGUSR1", r"signal 0$", r"SIGUSR2", r"= 0$", r"signal SIGUSR1$", r"= 1$", r"code 012")


def test_signal_at_a_breakpoint(debug: Callable[..., str]) -> None:
    out = debug(
        "signals",
        "break checkpoint",
        "continue",
        "handle SIGUSR1 nostop noprint pass",
        "queue-signal SIGUSR1",
        "stepi",
        "bt",
        "finish",
        "continue",
        "print handled_usr1",
        "continue",
        "print handled_usr1",
    )
    expect(out, r"Breakpoint 1, checkpoint", r"on_usr1 \(", r"<signal handler called>", r"= 1$", r"= 2$")


def test_step_into_a_handler(debug: Callable[..., str]) -> None:
    out = debug(
        "signals", "continue", "break on_usr1", "stepi", "stepi", "continue", "bt", "finish", "stepi", "continue"
    )
    expect(out, r"SIGUSR1", r"^on_usr1 \(", r"Breakpoint 1, on_usr1 \(number=10\)", r"<signal handler called>")
    expect(out, r"<signal handler called>(.*\n)*<signal handler called>", r"received signal SIGUSR2")


def test_crash_with_siginfo(debug: Callable[..., str]) -> None:
    out = debug(
        "crash",
        "continue",
        "bt",
        "print $_siginfo.si_signo",
        "print $_siginfo._sifields._sigfault.si_addr",
        "print where",
        "print $_exitcode",
        "continue",
        "print $_exitsignal",
    )
    expect(out, r"received signal SIGSEGV, Segmentation fault", r"#0 .*crash \(where=0x1234\)", r"#1 .* main")
    expect(out, r"= 11$", r"= \(void \*\) 0x1234", r"= \(int \*\) 0x1234", r"= void")
    expect(out, r"Program terminated with signal SIGSEGV", r"= 11$")


@pytest.mark.parametrize(("way", "name"), [("abort", "SIGABRT"), ("divide", "SIGFPE"), ("illegal", "SIGILL")])
def test_other_crashes(debug: Callable[..., str], way: str, name: str) -> None:
    out = debug("crash", "continue", "bt", "kill", "info threads", arguments=(way,))
    expect(out, rf"received signal {name}", r"main \(argc=2", r"No threads|process \d+\) killed")


def test_crash_survived_by_repair(debug: Callable[..., str]) -> None:
    out = debug("crash", "continue", "set var $rax = &zero", "signal 0")
    expect(out, r"SIGSEGV", r"exited normally")


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("continue", r"Program terminated with signal SIGKILL"),
        ("stepi", r"Program terminated with signal SIGKILL"),
        ("kill", r"\[Inferior 1 \(process \d+\) killed\]"),
        ("detach", r"\[Inferior 1 \(process \d+\) detached\]"),
    ],
)
def test_killed_from_outside_while_stopped(gdb: Gdb, serve: Callable[..., Server], command: str, answer: str) -> None:
    server = serve(compile_program("threads"))
    with gdb.talk(compile_program("threads")) as conversation:
        out = conversation.run(f"target remote {server.address}", "break ready", "continue")
        expect(out, r"hit Breakpoint 1, ready")
        os.kill(server.debuggee, signal.SIGKILL)
        wait_until(lambda: is_gone(server.debuggee), "the kernel ends the process")
        conversation.run("monitor help")  # the server has time to notice
        expect(conversation.run(command), answer)


def test_killed_from_outside_while_running(gdb: Gdb, serve: Callable[..., Server]) -> None:
    server = serve(compile_program("threads"))
    with gdb.talk(compile_program("threads")) as conversation:
        conversation.run(f"target remote {server.address}")
        conversation.send("continue")
        server.output.wait_for("ready")
        os.kill(server.debuggee, signal.SIGKILL)
        conversation.wait_for(r"Program terminated with signal SIGKILL")
    wait_until(lambda: is_gone(server.debuggee), "the process is gone")


def test_signal_from_outside(gdb: Gdb, serve: Callable[..., Server]) -> None:
    server = serve(compile_program("threads"))
    with gdb.talk(compile_program("threads")) as conversation:
        conversation.run(f"target remote {server.address}")
        conversation.send("continue")
        server.output.wait_for("ready")
        os.kill(server.debuggee, signal.SIGUSR1)
        conversation.wait_for(r"received signal SIGUSR1")
        out = conversation.run("info threads", "print $_siginfo._sifields._kill.si_pid", "set var done = 1", "signal 0")
        expect(out, rf"= {os.getpid()}$", r"exited normally")


def test_interrupt_in_a_system_call(gdb: Gdb, serve: Callable[..., Server]) -> None:
    server = serve(compile_program("threads"))
    with gdb.talk(compile_program("threads")) as conversation:
        conversation.run(f"target remote {server.address}")
        conversation.send("continue")
        server.output.wait_for("ready")
        conversation.interrupt()
        conversation.wait_for(r"received signal SIGINT")
        out = conversation.run("thread apply all bt", "break work", "continue", "print own_number >= 0", "delete")
        assert len(re.findall(r"in counting \(", printed(out, "thread apply all bt"))) == 4
        expect(out, r"hit Breakpoint 1, work", r"= 1$")
        conversation.send("continue")
        wait_until(lambda: not is_stopped(server.debuggee), "the threads run on")
        conversation.interrupt()
        conversation.wait_for(r"received signal SIGINT")
        assert all(is_stopped(server.debuggee, tid) for tid in thread_ids(server.debuggee))
        conversation.run("kill")


def test_background_execution_and_interrupt(gdb: Gdb, serve: Callable[..., Server]) -> None:
    server = serve(compile_program("threads"))
    with gdb.talk(compile_program("threads")) as conversation:
        conversation.run(f"target remote {server.address}", "continue &")
        server.output.wait_for("ready")
        conversation.send("interrupt")
        conversation.wait_for(r"received signal SIGINT")
        assert "counter-3" in printed(conversation.run("info threads"), "info threads")
        conversation.run("kill")


def last_thread(report: str) -> str:
    return str(re.findall(r"Thread (\d+) ", report)[-1])


@pytest.mark.parametrize("non_stop", ["off", "on"], ids=["all-stop", "non-stop"])
@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGTSTP])
def test_job_control(gdb: Gdb, serve: Callable[..., Server], number: signal.Signals, non_stop: str) -> None:
    """It is reported; continued, all threads stand still as at a shell; SIGCONT, reported as well, lets them go on."""
    program = compile_program("ten_threads")
    server = serve(program)
    with gdb.talk(program) as conversation:
        conversation.run(f"set non-stop {non_stop}", f"target remote {server.address}")
        conversation.send("continue &" if non_stop == "off" else "continue -a &")
        server.output.wait_for("ready")
        pid = server.debuggee
        os.kill(pid, number)
        report = conversation.wait_for(rf"received signal {number.name}.*\n")
        conversation.run(f"thread {last_thread(report)}", "continue &")
        wait_until(lambda: {status(pid, "State", tid)[:1] for tid in thread_ids(pid)} <= {"t", "T"}, "all stand still")
        os.kill(pid, signal.SIGCONT)
        report = conversation.wait_for(r"received signal SIGCONT.*\n")
        conversation.run(f"thread {last_thread(report)}", "set var done = 1")
        conversation.send("continue &")
        conversation.wait_for(r"exited normally")


def test_each_thread_has_its_own_siginfo(debug: Callable[..., str]) -> None:
    out = debug(
        "gets_signals",
        "handle SIGUSR1 stop print pass",
        "break checkpoint",
        "continue",
        "continue",
        "print $_thread > 1 && $_siginfo.si_signo == 10",
        "set var $first = $_thread",
        "continue",
        "print $_siginfo.si_signo == 10 && $_thread != $first",
        "set var $_siginfo._sifields._rt.si_sigval.sival_int = 77",
        "thread 1",
        "print $_siginfo.si_signo",
        "handle SIGUSR1 nostop noprint pass",
        "continue",
        "print got[10]",
        "delete",
        "continue",
        arguments=("burst",),
    )
    expect(
        out, r"received signal SIGUSR1", r"= 1$", r"received signal SIGUSR1", r"= 1$", r"= 5$", r"= 10$", r"code 012"
    )


@pytest.mark.parametrize("non_stop", ["off", "on"], ids=["all-stop", "non-stop"])
@pytest.mark.parametrize("handling", ["stop print", "nostop print", "nostop noprint"])
def test_a_burst_to_ten_threads(gdb: Gdb, serve: Callable[..., Server], handling: str, non_stop: str) -> None:
    """Ten signals to ten threads: each is told once, none is lost."""
    program = compile_program("gets_signals")
    with gdb.talk(program) as conversation:
        conversation.run(
            f"set non-stop {non_stop}",
            f"target remote {serve(program, 'burst').address}",
            f"handle SIGUSR1 {handling} pass",
        )
        stops = 0
        conversation.send("continue &" if non_stop == "off" else "continue -a &")
        while handling == "stop print" and stops < 10:
            conversation.wait_for(r"received signal SIGUSR1.*\n")
            stops += 1
            if non_stop == "off":
                conversation.send("continue &")
        if handling == "stop print" and non_stop == "on":
            conversation.send("continue -a &")
        out = conversation.wait_for(r"exited with code 012")
        assert ("received signal SIGUSR1" in out) == (handling == "nostop print")
