"""Forks, execs, threads, system calls, passed signals and several processes: the same events in the same words."""

from __future__ import annotations

import os
import re
import signal
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.support.differential import OFFERED, Side, kind, register_file, stop, symbols, whole
from tests.support.programs import compile_program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Both = Callable[..., None]

PROGRAM = compile_program("events", "-no-pie")
CLONES = compile_program("clones", "-no-pie")
TEN_THREADS = compile_program("ten_threads", "-no-pie")
WITH_EVENTS = OFFERED + ";fork-events+;vfork-events+;exec-events+;QThreadOptions+"


@pytest.fixture
def events(both: Both) -> Both:
    """`events(scenario, what)`: the scenario begins where the program begins to do `what`."""

    def run(scenario: Callable[[Side], Iterator[object]], what: str = "", offered: str = WITH_EVENTS) -> None:
        def begun(side: Side) -> Iterator[object]:
            side.run_to("begin")
            yield from scenario(side)

        both(begun, "localhost:0", PROGRAM, what, offered=offered)

    return run


def resume(side: Side, packet: bytes = b"vCont;c") -> object:
    return event(side, side.ask(side.named(packet)))


def event(side: Side, reply: bytes) -> object:
    """A stop reply, and for ends whether they name the process. Numbers are compared by value."""
    if end := re.fullmatch(rb"w([0-9a-f]+);(.*)", reply):
        return ("w", int(end[1], 16), re.fullmatch(rb"p[0-9a-f]+\.[0-9a-f]+", end[2]) is not None)
    if reply.startswith(b"T14"):
        return "SIGCHLD"  # wherever the parent has come to
    return (stop(side, reply), b";process:" in reply)


def threads(side: Side) -> list[tuple[int, int]]:
    """(pid, tid) of all threads, oldest first."""
    found = []
    reply = side.ask(b"qfThreadInfo")
    while reply[:1] == b"m":
        for each in reply[1:].decode().split(","):
            pid, _, tid = each.removeprefix("p").partition(".")
            found.append((int(pid, 16), int(tid, 16)))
        reply = side.ask(b"qsThreadInfo")
    return sorted(found)


def processes(side: Side) -> list[int]:
    return sorted({pid for pid, _ in threads(side)})


# Births


def test_fork_and_the_child_is_let_go(events: Both) -> None:
    def scenario(side: Side) -> Iterator[object]:
        yield resume(side)
        parent, child = processes(side)
        yield side.ask(b"Hgp%x.%x" % (child, child))
        yield side.ask(b"qAttached:%x" % child)
        yield register_file(side, side.ask(b"g"))
        yield side.ask(b"D;%x" % child)
        yield processes(side) == [parent]
        yield resume(side)
        yield resume(side)
        yield side.output.wait_for("child status 500")[0]

    events(scenario, "fork")


def test_fork_and_the_child_runs_alone(events: Both) -> None:
    def scenario(side: Side) -> Iterator[object]:
        yield resume(side)
        parent, child = processes(side)
        yield resume(side, b"vCont;c:p%x.-1" % child)
        yield processes(side) == [parent]
        yield side.ask(b"qAttached:%x" % parent)
        yield resume(side)
        yield resume(side)

    events(scenario, "fork")


def test_fork_and_the_parent_is_let_go(events: Both) -> None:
    def scenario(side: Side) -> Iterator[object]:
        yield resume(side)
        parent, child = processes(side)
        yield side.ask(b"D;%x" % parent)
        yield processes(side) == [child]
        yield resume(side, b"vCont;c:p%x.-1" % child)
        yield side.output.wait_for("child status 500")[0]

    events(scenario, "fork")


def test_fork_and_the_child_is_killed(events: Both) -> None:
    def scenario(side: Side) -> Iterator[object]:
        yield resume(side)
        parent, child = processes(side)
        yield side.ask(b"vKill;%x" % child)
        yield processes(side) == [parent]
        yield resume(side)
        yield resume(side)
        yield side.output.wait_for("child status 9")[0]

    events(scenario, "fork")


def test_a_child_has_the_breakpoints_of_its_parent(events: Both) -> None:
    def scenario(side: Side) -> Iterator[object]:
        side.ask(side.named(b"Z0,{in_child},1"))
        yield resume(side)
        child = processes(side)[1]
        yield resume(side, b"vCont;c:p%x.-1" % child)
        yield side.ask(side.named(b"m{in_child},1"))
        yield side.ask(b"Hgp%x.%x" % (child, child))
        yield side.ask(side.named(b"z0,{in_child},1"))
        yield resume(side, b"vCont;c:p%x.-1" % child)

    events(scenario, "fork")


def test_vfork(events: Both) -> None:
    def scenario(side: Side) -> Iterator[object]:
        yield resume(side)
        child = processes(side)[1]
        yield side.ask(b"D;%x" % child)
        yield resume(side)
        yield resume(side)
        yield resume(side)

    events(scenario, "vfork")


@pytest.mark.parametrize("what", ["fork", "vfork"])
def test_births_that_nobody_asked_for(events: Both, what: str) -> None:
    def scenario(side: Side) -> Iterator[object]:
        yield resume(side)
        yield resume(side)
        yield side.output.wait_for("child status 500")[0]

    events(scenario, what, offered=OFFERED)


# Execs


@pytest.mark.parametrize("what", ["exec", "thread exec"])
def test_exec(events: Both, what: str) -> None:
    def scenario(side: Side) -> Iterator[object]:
        pid = side.pid
        yield resume(side)
        yield threads(side) == [(pid, pid)]
        yield side.ask(b"qAttached:%x" % pid)
        yield whole(side, side.ask(b"qXfer:exec-file:read::0,100"))
        yield event(side, side.run_to("begin"))
        yield resume(side)

    events(scenario, what)


# Threads


@pytest.mark.parametrize("memory", [(), ("vm",)], ids=["own memory", "shared memory"])
def test_a_clone_that_is_a_thread_group_of_its_own(both: Both, memory: tuple[str, ...]) -> None:
    def scenario(side: Side) -> Iterator[object]:
        yield resume(side)
        yield len(side.threads())
        yield resume(side, side.named(b"vCont;C1e:p{pid}.{tid1};c"))
        yield side.output.wait_for("status a")[0]

    both(scenario, "localhost:0", CLONES, "signal", *memory)


def test_thread_events(events: Both) -> None:
    def scenario(side: Side) -> Iterator[object]:
        yield side.ask(b"QThreadEvents:1")
        yield resume(side)
        yield len(threads(side))
        yield resume(side)
        yield len(threads(side))
        yield side.ask(b"QThreadEvents:0")
        yield side.ask(side.named(b"M{held},4:00000000"))
        yield resume(side)

    events(scenario, "held")


def test_thread_events_are_off_again(events: Both) -> None:
    def scenario(side: Side) -> Iterator[object]:
        yield side.ask(b"QThreadEvents:1")
        yield side.ask(b"QThreadEvents:0")
        yield resume(side)

    events(scenario, "thread")


def test_a_clone_that_is_told_in_both_ways(events: Both) -> None:
    """By its parent, and by itself as soon as it is resumed."""

    def scenario(side: Side) -> Iterator[object]:
        yield side.ask(b"QThreadOptions;1")
        yield side.ask(b"QThreadEvents:1")
        yield resume(side)
        yield resume(side)
        yield len(threads(side))
        yield resume(side)

    events(scenario, "thread")


def test_thread_options_end_with_the_program(events: Both) -> None:
    def scenario(side: Side) -> Iterator[object]:
        yield side.ask(b"QThreadOptions;1:p{pid}.-1".replace(b"{pid}", b"%x" % side.pid))
        yield resume(side)
        yield resume(side)

    events(scenario, "exec")


@pytest.mark.parametrize(
    "options",
    [
        b"1:p{pid}.{tid0}",
        b"1:p{pid}.-1",
        b"1:-1",
        b"1",
        b"0;1:p{pid}.{tid0}",
        b"3",
        b"2",
        b"2:p{pid}.{tid0}",
        b"1:p{pid}.{tid0};0",
        b"0",
    ],
)
def test_thread_options(events: Both, options: bytes) -> None:
    """When a thread has ended, the leader may get to its own end before it is stopped."""

    def scenario(side: Side) -> Iterator[object]:
        yield side.ask(b"QThreadOptions;" + side.named(options))
        for _ in range(4):
            result = resume(side)
            yield result
            if result[0][0] == "W":  # type: ignore[index]
                return
            if result[0] != "w":  # type: ignore[index]
                yield len(threads(side))

    events(scenario, "thread")


@pytest.mark.parametrize("wanted", [b"0", b"1"])
def test_killed_from_outside(both: Both, wanted: bytes) -> None:
    """While ten threads stand still; each end is told if that was asked for, and then that of the process."""

    def scenario(side: Side) -> Iterator[object]:
        side.run_to("ready")
        yield side.ask(b"QThreadEvents:" + wanted)
        os.kill(side.pid, signal.SIGKILL)
        reply = b"T"
        while reply[:1] not in b"WX":
            reply = side.ask(b"vCont;c")
            yield event(side, reply)

    both(scenario, "localhost:0", TEN_THREADS, offered=WITH_EVENTS)


@pytest.mark.parametrize("packet", [b"QThreadOptions;80", b"QThreadEvents:2", b"QThreadOptions;1:p1.1"])
def test_malformed_thread_packets(events: Both, packet: bytes) -> None:
    def scenario(side: Side) -> Iterator[object]:
        yield kind(side, side.ask(packet))

    events(scenario)


def test_nothing_is_left_to_run(events: Both) -> None:
    """Only one thread is resumed, and it ends."""

    def scenario(side: Side) -> Iterator[object]:
        yield event(side, side.run_to("in_thread"))
        yield resume(side, b"vCont;c:p{pid}.{tid1}")
        yield resume(side)

    events(scenario, "thread")


# System calls

GETPPID, GETUID = 110, 102


@pytest.mark.parametrize("chosen", [b"1;6e", b"1;6e;66", b"0", b"1;66"])
def test_system_calls(events: Both, chosen: bytes) -> None:
    def scenario(side: Side) -> Iterator[object]:
        yield side.ask(b"QCatchSyscalls:" + chosen)
        reply: object = None
        while (reply := resume(side)) and reply[0][0] != "W":  # type: ignore[index]
            yield reply

    events(scenario, "calls")


def test_all_system_calls_up_to_the_end(events: Both) -> None:
    def scenario(side: Side) -> Iterator[object]:
        yield side.ask(b"QCatchSyscalls:1")
        for _ in range(8):
            yield resume(side)
        yield side.ask(b"QCatchSyscalls:0")
        yield resume(side)

    events(scenario, "calls")


@pytest.mark.parametrize("chosen", [b"1", b"1;ffffffff"])
def test_a_system_call_without_a_number(events: Both, chosen: bytes) -> None:
    """The return from a signal handler."""

    def scenario(side: Side) -> Iterator[object]:
        yield side.ask(b"QPassSignals:1e")
        yield side.ask(b"QCatchSyscalls:" + chosen)
        reply: object = None
        while (reply := resume(side)) and reply[0][0] != "W":  # type: ignore[index]
            yield reply

    events(scenario, "signals")


def test_system_calls_are_no_longer_caught_between_entry_and_return(events: Both) -> None:
    def scenario(side: Side) -> Iterator[object]:
        yield side.ask(b"QCatchSyscalls:1;6e")
        yield resume(side)
        yield side.ask(b"QCatchSyscalls:0")
        yield resume(side)

    events(scenario, "calls")


def test_a_step_out_of_a_system_call(events: Both) -> None:
    def scenario(side: Side) -> Iterator[object]:
        yield side.ask(b"QCatchSyscalls:1;6e")
        yield resume(side)
        yield resume(side, b"vCont;s:p{pid}.{tid0}")
        yield resume(side, b"vCont;s:p{pid}.{tid0}")
        yield resume(side, b"vCont;c")

    events(scenario, "calls")


@pytest.mark.parametrize("packet", [b"QCatchSyscalls:2", b"QCatchSyscalls:1;zz", b"QCatchSyscalls:"])
def test_malformed_system_calls(events: Both, packet: bytes) -> None:
    def scenario(side: Side) -> Iterator[object]:
        yield kind(side, side.ask(packet))

    events(scenario)


# Signals


@pytest.mark.parametrize(
    "packets", [[b"QPassSignals:1e"], [b"QPassSignals:1e", b"QPassSignals:"], [b"QPassSignals:1f;e"]]
)
def test_passed_signals(events: Both, packets: list[bytes]) -> None:
    def scenario(side: Side) -> Iterator[object]:
        yield [side.ask(packet) for packet in packets]
        reply = side.ask(b"vCont;c")
        yield event(side, reply)
        if reply[:1] == b"T":
            yield resume(side, b"vCont;C1e:p{pid}.{tid0};c")
        yield side.output.wait_for("handled 1")[0]

    events(scenario, "signals")


@pytest.mark.parametrize(("packet", "handled"), [(b"QProgramSignals:1e", 1), (b"QProgramSignals:", 0), (b"", 1)])
def test_signals_on_detach(events: Both, packet: bytes, handled: int) -> None:
    def scenario(side: Side) -> Iterator[object]:
        if packet:
            yield side.ask(packet)
        yield resume(side)
        yield side.ask(side.named(b"D;{pid}"))
        yield side.output.wait_for(r"handled \d")[0]

    events(scenario, "signals")


# Several processes


def hexed(*words: object) -> bytes:
    return b";".join(str(word).encode().hex().encode() for word in words)


@pytest.fixture
def two(both: Both) -> Both:
    """`two(scenario)`: the scenario is given two processes that stand at their first instruction."""

    def run(scenario: Callable[[Side, int, int], Iterator[object]]) -> None:
        def started(side: Side) -> Iterator[object]:
            side.ask(b"!")
            pids = []
            for what in ("signals", "calls"):
                reply = side.ask(b"vRun;" + hexed(PROGRAM, what))
                found = re.search(rb"thread:p([0-9a-f]+)\.", reply)
                assert found, reply
                pids.append(int(found[1], 16))
            yield from scenario(side, *pids)
            for pid in processes(side):
                side.ask(b"vKill;%x" % pid)

        both(started, "--multi", "localhost:0", offered=OFFERED)

    return run


def test_both_are_listed_and_chosen(two: Both) -> None:
    def scenario(side: Side, first: int, second: int) -> Iterator[object]:
        yield threads(side) == sorted([(first, first), (second, second)])
        yield side.ask(b"qC") == b"QCp%x.%x" % (second, second)
        for pid in (first, second):
            yield side.ask(b"qAttached:%x" % pid)
            for letter in (b"g", b"c"):
                yield side.ask(b"H%bp%x.%x" % (letter, pid, pid))
            yield side.ask(b"Hgp%x.0" % pid)
            yield side.ask(b"qC") == b"QCp%x.%x" % (pid, pid)
            yield side.ask(b"Tp%x.%x" % (pid, pid))
            yield side.ask(b"qXfer:exec-file:read:%x:0,100" % pid)
        yield whole(side, side.ask(b"Tp%x.%x" % (first, second)))
        yield whole(side, side.ask(b"Hgp%x.%x" % (first, second)))

    two(scenario)


def test_one_runs_to_its_end_and_the_other_stands(two: Both) -> None:
    def scenario(side: Side, first: int, second: int) -> Iterator[object]:
        reply = side.ask(b"vCont;c:p%x.-1" % second)
        while reply[:1] == b"T":
            yield event(side, reply)
            reply = side.ask(b"vCont;c:p%x.-1" % second)
        yield (reply.startswith(b"W"), reply.endswith(b";process:%x" % second))
        yield threads(side) == [(first, first)]
        yield event(side, side.ask(b"vCont;c:p%x.-1" % first))
        yield event(side, side.ask(b"?"))

    two(scenario)


def test_one_is_let_go(two: Both) -> None:
    def scenario(side: Side, first: int, second: int) -> Iterator[object]:
        yield side.ask(b"D;%x" % second)
        yield side.wait_gone(second)
        yield threads(side) == [(first, first)]
        yield whole(side, side.ask(b"D;%x" % second))
        yield event(side, side.ask(b"vCont;c"))

    two(scenario)


def test_one_is_killed(two: Both) -> None:
    def scenario(side: Side, first: int, second: int) -> Iterator[object]:
        yield side.ask(b"vKill;%x" % first)
        yield side.wait_gone(first)
        yield threads(side) == [(second, second)]
        yield whole(side, side.ask(b"vKill;%x" % first))
        yield event(side, side.ask(b"vCont;c"))

    two(scenario)


def test_each_has_its_own_breakpoints(two: Both) -> None:
    def scenario(side: Side, first: int, second: int) -> Iterator[object]:
        place = b"0,%x,1" % symbols(PROGRAM)["begin"]
        yield side.ask(b"Hgp%x.%x" % (first, first))
        yield side.ask(b"Z" + place)
        reply = side.ask(b"vCont;c:p%x.-1" % second)
        while reply[:1] == b"T":
            yield b"swbreak" in reply
            reply = side.ask(b"vCont;c:p%x.-1" % second)
        yield event(side, reply)
        reply = side.ask(b"vCont;c:p%x.-1" % first)
        yield (reply[:3], b"swbreak" in reply, b"thread:p%x." % first in reply)

    two(scenario)


@pytest.mark.parametrize("packet", [b"vCont;c:p%x.-1", b"vCont;s:p%x.%x", b"vCont;c", b"vKill;%x", b"D;%x"])
def test_an_end_waits_until_its_process_is_resumed(two: Both, packet: bytes) -> None:
    """Or let go or killed. A step of another process ends as a step."""

    def scenario(side: Side, first: int, second: int) -> Iterator[object]:
        os.kill(first, signal.SIGKILL)
        side.wait_gone(first)
        for _ in range(2):
            reply = side.ask(b"vCont;s:p%x.%x" % (second, second))
            yield (reply[:3], b"thread:p%x." % second in reply)
        side.ask(b"Hgp%x.%x" % (first, first))
        reply = side.ask(packet % ((first,) * packet.count(b"%x")))
        yield (reply[:1], int(reply[1:].split(b";")[0], 16)) if reply[:1] == b"X" else reply
        reply = side.ask(b"vCont;s:p%x.%x" % (second, second))
        yield (reply[:3], b"thread:p%x." % second in reply)

    two(scenario)


def test_the_server_stays_when_the_last_one_is_gone(two: Both) -> None:
    def scenario(side: Side, first: int, second: int) -> Iterator[object]:
        for pid in (first, second):
            yield side.ask(b"vKill;%x" % pid)
        yield side.ask(b"?")
        yield kind(side, side.ask(b"qfThreadInfo"))
        yield side.ask(b"vRun;" + hexed(PROGRAM))[:3]

    two(scenario)


class Difference(NamedTuple):
    """What the program does, what the servers are asked, how their replies begin, and why ours is another."""

    what: str
    packet: bytes
    gnu: str
    ours: str
    reason: str


DIFFERENCES = [
    Difference("exec", b"vCont;c", "T05", "W03", "a client that has not heard of execs would look for its breakpoint"),
    Difference("", b"QThreadOptions", "", "E22", "state and arguments never make a reply empty"),
    Difference("", b"QThreadOptions;", "OK", "E22", "no options are a mistake"),
    Difference("", b"QThreadOptions;1:", "OK", "E22", "no thread is a mistake"),
    Difference("", b"QThreadOptions;1:p-1.-1", "E01", "OK", "all threads of all processes have a name in the protocol"),
]


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda row: f"{row.what}{row.packet.decode()}")
def test_deliberate_differences(request: pytest.FixtureRequest, difference: Difference) -> None:
    for name, expected in (("gnu", difference.gnu), (request.config.getoption("--server"), difference.ours)):
        with Side(name, "localhost:0", PROGRAM, difference.what) as side:
            side.run_to("begin")
            assert side.ask(difference.packet)[: len("Exx")].decode() == expected, name
