"""Notifications of the real server, on a real clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from debugserver.testing.client import RspClient
from tests.live.session import PLAIN

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
