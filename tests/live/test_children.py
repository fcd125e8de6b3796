"""Children of every kind, with breakpoints in functions that they run too: no child dies of a trap, none is kept."""

from __future__ import annotations

import functools
import os
import signal
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.live.session import (
    PLAIN,
    RIP,
    SIGCHLD,
    SIGKILL,
    SIGTRAP,
    SIGUSR1,
    STATIC,
    WITH_EVENTS,
    Session,
    child_of,
    exited,
    killed,
    name,
    pc_of,
    thread_of,
)
from tests.support.processes import is_gone, status, wait_until
from tests.support.programs import compile_program

if TYPE_CHECKING:
    from collections.abc import Callable

    from debugserver.rsp.stop_reply import StopReply

WAYS = ["fork", "vfork", "posix_spawn", "popen", "system"]


def go_past_births(session: Session, *names: str) -> StopReply:
    """Run on, letting children go as GDB does with detach-on-fork: without our breakpoints."""
    while True:
        stop = session.run()
        if child := child_of(stop):
            parent = thread_of(stop)
            session.choose(child[1], child[0])
            if "fork" in stop.pairs:
                session.remove(*names)
            session.expect_ok(f"D;{child[0]:x}")
            session.choose(parent[1], parent[0])
        elif "vforkdone" not in stop.pairs:
            return stop


@pytest.mark.parametrize("offered", [PLAIN, WITH_EVENTS], ids=["silent", "reported"])
@pytest.mark.parametrize("way", WAYS)
def test_children(debug: Callable[..., Session], way: str, offered: str) -> None:
    session = debug("children", way, offered=offered)
    session.insert("shared", "made")
    stop = go_past_births(session, "shared", "made")
    assert pc_of(stop) == session.symbols["shared"], "the parent's own call"
    assert session.read_int("calls") == (1 if way == "vfork" else 0)
    session.step_off(stop, "shared", "made")
    stop = session.run()
    assert pc_of(stop) == session.symbols["made"]
    session.choose(thread_of(stop)[1])
    assert session.register(5) == 0, "wait status of the child"
    session.remove("shared", "made")
    exited(session.run(), 0)


@pytest.mark.parametrize("offered", [PLAIN, WITH_EVENTS], ids=["silent", "reported"])
def test_a_hundred_children_while_threads_hit_breakpoints(debug: Callable[..., Session], offered: str) -> None:
    session = debug("forks", offered=offered)
    pid = session.pid
    names = ("work", "shared", "finished")
    session.insert(*names)
    hits: Counter[int] = Counter()
    while pc_of(stop := go_past_births(session, *names)) != session.symbols["finished"]:
        assert thread_of(stop)[0] == pid
        hits[pc_of(stop)] += 1
        session.step_off(stop, *names)
    assert hits == {session.symbols["work"]: 200}
    assert session.read_int("worked") == 200
    assert session.read_int("failures") == 0
    session.remove(*names)
    exited(session.run(), 0)


@pytest.mark.parametrize("way", ["fork", "vfork"])
def test_both_debugged(debug: Callable[..., Session], way: str) -> None:
    """GDB's detach-on-fork off: the child stands still, is resumed by itself and ends by itself."""
    session = debug("children", way, offered=WITH_EVENTS)
    parent = session.ids()[0]
    session.insert("shared")
    stop = session.run()
    child = child_of(stop)
    assert child is not None
    assert set(session.ids()) == {parent, child}
    assert status(child[0], "State")[:1] == "t"
    stop = session.go(f"c:{name(child)}")
    assert (thread_of(stop), pc_of(stop)) == (child, session.symbols["shared"])
    session.choose(child[1], child[0])
    session.remove("shared")
    stop = session.go(f"c:{name(child)}")
    assert (stop.kind, stop.status, stop.process) == ("W", 0, child[0])
    session.choose(parent[1], parent[0])
    assert session.client.read_registers(), "the parent, too, stands still"
    wait_until(lambda: is_gone(child[0]), "the child ends")
    if way == "fork":
        assert pc_of(session.run()) == session.symbols["shared"]
        session.remove("shared")
    else:
        assert "vforkdone" in session.run().pairs
    exited(session.run(), 0)


def test_a_step_from_a_birth_leads_to_the_end_of_the_system_call(debug: Callable[..., Session]) -> None:
    """And no further, where the client has moved the thread as well: GDB does when it steps over a breakpoint in a copy
    of the instruction."""
    session = debug("children", "fork", offered=WITH_EVENTS)
    stop = session.run()
    parent, behind, child = thread_of(stop), pc_of(stop), child_of(stop)
    assert child is not None
    session.expect_ok(f"D;{child[0]:x}")
    session.choose(parent[1], parent[0])
    session.set_register(RIP, session.symbols["shared"])
    stop = session.step(parent)
    while stop.signal == SIGCHLD:
        stop = session.step(parent, SIGCHLD)
    assert (stop.signal, pc_of(stop)) == (SIGTRAP, session.symbols["shared"])
    session.set_register(RIP, behind)
    exited(session.run(), 0)


MEMORY = pytest.mark.parametrize("memory", [(), ("vm",)], ids=["own memory", "shared memory"])


@MEMORY
def test_a_clone_that_is_a_thread_group_of_its_own(debug: Callable[..., Session], memory: tuple[str, ...]) -> None:
    """A thread to clients, as GNU gdbserver has it. In memory of its own it meets no breakpoint."""
    session = debug("clones", "signal", *memory)
    leader = session.ids()[0]
    session.insert("shared")
    stop = session.run()
    clone = thread_of(stop)
    assert session.ids() == [leader, clone]
    if memory:
        assert pc_of(stop) == session.symbols["shared"]
        session.step_off(stop, "shared")
        stop = session.run()
    assert (thread_of(stop), stop.signal) == (clone, SIGUSR1)
    stop = session.go(f"C{SIGUSR1:02x}:{name(clone)};c")
    assert (thread_of(stop), pc_of(stop)) == (leader, session.symbols["shared"])
    assert session.ids() == [leader]
    session.remove("shared")
    exited(session.run(), 0)
    session.server.output.wait_for(f"^status {signal.SIGUSR1:x}$")


@MEMORY
def test_a_clone_that_execs(debug: Callable[..., Session], memory: tuple[str, ...]) -> None:
    session = debug("clones", "exec", *memory)
    leader = session.ids()[0]
    session.insert("shared")
    stop = session.run()
    if memory:
        session.step_off(stop, "shared")
        stop = session.run()
    assert (thread_of(stop), pc_of(stop)) == (leader, session.symbols["shared"])
    assert session.ids() == [leader]
    session.remove("shared")
    exited(session.run(), 0)
    session.server.output.wait_for("^status 700$")


@MEMORY
def test_a_clone_that_outlives_its_process(debug: Callable[..., Session], memory: tuple[str, ...]) -> None:
    session = debug("clones", "outlive", *memory)
    session.insert("shared")
    stop = session.run()
    if memory:
        session.step_off(stop, "shared")
        stop = session.run()
    exited(stop, 0)
    session.server.output.wait_for("^clone called 2 times$")


@MEMORY
def test_a_clone_is_killed_with_its_process(debug: Callable[..., Session], memory: tuple[str, ...]) -> None:
    session = debug("clones", "signal", *memory)
    pid, _ = session.ids()[0]
    stop = session.run()
    clone = thread_of(stop)[1]
    session.expect_ok(f"vKill;{pid:x}")
    wait_until(lambda: is_gone(clone), "the clone ends")


def let_go(session: Session, pid: int) -> None:
    session.expect_ok(f"D;{pid:x}")


def kill(session: Session, pid: int) -> None:
    session.expect_ok(f"vKill;{pid:x}")


def hear_of_it_in_all_stop(session: Session, pid: int) -> None:
    session.expect_ok("QNonStop:0")
    assert session.ask("?")[:3] == "T05", "the thread whose birth was in flight"
    while (child := child_of(session.go())) is None:
        pass  # births and ends of threads
    let_go(session, child[0])
    let_go(session, pid)


def leave_it_to_the_next_client(session: Session, pid: int) -> None:
    session.close()
    with Session(session.server, compile_program("forks", *STATIC), WITH_EVENTS) as after:
        assert {process for process, _ in after.ids()} == {pid}, "the child is let go, since nobody was told of it"
        let_go(after, pid)


@pytest.mark.parametrize("leave", [let_go, kill, hear_of_it_in_all_stop, leave_it_to_the_next_client])
def test_a_child_whose_birth_is_queued(debug: Callable[..., Session], leave: Callable[[Session, int], None]) -> None:
    """Its parent's other threads came first, and the client acknowledges nothing: the child is lost in no way out."""
    session = debug("forks", offered=WITH_EVENTS)
    pid = session.pid
    session.write_int("may_fork", 0)
    session.expect_ok("QNonStop:1")
    session.expect_ok("QThreadEvents:1")
    session.expect_ok("vCont;c")
    assert b"create:" in session.client.wait_notification()
    session.write_int("may_fork", 1)
    wait_until(lambda: len(session.ids()) == 6, "all threads are there, and the first child")
    leave(session, pid)
    wait_until(lambda: not group_members(pid), "parent and children end")


@pytest.mark.parametrize("way", ["clone", "vfork"])
def test_a_child_that_shares_memory_is_let_go(debug: Callable[..., Session], way: str) -> None:
    """Breakpoints that its parent is given meanwhile do it no harm; a vfork child is out of that memory before clients
    insert any, and until then its parent can still be asked for."""
    session = debug("shares", way, offered=WITH_EVENTS)
    stop = session.go()
    child = child_of(stop)
    assert child is not None
    session.expect_ok(f"D;{child[0]:x}")
    if way == "clone":
        session.insert("called")
    session.client.resume()
    assert session.client.request(b"?", timeout=3)[:1] == b"T"
    session.write_int("may_go", 1)
    stop = session.run()
    if way == "vfork":
        assert "vforkdone" in stop.pairs
        session.insert("called")
        stop = session.run()
    exited(stop, 7)


def test_killed_while_it_forks(connect: Callable[..., Session]) -> None:
    """A child whose parent could not tell of it any more is let go, too: it runs to its end."""
    program = compile_program("forks_on", *STATIC)
    session = connect(program, multi=True)
    session.expect_ok("!")
    for turn in range(12):
        pid = session.launch(program)
        session.insert("shared")
        session.client.resume()
        kill_after(session, pid, 10 + turn)


def test_killed_when_it_has_forked(connect: Callable[..., Session]) -> None:
    """One thread stands at the birth of a child, but another one had something to tell first: the child is let go."""
    program = compile_program("forks", *STATIC)
    session = connect(program, offered=WITH_EVENTS, multi=True)
    session.expect_ok("!")
    found = 0
    while found < 3:
        pid = session.launch(program)
        session.insert("work")
        stop = session.go()
        while child_of(stop) is None and group_members(pid) == {pid}:
            stop = session.go()
        os.kill(pid, signal.SIGKILL)
        if child := child_of(stop):
            kill(session, child[0])
        else:
            found += 1
        while (stop := session.go()).kind == "T":
            if child := child_of(stop):
                kill(session, child[0])
        killed(stop, SIGKILL)
        wait_until(functools.partial(has_no_members, pid), "the child ends")


def has_no_members(group: int) -> bool:
    return not group_members(group)


def kill_after(session: Session, pid: int, children: int) -> None:
    """Kill the program, which runs, when it has made so many children; it and they end."""
    wait_until(lambda: session.look("children", pid=pid) >= children, "children are made")
    os.kill(pid, signal.SIGKILL)
    killed(session.client.wait_stop(), SIGKILL)
    wait_until(lambda: not group_members(pid), "all children end")


def group_members(group: int) -> set[int]:
    """The live processes of a process group (proc(5), "stat", field 5)."""
    found = set()
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        with suppress(FileNotFoundError, ProcessLookupError):
            state, _, of = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:3]
            if int(of) == group and state != "Z":
                found.add(int(pid))
    return found
