"""Who leaves, and what becomes of the processes: ones that we started end, ones that we attached to run on unharmed,
unless the user wants it otherwise."""

from __future__ import annotations

import os
import signal
import socket
import struct
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import pytest

from debugserver.testing.client import RspClient
from tests.live.session import LLDB, PLAIN, STATIC, Session, states, symbols
from tests.support.processes import (
    is_gone,
    read_memory,
    status,
    system_call,
    text_segment,
    thread_ids,
    wait_until,
    write_memory,
)
from tests.support.programs import compile_program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.server import Server

PROGRAM = compile_program("threads", *STATIC)
TURNS = struct.Struct("<4q")
WRITE = 1
"""The system call."""
HIT_BY_ALL, HIT_BY_NOBODY = "work", "main"


@pytest.fixture
def serve_it(serve_either: Callable[..., Server]) -> Callable[..., Server]:
    """A server with four threads that count, which it started or attached to."""
    return partial(serve_either, "threads")


@pytest.fixture
def was_started(serve_it: Callable[..., Server], request: pytest.FixtureRequest) -> bool:
    return "started" in request.node.callspec.id


def turns(pid: int) -> tuple[int, ...]:
    """How often each thread has turned, seen from outside."""
    return TURNS.unpack(read_memory(pid, symbols(PROGRAM)["turns"], TURNS.size))


def finish(pid: int) -> None:
    """Let the threads end, from outside."""
    write_memory(pid, symbols(PROGRAM)["done"], b"\1")


def has_its_own_code(pid: int) -> bool:
    in_memory, in_file = text_segment(pid, PROGRAM)
    return in_memory == in_file


def is_let_go(pid: int) -> bool:
    return all(status(pid, "TracerPid", tid) == "0" for tid in thread_ids(pid))


def runs_on_unharmed(pid: int) -> None:
    """Its own code, no tracer, and every thread turns."""
    assert is_let_go(pid)
    assert has_its_own_code(pid)
    before = turns(pid)
    wait_until(lambda: all(now > then for now, then in zip(turns(pid), before, strict=True)), "every thread turns")
    finish(pid)
    wait_until(lambda: is_gone(pid), "it ends by itself")


def has_ended_or_runs_on(pid: int, was_started: bool) -> None:
    if was_started:
        assert is_gone(pid)
    else:
        runs_on_unharmed(pid)


def stands_still(pid: int) -> None:
    wait_until(lambda: states(pid) == {"t"} and has_its_own_code(pid), "every thread stands still, without our traps")


@contextmanager
def while_threads_run(server: Server, place: str, *, non_stop: bool = False) -> Iterator[Session]:
    """A client that has inserted a breakpoint and resumed everything; all four threads have turned."""
    with Session(server, PROGRAM) as session:
        if session.ask("qAttached") == "0":
            session.start()
        before = turns(server.debuggee)
        session.client.resume(b"vCont;c")
        wait_until(
            lambda: all(now > then for now, then in zip(turns(server.debuggee), before, strict=True)), "all threads run"
        )
        session.client.interrupt()
        session.client.wait_stop()
        if non_stop:
            session.expect_ok("QNonStop:1")
        session.insert(place)
        session.client.resume(b"vCont;c")
        yield session


def hangs_up(session: Session) -> None:
    session.close()


def resets(session: Session) -> None:
    connection = session.client._reader
    assert isinstance(connection, socket.socket)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    session.close()


VANISHING = pytest.mark.parametrize("vanish", [hangs_up, resets])
PLACE = pytest.mark.parametrize("place", [HIT_BY_ALL, HIT_BY_NOBODY])


@VANISHING
@PLACE
@pytest.mark.parametrize("non_stop", [False, True])
def test_by_default_the_next_client_finds_it_stopped(
    serve_it: Callable[..., Server], vanish: Callable[[Session], None], place: str, non_stop: bool
) -> None:
    server = serve_it()
    with while_threads_run(server, place, non_stop=non_stop) as session:
        vanish(session)
    stands_still(server.debuggee)
    with RspClient.connect(server.address) as client:
        client.supported()
        assert client.request(b"?")[:1] == b"T"
        assert client.request(b"D") == b"OK"
    runs_on_unharmed(server.debuggee)
    assert server.wait() == 0


@pytest.mark.parametrize("offered", [PLAIN, LLDB])
def test_the_next_client_hears_how_it_ended_meanwhile(serve: Callable[..., Server], offered: str) -> None:
    server = serve(PROGRAM)
    with Session(server, PROGRAM):
        pass
    server.log.wait_for("will reopen the connection")
    os.kill(server.debuggee, signal.SIGKILL)
    wait_until(lambda: is_gone(server.debuggee), "it ends")
    with Session(server, PROGRAM, offered) as session:
        assert session.ask("?") == f"X09;process:{server.debuggee:x}"
        assert session.ask("?") == "W00"
    server.log.wait_for(r"Child terminated with signal = 0x9 \(SIGKILL\)")
    assert server.wait() == 0


def test_the_next_client_hears_nothing_of_another_process_that_ended_meanwhile(serve: Callable[..., Server]) -> None:
    server = serve(options=("--multi",))
    with Session(server, PROGRAM) as session:
        session.expect_ok("!")
        first, second = session.launch(PROGRAM), session.launch(PROGRAM)
    os.kill(second, signal.SIGKILL)
    wait_until(lambda: is_gone(second), "it ends")
    with Session(server, PROGRAM) as session:
        assert session.ids() == [(first, first)]
        assert f"thread:p{first:x}.{first:x};" in session.ask("?")
        session.start()
        assert session.ask(f"vKill;{second:x}") == "E22"
        session.expect_ok(f"vKill;{first:x}")


@VANISHING
@PLACE
def test_once(
    serve_it: Callable[..., Server], was_started: bool, vanish: Callable[[Session], None], place: str
) -> None:
    server = serve_it("--once")
    with while_threads_run(server, place) as session:
        vanish(session)
    assert server.wait() == 0
    has_ended_or_runs_on(server.debuggee, was_started)


@VANISHING
@PLACE
@pytest.mark.parametrize("once", [False, True])
def test_detach_on_disconnect(
    serve_it: Callable[..., Server], vanish: Callable[[Session], None], place: str, once: bool
) -> None:
    """The server stays for a program that it started: the terminal is the program's."""
    server = serve_it("--on-disconnect=detach", *(["--once"] if once else []))
    with while_threads_run(server, place) as session:
        vanish(session)
    wait_until(lambda: is_let_go(server.debuggee), "it is let go")
    runs_on_unharmed(server.debuggee)
    assert server.wait() == 0


@VANISHING
@pytest.mark.parametrize("once", [False, True])
def test_kill_on_disconnect(serve_it: Callable[..., Server], vanish: Callable[[Session], None], once: bool) -> None:
    server = serve_it("--on-disconnect=kill", *(["--once"] if once else []))
    with while_threads_run(server, HIT_BY_ALL) as session:
        vanish(session)
    assert server.wait() == 0
    assert is_gone(server.debuggee)


def test_an_extended_server_waits_for_the_next_client_with_nothing(serve: Callable[..., Server]) -> None:
    server = serve(PROGRAM, options=("--multi", "--on-disconnect=kill"))
    with while_threads_run(server, HIT_BY_NOBODY) as session:
        hangs_up(session)
    with RspClient.connect(server.address) as client:
        client.supported()
        assert client.request(b"?") == b"W00"
    assert is_gone(server.debuggee)


def test_what_the_client_decided_counts(serve_it: Callable[..., Server]) -> None:
    server = serve_it("--on-disconnect=kill")
    with Session(server, PROGRAM) as session:
        session.expect_ok("D")
    runs_on_unharmed(server.debuggee)
    assert server.wait() == 0


@PLACE
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("policy", ["stop", "detach", "kill"])
def test_a_signal_to_the_server_while_threads_run(
    serve_it: Callable[..., Server], was_started: bool, place: str, number: int, policy: str
) -> None:
    """It is not the client who went away."""
    server = serve_it(f"--on-disconnect={policy}")
    with while_threads_run(server, place):
        os.kill(server.process.pid, number)
        assert server.wait() == 0
    has_ended_or_runs_on(server.debuggee, was_started)


@PLACE
def test_further_signals_to_a_server_that_lets_go(
    serve_it: Callable[..., Server], was_started: bool, place: str
) -> None:
    server = serve_it()
    with while_threads_run(server, place):
        with server.log.full():
            os.kill(server.process.pid, signal.SIGTERM)
            wait_until(
                lambda: system_call(server.process.pid, server.process.pid) == WRITE,
                "it is about to let go, and says so",
            )
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                os.kill(server.process.pid, number)
        assert server.wait() == 0
    has_ended_or_runs_on(server.debuggee, was_started)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_a_server_that_stays_for_a_program(serve: Callable[..., Server], number: int) -> None:
    server = serve(PROGRAM, options=("--on-disconnect=detach",))
    with while_threads_run(server, HIT_BY_ALL) as session:
        hangs_up(session)
    wait_until(lambda: is_let_go(server.debuggee), "it is let go")
    os.kill(server.process.pid, number)
    assert server.wait() == 0
    runs_on_unharmed(server.debuggee)


@pytest.mark.parametrize("command", ["exit", "quit"])
@pytest.mark.parametrize("policy", ["stop", "detach", "kill"])
def test_monitor_exit(serve_it: Callable[..., Server], was_started: bool, command: str, policy: str) -> None:
    server = serve_it("--multi", f"--on-disconnect={policy}")
    with while_threads_run(server, HIT_BY_ALL) as session:
        session.client.wait_stop()
        assert session.client.monitor(command) == ""
        assert server.wait() == 0
    has_ended_or_runs_on(server.debuggee, was_started)


def test_monitor_exit_while_threads_run(serve_it: Callable[..., Server], was_started: bool) -> None:
    server = serve_it()
    with while_threads_run(server, HIT_BY_NOBODY, non_stop=True) as session:
        assert session.client.receive() == b"OK"
        assert session.client.monitor("exit") == ""
        assert server.wait() == 0
    has_ended_or_runs_on(server.debuggee, was_started)
