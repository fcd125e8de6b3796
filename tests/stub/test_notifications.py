"""A notification that nobody acknowledges is sent again; one that concerns nobody any more still keeps its place."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import pytest

from debugserver.stub.settings import Settings
from debugserver.target.model import Stop, StopReason, ThreadId
from debugserver.testing.fake_target import FakeTarget
from tests.support.packets import ask, connect, send, stop_reply, stopped, take, transcript

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from debugserver.stub.stub import Stub
    from debugserver.target.model import Action, Event

FIRST, SECOND = ThreadId(0x10, 0x10), ThreadId(0x20, 0x20)
TIMEOUT = 0.05


def both_stop(target: FakeTarget, actions: Mapping[ThreadId, Action]) -> Iterable[Event]:
    return [Stop(thread, signal.SIGUSR1, StopReason.SIGNAL) for thread in actions]


@pytest.fixture
def stub() -> Stub:
    target = FakeTarget(script=both_stop)
    target.add_process(FIRST.pid)
    target.add_process(SECOND.pid)
    settings = Settings()
    settings.notification_timeout = TIMEOUT
    stub = connect(target, settings=settings)
    assert stub.deadline is None
    transcript(stub, [(b"QNonStop:1", b"OK")])
    return stub


def notified(stub: Stub, packet: bytes) -> bytes:
    sent = send(stub, packet)
    assert sent.packets == [b"OK"]
    (notification,) = sent.notifications
    return notification


def test_the_deadline_is_as_far_away_as_the_setting_says(stub: Stub) -> None:
    before = time.monotonic()
    notified(stub, b"vCont;c")
    assert stub.deadline is not None
    assert before + TIMEOUT <= stub.deadline <= time.monotonic() + TIMEOUT


def test_it_is_sent_again_and_again_until_it_is_acknowledged(stub: Stub) -> None:
    notification = notified(stub, b"vCont;c")
    for _ in range(3):
        deadline = stub.deadline
        stub.on_deadline()
        sent = take(stub)
        assert (sent.packets, sent.notifications) == ([], [notification])
        assert stub.deadline is not None
        assert deadline is not None
        assert stub.deadline > deadline
    assert stop_reply(ask(stub, b"vStopped")) == stopped(30, "p20.20")
    assert stub.deadline is None
    stub.on_deadline()
    assert not take(stub).notifications
    transcript(stub, [(b"vStopped", b"OK")])


@pytest.mark.parametrize("packet", [b"?", b"QNonStop:0"])
def test_it_is_not_sent_again_after_a_new_start(stub: Stub, packet: bytes) -> None:
    notified(stub, b"vCont;c")
    send(stub, packet)
    assert stub.deadline is None


def test_all_stop_has_no_deadline(stub: Stub) -> None:
    transcript(stub, [(b"QNonStop:0", b"OK")])
    assert stop_reply(ask(stub, b"vCont;c")).signal == 30
    assert stub.deadline is None


def test_the_stop_of_a_process_that_is_gone_is_acknowledged_and_others_are_not_lost(stub: Stub) -> None:
    """GDB acknowledges what is in flight even if it has killed the process meanwhile."""
    assert stop_reply(notified(stub, b"vCont;c").removeprefix(b"Stop:")) == stopped(30, "p10.10")
    transcript(stub, [(b"vKill;10", b"OK")])
    assert stop_reply(ask(stub, b"vStopped")) == stopped(30, "p20.20")
    transcript(stub, [(b"vStopped", b"OK")])
