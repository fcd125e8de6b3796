"""Threads that are born, stop, are stepped and end while others do."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.live.session import (
    SIGINT,
    SIGTRAP,
    Session,
    exited,
    live_threads,
    name,
    pc_of,
    states,
    thread_of,
)
from tests.support.processes import status, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable


def test_breakpoint_in_two_hundred_threads(debug: Callable[..., Session]) -> None:
    session = debug("many_threads")
    pid = session.pid
    session.insert("visit", "finished")
    hits: Counter[tuple[int, int]] = Counter()
    while pc_of(stop := session.go()) == session.symbols["visit"]:
        hits[thread_of(stop)] += 1
        assert "swbreak" in stop.pairs
        if len(hits) % 20 == 0:
            assert states(pid) == {"t"}
            assert set(session.tids()) == live_threads(pid)
        session.step_off(stop, "visit")
    assert pc_of(stop) == session.symbols["finished"]
    assert session.read_int("visits") == 200
    assert set(hits.values()) == {1}
    assert len(hits) == 200
    session.remove("visit", "finished")
    exited(session.go(), 0)
    session.server.output.wait_for("^200 visits")


def test_threads_come_and_go_while_one_is_stepped(debug: Callable[..., Session]) -> None:
    session = debug("leaving_threads")
    session.insert("walk")
    stop = session.go()
    main = thread_of(stop)
    session.remove("walk")
    for _ in range(150):
        stop = session.go(f"s:{name(main)};c")
        assert (stop.signal, thread_of(stop)) == (SIGTRAP, main)
        assert states(main[0]) == {"t"}
        assert set(session.tids()) == live_threads(main[0])
    exited(session.go(), 5)


def test_each_step_runs_one_instruction(debug: Callable[..., Session]) -> None:
    """The loop of `walk` comes round thirty times, and so do its pcs, however many threads come and go."""
    session = debug("leaving_threads")
    session.insert("walk")
    stop = session.go()
    main = thread_of(stop)
    session.remove("walk")
    return_address = int.from_bytes(session.client.read_memory(session.register(7), 8), "little")
    visits: Counter[int] = Counter()
    while pc_of(stop) != return_address:
        visits[pc_of(stop)] += 1
        stop = session.go(f"s:{name(main)};c")
    assert session.read_int("steps") == 30
    assert set(visits.values()) <= {1, 30, 31}
    exited(session.go(), 5)


def leader_at_its_end(debug: Callable[..., Session]) -> tuple[Session, tuple[int, int], int]:
    """A session whose leader is about to end, the leader, and the tid of the thread that stays."""
    session = debug("leader_leaves")
    session.insert("leaving_call")
    leader = thread_of(session.go())
    session.remove("leaving_call")
    (other,) = set(session.tids()) - {leader[1]}
    return session, leader, other


def only_the_other_is_left(session: Session, pid: int, other: int) -> None:
    assert session.ids() == [(pid, other)]
    session.write_int("released", 1)
    exited(session.go(), 3)


def test_leader_ends_while_it_runs(debug: Callable[..., Session]) -> None:
    session, leader, other = leader_at_its_end(debug)
    session.client.resume(b"vCont;c")
    wait_until(lambda: status(leader[0], "State", leader[1])[:1] == "Z", "the leader ends")
    stop = session.interrupt()
    assert (stop.signal, thread_of(stop)) == (SIGINT, (leader[0], other))
    only_the_other_is_left(session, leader[0], other)


def test_leader_ends_while_it_is_stepped(debug: Callable[..., Session]) -> None:
    session, leader, other = leader_at_its_end(debug)
    session.client.resume(f"vCont;s:{name(leader)};c".encode())
    wait_until(lambda: status(leader[0], "State", leader[1])[:1] == "Z", "the leader ends")
    assert thread_of(session.interrupt()) == (leader[0], other)
    only_the_other_is_left(session, leader[0], other)


@pytest.mark.parametrize("action", ["c", "s"])
def test_leader_ends_while_only_it_is_resumed(debug: Callable[..., Session], action: str) -> None:
    session, leader, other = leader_at_its_end(debug)
    assert session.go(f"{action}:{name(leader)}").kind == "N"
    only_the_other_is_left(session, leader[0], other)


def test_leader_ends_while_another_is_stepped(debug: Callable[..., Session]) -> None:
    """The other thread reports all the time; nobody waits for the leader, and its end keeps no stop from coming."""
    session, leader, other = leader_at_its_end(debug)
    for _ in range(50):
        stop = session.go(f"s:{name((leader[0], other))};c")
        assert thread_of(stop) == (leader[0], other)
    only_the_other_is_left(session, leader[0], other)
