"""Signals: told, delivered, suppressed, given by the client, and job control."""

from __future__ import annotations

import os
import signal
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from debugserver.rsp.framing import escape
from tests.live.running import Running, running
from tests.live.session import SIGINT, SIGTRAP, SIGUSR1, Session, exited, name, pc_of, states, thread_of
from tests.support.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

THREADS, QUEUED = 10, 5
SIGSTOP, SIGCONT = 17, 19
REAL_TIME_35, REAL_TIME_64 = 47, 78
"""GDB's numbers (gdb/signals.def); 64 comes after those that GDB learned first."""


def at_checkpoint(debug: Callable[..., Session], task: str, *, stepped: bool = True) -> Session:
    """All threads run and the leader is about to begin its task."""
    session = debug("gets_signals", task)
    session.insert("checkpoint")
    assert pc_of(session.go()) == session.symbols["checkpoint"]
    session.remove("checkpoint")
    if stepped:
        assert session.step(leader(session)).signal == SIGTRAP
    return session


def leader(session: Session) -> tuple[int, int]:
    return session.pid, session.pid


@pytest.mark.parametrize("delivered", [True, False])
def test_told_and_delivered_or_not(debug: Callable[..., Session], delivered: bool) -> None:
    session = at_checkpoint(debug, "raise")
    stop = session.go()
    assert (stop.signal, thread_of(stop)) == (SIGUSR1, leader(session))
    exited(session.go(f"C{SIGUSR1:02x}:{name(thread_of(stop))};c" if delivered else "c"), int(delivered))


def test_delivered_to_the_current_thread_by_the_old_packet(debug: Callable[..., Session]) -> None:
    session = at_checkpoint(debug, "raise")
    assert session.go().signal == SIGUSR1
    session.client.send(f"C{SIGUSR1:02x}".encode())
    exited(session.client.wait_stop(), 1)


def test_stepped_into_its_handler(debug: Callable[..., Session]) -> None:
    """A step that delivers a signal ends at the handler's first instruction."""
    session = at_checkpoint(debug, "raise")
    assert session.go().signal == SIGUSR1
    stop = session.step(leader(session), SIGUSR1)
    assert (stop.signal, pc_of(stop)) == (SIGTRAP, session.symbols["handler"])
    exited(session.go(), 1)


def test_real_time_signals(debug: Callable[..., Session]) -> None:
    session = at_checkpoint(debug, "real-time")
    first = session.go()
    second = session.go(f"C{REAL_TIME_35:02x}:{name(thread_of(first))};c")
    assert (first.signal, second.signal) == (REAL_TIME_35, REAL_TIME_64)
    assert session.read_int("got", index=35) == 1
    session.insert("checkpoint")
    session.go(f"C{REAL_TIME_64:02x}:{name(thread_of(second))};c")
    assert session.read_int("got", index=64) == 1
    session.remove("checkpoint")
    exited(session.go(), 0)


@pytest.mark.parametrize("how", ["breakpoint", "step", "interrupt"])
def test_given_to_a_thread_that_had_none(debug: Callable[..., Session], how: str) -> None:
    """It arrives once, and is not told to the client who sent it."""
    session = at_checkpoint(debug, "wait", stepped=how == "step")
    if how == "interrupt":
        session.client.resume()
        session.interrupt()
    before = session.read_int("got", index=signal.SIGUSR1)
    session.client.resume(f"vCont;C{SIGUSR1:02x}:{name(leader(session))};c".encode())
    wait_until(lambda: session.look("got", index=signal.SIGUSR1) == before + 1, "the handler has run")
    assert session.interrupt().signal == SIGINT
    session.write_int("done", 1)
    exited(session.go(), 1)


def test_given_to_each_thread(debug: Callable[..., Session]) -> None:
    """None of them stopped by a signal: each gets its own, once."""
    session = at_checkpoint(debug, "wait")
    session.client.resume(f"vCont;c:{name(leader(session))};C{SIGUSR1:02x}".encode())
    wait_until(lambda: all(session.look("got_by", index=i) == 1 for i in range(THREADS)), "all handlers have run")
    assert session.interrupt().signal == SIGINT
    session.write_int("done", 1)
    exited(session.go(), THREADS)


@pytest.mark.parametrize(
    ("task", "number", "host", "times"), [("burst", SIGUSR1, 10, 1), ("queue", REAL_TIME_35, 35, 5)]
)
def test_bursts_to_many_threads(debug: Callable[..., Session], task: str, number: int, host: int, times: int) -> None:
    """Each is told once and delivered once."""
    session = at_checkpoint(debug, task)
    session.insert("checkpoint")
    told: Counter[int] = Counter()
    stop = session.go()
    while stop.signal == number:
        told[thread_of(stop)[1]] += 1
        assert states(thread_of(stop)[0]) == {"t"}
        stop = session.go(f"C{number:02x}:{name(thread_of(stop))};c")
    assert pc_of(stop) == session.symbols["checkpoint"]
    assert list(told.values()) == [times] * THREADS
    assert [session.read_int("got_by", index=i) for i in range(THREADS)] == [times] * THREADS
    assert session.read_int("got", index=host) == THREADS * times
    session.remove("checkpoint")
    exited(session.go(), THREADS if number == SIGUSR1 else 0)


def stopped_by_job_control(target: Running, session: Session) -> None:
    """The client delivers a SIGSTOP; the parent, which is this test, is told when every thread stands still."""
    session.client.resume()
    os.kill(target.pid, signal.SIGSTOP)
    stop = session.client.wait_stop()
    assert stop.signal == SIGSTOP
    session.client.resume(f"vCont;C{SIGSTOP:02x}:{name(thread_of(stop))};c".encode())
    os.waitid(os.P_PID, target.pid, os.WSTOPPED)


def test_job_control(connect: Callable[..., Session]) -> None:
    """SIGSTOP delivered stops the program until SIGCONT, with the client waiting all the while."""
    with running("gets_signals", "wait") as target:
        session = connect(target.program, attach=target.pid)
        stopped_by_job_control(target, session)
        before = target.read("turns", 8)
        with pytest.raises(TimeoutError):
            session.client.wait_stop(timeout=0.2)
        assert target.read("turns", 8) == before
        os.kill(target.pid, signal.SIGCONT)
        stop = session.client.wait_stop()
        assert stop.signal == SIGCONT
        session.client.resume(f"vCont;C{SIGCONT:02x}:{name(thread_of(stop))};c".encode())
        wait_until(lambda: target.read("turns", 8) > before, "the program goes on")
        assert session.interrupt().signal == SIGINT
        session.write_int("done", 1)
        exited(session.go(), 0)


def test_resumed_out_of_a_job_control_stop(connect: Callable[..., Session]) -> None:
    """To the kernel the process is still stopped then; the client, which knows better, stops and resumes it as ever."""
    with running("gets_signals", "wait") as target:
        session = connect(target.program, attach=target.pid)
        stopped_by_job_control(target, session)
        assert session.interrupt().signal == SIGINT
        for _ in range(10):
            before = target.read("turns", 8)
            session.client.resume()
            wait_until(lambda before=before: target.read("turns", 8) > before, "it goes on")  # type: ignore[misc]
            assert session.interrupt().signal == SIGINT
        session.write_int("done", 1)
        exited(session.go(), 0)


@pytest.mark.parametrize("number", [-5, 65, 200])
def test_a_signal_that_there_is_not(debug: Callable[..., Session], number: int) -> None:
    """It cannot be put in the place of the one that stopped a thread, which is let go with that."""
    session = at_checkpoint(debug, "raise")
    assert session.go().signal == SIGUSR1
    before = session.client.transfer("siginfo")
    packet = b"qXfer:siginfo:write::0:" + escape(number.to_bytes(4, "little", signed=True) + before[4:])
    assert session.client.request(packet)[:1] == b"E"
    assert session.client.transfer("siginfo") == before
    session.expect_ok(f"D;{session.pid:x}")


def test_trap_by_kill(debug: Callable[..., Session]) -> None:
    """SIGTRAP that somebody sends is a signal like any other."""
    session = at_checkpoint(debug, "wait")
    pid = session.pid
    session.client.resume()
    os.kill(pid, signal.SIGTRAP)
    stop = session.client.wait_stop()
    assert stop.signal == SIGTRAP
    assert "swbreak" not in stop.pairs
    session.client.resume(f"vCont;C{SIGTRAP:02x}:{name(thread_of(stop))};c".encode())
    wait_until(lambda: session.look("got", index=signal.SIGTRAP) == 1, "the handler has run")
    session.interrupt()
    session.write_int("done", 1)
    exited(session.go(), 1)


def test_blocked_trap_keeps_nobody_from_stopping(debug: Callable[..., Session]) -> None:
    """Each thread has a SIGTRAP pending that it never takes: no breakpoint's, so nobody waits for it."""
    session = at_checkpoint(debug, "blocked")
    session.insert("checkpoint")
    session.client.resume()
    stop = session.client.wait_stop(timeout=4)
    assert pc_of(stop) == session.symbols["checkpoint"]
    assert states(session.pid) == {"t"}
    session.remove("checkpoint")
    exited(session.go(), 0)


def test_own_breakpoint_instruction(debug: Callable[..., Session]) -> None:
    """A program's own int3 stops it behind the instruction, where it goes on."""
    session = at_checkpoint(debug, "trap")
    stop = session.go()
    assert (stop.signal, pc_of(stop)) == (SIGTRAP, session.symbols["after_own_trap"])
    exited(session.go(), 0)


def test_own_breakpoint_instruction_delivered(debug: Callable[..., Session]) -> None:
    session = at_checkpoint(debug, "trap")
    stop = session.go()
    exited(session.go(f"C{SIGTRAP:02x}:{name(thread_of(stop))};c"), 1)


def test_signals_that_wait_to_be_told_pass_once_the_client_wants_it(debug: Callable[..., Session]) -> None:
    """Ten threads have one to tell, and only the first is told."""
    session = at_checkpoint(debug, "burst")
    session.insert("checkpoint")
    first = session.go()
    assert first.signal == SIGUSR1
    session.expect_ok(f"QPassSignals:{SIGUSR1:x}")
    stop = session.go(f"C{SIGUSR1:02x}:{name(thread_of(first))};c")
    assert (stop.signal, pc_of(stop)) == (SIGTRAP, session.symbols["checkpoint"])
    assert session.read_int("got", index=signal.SIGUSR1) == THREADS


def test_stop_of_another_thread_that_has_a_signal_pending(debug: Callable[..., Session]) -> None:
    """Ten threads have a signal to tell; the client gives one of them another before it has been told. Both arrive."""
    session = at_checkpoint(debug, "burst")
    session.insert("checkpoint")
    first = session.go()
    assert first.signal == SIGUSR1
    other = next(t for t in session.ids() if t not in (thread_of(first), leader(session)))
    stop = session.go(f"C{SIGUSR1:02x}:{name(thread_of(first))};C{REAL_TIME_35:02x}:{name(other)};c")
    told = 1
    while stop.signal == SIGUSR1:
        told += 1
        stop = session.go(f"C{SIGUSR1:02x}:{name(thread_of(stop))};c")
    assert pc_of(stop) == session.symbols["checkpoint"]
    assert (told, session.read_int("got", index=signal.SIGUSR1)) == (THREADS, THREADS)
    assert session.read_int("got", index=35) == 1
