"""Every row of the protocol table: the packet, and exactly this reply. The target is the fake one."""

from __future__ import annotations

import errno
import re
import signal
from collections.abc import Iterable, Mapping

import pytest

from debugserver.errors import TargetError
from debugserver.stub.settings import Settings
from debugserver.stub.stub import Stub
from debugserver.target.capabilities import Auxv, Memory, Watchpoints
from debugserver.target.model import (
    Action,
    ActionKind,
    Event,
    ProcessExit,
    Stop,
    StopReason,
    ThreadExit,
    ThreadId,
    WatchKind,
)
from debugserver.testing.fake_target import FakeTarget
from tests.support.packets import (
    GDB,
    LLDB,
    NO_REPLY,
    ask,
    connect,
    console,
    frame,
    send,
    stop_reply,
    stopped,
    take,
    transcript,
    unescape,
)

MAIN = ThreadId(0x10, 0x10)
OTHER = ThreadId(0x10, 0x11)
NO_MULTIPROCESS = GDB.replace(b"multiprocess+;", b"")
SIGNALLED = Stop(MAIN, signal.SIGUSR1, StopReason.SIGNAL)
CONTINUE = Action(ActionKind.CONTINUE)


def two_threads(**options: object) -> FakeTarget:
    """Process 16 with threads 16 and 17, 16 bytes of memory at 0x100."""
    target = FakeTarget(**options)  # type: ignore[arg-type]
    target.add_process(MAIN.pid, (MAIN.tid, OTHER.tid))
    target.memory[0x100] = bytearray(range(16))
    return target


def happens(*events: Event):  # type: ignore[no-untyped-def]
    """A script by which these events follow the first resume, and nothing any other."""
    left = list(events)

    def script(target: FakeTarget, actions: Mapping[ThreadId, Action]) -> Iterable[Event]:
        happened, left[:] = left[:], []
        return happened

    return script


@pytest.fixture
def target() -> FakeTarget:
    return two_threads()


@pytest.fixture
def stub(target: FakeTarget) -> Stub:
    return connect(target)


@pytest.fixture
def idle() -> Stub:
    """A session without a process."""
    return connect(FakeTarget())


@pytest.fixture
def lost(target: FakeTarget, stub: Stub) -> Stub:
    """A session whose current thread is gone while its process lives."""
    assert ask(stub, b"Hgp10.11") == b"OK"
    target.remove_thread(OTHER)
    return stub


def non_stop(target: FakeTarget) -> Stub:
    stub = connect(target)
    assert ask(stub, b"QNonStop:1") == b"OK"
    return stub


# Without a process, or with arguments that cannot be parsed


@pytest.mark.parametrize(
    ("packet", "reply"),
    [
        (b"?", b"W00"),
        (b"c", b"E01"),
        (b"c10", b"E01"),
        (b"C05", b"E01"),
        (b"s", b"E01"),
        (b"S05", b"E01"),
        (b"D", b"E01"),
        (b"D;10", b"E01"),
        (b"g", b"E02"),
        (b"G" + b"0" * 32, b"E02"),
        (b"p0", b"E02"),
        (b"P0=00000000", b"E02"),
        (b"Hg0", b"E01"),
        (b"Hgp0.0", b"E01"),
        (b"Hg10", b"OK"),
        (b"m100,1", b"E02"),
        (b"x100,1", b"E02"),
        (b"M100,1:00", b"E02"),
        (b"X100,1:a", b"E02"),
        (b"T10", b"E02"),
        (b"qC", b"E01"),
        (b"qfThreadInfo", b"E01"),
        (b"qsThreadInfo", b"E01"),
        (b"qXfer:auxv:read::0,10", b"E01"),
        (b"vCont;c", b"E01"),
        (b"vKill;10", b"E01"),
        (b"Z0,100,1", b"E01"),
        (b"z0,100,1", b"E01"),
        (b"Z1,100,1", b"E01"),
        (b"Z2,100,4", b"E01"),
    ],
)
def test_no_process(idle: Stub, packet: bytes, reply: bytes) -> None:
    transcript(idle, [(packet, reply)])


@pytest.mark.parametrize(
    "packet",
    [
        b"qThreadExtraInfo,10",
        b"qXfer:threads:read::0,10",
        b"qXfer:libraries-svr4:read::0,10",
        b"qXfer:siginfo:read::0,10",
        b"qXfer:siginfo:write::0:a",
        b"qXfer:exec-file:read::0,10",
        b"qXfer:features:read:target.xml:0,10",
        b"qSearch:memory:100;10;a",
        b"qCRC:100,10",
        b"qGetTLSAddr:10,0,0",
        b"qAttached:10",
    ],
)
def test_no_process_never_makes_a_reply_empty(idle: Stub, packet: bytes) -> None:
    """GDB takes an empty reply for "never heard of it" and does not ask again."""
    assert ask(idle, packet)


@pytest.mark.parametrize(
    ("packet", "reply"),
    [
        (b"?1", b""),
        (b"cxyz", b"E22"),
        (b"Cxy", b"E22"),
        (b"C05;xy", b"E22"),
        (b"C", b"E22"),
        (b"sxyz", b"E22"),
        (b"Sxy", b"E22"),
        (b"Dx", b"E22"),
        (b"D;xy", b"E22"),
        (b"D;99", b"E22"),
        (b"D1", b"E22"),
        (b"D1;10", b"E22"),
        (b"g1", b""),
        (b"G" + b"0" * 30, b"E01"),
        (b"G" + b"0" * 34, b"E01"),
        (b"G" + b"x" * 32, b"E01"),
        (b"pxy", b"E22"),
        (b"p4", b"E22"),
        (b"P0", b"E22"),
        (b"P0=", b"E22"),
        (b"P0=0000000", b"E22"),
        (b"P0=000000zz", b"E22"),
        (b"P4=00000000", b"E22"),
        (b"H", b"E22"),
        (b"Hg", b"E22"),
        (b"Hgxy", b"E22"),
        (b"Hg-1", b"E22"),
        (b"Hg99", b"E01"),
        (b"Hgp99.10", b"E01"),
        (b"Hc99", b"E01"),
        (b"Hz10", b""),
        (b"m100", b"E22"),
        (b"m100,1,1", b"E22"),
        (b"mxy,1", b"E02"),
        (b"m100,xy", b"E02"),
        (b"M100,1", b"E22"),
        (b"M100:00", b"E22"),
        (b"M100,1:", b"E22"),
        (b"M100,1:0000", b"E22"),
        (b"M100,1:zz", b"E22"),
        (b"Mxy,1:00", b"E22"),
        (b"M100,xy:00", b"E22"),
        (b"X100,2:a", b"E22"),
        (b"T", b"E22"),
        (b"Txy", b"E22"),
        (b"T99", b"E02"),
        (b"Tp99.10", b"E02"),
        (b"qC:1", b"E22"),
        (b"qfThreadInfo:1", b"E22"),
        (b"qSymbol", b"E22"),
        (b"qSymbol:", b"E22"),
        (b"qXfer:auxv:read::0", b"E22"),
        (b"qXfer:auxv:read::xy,10", b"E22"),
        (b"qXfer:auxv:read::0,xy", b"E22"),
        (b"QNonStop:2", b"E22"),
        (b"QNonStop:", b"E22"),
        (b"vAttach;xy", b"E22"),
        (b"vAttach;", b"E22"),
        (b"vCont", b"E22"),
        (b"vCont;", b"E22"),
        (b"vCont;z", b"E22"),
        (b"vCont;c:xy", b"E22"),
        (b"vCont;Cxy", b"E22"),
        (b"vCont;r", b"E22"),
        (b"vCont;r10", b"E22"),
        (b"vKill;xy", b"E22"),
        (b"vKill;99", b"E22"),
        (b"Z0,100", b"E22"),
        (b"Z0", b"E22"),
        (b"Z0,xy,1", b"E22"),
        (b"Z0,100,xy", b"E22"),
        (b"z0,100", b"E22"),
        (b"z0,100,1;X1,00", b"E22"),
        (b"Z2,100", b"E22"),
        (b"z2,100,4;X1,00", b"E22"),
    ],
)
def test_malformed_or_unknown_arguments_change_nothing(
    target: FakeTarget, stub: Stub, packet: bytes, reply: bytes
) -> None:
    before = ask(stub, b"g")
    transcript(stub, [(packet, reply), (b"g", before), (b"m100,10", bytes(range(16)).hex().encode())])
    assert not target.resumed
    assert not target.breakpoints
    assert not target.watchpoints
    assert list(target.processes()) == [MAIN.pid]


def test_a_packet_without_arguments_takes_none(target: FakeTarget) -> None:
    settings = Settings()
    stub = connect(target, settings=settings)
    transcript(stub, [(b"!x", b"E22"), (b"QStartNoAckMode:1", b"E22")])
    assert not settings.extended
    assert send(stub, b"qC").acknowledgements == [b"+"]


@pytest.mark.parametrize(
    "packet", [b"", b"_", b"j", b"vMustReplyEmpty", b"qNothing", b"b", b"\xff", b"vNope;1", b"Z9,1,1"]
)
def test_unknown_packets_get_the_empty_reply(stub: Stub, packet: bytes) -> None:
    transcript(stub, [(packet, b"")])


# ? and the two modes


def test_question_mark_in_all_stop_is_one_stop_reply(stub: Stub) -> None:
    assert stop_reply(ask(stub, b"?")) == stopped(5, "p10.10")


def test_other_stops_wait_for_their_resume() -> None:
    target = two_threads(script=happens(SIGNALLED, Stop(OTHER, signal.SIGUSR2, StopReason.SIGNAL)))
    stub = connect(target)
    assert stop_reply(ask(stub, b"vCont;c")) == stopped(30, "p10.10")
    assert stop_reply(ask(stub, b"?")) == stopped(30, "p10.10")
    assert stop_reply(ask(stub, b"vCont;c")) == stopped(31, "p10.11")


def test_question_mark_in_non_stop_reports_the_stopped_threads_one_by_one(target: FakeTarget) -> None:
    stub = non_stop(target)
    first = stop_reply(ask(stub, b"?"))
    second = stop_reply(ask(stub, b"vStopped"))
    assert {first, second} == {stopped(5, "p10.10"), stopped(5, "p10.11")}
    transcript(stub, [(b"vStopped", b"OK")])


def test_question_mark_in_non_stop_leaves_running_threads_out(target: FakeTarget) -> None:
    stub = non_stop(target)
    transcript(stub, [(b"vCont;c:p10.11", b"OK")])
    assert stop_reply(ask(stub, b"?")) == stopped(5, "p10.10")
    transcript(stub, [(b"vStopped", b"OK")])


def test_question_mark_in_non_stop_drops_queued_notifications() -> None:
    target = two_threads(script=happens(SIGNALLED))
    stub = non_stop(target)
    assert len(send(stub, b"vCont;c:p10.10").notifications) == 1
    replies = {stop_reply(ask(stub, b"?")), stop_reply(ask(stub, b"vStopped"))}
    assert replies == {stopped(30, "p10.10"), stopped(5, "p10.11")}
    transcript(stub, [(b"vStopped", b"OK")])


def test_question_mark_in_non_stop_without_a_process() -> None:
    transcript(non_stop(FakeTarget()), [(b"?", b"OK")])


@pytest.mark.parametrize("mode", [b"0", b"1"])
def test_both_modes_can_be_chosen(stub: Stub, mode: bytes) -> None:
    transcript(stub, [(b"QNonStop:" + mode, b"OK")])


# c, C, s, S


def test_continue_replies_with_the_next_stop() -> None:
    target = two_threads(script=happens(SIGNALLED))
    stub = connect(target)
    assert stop_reply(ask(stub, b"c")) == stopped(30, "p10.10")
    assert target.resumed == [{MAIN: CONTINUE, OTHER: CONTINUE}]


def test_continue_has_no_reply_before_something_stops(target: FakeTarget, stub: Stub) -> None:
    assert ask(stub, b"c") is NO_REPLY
    target.happen(SIGNALLED)
    stub.target_event()
    (reply,) = take(stub).packets
    assert stop_reply(reply) == stopped(30, "p10.10")


def test_continue_at_an_address_writes_the_pc() -> None:
    target = two_threads(script=happens(SIGNALLED))
    assert stop_reply(ask(connect(target), b"c1234")) == stopped(30, "p10.10", pc="34120000")


@pytest.mark.parametrize("packet", [b"c1234", b"C05", b"C05;1234"])
def test_continuing_without_a_current_thread(lost: Stub, packet: bytes) -> None:
    transcript(lost, [(packet, b"E01")])


def test_non_stop_continue_is_ok_and_a_notification() -> None:
    stub = non_stop(two_threads(script=happens(SIGNALLED)))
    sent = send(stub, b"c")
    assert sent.packets == [b"OK"]
    (notification,) = sent.notifications
    assert stop_reply(notification.removeprefix(b"Stop:")) == stopped(30, "p10.10")
    transcript(stub, [(b"vStopped", b"OK")])


@pytest.mark.parametrize(("packet", "pc"), [(b"C1e", "00000000"), (b"C1e;1234", "34120000")])
def test_any_signal_is_delivered_with_or_without_an_address(packet: bytes, pc: str) -> None:
    """GDB's 30 is SIGUSR1 everywhere; Linux calls it 10 on x86-64."""
    target = two_threads(script=happens(Stop(MAIN, signal.SIGTRAP, StopReason.SIGNAL)))
    assert stop_reply(ask(connect(target), packet)) == stopped(5, "p10.10", pc=pc)
    assert target.resumed == [{MAIN: Action(ActionKind.CONTINUE, signal.SIGUSR1), OTHER: CONTINUE}]


def test_step_moves_the_chosen_thread(target: FakeTarget, stub: Stub) -> None:
    transcript(stub, [(b"Hcp10.11", b"OK")])
    assert stop_reply(ask(stub, b"s")) == stopped(5, "p10.11", pc="01000000")
    assert stop_reply(ask(stub, b"s20")) == stopped(5, "p10.11", pc="21000000")
    assert stop_reply(ask(stub, b"S1e;30")) == stopped(5, "p10.11", pc="31000000")
    assert target.resumed[-1] == {OTHER: Action(ActionKind.STEP, signal.SIGUSR1)}


def test_steps_without_a_chosen_thread_let_the_others_run(target: FakeTarget, stub: Stub) -> None:
    transcript(stub, [(b"Hc0", b"OK")])
    assert stop_reply(ask(stub, b"s")) == stopped(5, "p10.10", pc="01000000")
    assert target.resumed == [{MAIN: Action(ActionKind.STEP), OTHER: CONTINUE}]


# Stop replies


@pytest.mark.parametrize(
    ("stop", "reason"),
    [
        (Stop(MAIN, signal.SIGTRAP, StopReason.SOFTWARE_BREAKPOINT), {"swbreak": ""}),
        (Stop(MAIN, signal.SIGTRAP, StopReason.HARDWARE_BREAKPOINT), {"hwbreak": ""}),
        (Stop(MAIN, signal.SIGTRAP, StopReason.WRITE_WATCHPOINT, 0x104), {"watch": "104"}),
        (Stop(MAIN, signal.SIGTRAP, StopReason.READ_WATCHPOINT, 0x104), {"rwatch": "104"}),
        (Stop(MAIN, signal.SIGTRAP, StopReason.ACCESS_WATCHPOINT, 0x104), {"awatch": "104"}),
        (Stop(MAIN, signal.SIGTRAP, StopReason.STEP), {}),
    ],
)
def test_stop_reasons(stop: Stop, reason: dict[str, str]) -> None:
    stub = connect(two_threads(script=happens(stop)))
    assert stop_reply(ask(stub, b"vCont;c")) == stopped(5, "p10.10", **reason)


def test_breakpoint_reasons_only_for_clients_that_know_them() -> None:
    stop = Stop(MAIN, signal.SIGTRAP, StopReason.SOFTWARE_BREAKPOINT)
    stub = connect(two_threads(script=happens(stop)), b"vContSupported+")
    assert stop_reply(ask(stub, b"c")) == stopped(5, "10")


@pytest.mark.parametrize(
    ("event", "offered", "reply"),
    [
        (ProcessExit(0x10, 7), GDB, b"W07;process:10"),
        (ProcessExit(0x10, 0, signal.SIGKILL), GDB, b"X09;process:10"),
        (ProcessExit(0x10, 0, signal.SIGUSR1), GDB, b"X1e;process:10"),
        (ProcessExit(0x10, 255), NO_MULTIPROCESS, b"Wff"),
        (ProcessExit(0x10, 0, signal.SIGSEGV), NO_MULTIPROCESS, b"X0b"),
    ],
)
def test_exits_have_two_digits(event: Event, offered: bytes, reply: bytes) -> None:
    stub = connect(two_threads(script=happens(event)), offered)
    transcript(stub, [(b"vCont;c", reply), (b"?", b"W00")])


def test_an_interrupt_stops_with_sigint_and_has_no_reply_of_its_own(stub: Stub) -> None:
    assert ask(stub, b"vCont;c") is NO_REPLY
    stub.receive_data(b"\x03")
    stub.target_event()
    (reply,) = take(stub).packets
    assert stop_reply(reply) == stopped(2, "p10.10")


def test_an_interrupt_while_stopped_does_nothing(stub: Stub) -> None:
    stub.receive_data(b"\x03")
    stub.target_event()
    assert take(stub).packets == []
    assert stop_reply(ask(stub, b"?")) == stopped(5, "p10.10")


def test_an_interrupt_stops_the_process_that_was_attached_to_last(target: FakeTarget, stub: Stub) -> None:
    target.attachable[0x20] = (0x20,)
    assert stop_reply(ask(stub, b"vAttach;20")) == stopped(0, "p20.20")
    transcript(stub, [(b"Hgp10.10", b"OK"), (b"vCont;c", NO_REPLY)])
    stub.receive_data(b"\x03")
    stub.target_event()
    (reply,) = take(stub).packets
    assert stop_reply(reply) == stopped(2, "p20.20")


@pytest.mark.parametrize(("packet", "interrupted"), [(b"vCont;c", b"p20.20"), (b"vCont;s:p10.10", b"p10.10")])
def test_an_interrupt_leaves_the_step_of_another_process_alone_once(
    target: FakeTarget, stub: Stub, packet: bytes, interrupted: bytes
) -> None:
    """GDB steps a thread over a breakpoint while the process that ^C is for stands still."""
    target.attachable[0x20] = (0x20,)
    assert ask(stub, b"vAttach;20")
    stub.receive_data(b"\x03")
    assert re.fullmatch(rb"T05.*;thread:p10\.10;", ask(stub, b"vCont;s:p10.10") or b"")
    assert re.fullmatch(rb"T02.*;thread:%b;" % re.escape(interrupted), ask(stub, packet) or b"")


# D, k, R, vKill


def test_detach(target: FakeTarget, stub: Stub) -> None:
    transcript(stub, [(b"D", b"OK"), (b"?", b"W00"), (b"D", b"E01")])
    assert target.detached == [0x10]


def test_detach_one_of_several(target: FakeTarget, stub: Stub) -> None:
    target.add_process(0x20)
    transcript(stub, [(b"D;20", b"OK"), (b"D;20", b"E22"), (b"Hgp10.10", b"OK"), (b"D;10", b"OK")])
    assert target.detached == [0x20, 0x10]


def test_kill_has_no_reply(target: FakeTarget, stub: Stub) -> None:
    transcript(stub, [(b"k", NO_REPLY)])
    assert target.killed == [0x10]


def test_restart_has_no_reply(target: FakeTarget) -> None:
    target.programs["/bin/prog"] = (0x30,)
    target.defaults.program = "/bin/prog"
    stub = connect(target)
    transcript(stub, [(b"!", b"OK"), (b"R00", NO_REPLY)])
    assert stop_reply(ask(stub, b"?")) == stopped(5, "p30.30")
    assert target.killed == [0x10]


def test_kill_by_pid(target: FakeTarget, stub: Stub) -> None:
    transcript(stub, [(b"vKill;10", b"OK"), (b"vKill;10", b"E01")])
    assert target.killed == [0x10]


# g, G, p, P


def test_registers_are_read_and_written(stub: Stub) -> None:
    image = b"0100000002000000f0ffffff00010000"
    transcript(
        stub, [(b"g", b"0" * 32), (b"G" + image, b"OK"), (b"g", image), (b"p2", b"f0ffffff"), (b"p3", b"00010000")]
    )


def test_one_register_is_written(stub: Stub) -> None:
    transcript(stub, [(b"P1=78563412", b"OK"), (b"p1", b"78563412"), (b"g", b"00000000785634120000000000000000")])


def test_registers_without_a_current_thread(lost: Stub) -> None:
    transcript(lost, [(b"g", b"0" * 32), (b"G" + b"0" * 32, b"E01")])


# H, T, qC, thread lists


def test_general_and_continue_threads_are_kept_apart(target: FakeTarget, stub: Stub) -> None:
    target.write_register(OTHER, 0, b"\1\2\3\4")
    transcript(stub, [(b"Hgp10.11", b"OK"), (b"Hcp10.10", b"OK"), (b"p0", b"01020304"), (b"qC", b"QCp10.11")])
    assert ask(stub, b"s")
    assert list(target.resumed[-1]) == [MAIN]


@pytest.mark.parametrize("packet", [b"Hg0", b"Hgp0.0", b"Hgp10.0", b"Hgp10.-1", b"Hgp10.10", b"Hg10"])
def test_a_general_thread_is_chosen(stub: Stub, packet: bytes) -> None:
    transcript(stub, [(packet, b"OK"), (b"qC", b"QCp10.10")])


@pytest.mark.parametrize("selector", [b"0", b"-1", b"p10.0", b"p10.-1"])
def test_a_thread_of_the_named_process_is_picked(target: FakeTarget, stub: Stub, selector: bytes) -> None:
    target.add_process(0x20)
    transcript(stub, [(b"Hgp20.0", b"OK"), (b"qC", b"QCp20.20"), (b"Hgp20.-1", b"OK"), (b"qC", b"QCp20.20")])
    transcript(stub, [(b"Hc" + selector, b"OK")])


def test_continue_thread_minus_one_is_all(stub: Stub) -> None:
    transcript(stub, [(b"Hc-1", b"OK"), (b"Hg-1", b"E22")])


@pytest.mark.parametrize("thread", [b"10", b"p10.10", b"p10.11", b"11"])
def test_live_threads(stub: Stub, thread: bytes) -> None:
    transcript(stub, [(b"T" + thread, b"OK")])


def test_dead_threads(lost: Stub) -> None:
    transcript(lost, [(b"Tp10.11", b"E02"), (b"Tp10.10", b"OK")])


def test_current_thread_is_picked_when_there_is_none(stub: Stub) -> None:
    transcript(stub, [(b"qC", b"QCp10.10")])


def test_ids_without_multiprocess(target: FakeTarget) -> None:
    stub = connect(target, NO_MULTIPROCESS)
    transcript(stub, [(b"qC", b"QC10"), (b"qfThreadInfo", b"m10,11"), (b"qsThreadInfo", b"l")])


def test_thread_list(stub: Stub) -> None:
    transcript(stub, [(b"qsThreadInfo", b"E01"), (b"qfThreadInfo", b"mp10.10,p10.11"), (b"qsThreadInfo", b"l")])


def test_a_second_thread_list_starts_anew(stub: Stub) -> None:
    transcript(
        stub, [(b"qfThreadInfo", b"mp10.10,p10.11"), (b"qfThreadInfo", b"mp10.10,p10.11"), (b"qsThreadInfo", b"l")]
    )


def test_attached(target: FakeTarget, stub: Stub) -> None:
    target.add_process(0x20, attached=True)
    transcript(
        stub, [(b"qAttached", b"0"), (b"qAttached:10", b"0"), (b"qAttached:20", b"1"), (b"qAttached:xy", b"E22")]
    )
    assert re.fullmatch(rb"E\d\d", ask(stub, b"qAttached:99") or b"")


# m, M, X, x


def test_memory_is_read(stub: Stub) -> None:
    transcript(
        stub,
        [
            (b"m100,4", b"00010203"),
            (b"m10e,10", b"0e0f"),
            (b"m110,1", b"E01"),
            (b"mff,2", b"E01"),
            (b"m7fffffffffffffff,8000000000000000", b"E01"),
            (b"m10e,8000000000000000", b"0e0f"),
        ],
    )


def test_memory_is_read_as_bytes(target: FakeTarget, stub: Stub) -> None:
    target.memory[0x200] = bytearray(b"#$}*ab")
    assert unescape(ask(stub, b"x200,6") or b"") == b"b#$}*ab"
    assert unescape(ask(stub, b"x202,6") or b"") == b"b}*ab"
    transcript(stub, [(b"x300,1", b"E01"), (b"x200,0", b"b")])


def test_memory_is_written(target: FakeTarget, stub: Stub) -> None:
    transcript(stub, [(b"M101,2:aabb", b"OK"), (b"m100,4", b"00aabb03"), (b"M10f,2:aabb", b"E01"), (b"m10f,1", b"0f")])


def test_memory_is_written_as_bytes(target: FakeTarget, stub: Stub) -> None:
    transcript(stub, [(b"X100,5:a}\x03}\x04}]}\x0a", b"OK"), (b"m100,5", b"a#$}*".hex().encode())])
    transcript(stub, [(b"X10f,2:ab", b"E01")])


@pytest.mark.parametrize("packet", [b"M100,0:", b"M0,0:", b"X0,0:"])
def test_writing_nothing_is_ok(stub: Stub, packet: bytes) -> None:
    transcript(stub, [(packet, b"OK")])


# qXfer


def test_auxv_comes_in_windows(target: FakeTarget, stub: Stub) -> None:
    target.auxiliary = bytes(range(0x20, 0x40))
    whole = b""
    for offset in range(0, 0x20, 0x10):
        reply = unescape(ask(stub, b"qXfer:auxv:read::%x,10" % offset) or b"")
        assert reply[:1] == (b"m" if offset == 0 else b"l")
        whole += reply[1:]
    assert whole == target.auxiliary
    assert ask(stub, b"qXfer:auxv:read::0,1000") == b"l " + b"!\"}\x03}\x04%&'()}\x0a+,-./0123456789:;<=>?"
    transcript(stub, [(b"qXfer:auxv:read::20,10", b"l"), (b"qXfer:auxv:read::21,10", b"E22")])


# qSupported


def advertised(reply: bytes | None) -> dict[str, str]:
    assert reply
    return {item.rstrip("+-").split("=")[0]: item for item in reply.decode().split(";")}


def test_features_follow_from_what_the_target_can_do() -> None:
    whole = advertised(ask(connect(two_threads()), b"qSupported:" + GDB))
    for feature in (
        *("multiprocess", "swbreak", "hwbreak", "vContSupported", "QStartNoAckMode", "QNonStop", "binary-upload"),
        *("qXfer:auxv:read", "qXfer:features:read", "qXfer:threads:read", "qXfer:libraries-svr4:read"),
        *("qXfer:siginfo:read", "qXfer:siginfo:write", "qXfer:exec-file:read", "qXfer:osdata:read"),
        *("augmented-libraries-svr4-read", "QDisableRandomization", "QStartupWithShell", "QEnvironmentHexEncoded"),
        *("QEnvironmentUnset", "QEnvironmentReset", "QSetWorkingDir"),
    ):
        assert whole[feature] == feature + "+"
    assert int(whole["PacketSize"].removeprefix("PacketSize="), 16) >= 1 << 20
    less = advertised(ask(connect(two_threads(without=(Auxv, Watchpoints, Memory))), b"qSupported:" + GDB))
    assert set(whole) - set(less) == {"qXfer:auxv:read", "hwbreak", "binary-upload"}


@pytest.mark.parametrize("packet", [b"qXfer:auxv:read::0,10", b"Z2,100,4", b"m100,4"])
def test_an_absent_capability_is_an_empty_reply(packet: bytes) -> None:
    transcript(connect(two_threads(without=(Auxv, Watchpoints, Memory))), [(packet, b"")])


def test_other_clients_get_neither_binary_uploads_nor_runs() -> None:
    stub = connect(two_threads(), b"xmlRegisters=i386")
    features = advertised(ask(stub, b"qSupported:xmlRegisters=i386"))
    assert "binary-upload" not in features
    stub.receive_data(frame(b"g"))
    assert frame(b"0" * 32) in stub.data_to_send()


# vAttach, vRun


def test_attach_replies_with_the_stop() -> None:
    target = FakeTarget()
    target.attachable[0x20] = (0x20, 0x21)
    stub = connect(target)
    assert stop_reply(ask(stub, b"vAttach;20")) == stopped(0, "p20.20")
    transcript(stub, [(b"qAttached:20", b"1"), (b"qC", b"QCp20.20")])


def test_attach_in_non_stop_is_ok_and_a_notification_when_the_process_is_stopped() -> None:
    target = FakeTarget(script=lambda target, actions: ())
    target.attachable[0x20] = (0x20,)
    stub = non_stop(target)
    attached = send(stub, b"vAttach;20")
    assert (attached.packets, attached.notifications) == ([b"OK"], [])
    stopped_now = send(stub, b"vCont;t:p20.-1")
    assert stopped_now.packets == [b"OK"]
    (notification,) = stopped_now.notifications
    assert stop_reply(notification.removeprefix(b"Stop:")) == stopped(0, "p20.20")


def test_attach_refused() -> None:
    sentence = b"E.process 153 cannot be attached to; choose another one"
    transcript(connect(FakeTarget()), [(b"vAttach;99", sentence)])
    transcript(connect(FakeTarget(), b"vContSupported+"), [(b"vAttach;99", b"E01")])


def test_a_second_process_needs_a_client_that_knows_of_several(target: FakeTarget) -> None:
    target.attachable[0x20] = (0x20,)
    target.programs["/bin/prog"] = (0x30,)
    single = connect(target, b"vContSupported+")
    transcript(single, [(b"vAttach;20", b"E01"), (b"vRun;2f62696e2f70726f67", b"E01")])
    several = connect(target)
    assert stop_reply(ask(several, b"vAttach;20")) == stopped(0, "p20.20")
    assert stop_reply(ask(several, b"vRun;2f62696e2f70726f67")) == stopped(5, "p30.30")


def test_run_with_arguments() -> None:
    target = FakeTarget()
    target.programs["/bin/prog"] = (0x30,)
    assert stop_reply(ask(connect(target), b"vRun;2f62696e2f70726f67;61;;6220")) == stopped(5, "p30.30")
    (settings,) = target.launched
    assert (settings.program, settings.arguments) == ("/bin/prog", ("a", "", "b "))


@pytest.mark.parametrize("packet", [b"vRun", b"vRun;"])
def test_run_without_a_file_starts_the_program_of_the_command_line(packet: bytes) -> None:
    target = FakeTarget()
    target.programs["/bin/prog"] = (0x30,)
    target.defaults.program = "/bin/prog"
    assert stop_reply(ask(connect(target), packet)) == stopped(5, "p30.30")


def test_run_of_a_missing_file() -> None:
    packet = b"vRun;" + b"/nope".hex().encode()
    transcript(connect(FakeTarget(), b"vContSupported+"), [(packet, b"E02")])
    transcript(
        connect(FakeTarget()),
        [(packet, b'E.Running "/nope" on the remote target failed: /nope: no such program; check its path')],
    )
    transcript(connect(FakeTarget()), [(b"vRun;xy", b"E22")])


def test_what_programs_are_started_with() -> None:
    target = FakeTarget()
    target.programs["/bin/prog"] = (0x30,)
    target.defaults.program = "/bin/prog"
    target.defaults.environment = {"HOME": "/h", "LANG": "C"}
    stub = connect(target)
    packets = [
        *(b"QDisableRandomization:0", b"QStartupWithShell:0", b"QSetWorkingDir:" + b"/tmp".hex().encode()),
        *(b"QEnvironmentReset", b"QEnvironmentHexEncoded:" + b"A=b=c".hex().encode()),
        b"QEnvironmentUnset:" + b"LANG".hex().encode(),
    ]
    transcript(stub, [(packet, b"OK") for packet in packets])
    assert ask(stub, b"vRun;")
    (settings,) = target.launched
    assert settings.environment == {"HOME": "/h", "A": "b=c"}
    assert settings.directory == "/tmp"
    assert (settings.disable_randomization, settings.startup_with_shell) == (False, False)


@pytest.mark.parametrize(
    "packet",
    [
        *(b"QDisableRandomization:2", b"QDisableRandomization:", b"QStartupWithShell:x", b"QEnvironmentHexEncoded:xy"),
        *(b"QEnvironmentHexEncoded:41", b"QEnvironmentUnset:4", b"QSetWorkingDir:zz"),
    ],
)
def test_what_programs_are_started_with_malformed(idle: Stub, packet: bytes) -> None:
    transcript(idle, [(packet, b"E22")])


# vCont


def test_actions(stub: Stub) -> None:
    assert set((ask(stub, b"vCont?") or b"").split(b";")) == {b"vCont", b"c", b"C", b"s", b"S", b"t", b"r"}


def test_the_leftmost_matching_action_wins(target: FakeTarget, stub: Stub) -> None:
    assert stop_reply(ask(stub, b"vCont;s:p10.11;C1e:p10.-1;c")) == stopped(5, "p10.11", pc="01000000")
    usr1 = Action(ActionKind.CONTINUE, signal.SIGUSR1)
    assert target.resumed == [{MAIN: usr1, OTHER: Action(ActionKind.STEP)}]


def test_threads_without_an_action_stay_stopped(target: FakeTarget, stub: Stub) -> None:
    assert stop_reply(ask(stub, b"vCont;s:p10.10")) == stopped(5, "p10.10", pc="01000000")
    assert target.resumed == [{MAIN: Action(ActionKind.STEP)}]


def test_range_step(target: FakeTarget, stub: Stub) -> None:
    assert stop_reply(ask(stub, b"vCont;r10,18:p10.10")) == stopped(5, "p10.10", pc="18000000")
    assert target.resumed == [{MAIN: Action(ActionKind.RANGE_STEP, 0, 0x10, 0x18)}]


def test_nothing_is_resumed_unless_every_action_is_right(target: FakeTarget, stub: Stub) -> None:
    transcript(stub, [(b"vCont;c:p10.10;z", b"E22"), (b"vCont;s:p10.10;c:xy", b"E22")])
    assert not target.resumed


@pytest.mark.parametrize("thread", [b"p10.99", b"p99.99", b"p99.-1", b"99"])
def test_actions_for_what_is_gone_are_ignored(target: FakeTarget, stub: Stub, thread: bytes) -> None:
    assert stop_reply(ask(stub, b"vCont;c:%b;s:p10.10" % thread)) == stopped(5, "p10.10", pc="01000000")
    transcript(stub, [(b"vCont;c:" + thread, b"N")])


def test_nothing_left_to_resume_in_non_stop(target: FakeTarget) -> None:
    stub = non_stop(target)
    assert send(stub, b"vCont;c:p10.99").packets == [b"OK"]


def test_the_last_resumed_thread_ends() -> None:
    target = two_threads(script=happens(ThreadExit(OTHER, 0)))
    transcript(connect(target), [(b"vCont;c:p10.11", b"N")])


@pytest.mark.parametrize(
    ("packet", "replies"),
    [(b"D", [b"OK"]), (b"D;10", [b"OK"]), (b"vKill;10", [b"OK"]), (b"k", []), (b"R00", []), (b"QNonStop:1", [b"OK"])],
)
def test_a_client_that_no_longer_waits_for_the_stop(packet: bytes, replies: list[bytes]) -> None:
    """What it asks for instead has one reply or none, as ever, and no stop reply follows."""
    target = two_threads(script=happens())
    stub = connect(target)
    transcript(stub, [(b"vCont;c", None), (packet, replies[0] if replies else None)])
    stub.target_event()
    assert take(stub).packets == []


@pytest.mark.parametrize("packet", [b"?", b"vCont;t"])
def test_a_client_that_asks_for_the_state_while_it_waits_for_the_stop(packet: bytes) -> None:
    stub = connect(two_threads(script=happens()))
    transcript(stub, [(b"vCont;c", None)])
    assert stop_reply(ask(stub, packet)) == stopped(0, "p10.10")
    stub.target_event()
    assert take(stub).packets == []


def test_a_process_is_let_go_while_another_one_is_waited_for() -> None:
    target = two_threads(script=happens())
    target.add_process(0x20)
    stub = connect(target)
    transcript(stub, [(b"vCont;c", None), (b"D;20", b"OK")])
    target.happen(SIGNALLED)
    stub.target_event()
    assert stop_reply(take(stub).packets[0]).signal == 30


def test_stopping_a_thread_in_non_stop(target: FakeTarget) -> None:
    stub = non_stop(target)
    transcript(stub, [(b"vCont;c:p10.11", b"OK")])
    sent = send(stub, b"vCont;t:p10.11")
    assert sent.packets == [b"OK"]
    (notification,) = sent.notifications
    assert stop_reply(notification.removeprefix(b"Stop:")) == stopped(0, "p10.11")


def test_non_stop_has_one_notification_in_flight() -> None:
    events = (SIGNALLED, Stop(OTHER, signal.SIGUSR2, StopReason.SIGNAL))
    stub = non_stop(two_threads(script=happens(*events)))
    sent = send(stub, b"vCont;c")
    assert sent.packets == [b"OK"]
    (notification,) = sent.notifications
    assert stop_reply(notification.removeprefix(b"Stop:")) == stopped(30, "p10.10")
    assert stop_reply(ask(stub, b"vStopped")) == stopped(31, "p10.11")
    transcript(stub, [(b"vStopped", b"OK")])


# Z and z


def test_breakpoints(target: FakeTarget, stub: Stub) -> None:
    transcript(stub, [(b"Z0,104,1", b"OK"), (b"Z0,104,1", b"OK")])
    assert list(target.breakpoints) == [(0x10, 0x104)]
    assert stop_reply(ask(stub, b"c")) == stopped(5, "p10.10", pc="04010000", swbreak="")
    transcript(stub, [(b"z0,104,1", b"OK"), (b"z0,104,1", b"OK")])
    assert not target.breakpoints


@pytest.mark.parametrize(("kind", "watch"), [(1, WatchKind.EXECUTE), (2, WatchKind.WRITE), (4, WatchKind.ACCESS)])
def test_hardware_points(target: FakeTarget, stub: Stub, kind: int, watch: WatchKind) -> None:
    transcript(stub, [(b"Z%d,104,4" % kind, b"OK")])
    assert list(target.watchpoints) == [(0x10, watch, 0x104, 4)]
    transcript(stub, [(b"z%d,104,4" % kind, b"OK"), (b"z%d,104,4" % kind, b"OK")])
    assert not target.watchpoints


def test_read_watchpoints_are_left_to_gdb(stub: Stub) -> None:
    transcript(stub, [(b"Z3,104,4", b"")])


def test_a_fifth_watchpoint(target: FakeTarget) -> None:
    packets = [(b"Z2,%x,4" % address, b"OK") for address in range(0x100, 0x110, 4)]
    transcript(connect(target), [*packets, (b"Z2,200,4", b"E.all four debug registers are taken")])
    transcript(connect(target, b"vContSupported+"), [(b"Z2,200,4", b"E28")])


def test_a_breakpoint_where_there_is_no_memory(target: FakeTarget) -> None:
    transcript(connect(target, b"vContSupported+"), [(b"Z0,1,1", b"E01")])
    transcript(connect(target), [(b"Z0,1,1", b"E.cannot access memory at address 0x1")])


# Errors


@pytest.mark.parametrize(
    ("number", "reply"),
    [
        *((errno.EPERM, b"E01"), (errno.ENOENT, b"E02"), (errno.EINTR, b"E04"), (errno.EBADF, b"E09")),
        *((errno.EACCES, b"E13"), (errno.EFAULT, b"E14"), (errno.EBUSY, b"E16"), (errno.EEXIST, b"E17")),
        *((errno.ENODEV, b"E19"), (errno.ENOTDIR, b"E20"), (errno.EISDIR, b"E21"), (errno.EINVAL, b"E22")),
        *((errno.ENFILE, b"E23"), (errno.EMFILE, b"E24"), (errno.EFBIG, b"E27"), (errno.ENOSPC, b"E28")),
        *((errno.ESPIPE, b"E29"), (errno.EROFS, b"E30"), (errno.ENAMETOOLONG, b"E91"), (errno.EIO, b"E99")),
        (errno.EOWNERDEAD, b"E99"),
    ],
)
def test_error_numbers(
    target: FakeTarget, stub: Stub, monkeypatch: pytest.MonkeyPatch, number: int, reply: bytes
) -> None:
    def fail(*arguments: object) -> bytes:
        raise TargetError("a sentence that m never shows", number)

    monkeypatch.setattr(target, "read_memory", fail)
    transcript(stub, [(b"m100,4", reply)])


@pytest.mark.parametrize(
    ("packet", "reply"),
    [
        (b"vFile:open:" + b"/nope".hex().encode() + b",0,0", b"F-1,2"),
        (b"vFile:close:63", b"F-1,9"),
        (b"vFile:pread:63,10,0", b"F-1,9"),
        (b"vFile:pread:63", b"F-1,16"),
        (b"vFile:open:zz,0,0", b"F-1,16"),
        (b"vFile:readlink:" + b"/nope".hex().encode(), b"F-1,16"),
    ],
)
def test_file_errors_are_hexadecimal(stub: Stub, packet: bytes, reply: bytes) -> None:
    transcript(stub, [(packet, reply)])


def test_unknown_file_errors(target: FakeTarget, stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> int:
        raise OSError(errno.ESTALE, "not one of GDB's")

    monkeypatch.setattr(target.files, "open", fail)
    transcript(stub, [(b"vFile:open:2f,0,0", b"F-1,270f")])


# Wire


def test_several_packets_in_one_read_and_half_a_packet(stub: Stub) -> None:
    data = frame(b"qC") + frame(b"p0") + frame(b"m100,4")
    stub.receive_data(data[:-3])
    assert take(stub).packets == [b"QCp10.10", b"00000000"]
    stub.receive_data(data[-3:])
    assert take(stub).packets == [b"00010203"]


def test_minus_resends_the_last_reply(stub: Stub) -> None:
    transcript(stub, [(b"qC", b"QCp10.10")])
    stub.receive_data(b"-")
    assert take(stub).packets == [b"QCp10.10"]
    stub.receive_data(b"+")
    assert take(stub).packets == []


def test_acknowledgements(stub: Stub) -> None:
    assert send(stub, b"qC").acknowledgements == [b"+"]
    stub.receive_data(b"$qC#00")
    assert take(stub) == ([b"-"], [], [])
    sent = send(stub, b"QStartNoAckMode")
    assert (sent.acknowledgements, sent.packets) == ([b"+"], [b"OK"])
    stub.receive_data(b"$qC#00")
    assert take(stub) == ([], [b"QCp10.10"], [])


def test_a_serial_line_keeps_acknowledgements() -> None:
    """Bytes get lost on it; and the client that comes next, which nothing announces, waits for them."""
    settings = Settings()
    settings.serial_line = True
    stub = Stub(two_threads(), settings)
    assert "QStartNoAckMode" not in advertised(ask(stub, b"qSupported:" + GDB))
    assert send(stub, b"QStartNoAckMode") == ([b"+"], [b""], [])
    assert send(stub, b"qC").acknowledgements == [b"+"]


def test_lldb_server_gives_acknowledgements_up_on_any_line() -> None:
    settings = Settings()
    settings.serial_line = settings.stands_for_lldb_server = True
    assert ask(Stub(FakeTarget(), settings), b"QStartNoAckMode") == b"OK"


def test_another_gdb_on_a_serial_line_begins_anew() -> None:
    """Nobody hangs up there: what the one before set, and had agreed on, goes as if it had."""
    settings = Settings()
    settings.serial_line = True
    target = two_threads(script=happens())
    stub = connect(target, LLDB, settings)
    transcript(stub, [(b"QThreadSuffixSupported", b"OK"), (b"QNonStop:1", b"OK"), (b"Z0,104,1", b"OK")])
    transcript(stub, [(b"Z2,100,4", b"OK"), (b"vCont;c", b"OK")])
    assert target.running(MAIN)
    assert ask(stub, b"qSupported:" + GDB)
    assert not target.running(MAIN)
    assert not target.breakpoints
    assert not target.watchpoints
    assert stop_reply(ask(stub, b"?")) == stopped(0, "p10.10")


def test_another_gdb_on_a_serial_line_does_not_wait_for_what_the_last_one_asked() -> None:
    settings = Settings()
    settings.serial_line = True
    stub = connect(two_threads(), settings=settings)
    stub.receive_data(frame(b"vAttachWait;6e6f6e65") + frame(b"qC"))
    assert take(stub).packets == []
    stub.receive_data(frame(b"qSupported:" + GDB))
    assert len(take(stub).packets) == 1


# Monitor


def monitor(command: str) -> bytes:
    return b"qRcmd," + command.encode().hex().encode()


def test_monitor_without_a_word(stub: Stub) -> None:
    transcript(stub, [(monitor(""), b"OK"), (monitor("   "), b"OK")])


@pytest.mark.parametrize("word", ["exit", "quit"])
def test_monitor_exit_ends_the_server(target: FakeTarget, word: str) -> None:
    settings = Settings()
    stub = connect(target, settings=settings)
    assert not settings.exit_requested
    assert ask(stub, monitor(word)) is not NO_REPLY
    assert settings.exit_requested


def test_monitor_help(stub: Stub) -> None:
    lines = console(stub, monitor("help")).splitlines()
    assert lines[0] == "The following monitor commands are supported:"
    assert lines[-1].strip().endswith("Quit GDBserver")
    text = "\n".join(lines)
    for command in ("exit", "help", "set verbosity", "show verbosity", "set debug", "set debug-file"):
        assert command in text


@pytest.mark.parametrize("level", ["-2", "-1", "0", "3"])
def test_monitor_verbosity(stub: Stub, level: str) -> None:
    assert ask(stub, monitor(f"set verbosity {level}")) is not NO_REPLY
    assert console(stub, monitor("show  verbosity ")).strip() == f"Value is {level}"


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ("set", "Invalid command"),
        ("set verbosity", "Invalid command"),
        ("set verbosity 1 2", "Invalid command"),
        ("set nothing 1", "Invalid command"),
        ("show", "Invalid command"),
        ("show nothing", "Invalid command"),
        ("show verbosity 1", "Invalid command"),
        ("nothing", "Invalid monitor command"),
        ("sets verbosity 1", "Invalid monitor command"),
    ],
)
def test_monitor_mistakes(stub: Stub, command: str, text: str) -> None:
    assert console(stub, monitor(command)).strip() == text


@pytest.mark.parametrize("command", ["set debug on", "set debug off", "set debug-hw-points 1", "set debug-format none"])
def test_monitor_knows_the_words_of_gnu_gdbserver(stub: Stub, command: str) -> None:
    assert "nvalid" not in console(stub, monitor(command))


def test_monitor_malformed(stub: Stub) -> None:
    transcript(stub, [(b"qRcmd,zz", b"E22")])


def test_the_first_packet_sent_again_before_it_was_answered_gets_one_reply(target: FakeTarget) -> None:
    stub = Stub(target, Settings())
    stub.receive_data(b"+$qAttached#8f$qAttached#8f$qAttached#8f")
    assert stub.data_to_send() == b"+++$0#30"
    stub.receive_data(b"$qAttached#8f")
    assert stub.data_to_send() == b"+$0#30"
