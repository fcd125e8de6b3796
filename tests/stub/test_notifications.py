"""Notifications: one in flight, in order, sent again until acknowledged; what is in flight keeps its place."""

from __future__ import annotations

import re
import signal
import time
from typing import TYPE_CHECKING

import pytest

from debugserver.stub.settings import Settings
from debugserver.target.model import Action, ActionKind, ProcessExit, Stop, StopReason, ThreadExit, ThreadId
from debugserver.testing.fake_target import FakeTarget
from tests.support.packets import ask, connect, connect_lldb, frame, send, stop_reply, stopped, take, transcript

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from debugserver.stub.stub import Stub
    from debugserver.target.model import Event
    from tests.support.packets import Sent

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


# The order of things: events that come while one is in flight


def connect_non_stop(target: FakeTarget) -> Stub:
    stub = connect(target)
    transcript(stub, [(b"QNonStop:1", b"OK")])
    return stub


def ten_threads() -> tuple[FakeTarget, list[ThreadId]]:
    """One process with ten threads that run until the test makes something happen."""
    target = FakeTarget(script=lambda target, actions: [])
    target.add_process(0x10, range(0x10, 0x1A))
    return target, list(target.threads(0x10))


def signalled(thread: ThreadId) -> Stop:
    return Stop(thread, signal.SIGUSR1, StopReason.SIGNAL)


def happen(stub: Stub, target: FakeTarget, *events: Event) -> Sent:
    for event in events:
        target.happen(event)
    stub.target_event()
    return take(stub)


def acknowledge_all(stub: Stub) -> list[bytes]:
    """What vStopped fetches up to the OK."""
    found = []
    while (reply := ask(stub, b"vStopped")) != b"OK":
        assert reply
        found.append(reply)
    return found


def threads_of(replies: Iterable[bytes]) -> list[str]:
    return [dict(stop_reply(reply).pairs)["thread"] for reply in replies]


def test_one_is_in_flight_and_the_others_wait_for_vstopped() -> None:
    target, threads = ten_threads()
    stub = connect_non_stop(target)
    transcript(stub, [(b"vCont;c", b"OK")])
    sent = happen(stub, target, *map(signalled, threads[:4]))
    assert threads_of(n.removeprefix(b"Stop:") for n in sent.notifications) == ["p10.10"]
    assert sent.packets == []
    assert threads_of(acknowledge_all(stub)) == ["p10.11", "p10.12", "p10.13"]


def test_what_comes_while_one_is_in_flight_makes_no_second_notification() -> None:
    target, threads = ten_threads()
    stub = connect_non_stop(target)
    transcript(stub, [(b"vCont;c", b"OK")])
    assert len(happen(stub, target, signalled(threads[0])).notifications) == 1
    assert happen(stub, target, signalled(threads[1])).notifications == []
    assert threads_of([ask(stub, b"vStopped") or b""]) == ["p10.11"]
    assert happen(stub, target, signalled(threads[2])).notifications == [], "the client is still fetching"
    assert threads_of(acknowledge_all(stub)) == ["p10.12"]
    assert len(happen(stub, target, signalled(threads[3])).notifications) == 1, "after OK the next one is announced"


def test_other_packets_are_answered_while_one_is_in_flight() -> None:
    target, threads = ten_threads()
    target.memory[0x100] = bytearray(b"\x12\x34")
    stub = connect_non_stop(target)
    transcript(stub, [(b"vCont;c", b"OK")])
    happen(stub, target, *map(signalled, threads[:2]))
    exchanges = [
        (b"Hgp10.10", b"OK"),
        (b"m100,2", b"1234"),
        (b"Z0,100,1", b"OK"),
        (b"M100,1:56", b"OK"),
        (b"qAttached:10", b"0"),
        (b"Tp10.19", b"OK"),
    ]
    transcript(stub, exchanges)
    assert threads_of(acknowledge_all(stub)) == ["p10.11"]


def test_vstopped_without_a_notification_is_ok() -> None:
    target, _ = ten_threads()
    transcript(connect_non_stop(target), [(b"vStopped", b"OK"), (b"vCont;c", b"OK"), (b"vStopped", b"OK")])


def test_a_thread_resumed_from_the_queue_is_told_first() -> None:
    """The client has not heard of its stop: it resumes what it takes for running, and the stop is news."""
    target, threads = ten_threads()
    stub = connect_non_stop(target)
    transcript(stub, [(b"vCont;c", b"OK")])
    happen(stub, target, *map(signalled, threads[:2]))
    transcript(stub, [(b"vCont;c", b"OK")])
    assert not target.running(threads[0])
    assert not target.running(threads[1])
    assert threads_of(acknowledge_all(stub)) == ["p10.11"]
    transcript(stub, [(b"vCont;c", b"OK")])
    assert all(map(target.running, threads))


def test_a_child_whose_birth_is_queued_is_not_resumed_with_all_others() -> None:
    """GDB would hear of its end before it had heard of it at all."""
    target, threads = ten_threads()
    child = ThreadId(0x20, 0x20)
    stub = connect_non_stop(target)
    transcript(stub, [(b"vCont;c", b"OK")])
    target.add_process(child.pid)
    happen(stub, target, signalled(threads[0]), Stop(threads[1], signal.SIGTRAP, StopReason.FORK, child=child))
    transcript(stub, [(b"vCont;c", b"OK")])
    assert not target.running(child)
    acknowledge_all(stub)
    transcript(stub, [(b"vCont;c", b"OK")])
    assert target.running(child)


def test_some_threads_are_resumed_while_others_stand() -> None:
    target, threads = ten_threads()
    stub = connect_non_stop(target)
    transcript(stub, [(b"vCont;c:p10.12;s:p10.13", b"OK")])
    assert [thread for thread in threads if target.running(thread)] == threads[2:4]


# ?


def test_the_question_reports_each_stopped_thread_once() -> None:
    target, threads = ten_threads()
    stub = connect_non_stop(target)
    transcript(stub, [(b"vCont;c:p10.10;c:p10.11;c:p10.12", b"OK")])
    happen(stub, target, signalled(threads[0]), signalled(threads[1]))
    reply = ask(stub, b"?")
    assert reply
    told = threads_of([reply, *acknowledge_all(stub)])
    assert sorted(told) == [f"p10.{tid:x}" for tid in range(0x10, 0x1A) if tid != 0x12]


def test_the_question_while_everything_runs() -> None:
    target, _ = ten_threads()
    transcript(connect_non_stop(target), [(b"vCont;c", b"OK"), (b"?", b"OK"), (b"vStopped", b"OK")])


def test_the_question_without_a_process() -> None:
    transcript(connect_non_stop(FakeTarget()), [(b"?", b"OK")])


def test_what_happens_while_the_question_is_answered_is_told_by_vstopped() -> None:
    target, threads = ten_threads()
    stub = connect_non_stop(target)
    transcript(stub, [(b"vCont;c:p10.10", b"OK")])
    reply = ask(stub, b"?")
    assert reply
    assert happen(stub, target, signalled(threads[0])).notifications == []
    told = threads_of([reply, *acknowledge_all(stub)])
    assert told[-1] == "p10.10"
    assert len(set(told)) == len(told) == 10


# vCont;t and vCtrlC


def test_stopping_is_acknowledged_before_it_is_told() -> None:
    target, _ = ten_threads()
    stub = connect_non_stop(target)
    transcript(stub, [(b"vCont;c", b"OK")])
    stub.receive_data(frame(b"vCont;t:p10.-1"))
    data = stub.data_to_send()
    assert re.fullmatch(rb"\+\$OK#9a%Stop:T00[^%$]*", data), "one notification, after the OK"
    assert [stop_reply(reply).signal for reply in acknowledge_all(stub)] == [0] * 9


def test_stopping_one_thread() -> None:
    target, threads = ten_threads()
    stub = connect_non_stop(target)
    transcript(stub, [(b"vCont;c", b"OK")])
    notification = notified(stub, b"vCont;t:p10.14")
    assert stop_reply(notification.removeprefix(b"Stop:")) == stopped(0, "p10.14")
    assert [thread for thread in threads if not target.running(thread)] == [threads[4]]
    transcript(stub, [(b"vStopped", b"OK")])


def test_stopping_what_stands_is_no_news() -> None:
    target, _ = ten_threads()
    sent = send(connect_non_stop(target), b"vCont;t:p10.-1")
    assert (sent.packets, sent.notifications) == ([b"OK"], [])


def test_stopping_what_is_queued_is_told_once() -> None:
    target, threads = ten_threads()
    stub = connect_non_stop(target)
    transcript(stub, [(b"vCont;c", b"OK")])
    happen(stub, target, signalled(threads[0]), signalled(threads[1]))
    assert send(stub, b"vCont;t:p10.10;t:p10.11").notifications == []
    (queued,) = acknowledge_all(stub)
    assert stop_reply(queued) == stopped(30, "p10.11"), "why it stopped, not that it was asked to"


def test_stopping_one_and_resuming_another_in_one_packet() -> None:
    target, threads = ten_threads()
    stub = connect_non_stop(target)
    transcript(stub, [(b"vCont;c:p10.10", b"OK")])
    notification = notified(stub, b"vCont;t:p10.10;c:p10.11")
    assert stop_reply(notification.removeprefix(b"Stop:")) == stopped(0, "p10.10")
    assert [thread for thread in threads if target.running(thread)] == [threads[1]]


def test_interrupting_stops_one_thread_with_sigint() -> None:
    target, threads = ten_threads()
    stub = connect_non_stop(target)
    transcript(stub, [(b"vCont;c", b"OK")])
    notification = notified(stub, b"vCtrlC")
    assert stop_reply(notification.removeprefix(b"Stop:")).signal == 2
    assert len([thread for thread in threads if not target.running(thread)]) == 1
    transcript(stub, [(b"vStopped", b"OK")])


def test_interrupting_what_stands() -> None:
    target, _ = ten_threads()
    sent = send(connect_non_stop(target), b"vCtrlC")
    assert (sent.packets, sent.notifications) == ([b"OK"], [])


# Back to all-stop


def test_going_back_to_all_stop_stops_everything() -> None:
    target, threads = ten_threads()
    stub = connect_non_stop(target)
    transcript(stub, [(b"vCont;c", b"OK")])
    transcript(stub, [(b"QNonStop:0", b"OK")])
    assert not any(map(target.running, threads))
    assert stop_reply(ask(stub, b"?")).pairs
    stub.receive_data(frame(b"vCont;c"))
    sent = happen(stub, target, signalled(threads[5]))
    assert sent.notifications == []
    assert threads_of(sent.packets) == ["p10.15"]
    assert not any(map(target.running, threads))


def test_what_is_queued_is_told_in_all_stop() -> None:
    """What is in flight by `?`, as by GNU gdbserver; it is not told again."""
    target, threads = ten_threads()
    stub = connect_non_stop(target)
    transcript(stub, [(b"vCont;c", b"OK")])
    happen(stub, target, *map(signalled, threads[4:7]))
    transcript(stub, [(b"QNonStop:0", b"OK")])
    told = [ask(stub, packet) or b"" for packet in (b"?", b"vCont;c", b"vCont;c")]
    assert [stop_reply(reply) for reply in told] == [stopped(30, f"p10.{tid:x}") for tid in (0x14, 0x15, 0x16)]
    assert ask(stub, b"vCont;c") is None


def test_what_is_in_flight_of_a_process_that_was_killed_is_no_state() -> None:
    target, threads = ten_threads()
    target.add_process(SECOND.pid)
    stub = connect_non_stop(target)
    transcript(stub, [(b"vCont;c", b"OK")])
    happen(stub, target, signalled(threads[3]))
    transcript(stub, [(b"vKill;10", b"OK"), (b"QNonStop:0", b"OK")])
    assert stop_reply(ask(stub, b"?")) == stopped(0, "p20.20")


def test_the_end_that_is_queued_is_told_in_all_stop() -> None:
    target, _ = ten_threads()
    target.add_process(SECOND.pid)
    stub = connect_non_stop(target)
    transcript(stub, [(b"vCont;c", b"OK")])
    happen(stub, target, signalled(SECOND), ProcessExit(0x10, 3))
    transcript(stub, [(b"QNonStop:0", b"OK")])
    assert stop_reply(ask(stub, b"?")) == stopped(30, "p20.20")
    transcript(stub, [(b"vCont;c", b"W03;process:10")])


def test_the_end_that_waits_in_all_stop_is_told_in_non_stop() -> None:
    target = FakeTarget(script=never)
    for pid in (FIRST.pid, SECOND.pid):
        target.add_process(pid)
    stub = connect(target)
    target.resume({FIRST: Action(ActionKind.CONTINUE), SECOND: Action(ActionKind.CONTINUE)})
    happen(stub, target, ProcessExit(FIRST.pid, 3))
    assert send(stub, b"QNonStop:1").notifications == [b"Stop:W03;process:10"]
    transcript(stub, [(b"vStopped", b"OK")])


def test_the_end_of_a_thread_that_waits_in_all_stop_keeps_nothing_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """It ended while an attach stopped the others, and nobody wants to hear of it."""
    target, threads = ten_threads()
    stub = connect(target)
    ends: list[Event] = [ThreadExit(threads[1], 0)]
    with monkeypatch.context() as patched:
        patched.setattr(target, "next_event", lambda: ends.pop() if ends else None)
        stub.target_event()
    assert not ends
    transcript(stub, [(b"QNonStop:1", b"OK"), (b"vCont;c", b"OK")])
    assert len(happen(stub, target, signalled(threads[0])).notifications) == 1


def test_what_happened_while_going_back_is_told_at_the_next_resume() -> None:
    target, threads = ten_threads()
    stub = connect_non_stop(target)
    transcript(stub, [(b"vCont;c", b"OK")])
    target.happen(signalled(threads[7]))
    transcript(stub, [(b"QNonStop:0", b"OK")])
    assert threads_of([ask(stub, b"vCont;c") or b""]) == ["p10.17"]


def test_there_and_back_again() -> None:
    target, threads = ten_threads()
    stub = connect_non_stop(target)
    transcript(stub, [(b"QNonStop:0", b"OK"), (b"QNonStop:1", b"OK"), (b"vCont;c", b"OK")])
    assert len(happen(stub, target, signalled(threads[0])).notifications) == 1


# Ends


def test_a_process_that_ends_while_stops_are_queued() -> None:
    """The one in flight keeps its place; of a process that is gone only its end is news."""
    target, threads = ten_threads()
    stub = connect_non_stop(target)
    transcript(stub, [(b"vCont;c", b"OK")])
    assert len(happen(stub, target, *map(signalled, threads[:3])).notifications) == 1
    assert happen(stub, target, ProcessExit(0x10, 0, signal.SIGKILL)).notifications == []
    assert acknowledge_all(stub) == [b"X09;process:10"]


def test_wanted_ends_of_threads_come_before_that_of_their_process() -> None:
    target, threads = ten_threads()
    stub = connect_non_stop(target)
    transcript(stub, [(b"vCont;c", b"OK")])
    ends = [ThreadExit(thread, 0, wanted=True) for thread in threads[1:3]]
    assert happen(stub, target, *ends).notifications == [b"Stop:w00;p10.11"]
    happen(stub, target, ProcessExit(0x10, 0, signal.SIGKILL))
    assert acknowledge_all(stub) == [b"w00;p10.12", b"X09;process:10"]


def test_the_end_of_one_process_leaves_the_stops_of_others() -> None:
    target = FakeTarget(script=lambda target, actions: [])
    for pid in (0x10, 0x20):
        target.add_process(pid, (pid, pid + 1))
    stub = connect_non_stop(target)
    transcript(stub, [(b"vCont;c", b"OK")])
    queued = [signalled(ThreadId(0x10, 0x10)), signalled(ThreadId(0x20, 0x20)), signalled(ThreadId(0x20, 0x21))]
    happen(stub, target, *queued, ProcessExit(0x10, 3))
    *stops, end = acknowledge_all(stub)
    assert threads_of(stops) == ["p20.20", "p20.21"]
    assert end == b"W03;process:10"


def test_a_client_that_knows_one_process_is_told_no_pid() -> None:
    target = FakeTarget(script=lambda target, actions: [ProcessExit(0x10, 3)])
    target.add_process(0x10)
    stub = connect(target, offered=b"vContSupported+")
    transcript(stub, [(b"QNonStop:1", b"OK")])
    assert send(stub, b"vCont;c").notifications == [b"Stop:W03"]


@pytest.mark.parametrize(
    ("offered", "notifications"), [(b"no-resumed+;vContSupported+", [b"Stop:N"]), (b"vContSupported+", [])]
)
def test_the_end_of_the_last_resumed_thread(offered: bytes, notifications: list[bytes]) -> None:
    target, threads = ten_threads()
    stub = connect(target, offered=offered)
    transcript(stub, [(b"QNonStop:1", b"OK"), (b"vCont;c:11;c:12", b"OK")])
    assert happen(stub, target, ThreadExit(threads[1], 0)).notifications == [], "another one runs"
    assert happen(stub, target, ThreadExit(threads[2], 0)).notifications == notifications
    transcript(stub, [(b"vStopped", b"OK")])


def test_the_wanted_end_of_a_thread() -> None:
    target, threads = ten_threads()
    stub = connect_non_stop(target)
    transcript(stub, [(b"vCont;c", b"OK")])
    sent = happen(stub, target, ThreadExit(threads[3], 7, wanted=True), signalled(threads[4]))
    assert sent.notifications == [b"Stop:w07;p10.13"]
    assert threads_of(acknowledge_all(stub)) == ["p10.14"]


def test_the_wanted_end_of_the_last_resumed_thread() -> None:
    """The end is one thing, that nothing runs any more another: GDB waits for both."""
    target, threads = ten_threads()
    stub = connect_non_stop(target)
    transcript(stub, [(b"vCont;c:p10.13", b"OK")])
    assert happen(stub, target, ThreadExit(threads[3], 7, wanted=True)).notifications == [b"Stop:w07;p10.13"]
    transcript(stub, [(b"vStopped", b"N"), (b"vStopped", b"OK")])


def test_the_queue_of_another_client_is_not_inherited() -> None:
    """A new session knows of no notification, and `?` tells the state."""
    target, threads = ten_threads()
    first = connect_non_stop(target)
    transcript(first, [(b"vCont;c", b"OK")])
    happen(first, target, *map(signalled, threads[:2]))
    first.close()
    second = connect_non_stop(target)
    assert second.deadline is None
    assert take(second).notifications == []
    reply = ask(second, b"?")
    assert reply
    assert len(threads_of([reply, *acknowledge_all(second)])) == 10


def test_what_a_client_has_not_acknowledged_is_told_to_the_next_one() -> None:
    target, threads = ten_threads()
    first = connect_non_stop(target)
    transcript(first, [(b"vCont;c", b"OK")])
    happen(first, target, *map(signalled, threads[:4]))
    assert threads_of([ask(first, b"vStopped") or b""]) == ["p10.11"]
    first.close()
    second = connect(target)
    told = [stop_reply(ask(second, b"vCont;c")) for _ in range(3)]
    assert told == [stopped(30, f"p10.{tid:x}") for tid in (0x11, 0x12, 0x13)]
    assert ask(second, b"vCont;c") is None


@pytest.mark.parametrize(("packet", "gone"), [(b"D;10", "detached"), (b"vKill;10", "killed")])
@pytest.mark.parametrize("acknowledged", [0, 1])
def test_children_that_a_client_knows_nothing_of_go_with_their_parent(
    acknowledged: int, packet: bytes, gone: str
) -> None:
    """Of the birth in flight it has heard, and lets go of that child itself: GNU gdbserver says OK."""
    children = [ThreadId(0x30, 0x30), ThreadId(0x40, 0x40)]
    parents = [FIRST, ThreadId(FIRST.pid, 0x11)]
    births = [
        Stop(parent, signal.SIGTRAP, StopReason.FORK, child=child)
        for parent, child in zip(parents, children, strict=True)
    ]
    target = FakeTarget(script=lambda target, actions: births)
    for thread in (FIRST, *children):
        target.add_process(thread.pid)
    target.add_thread(parents[1].pid, parents[1].tid)
    stub = connect(target, b"multiprocess+;fork-events+;vContSupported+")
    transcript(stub, [(b"QNonStop:1", b"OK")])
    notified(stub, b"vCont;c:p10.-1")
    for _ in range(acknowledged):
        assert b"fork:p40.40" in (ask(stub, b"vStopped") or b"")
    transcript(stub, [(packet, b"OK")])
    told, untold = children[: acknowledged + 1], children[acknowledged + 1 :]
    assert list(target.processes()) == [child.pid for child in told]
    assert getattr(target, gone) == [*(child.pid for child in untold), FIRST.pid]
    transcript(stub, [(b"vStopped", b"OK"), *((b"D;%x" % child.pid, b"OK") for child in told)])


LLDB = b"xmlRegisters=i386"


def never(target: FakeTarget, actions: Mapping[ThreadId, Action]) -> Iterable[Event]:
    return ()


def test_lldb_cannot_resume_what_runs() -> None:
    """Replies as LLVM's packet tests want them (TestNonStop)."""
    target = FakeTarget(script=never)
    target.add_process(0x10, (0x10, 0x11))
    stub = connect_lldb(target, LLDB)
    transcript(stub, [(b"QNonStop:1", b"OK"), (b"vCont;c:10", b"OK"), (b"vCont;c:10", b"E37"), (b"vCont;c", b"E37")])
    transcript(stub, [(b"vCont;c", b"E37"), (b"c", b"E37"), (b"C05", b"E37"), (b"s1", b"E37")])
    transcript(stub, [(b"QNonStop:0", b"OK"), (b"vStopped", b"Eff")])


def test_lldb_is_told_of_the_end_until_it_has_acknowledged_it() -> None:
    target = FakeTarget(script=lambda target, actions: [ProcessExit(0x10, 0)])
    target.add_process(0x10)
    stub = connect_lldb(target, LLDB)
    transcript(stub, [(b"QNonStop:1", b"OK")])
    assert send(stub, b"c").notifications == [b"Stop:W00"]
    transcript(stub, [(b"?", b"W00"), (b"vStopped", b"OK"), (b"?", b"OK")])


# LLDB's non-stop is one of processes. Replies as LLVM's packet tests want them (TestNonStop, TestGdbRemoteForkNonStop).

HERE, THERE, ELSEWHERE = FIRST, ThreadId(0x10, 0x11), ThreadId(0x10, 0x12)
MULTIPROCESS = LLDB + b";multiprocess+"


def three_threads(*happens: Event, offered: bytes = LLDB) -> tuple[FakeTarget, Stub]:
    """Non-stop, on a process of three threads and another one; `happens` follow the first resume."""
    left = list(happens)

    def happen(target: FakeTarget, actions: Mapping[ThreadId, Action]) -> Iterable[Event]:
        happened, left[:] = left[:], []
        return happened

    target = FakeTarget(script=happen)
    target.add_process(HERE.pid, (HERE.tid, THERE.tid, ELSEWHERE.tid))
    target.add_process(SECOND.pid)
    stub = connect_lldb(target, offered) if offered.startswith(LLDB) else connect(target, offered)
    transcript(stub, [(b"QNonStop:1", b"OK")])
    return target, stub


def crash(thread: ThreadId) -> Stop:
    return Stop(thread, signal.SIGSEGV, StopReason.SIGNAL)


def told(reply: bytes | None) -> tuple[int, str]:
    """The signal and the thread of a stop reply."""
    found = re.match(rb"T([0-9a-f]{2})thread:([^;]+);", reply or b"")
    assert found, reply
    return int(found[1], 16), found[2].decode()


def rest(stub: Stub) -> list[tuple[int, str]]:
    """What is fetched by vStopped, up to the OK."""
    stops = []
    while (reply := ask(stub, b"vStopped")) != b"OK":
        stops.append(told(reply))
    return stops


def test_lldb_hears_of_all_threads_of_the_process() -> None:
    target, stub = three_threads(crash(THERE), offered=MULTIPROCESS)
    first = told(notified(stub, b"vCont;c:p10.-1;c:p20.-1").removeprefix(b"Stop:"))
    others = rest(stub)
    assert (first, others) == ((11, "p10.11"), [(0, "p10.10"), (0, "p10.12")])
    assert [target.running(thread) for thread in (HERE, THERE, ELSEWHERE, SECOND)] == [False, False, False, True]
    assert [told(ask(stub, b"?")), *rest(stub)] == [first, *others]
    assert stub.session.general_thread == THERE


def test_gdb_hears_of_the_one_that_stopped() -> None:
    target, stub = three_threads(crash(THERE), offered=b"multiprocess+;vContSupported+")
    assert b"p10.11" in notified(stub, b"vCont;c")
    assert rest(stub) == []
    assert [target.running(thread) for thread in (HERE, THERE, ELSEWHERE)] == [True, False, True]


def test_what_happened_to_others_is_told_when_lldb_goes_on() -> None:
    _, stub = three_threads(crash(THERE), crash(HERE))
    assert told(notified(stub, b"vCont;c:10;c:11;c:12").removeprefix(b"Stop:")) == (11, "11")
    assert rest(stub) == [(0, "10"), (0, "12")]
    assert told(notified(stub, b"vCont;C0b:11;c").removeprefix(b"Stop:")) == (11, "10")


def test_lldb_resumes_a_process_and_not_its_other_threads_later() -> None:
    _, stub = three_threads(crash(THERE))
    assert notified(stub, b"c")
    assert rest(stub) == [(0, "10"), (0, "12")]
    transcript(stub, [(b"vCont;c:10", b"OK"), (b"vCont;c:11", b"E37"), (b"vCont;t:11", b"E03"), (b"vCont;c:20", b"OK")])
    assert told(notified(stub, b"vCont;t").removeprefix(b"Stop:"))[0] == 0


def test_lldb_goes_on_without_acknowledging() -> None:
    target, stub = three_threads(crash(THERE))
    assert notified(stub, b"c")
    transcript(stub, [(b"vCont;c:p10.-1", b"OK")])
    assert all(map(target.running, (HERE, THERE, ELSEWHERE)))
    assert b"thread:20;" in (ask(stub, b"?") or b"")


def test_lldb_is_notified_of_whom_it_killed_and_the_conversation_ends_then() -> None:
    target, stub = three_threads(offered=MULTIPROCESS)
    assert notified(stub, b"k") == b"Stop:X09;process:10"
    assert [(ask(stub, b"vStopped"), stub.ended) for _ in range(2)] == [(b"X09;process:20", False), (b"OK", True)]
    assert target.killed == [0x10, 0x20]
