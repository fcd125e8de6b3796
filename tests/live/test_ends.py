"""Processes that are killed, exit while they are stepped, or become another program."""

from __future__ import annotations

import functools
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.live.session import (
    PLAIN,
    RIP,
    SIGKILL,
    SIGTRAP,
    STATIC,
    WITH_EVENTS,
    Session,
    exited,
    killed,
    name,
    pc_of,
    states,
    thread_of,
)
from tests.support.processes import is_gone, wait_until
from tests.support.programs import compile_program

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.server import Server


def running_threads(connect: Callable[..., Session], *packets: str) -> Session:
    """Ten threads and their leader run, in non-stop mode."""
    session = connect(compile_program("ten_threads", *STATIC))
    for packet in (*packets, "QNonStop:1", "vCont;c"):
        session.expect_ok(packet)
    session.server.output.wait_for("ready")
    return session


def counting(debug: Callable[..., Session], *arguments: str) -> tuple[Session, int]:
    """Four threads run, and the fifth has told that they do."""
    session = debug("counts", *arguments)
    session.insert("started")
    assert pc_of(session.go()) == session.symbols["started"]
    session.remove("started")
    return session, session.pid


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def kill_noticed(session: Session, *pids: int) -> None:
    """Kill processes that stand still, and have the server see that: it may look only when it is asked something."""
    for pid in pids:
        kill(pid)
        wait_until(functools.partial(has_noticed, session, pid), "the server sees the end")


def has_noticed(session: Session, pid: int) -> bool:
    assert session.ask("vKill;1") == "E22"
    return session.ask(f"T{name((pid, pid))}") == "E02"


def test_killed_while_running(debug: Callable[..., Session]) -> None:
    session, pid = counting(debug)
    session.client.resume(b"vCont;c")
    kill(pid)
    killed(session.client.wait_stop(), SIGKILL)


def test_killed_while_stopped(debug: Callable[..., Session]) -> None:
    session, pid = counting(debug)
    kill(pid)
    wait_until(lambda: is_gone(pid), "the process ends")
    killed(session.go(), SIGKILL)


def test_killed_while_stopped_and_looked_at(debug: Callable[..., Session]) -> None:
    """Whatever is asked of the dead gets an answer; the session and the server live on."""
    session, pid = counting(debug)
    thread = session.ids()[-1]
    kill(pid)
    wait_until(lambda: is_gone(pid), "the process ends")
    for packet in ("g", "G00", f"p{RIP:x}", f"m{session.symbols['counts']:x},8", f"Z0,{session.symbols['work']:x},1"):
        assert session.ask(packet), packet
    killed(session.go(f"s:{name(thread)}"), SIGKILL)


@pytest.mark.parametrize("packet", ["D;{pid}", "vKill;{pid}", "D"])
def test_what_was_killed_can_be_let_go_and_killed(debug: Callable[..., Session], packet: str) -> None:
    """Until its end is told it is the client's; afterwards there is nothing to tell."""
    session, pid = counting(debug)
    kill_noticed(session, pid)
    assert set(session.ask("g")) == {"0"}
    session.expect_ok(packet.format(pid=f"{pid:x}"))
    assert session.ask("g") == "E02"
    assert session.ask("vCont;c") == "E01"


@pytest.mark.parametrize("non_stop", [True, False])
@pytest.mark.parametrize("packet", ["D", "vKill"])
def test_one_that_ended_beside_others(connect: Callable[..., Session], packet: str, non_stop: bool) -> None:
    """Its end waits for the next resume, or behind a notification, and goes with it; the others are as they were."""
    program = compile_program("counts", *STATIC)
    session = connect(program, multi=True)
    session.expect_ok("!")
    first, second, third = (session.launch(program) for _ in range(3))
    session.expect_ok(f"QNonStop:{non_stop:d}")
    kill_noticed(session, first, second)
    session.choose(second, second)
    assert set(session.ask("g")) == {"0"}
    for of_the_dead in (
        "G00",
        f"P{RIP:x}=00",
        f"m{session.symbols['counts']:x},8",
        f"M{session.symbols['counts']:x},1:00",
    ):
        assert session.ask(of_the_dead)[:1] == "E", of_the_dead
    session.expect_ok(f"{packet};{second:x}")
    assert session.ask(f"{packet};{second:x}") == "E22"
    session.expect_ok(f"{packet};{first:x}")
    assert session.ids() == [(third, third)]
    if non_stop:
        assert session.told() == [f"X09;process:{first:x}"]
    session.expect_ok(f"vKill;{third:x}")
    assert session.ask("vCont;c") == ("OK" if non_stop else "E01")


def test_killed_while_stepped(debug: Callable[..., Session]) -> None:
    session, pid = counting(debug)
    main = thread_of(session.step(session.ids()[0]))
    for step in range(30):
        if step == 20:
            kill(pid)
        stop = session.go(f"s:{name(main)};c")
        if stop.kind == "X":
            break
    killed(stop, SIGKILL)


def test_killed_in_a_storm_of_breakpoints(debug: Callable[..., Session]) -> None:
    """Between any two packets of a client that steps threads over a breakpoint."""
    session, pid = counting(debug)
    session.insert("work")
    stop = session.go()
    for turn in range(20):
        if turn == 10:
            kill(pid)
        session.ask(f"z0,{session.symbols['work']:x},1")
        stop = session.step(thread_of(stop))
        if stop.kind != "X":
            session.ask(f"Z0,{session.symbols['work']:x},1")
            stop = session.go()
        if stop.kind == "X":
            break
    killed(stop, SIGKILL)


def test_killed_while_every_thread_passes_a_breakpoint(connect: Callable[..., Session]) -> None:
    """By a condition that is false; at another moment each time."""
    program = compile_program("counts", *STATIC)
    session = connect(program, multi=True)
    session.expect_ok("!")
    for turn in range(10):
        pid = session.launch(program)
        session.expect_ok(f"Z0,{session.symbols['work']:x},1;X3,220027")
        session.client.resume()
        wait_until(functools.partial(has_turned, session, pid, 5 * turn), "threads pass")
        kill(pid)
        killed(session.client.wait_stop(), SIGKILL)


def has_turned(session: Session, pid: int, times: int) -> bool:
    """Whether the first thread has been through so often, as seen from outside."""
    return session.look("counts", 8, pid=pid) > times


@pytest.mark.parametrize("others", ["", ";c"])
def test_exit_while_stepped(debug: Callable[..., Session], others: str) -> None:
    session, _ = counting(debug, "leave")
    session.insert("leave_call")
    main = thread_of(session.go())
    session.remove("leave_call")
    exited(session.go(f"s:{name(main)}{others}"), 9)


def test_exit_over_a_breakpoint(debug: Callable[..., Session]) -> None:
    session, _ = counting(debug, "leave")
    session.insert("leave_call", "work")
    while pc_of(stop := session.go()) != session.symbols["leave_call"]:
        session.step_off(stop, "work", "leave_call")
    session.remove("leave_call", "work")
    exited(session.step(thread_of(stop)), 9)


@pytest.mark.parametrize("way", ["main", "thread"])
def test_exec(debug: Callable[..., Session], way: str) -> None:
    """Without exec-events the new program just runs: without our breakpoints, which are not its own."""
    session = debug("becomes", way, offered=PLAIN)
    session.insert("arrived")
    exited(session.go(), 4)


@pytest.mark.parametrize("way", ["main", "thread"])
def test_exec_reported(debug: Callable[..., Session], way: str) -> None:
    session = debug("becomes", way, offered=WITH_EVENTS)
    pid = session.pid
    session.insert("arrived")
    stop = session.go()
    assert bytes.fromhex(stop.pairs["exec"]).decode() == os.readlink(f"/proc/{pid}/exe")
    assert stop.signal == SIGTRAP
    assert session.ids() == [(pid, pid)] == [thread_of(stop)]
    before = pc_of(stop)
    assert pc_of(session.step((pid, pid))) != before
    session.insert("arrived")
    assert pc_of(session.go()) == session.symbols["arrived"]
    session.remove("arrived")
    exited(session.go(), 4)


def test_a_step_ends_with_an_exec(debug: Callable[..., Session]) -> None:
    """Also if the client hears of no exec: at the first instruction that is run of the new program."""
    session = debug("becomes", "main", flags=("-static", "-Wl,-z,noexecstack"))
    pid = session.pid
    session.insert("main")
    assert pc_of(session.run()) == session.symbols["main"]
    session.remove("main")
    before = Path(f"/proc/{pid}/cmdline").read_bytes()
    while Path(f"/proc/{pid}/cmdline").read_bytes() == before:
        stop = session.step((pid, pid))
        assert (stop.kind, stop.signal) == ("T", SIGTRAP)
    assert pc_of(stop) == session.symbols["_start"]
    session.insert("arrived")
    assert pc_of(session.go()) == session.symbols["arrived"]
    session.remove("arrived")
    exited(session.go(), 4)


@pytest.mark.parametrize("way", ["main", "thread"])
def test_exec_while_threads_are_stepped(debug: Callable[..., Session], way: str) -> None:
    """A thread that is stepped when another one execs is gone; nobody waits for its step."""
    session = debug("becomes", way, offered=WITH_EVENTS, flags=("-Wl,-z,now",))
    pid = session.pid
    session.insert("become")
    session.go()
    session.remove("become")
    stop = session.go(f"s:{name((pid, pid))};c")
    while "exec" not in stop.pairs:
        assert states(pid) == {"t"}
        assert stop.kind == "T", stop
        stop = session.go(f"s:{name(thread_of(stop))};c")
    exited(session.go(), 4)


def test_each_end_is_told_of_a_process_that_is_killed_from_outside(connect: Callable[..., Session]) -> None:
    """Each thread's but the leader's, which is the process's, once and before it."""
    session = running_threads(connect)
    pid = session.pid
    session.expect_ok("QThreadEvents:1")
    others = [thread for thread in session.ids() if thread != (pid, pid)]
    assert len(others) == 10
    kill(pid)
    replies: list[str] = []
    while not replies or replies[-1][0] != "X":
        replies += session.told()
    assert sorted(replies[:-1]) == sorted(f"w00;{name(thread)}" for thread in others)
    assert replies[-1] == f"X09;process:{pid:x}"


def test_what_comes_before_the_program_is_not_told(serve: Callable[..., Server]) -> None:
    """A wrapper may run other programs first, as the distribution's shell does: by vfork."""
    program = compile_program("steps", *STATIC)
    wrapper = ("--wrapper", "sh", "-c", '/bin/true; exec "$0" "$@"', "--")
    server = serve(options=("--multi", "--no-startup-with-shell", *wrapper))
    with Session(server, program, WITH_EVENTS) as session:
        for packet in ("QThreadEvents:1", "!"):
            session.expect_ok(packet)
        pid = session.launch(program)
        assert session.client.transfer("exec-file", f"{pid:x}") == str(program).encode()
        session.insert("main")
        assert pc_of(session.go()) == session.symbols["main"]
        session.remove("main")
        exited(session.go(), 7)


@pytest.mark.parametrize("wanted", [True, False])
def test_nothing_is_told_of_a_process_that_the_client_killed(connect: Callable[..., Session], wanted: bool) -> None:
    """Not the ends of its threads, and not that nothing runs any more."""
    session = running_threads(connect, "!")
    pid = session.pid
    session.expect_ok(f"QThreadEvents:{wanted:d}")
    session.expect_ok(f"vKill;{pid:x}")
    assert is_gone(pid)
    for _ in range(3):
        assert session.ask("?") == "OK"
    assert not session.client.notifications
