"""Notifications of the real server, on a real clock."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from debugserver.testing.client import RspClient
from tests.live.running import running
from tests.live.session import PLAIN, states
from tests.support.processes import status, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.server import Server


def test_a_stop_is_told_again_until_it_is_acknowledged(serve: Callable[..., Server]) -> None:
    server = serve("/bin/sleep", "1000", options=("--notification-timeout=0.1",))
    with RspClient.connect(server.address) as client:
        client.supported(PLAIN)
        assert client.request(b"QNonStop:1") == b"OK"
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


def test_the_end_of_a_process_says_itself_that_nothing_runs(serve: Callable[..., Server]) -> None:
    """Also where the server hears of the ends of all its threads at once. GDB takes an `N` for the end of all."""
    with running("mixed_code", 4) as program:
        server = serve(program.pid, options=("--attach",))
        with RspClient.connect(server.address) as client:
            client.supported(PLAIN)
            assert client.request(b"QNonStop:1") == b"OK"
            assert client.request(b"vCont;c") == b"OK"
            os.kill(server.process.pid, signal.SIGSTOP)
            wait_until(lambda: status(server.process.pid, "State").startswith("T"), "the server stands still")
            assert program.process.stdin is not None
            program.process.stdin.write(b"\n")
            wait_until(lambda: states(program.pid) == {"Z"}, "every thread has ended")
            os.kill(server.process.pid, signal.SIGCONT)
            assert client.wait_notification() == b"Stop:W00;process:%x" % program.pid
            assert client.request(b"vStopped") == b"OK"
