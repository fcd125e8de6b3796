"""Breakpoints whose conditions do not hold, in threads that run: nothing else is disturbed."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from debugserver.rsp import stop_reply
from tests.live.session import (
    RDI,
    RIP,
    SIGINT,
    SIGTRAP,
    SIGUSR1,
    STATIC,
    Session,
    exited,
    name,
    pc_of,
    thread_of,
)
from tests.support.agent_expressions import assemble, point, printf
from tests.support.processes import wait_until
from tests.support.programs import compile_program

if TYPE_CHECKING:
    from collections.abc import Callable

    from debugserver.rsp.stop_reply import StopReply
    from tests.support.server import Server

THREADS = 10
VISITS = 1000
FALSE = "const8 0"


def insert(
    session: Session, where: str | int, *conditions: str, kind: str = "Z0", commands: tuple[bytes, ...] = ()
) -> None:
    address = session.symbols[where] if isinstance(where, str) else where
    codes = [assemble(f"{text} end") for text in conditions]
    session.expect_ok(point(f"{kind},{address:x},1".encode(), *codes, commands=commands).decode())


def wait_stop(session: Session) -> StopReply:
    """The next stop in non-stop mode, acknowledged."""
    first, *others = session.told()
    session.client.notifications.extend(b"Stop:" + reply.encode() for reply in others)
    return stop_reply.parse(first.encode())


def reg(number: int) -> str:
    return f"reg {number} ext 32"


@pytest.mark.parametrize("kind", ["Z0", "Z1"])
def test_ten_threads_with_one_condition(debug: Callable[..., Session], kind: str) -> None:
    """Each thread comes by a thousand times, and stops once."""
    session = debug("conditions", THREADS)
    session.insert("finished")
    insert(session, "marked", f"{reg(RDI)} const16 555 equal", kind=kind)
    hits: Counter[tuple[int, int]] = Counter()
    while pc_of(stop := session.go()) == session.symbols["marked"]:
        hits[thread_of(stop)] += 1
        session.choose(thread_of(stop)[1])
        assert session.register(RDI) & 0xFFFFFFFF == 555
        session.expect_ok(f"z{kind[1]},{session.symbols['marked']:x},1")
        session.step(thread_of(stop))
        insert(session, "marked", f"{reg(RDI)} const16 555 equal", kind=kind)
    assert pc_of(stop) == session.symbols["finished"]
    assert len(hits) == THREADS
    assert set(hits.values()) == {1}
    assert session.read_int("visits") == THREADS * VISITS


def test_ten_threads_in_non_stop(debug: Callable[..., Session]) -> None:
    session = debug("conditions", THREADS)
    session.expect_ok("QNonStop:1")
    session.insert("finished")
    insert(session, "marked", f"{reg(RDI)} const16 555 equal")
    session.expect_ok("vCont;c")
    hits: Counter[tuple[int, int]] = Counter()
    while pc_of(stop := wait_stop(session)) == session.symbols["marked"]:
        hits[thread_of(stop)] += 1
        thread = name(thread_of(stop))
        # The others run on, so the breakpoint has to stay: this one is moved past its instruction, which does nothing.
        session.choose(thread_of(stop)[1])
        session.set_register(RIP, session.symbols["marked"] + 1)
        session.expect_ok(f"vCont;c:{thread}")
    assert pc_of(stop) == session.symbols["finished"]
    assert len(hits) == THREADS
    assert set(hits.values()) == {1}
    assert session.read_int("visits") == THREADS * VISITS


def test_signals_and_conditions(debug: Callable[..., Session]) -> None:
    """Every visit is counted, every command run once, though signals keep coming in the middle."""
    threads = 3
    session = debug("conditions", threads, "signals")
    session.expect_ok(f"QPassSignals:{SIGUSR1:x}")
    command = assemble(f"{reg(RDI)} const8 0 const8 0") + printf(r"%d\n", 1) + assemble("end")
    insert(session, "marked", commands=(command,))
    session.insert("finished")
    stop = session.go()
    assert pc_of(stop) == session.symbols["finished"], stop
    assert session.read_int("visits") == threads * VISITS
    assert session.read_int("handled") > 0
    session.server.output.wait_for(rf"(\d+\n){{{threads * VISITS}}}")
    assert Counter(session.server.output.text.split()) == {str(number): threads for number in range(VISITS)}


def test_an_interrupt_gets_through(debug: Callable[..., Session]) -> None:
    session = debug("counts")
    insert(session, "work", FALSE)
    for _ in range(20):
        session.client.resume(b"vCont;c")
        stop = session.interrupt()
        assert (stop.kind, stop.signal) == ("T", SIGINT)
    before = session.read_int("counts", 8)
    session.client.resume(b"vCont;c")
    wait_until(lambda: session.look("counts", 8) > before, "the first thread counts on")
    assert session.interrupt().signal == SIGINT


def test_one_thread_is_halted_in_non_stop(debug: Callable[..., Session]) -> None:
    session = debug("counts")
    session.expect_ok("QNonStop:1")
    insert(session, "work", FALSE)
    session.expect_ok("vCont;c")
    wait_until(lambda: len(session.ids()) == 5, "all threads are there")
    for thread in session.ids()[1:]:
        for _ in range(5):
            session.expect_ok(f"vCont;t:{name(thread)}")
            stop = wait_stop(session)
            assert (thread_of(stop), stop.signal) == (thread, 0)
            session.expect_ok(f"vCont;c:{name(thread)}")


def test_the_instruction_under_a_breakpoint_writes_what_is_watched(debug: Callable[..., Session]) -> None:
    session = debug("conditions")
    insert(session, "writes", FALSE)
    session.expect_ok(f"Z2,{session.symbols['written']:x},4")
    stop = session.go()
    assert (stop.kind, stop.signal) == ("T", SIGTRAP)
    assert int(stop.pairs["watch"], 16) == session.symbols["written"]
    assert session.read_int("written") == 7


def test_children_meet_no_conditions(debug: Callable[..., Session]) -> None:
    """Neither those that are let go nor those that share their parent's memory, and run its code, for a while."""
    session = debug("forks")
    insert(session, "work", FALSE)
    insert(session, "shared", FALSE)
    exited(session.run(), 0)


def test_a_client_that_goes_takes_its_conditions_along(serve: Callable[..., Server]) -> None:
    program = compile_program("conditions", *STATIC)
    server = serve(program)
    with Session(server, program) as first:
        first.start()
        insert(first, "marked", FALSE)
    with Session(server, program) as second:
        second.insert("marked")
        assert pc_of(second.go()) == second.symbols["marked"]
        assert second.read_int("visits") == 1


def test_steps_over_marked(debug: Callable[..., Session]) -> None:
    """A step from a breakpoint whose condition is false runs one instruction, a range step runs on through it."""
    session = debug("conditions")
    session.insert("marked")
    stop = session.go()
    session.remove("marked")
    insert(session, "marked", FALSE)
    thread, marked = thread_of(stop), session.symbols["marked"]
    stop = session.step(thread)
    assert (stop.signal, pc_of(stop)) == (SIGTRAP, marked + 1)
    assert "swbreak" not in stop.pairs
    session.choose(thread[1])
    session.set_register(RIP, marked)
    stop = session.go(f"r{marked:x},{marked + 1:x}:{name(thread)}")
    assert (stop.signal, pc_of(stop)) == (SIGTRAP, marked + 1)


def printing(text: str) -> bytes:
    return assemble(f"{reg(RDI)} const8 0 const8 0") + printf(text, 1) + assemble("end")


def test_commands_where_a_thread_is_seen_for_another_reason(debug: Callable[..., Session]) -> None:
    """A client counts a breakpoint as hit at which it sees a thread, and steps over it: its commands are run once."""
    session = debug("conditions")
    session.insert("marked")
    stop = session.go()
    thread, marked = thread_of(stop), session.symbols["marked"]
    session.remove("marked")
    insert(session, marked + 1, commands=(printing(r"after %d\n"),))
    assert pc_of(session.step(thread)) == marked + 1
    session.server.output.wait_for("after 0\n")
    session.insert("finished")
    session.expect_ok(f"z0,{marked + 1:x},1")
    session.step(thread)
    insert(session, marked + 1, commands=(printing(r"after %d\n"),))
    assert pc_of(session.go()) == session.symbols["finished"]
    session.server.output.wait_for("after 999\n")
    assert session.server.output.text.splitlines() == [f"after {number}" for number in range(VISITS)]


def test_commands_are_not_repeated_by_a_client_that_just_continues(debug: Callable[..., Session]) -> None:
    session = debug("conditions")
    session.insert("marked", "finished")
    stop = session.go()
    thread, marked = thread_of(stop), session.symbols["marked"]
    session.remove("marked")
    insert(session, marked + 1, commands=(printing(r"after %d\n"),))
    assert pc_of(session.step(thread)) == marked + 1
    assert pc_of(session.go()) == session.symbols["finished"]
    session.server.output.wait_for("after 999\n")
    assert session.server.output.text.splitlines() == [f"after {number}" for number in range(VISITS)]
