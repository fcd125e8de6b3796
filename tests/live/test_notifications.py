"""Notifications of the real server, on a real clock."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from debugserver.testing.client import RspClient
from tests.live.running import running
from tests.live.session import PLAIN, SIGUSR1, SIGUSR2, states
from tests.support.processes import is_stopped, send_to_thread, status, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.server import Server

SIG40 = 52
"""GDB's number (gdb/signals.def)."""


@contextmanager
def in_non_stop(server: Server) -> Iterator[RspClient]:
    with RspClient.connect(server.address) as client:
        client.supported(PLAIN)
        assert client.request(b"QNonStop:1") == b"OK"
        yield client


def test_a_stop_is_told_again_until_it_is_acknowledged(serve: Callable[..., Server]) -> None:
    server = serve("/bin/sleep", "1000", options=("--notification-timeout=0.1",))
    with in_non_stop(server) as client:
        assert client.request(b"vCont;c") == b"OK"
        assert client.request(b"vCont;t") == b"OK"
        first = client.wait_notification()
        assert first.startswith(b"Stop:T00")
        assert client.wait_notification() == first
        assert client.wait_notification() == first
        assert client.request(b"vStopped") == b"OK"
        client.notifications.clear()
        with pytest.raises(TimeoutError):
            client.wait_notification(0.5)


def test_stops_that_are_not_acknowledged_are_told_to_the_next_client(serve: Callable[..., Server]) -> None:
    numbers = {int(signal.SIGUSR1): SIGUSR1, int(signal.SIGUSR2): SIGUSR2, 40: SIG40}
    with running("ten_threads") as program:
        server = serve(program.pid, options=("--attach",))
        with in_non_stop(server) as client:
            assert client.request(b"vCont;c") == b"OK"
            tids = program.read("ids", 4, len(numbers))
            for tid, number in zip(tids, numbers, strict=True):
                send_to_thread(program.pid, tid, number)
            assert client.wait_notification().startswith(b"Stop:T")
            wait_until(lambda: all(is_stopped(program.pid, tid) for tid in tids), "they have stopped")
        with RspClient.connect(server.address) as client:
            client.supported(PLAIN)
            told = set()
            for _ in numbers:
                client.resume(b"vCont;c")
                told.add(client.wait_stop().signal)
            assert told == set(numbers.values())
            client.resume(b"vCont;c")
            client.interrupt()
            assert client.wait_stop().signal == signal.SIGINT, "nothing is told twice"
            assert client.request(b"D") == b"OK"
        program.write("done", 1)
        assert program.process.wait(20) == 0


def test_system_calls_that_nobody_catches_any_more_are_not_told_to_the_next_client(
    serve: Callable[..., Server],
) -> None:
    with running("ten_threads") as program:
        server = serve(program.pid, options=("--attach",))
        with in_non_stop(server) as client:
            assert client.request(b"QCatchSyscalls:1") == b"OK"
            assert client.request(b"vCont;c") == b"OK"
            assert b"syscall_entry:" in client.wait_notification()
        with RspClient.connect(server.address) as client:
            client.supported(PLAIN)
            client.resume(b"vCont;c")
            before = sum(program.read("turns", 8, 10))
            wait_until(lambda: sum(program.read("turns", 8, 10)) > before, "it runs")
            client.interrupt()
            assert client.wait_stop().signal == signal.SIGINT
            assert client.request(b"D") == b"OK"
        program.write("done", 1)
        assert program.process.wait(20) == 0


def test_the_end_of_a_process_says_itself_that_nothing_runs(serve: Callable[..., Server]) -> None:
    """Also where the server hears of the ends of all its threads at once. GDB takes an `N` for the end of all."""
    with running("mixed_code", 4) as program:
        server = serve(program.pid, options=("--attach",))
        with in_non_stop(server) as client:
            assert client.request(b"vCont;c") == b"OK"
            os.kill(server.process.pid, signal.SIGSTOP)
            wait_until(lambda: status(server.process.pid, "State").startswith("T"), "the server stands still")
            assert program.process.stdin is not None
            program.process.stdin.write(b"\n")
            wait_until(lambda: states(program.pid) == {"Z"}, "every thread has ended")
            os.kill(server.process.pid, signal.SIGCONT)
            assert client.wait_notification() == b"Stop:W00;process:%x" % program.pid
            assert client.request(b"vStopped") == b"OK"
