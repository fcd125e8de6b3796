"""Attaching to processes with many threads, and leaving them: by detach, and by the server's end."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.live.running import Running, running
from tests.live.session import (
    SIGINT,
    STATIC,
    WITH_EVENTS,
    Session,
    child_of,
    exited,
    live_threads,
    pc_of,
    states,
    thread_of,
)
from tests.support.processes import end_process, is_gone, status, text_segment, thread_ids, wait_until
from tests.support.programs import compile_program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


CROWD, SLEEPERS = 500, 2


def is_unharmed(target: Running) -> None:
    """As if nobody had been there: its own code, no tracer, no thread that stands still, and none that went wrong."""
    in_memory, in_file = text_segment(target.pid, target.program)
    assert in_memory == in_file
    for tid in thread_ids(target.pid):
        assert status(target.pid, "TracerPid", tid) == "0"
    wait_until(lambda: states(target.pid) <= {"R", "S", "D"}, "no thread is stopped")


def all_count(target: Running) -> None:
    """Every thread of the crowd that counts goes on with it."""
    before = target.read("turns", 8, CROWD)
    wait_until(
        lambda: all(now > then for now, then in zip(target.read("turns", 8, CROWD), before, strict=True) if then),
        "every thread counts on",
    )
    assert sum(turns > 0 for turns in before) == CROWD - SLEEPERS - 1
    assert target.read("wrong", 8) == (0,)


def sleeping_places(target: Running) -> dict[int, str]:
    """Where the sleepers sleep: the system call, its arguments, sp and pc (proc(5), "syscall")."""
    tids = target.read("sleepers", 4, SLEEPERS)
    return {tid: Path(f"/proc/{target.pid}/task/{tid}/syscall").read_text() for tid in tids}


@contextmanager
def crowd() -> Iterator[Running]:
    """The crowd, once every thread has begun to count and the sleepers sleep."""
    with running("crowd", CROWD) as target:
        wait_until(lambda: sum(t > 0 for t in target.read("turns", 8, CROWD)) == CROWD - SLEEPERS - 1, "all count")
        wait_until(lambda: all(target.read("sleepers", 4, SLEEPERS)), "the sleepers are born")
        wait_until(lambda: all(t[:2] == "0 " for t in sleeping_places(target).values()), "the sleepers sleep")
        yield target


def test_five_hundred_threads(connect: Callable[..., Session]) -> None:
    with crowd() as target:
        before = sleeping_places(target)
        session = connect(target.program, attach=target.pid)
        assert session.ask("?")[:3] in ("T00", "T05", "T13")
        assert set(session.tids()) == live_threads(target.pid)
        assert len(session.tids()) == CROWD
        assert states(target.pid) == {"t"}
        session.expect_ok(f"D;{target.pid:x}")
        is_unharmed(target)
        all_count(target)
        assert sleeping_places(target) == before
        assert target.end() == 0


def test_detach_with_hits_that_were_not_told(connect: Callable[..., Session]) -> None:
    """Many threads stand at the breakpoint when the client leaves: each still has to run the instruction under it."""
    with crowd() as target:
        before = sleeping_places(target)
        session = connect(target.program, attach=target.pid)
        session.insert("turn")
        stop = session.go()
        for _ in range(10):
            assert pc_of(stop) == session.symbols["turn"]
            assert states(target.pid) == {"t"}
            session.step_off(stop, "turn")
            stop = session.go()
        session.expect_ok(f"D;{target.pid:x}")
        is_unharmed(target)
        all_count(target)
        assert sleeping_places(target) == before
        assert target.end() == 0


def test_detach_while_the_crowd_runs(connect: Callable[..., Session]) -> None:
    """The client hangs up with breakpoints set and threads running; the next one finds all stopped, and lets go."""
    with crowd() as target:
        session = connect(target.program, attach=target.pid)
        session.insert("turn")
        session.go()
        session.client.resume(b"vCont;c")
        session.close()
        session.server.log.wait_for(r"(Listening on port(.*\n)+.*){2}")
        with Session(session.server, target.program) as again:
            assert states(target.pid) == {"t"}
            in_memory, in_file = text_segment(target.pid, target.program)
            assert in_memory == in_file
            again.expect_ok(f"D;{target.pid:x}")
        is_unharmed(target)
        all_count(target)


def test_again_and_again(connect: Callable[..., Session]) -> None:
    program = compile_program("crowd", *STATIC)
    with crowd() as target:
        session = connect(program, multi=True)
        session.expect_ok("!")
        for _ in range(5):
            assert session.ask(f"vAttach;{target.pid:x}")[:1] == "T"
            assert set(session.ids()) == {(target.pid, tid) for tid in live_threads(target.pid)}
            session.insert("turn")
            assert pc_of(session.go()) == session.symbols["turn"]
            session.expect_ok(f"D;{target.pid:x}")
            is_unharmed(target)
        all_count(target)
        assert target.end() == 0


def test_job_control_stop_is_kept(connect: Callable[..., Session]) -> None:
    with running("crowd", 10) as target:
        os.kill(target.pid, signal.SIGSTOP)
        wait_until(lambda: states(target.pid) == {"T"}, "the process stops")
        session = connect(target.program, attach=target.pid)
        assert states(target.pid) == {"t"}
        session.expect_ok(f"D;{target.pid:x}")
        wait_until(lambda: states(target.pid) == {"T"}, "the process is left stopped")
        assert status(target.pid, "TracerPid") == "0"
        os.kill(target.pid, signal.SIGCONT)
        is_unharmed(target)
        assert target.end() == 0


def test_signal_stop_is_passed_on(connect: Callable[..., Session]) -> None:
    """A signal that has stopped the program and that the client did not take away is still the program's."""
    with running("crowd", 10) as target:
        session = connect(target.program, attach=target.pid)
        session.client.resume(b"vCont;c")
        os.kill(target.pid, signal.SIGTERM)
        stop = session.client.wait_stop()
        assert stop.signal == 15
        session.expect_ok(f"D;{target.pid:x}")
        assert target.process.wait(20) == -signal.SIGTERM


def test_detach_while_a_vfork_child_lives(connect: Callable[..., Session]) -> None:
    """The parent waits in the kernel where nobody can stop it, and the child uses its memory."""
    with running("keeps_child", "thread") as target:
        session = connect(target.program, attach=target.pid)
        session.insert("shared")
        session.write_int("may_fork", 1)
        session.client.resume(b"vCont;c")
        wait_until(lambda: target.read("child_is_there", 4) == (1,), "the child is there")
        session.interrupt()
        session.expect_ok(f"D;{target.pid:x}")
        in_memory, in_file = text_segment(target.pid, target.program)
        assert in_memory == in_file
        target.write("may_end", 1)
        assert target.process.wait(20) == 11
        target.output.wait_for("^3 calls")


def test_attach_while_a_vfork_child_lives(connect: Callable[..., Session]) -> None:
    """Its only thread cannot be stopped: that is said, and the process is none the worse for it."""
    with running("keeps_child", "alone") as target:
        target.write("may_fork", 1)
        wait_until(lambda: target.read("child_is_there", 4) == (1,), "the child is there")
        session = connect(target.program, multi=True)
        assert "does not stop" in session.ask(f"vAttach;{target.pid:x}")
        target.write("may_end", 1)
        assert target.process.wait(20) == 11
        target.output.wait_for("^3 calls")


def children_held(pid: int) -> set[int]:
    """The children of a process that stand in a ptrace-stop."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return {int(child) for child in found if status(int(child), "State")[:1] == "t"}


def at_an_untold_birth(connect: Callable[..., Session], target: Running) -> Session:
    """A session in which a child has been born, but another thread's breakpoint was reported first."""
    session = connect(target.program, attach=target.pid, offered=WITH_EVENTS)
    session.insert("work", "shared")
    session.write_int("may_begin", 1)
    while True:
        stop = session.run()
        assert stop.kind == "T", "no birth went untold"
        if child := child_of(stop):
            session.expect_ok(f"D;{child[0]:x}")
        elif pc_of(stop) == session.symbols["work"]:
            assert {pid for pid, _ in session.ids()} == {target.pid}
            if children_held(target.pid):
                return session
            session.step_off(stop, "work", "shared")


@pytest.mark.parametrize("how", ["detach", "hang up"])
def test_leave_before_a_birth_is_told(connect: Callable[..., Session], how: str) -> None:
    """The child was never heard of: it goes with its parent, without our breakpoints."""
    with running("forks", "wait") as target:
        session = at_an_untold_birth(connect, target)
        if how == "hang up":
            session.close()
            session.server.log.wait_for(r"(Listening on port(.*\n)+.*){2}")
            session = Session(session.server, target.program)
        with session:
            assert {pid for pid, _ in session.ids()} == {target.pid}
            session.expect_ok(f"D;{target.pid:x}")
        assert target.process.wait(20) == 0


def test_interrupt_while_a_vfork_child_lives(connect: Callable[..., Session]) -> None:
    """^C stops a thread that can be stopped."""
    with running("keeps_child", "leader") as target:
        session = connect(target.program, attach=target.pid)
        session.write_int("may_fork", 1)
        session.client.resume(b"vCont;c")
        wait_until(lambda: target.read("child_is_there", 4) == (1,), "the child is there")
        stop = session.interrupt()
        assert (stop.signal, thread_of(stop)[0]) == (SIGINT, target.pid)
        assert thread_of(stop)[1] != target.pid
        session.write_int("may_end", 1)
        exited(session.run(), 11)


def test_client_vanishes_in_the_middle_of_a_packet(connect: Callable[..., Session]) -> None:
    """What was attached to stands still until somebody comes; the server's end lets it run on."""
    with running("crowd", 20) as target:
        session = connect(target.program, attach=target.pid)
        session.insert("turn")
        stop = session.go()
        session.step_off(stop, "turn")
        session.client.resume(b"vCont;c")
        session.client.send_raw(b"$m400000,")
        session.close()
        session.server.log.wait_for(r"(Listening on port(.*\n)+.*){2}")
        wait_until(lambda: states(target.pid) == {"t"}, "all threads stand still")
        end_process(session.server.process)
        is_unharmed(target)
        assert target.end() == 0


def test_server_is_told_to_end_while_threads_run(connect: Callable[..., Session]) -> None:
    with running("crowd", 20) as target:
        session = connect(target.program, attach=target.pid)
        session.insert("turn")
        session.go()
        session.remove("turn")
        session.insert("main")
        session.client.resume(b"vCont;c")
        end_process(session.server.process)
        is_unharmed(target)
        assert target.end() == 0


def test_server_ends_and_with_it_what_it_started(debug: Callable[..., Session]) -> None:
    session = debug("counts")
    pid = session.pid
    session.client.resume(b"vCont;c")
    end_process(session.server.process)
    assert is_gone(pid)


def test_server_is_killed_and_with_it_what_it_started(debug: Callable[..., Session]) -> None:
    session = debug("counts")
    pid = session.pid
    session.client.resume(b"vCont;c")
    session.server.process.kill()
    wait_until(lambda: is_gone(pid), "the program ends with its server")
