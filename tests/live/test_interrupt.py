"""^C at any moment: it stops something, once, and the session goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.live.session import SIGINT, SIGTRAP, STATIC, Session, exited, name, states, thread_of
from tests.support.programs import compile_program

if TYPE_CHECKING:
    from collections.abc import Callable

    from debugserver.rsp.stop_reply import StopReply


def running(debug: Callable[..., Session]) -> tuple[Session, tuple[int, int]]:
    """Four threads count, and one of them."""
    session = debug("counts")
    session.insert("started")
    session.go()
    session.remove("started")
    return session, session.ids()[1]


def ends(session: Session) -> None:
    """The session is as good as new: it runs, stops and sees the program to its end."""
    session.write_int("done", 1)
    stop = session.go()
    while stop.signal == SIGINT:
        stop = session.go()
    exited(stop, 6)


def test_while_running(debug: Callable[..., Session]) -> None:
    session, counter = running(debug)
    for _ in range(30):
        session.client.resume()
        stop = session.interrupt()
        assert stop.signal == SIGINT
        assert states(counter[0]) == {"t"}
    ends(session)


def test_in_a_storm_of_steps(debug: Callable[..., Session]) -> None:
    """Sent at any place of a step's way: each resume gets one reply, and each ^C one SIGINT within the next resume."""
    session, counter = running(debug)
    step = f"vCont;s:{name(counter)};c".encode()
    interrupts = 0
    for turn in range(200):
        session.client.resume(step)
        if turn % 5 == 0:
            session.client.interrupt()
            stops = [session.client.wait_stop()]
            if stops[0].signal != SIGINT:
                stops.append(session.go(step.decode().removeprefix("vCont;")))
            interrupts += stops[-1].signal == SIGINT
        else:
            assert session.client.wait_stop().signal == SIGTRAP
        assert states(counter[0]) == {"t"}
    assert interrupts == 40
    ends(session)


def test_just_after_a_stop(debug: Callable[..., Session]) -> None:
    """It was sent while the stop reply was on its way: the next resume ends with it."""
    session, counter = running(debug)
    for _ in range(20):
        assert session.step(counter).signal == SIGTRAP
        session.client.interrupt()
        assert session.go().signal == SIGINT
    ends(session)


def test_twice(debug: Callable[..., Session]) -> None:
    session, _ = running(debug)
    for _ in range(20):
        session.client.resume()
        session.client.send_raw(b"\x03\x03")
        assert session.client.wait_stop().signal == SIGINT
    ends(session)


def test_together_with_a_breakpoint(debug: Callable[..., Session]) -> None:
    """All four threads run into it all the time; whatever is told first, the other is told after."""
    session, _ = running(debug)
    session.insert("work")
    told: list[StopReply] = []
    for turn in range(60):
        session.client.resume()
        if turn % 3 == 0:
            session.client.interrupt()
        stop = session.client.wait_stop()
        told.append(stop)
        if "swbreak" in stop.pairs:
            session.remove("work")
            assert session.step(thread_of(stop)).signal in (SIGTRAP, SIGINT)
            session.insert("work")
    assert any("swbreak" in stop.pairs for stop in told)
    session.remove("work")
    ends(session)


def test_it_is_for_the_process_that_came_last(connect: Callable[..., Session]) -> None:
    """While the client has threads of another one pass a breakpoint again and again, as GDB does for a condition it
    evaluates itself."""
    session, first, second = two_processes(connect)
    stop = session.go()
    for turn in range(60):
        thread = thread_of(stop)
        assert (thread[0], stop.signal) == (first, SIGTRAP)
        session.remove("work")
        session.client.resume(f"vCont;s:{name(thread)}".encode())
        if turn % 3 == 0:
            session.client.interrupt()
        step = session.client.wait_stop()
        assert (thread_of(step), step.signal) == (thread, SIGTRAP)
        session.insert("work")
        stop = session.go()
        while turn % 3 == 0 and stop.signal != SIGINT:
            assert (thread_of(stop)[0], stop.signal) == (first, SIGTRAP)
            session.remove("work")
            assert session.step(thread_of(stop)).signal == SIGTRAP
            session.insert("work")
            stop = session.go()
        if turn % 3 == 0:
            assert thread_of(stop)[0] == second
            session.choose(first, first)
            stop = session.go()


def test_who_steps_through_another_process_is_heard(connect: Callable[..., Session]) -> None:
    session, _, second = two_processes(connect)
    thread = thread_of(session.go())
    for _ in range(20):
        session.remove("work")
        session.client.resume(f"vCont;s:{name(thread)}".encode())
        session.client.interrupt()
        stops = [session.client.wait_stop(), session.step(thread), session.step(thread)]
        assert [thread_of(stop) for stop in stops] == [thread] * 3
        assert [stop.signal for stop in stops].count(SIGINT) == 1
        session.insert("work")
    assert second in {pid for pid, _ in session.ids()}


def two_processes(connect: Callable[..., Session]) -> tuple[Session, int, int]:
    """The older one has a breakpoint at what its threads do; both stand at their beginning."""
    program = compile_program("counts", *STATIC)
    session = connect(program, multi=True)
    session.expect_ok("!")
    first, second = session.launch(program), session.launch(program)
    session.choose(first, first)
    session.insert("work")
    return session, first, second


def test_while_threads_come_and_go(debug: Callable[..., Session]) -> None:
    """The thread that was asked may end before it hears of it."""
    session = debug("leaving_threads")
    session.insert("walk")
    session.go()
    session.remove("walk")
    others = f"t:{name((session.pid, session.pid))};c"
    for _ in range(60):
        session.client.resume(f"vCont;{others}".encode())
        stop = session.interrupt()
        assert stop.signal == SIGINT
        assert states(session.pid) == {"t"}
    exited(session.go(), 5)


@pytest.mark.parametrize("junk", [b"+", b"$#00", b"%junk#00"])
def test_in_the_middle_of_other_bytes(debug: Callable[..., Session], junk: bytes) -> None:
    session, _ = running(debug)
    session.client.resume()
    session.client.send_raw(junk + b"\x03")
    stop = session.client.wait_stop() if junk != b"$#00" else None
    if stop is None:
        assert session.client.receive() == b""
        stop = session.client.wait_stop()
    assert stop.signal == SIGINT
    ends(session)
