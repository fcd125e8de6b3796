"""Debug registers: four slots, shared and split, in every thread there is and is to come."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.live.session import SIGTRAP, Session, exited, pc_of, thread_of

if TYPE_CHECKING:
    from collections.abc import Callable

WORKERS = 10
SLOT = 8


def cell(session: Session, index: int) -> int:
    return session.symbols["cells"] + SLOT * index


def test_four_slots(debug: Callable[..., Session]) -> None:
    session = debug("watched")
    for index in range(4):
        session.expect_ok(f"Z2,{cell(session, index):x},8")
    refusal = session.ask(f"Z2,{cell(session, 4):x},8")
    assert refusal.startswith("E.")
    assert "debug registers" in refusal
    session.expect_ok(f"z2,{cell(session, 2):x},8")
    session.expect_ok(f"Z2,{cell(session, 4):x},8")
    session.insert("after")
    watched = []
    while pc_of(stop := session.go()) != session.symbols["after"]:
        watched.append(int(stop.pairs["watch"], 16))
    assert watched == [cell(session, index) for index in (0, 1, 3, 4)]


def test_a_refused_range_takes_no_slot(debug: Callable[..., Session]) -> None:
    """A range of two slots when one is left."""
    session = debug("watched")
    for index in range(3):
        session.expect_ok(f"Z2,{cell(session, index):x},8")
    assert session.ask(f"Z2,{cell(session, 4):x},10")[:2] == "E."
    session.expect_ok(f"Z2,{cell(session, 7):x},8")


def test_equal_slots_are_shared(debug: Callable[..., Session]) -> None:
    """Ranges that overlap in whole slots take them together; the last one to go frees a slot."""
    session = debug("watched")
    first, second = cell(session, 0), cell(session, 1)
    for address, length in ((first, 16), (first, 8), (second, 8), (cell(session, 2), 8), (cell(session, 3), 8)):
        session.expect_ok(f"Z2,{address:x},{length:x}")
    assert session.ask(f"Z2,{cell(session, 5):x},8")[:2] == "E."
    session.expect_ok(f"z2,{first:x},10")
    assert session.ask(f"Z2,{cell(session, 5):x},8")[:2] == "E."
    assert int(session.go().pairs["watch"], 16) == first
    session.expect_ok(f"z2,{first:x},8")
    session.expect_ok(f"Z2,{cell(session, 5):x},8")


def test_inserting_twice_is_inserting_once(debug: Callable[..., Session]) -> None:
    session = debug("watched")
    for _ in range(2):
        session.expect_ok(f"Z2,{cell(session, 0):x},8")
    session.expect_ok(f"z2,{cell(session, 0):x},8")
    exited(session.go(), 0)


def test_unaligned_range(debug: Callable[..., Session]) -> None:
    """Bytes 3 to 8 take the slots 3+1, 4+4 and 8+1; each byte of them is watched, and none beside."""
    session = debug("watched")
    start = session.symbols["bytes"]
    session.expect_ok(f"Z2,{start + 3:x},6")
    session.insert("after")
    watched = []
    while pc_of(stop := session.go()) != session.symbols["after"]:
        watched.append(int(stop.pairs["watch"], 16) - start)
    assert watched == [3, 4, 4, 4, 4, 8]


def test_threads_born_later(debug: Callable[..., Session]) -> None:
    """Set when only the leader lives: each worker reports its own write, once."""
    session = debug("watched")
    session.expect_ok(f"Z2,{cell(session, 7):x},8")
    session.insert("after")
    hits: Counter[int] = Counter()
    while pc_of(stop := session.go()) != session.symbols["after"]:
        assert int(stop.pairs["watch"], 16) == cell(session, 7)
        hits[thread_of(stop)[1]] += 1
    assert hits.pop(session.pid) == 1
    assert list(hits.values()) == [1] * WORKERS
    assert session.read_int("cells", 8, 7) == 1 + WORKERS


def test_threads_that_live(debug: Callable[..., Session]) -> None:
    """Set in the middle of a round, and taken away in the middle of the next one."""
    session = debug("watched")
    session.insert("other")
    session.go()
    session.remove("other")
    session.expect_ok(f"Z2,{cell(session, 7):x},8")
    before = session.read_int("cells", 8, 7)
    session.insert("after")
    hits = 0
    while pc_of(session.go()) != session.symbols["after"]:
        hits += 1
        assert session.read_int("cells", 8, 7) >= before + hits
    assert hits == 1 + WORKERS - before
    session.remove("after")
    assert "watch" in session.go().pairs
    session.expect_ok(f"z2,{cell(session, 7):x},8")
    exited(session.go(), 0)


def test_hits_of_a_watchpoint_that_is_gone(debug: Callable[..., Session]) -> None:
    """Other threads have hit it too when it is removed: nobody wants to hear of that any more."""
    session = debug("watched")
    for _ in range(3):
        session.expect_ok(f"Z2,{cell(session, 7):x},8")
        assert "watch" in session.go().pairs
        session.expect_ok(f"z2,{cell(session, 7):x},8")
        session.insert("after")
        assert pc_of(session.go()) == session.symbols["after"]
        session.remove("after")
    exited(session.go(), 0)


def test_access(debug: Callable[..., Session]) -> None:
    session = debug("watched")
    session.expect_ok(f"Z4,{cell(session, 0):x},8")
    session.expect_ok(f"Z2,{session.symbols['seen']:x},8")
    stops = [session.go() for _ in range(4)]
    reasons = [next(key for key in ("awatch", "watch") if key in stop.pairs) for stop in stops]
    assert reasons == ["awatch", "awatch", "awatch", "watch"], "a read and a write to add one, and the read to copy it"
    assert all(stop.signal == SIGTRAP for stop in stops)


@pytest.mark.parametrize("count", [1, 4])
def test_hardware_breakpoints(debug: Callable[..., Session], count: int) -> None:
    """In threads born later, each once; the thread goes on over it without being stepped."""
    session = debug("watched")
    names = ("other", "after", "work", "in_threads")[:count]
    for name in names:
        session.expect_ok(f"Z1,{session.symbols[name]:x},1")
    hits: Counter[int] = Counter()
    while (stop := session.go()).kind == "T":
        assert "hwbreak" in stop.pairs
        hits[pc_of(stop)] += 1
    exited(stop, 0)
    times = {"other": 3 * WORKERS, "after": 3, "work": 3 * WORKERS, "in_threads": 3}
    assert hits == {session.symbols[name]: times[name] for name in names}


def test_memory_of_the_kernel(debug: Callable[..., Session]) -> None:
    """What the kernel refuses to watch is refused, and nothing else suffers."""
    session = debug("watched")
    assert session.ask("Z2,ffffffff81000000,8")[:2] == "E."
    session.expect_ok(f"Z2,{cell(session, 0):x},8")
    assert int(session.go().pairs["watch"], 16) == cell(session, 0)


def test_reads_only(debug: Callable[..., Session]) -> None:
    """x86 cannot watch reads alone: an empty reply, so that GDB asks for an access watchpoint."""
    session = debug("watched")
    assert session.ask(f"Z3,{cell(session, 0):x},8") == ""
