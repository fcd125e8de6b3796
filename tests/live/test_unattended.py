"""Breakpoints whose commands persist: their process is let go, and they go on printing without a client."""

from __future__ import annotations

import os
import signal
import socket
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.live.session import RDI, SIGCHLD, SIGUSR1, STATIC, Session, exited, pc_of, states, symbols
from tests.support.agent_expressions import assemble, point, printf
from tests.support.processes import is_gone, read_memory, status, text_segment, wait_until, write_memory
from tests.support.programs import compile_program

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.server import Server

PROGRAM = compile_program("visits", *STATIC)
LEFT = "Persistent commands are present, leaving gdbserver attached to the process\n"
PRINT = assemble(f"reg {RDI} ext 32 const8 0 const8 0") + printf(r"<%d>\n", 1) + assemble("end")
LEADER_PRINTS = r"<\d{1,6}>\n"
CLEAN_END = 40
"""The exit code if all children were unharmed."""


@pytest.fixture
def serve_it(serve_either: Callable[..., Server]) -> Callable[..., Server]:
    """A server that started or attached to the program."""
    return partial(serve_either, "visits", words=("say",))


def read(server: Server, variable: str) -> int:
    """A variable of the program, seen from outside."""
    return int.from_bytes(read_memory(server.debuggee, symbols(PROGRAM)[variable], 4), "little")


def finish(server: Server) -> None:
    """Let the program end, from outside."""
    write_memory(server.debuggee, symbols(PROGRAM)["done"], b"\1")


def grows(server: Server, variable: str) -> None:
    before = read(server, variable)
    wait_until(lambda: read(server, variable) > before, f"{variable} grows")


def pass_children(session: Session) -> None:
    """Nobody wants to hear of SIGCHLD."""
    session.expect_ok(f"QPassSignals:{SIGCHLD:x}")


def insert(session: Session, kind: str = "Z0", persist: int = 1) -> None:
    place = f"{kind},{session.symbols['marked']:x},1".encode()
    session.expect_ok(point(place, commands=(PRINT,), persist=persist).decode())


def start(session: Session) -> None:
    """Run to where both threads have begun."""
    pass_children(session)
    if session.ask("qAttached") == "0":
        session.start()
    while len(session.ids()) < 2:
        session.client.resume(b"vCont;c")
        session.interrupt()


def leave(session: Session) -> None:
    session.expect_ok(f"D;{session.pid:x}")


def prints(server: Server) -> None:
    """From now on."""
    server.output.wait_for(LEADER_PRINTS, start=len(server.output.text))


def prints_nothing(server: Server) -> None:
    """Though the program comes by."""
    silent_from = len(server.output.text)
    grows(server, "visits")
    grows(server, "visits")
    assert "<" not in server.output.text[silent_from:]


def comes_back(server: Server) -> None:
    """The server listens again."""
    server.log.wait_for(r"GDBserver will reopen the connection\.\nListening on port \d+\n")


def test_left_while_a_stop_is_in_flight(serve_it: Callable[..., Server]) -> None:
    """The client has not acknowledged it, nor will anybody: the process runs on."""
    server = serve_it()
    with Session(server, PROGRAM) as session:
        start(session)
        insert(session)
        session.expect_ok("QPassSignals:")
        session.expect_ok("QNonStop:1")
        session.expect_ok("vCont;c")
        os.kill(server.debuggee, signal.SIGCHLD)
        assert session.client.wait_notification().startswith(b"Stop:T%02x" % SIGCHLD)
        leave(session)
    comes_back(server)
    prints(server)
    prints(server)
    finish(server)


@pytest.fixture(params=["Z0", "Z1"])
def left(request: pytest.FixtureRequest, serve_it: Callable[..., Server]) -> Server:
    """A server whose first client has let the process go."""
    server: Server = serve_it()
    with Session(server, PROGRAM) as session:
        start(session)
        insert(session, request.param)
        session.insert("have_child")
        session.expect_ok(f"Z2,{session.symbols['visits']:x},4")
        leave(session)
        server.log.wait_for(LEFT)
        assert "Detaching" not in server.log.text
    comes_back(server)
    return server


def test_the_process_runs_on_as_if_it_were_alone(left: Server) -> None:
    """Nothing but the commands is left: signals reach it, its children are unharmed, its end is told."""
    prints(left)
    grows(left, "children")
    for number in range(1, 4):
        os.kill(left.debuggee, signal.SIGUSR1)
        wait_until(lambda number=number: read(left, "handled") == number, "the signal is handled")  # type: ignore[misc]
    grows(left, "children")
    prints(left)
    finish(left)
    left.log.wait_for(rf"\nChild exited with status {CLEAN_END}\n")
    assert left.wait() == 0


def test_a_signal_may_end_it(left: Server) -> None:
    os.kill(left.debuggee, signal.SIGUSR2)
    left.log.wait_for(r"\nChild terminated with signal = 0xc \(SIGUSR2\)\n")
    assert left.wait() == 0


def test_it_may_be_stopped_by_job_control(left: Server) -> None:
    os.kill(left.debuggee, signal.SIGSTOP)
    wait_until(lambda: states(left.debuggee) <= {"T", "t"}, "it stops")
    before = read(left, "visits")
    os.kill(left.debuggee, signal.SIGCONT)
    wait_until(lambda: read(left, "visits") > before, "it goes on")
    prints(left)


def test_a_new_client_finds_it_and_takes_it_over(left: Server) -> None:
    """What a predecessor has left is in until the process is resumed: then the client has what it wants in."""
    prints(left)
    with Session(left, PROGRAM) as session:
        pass_children(session)
        assert session.ask("?").startswith("T00")
        wait_until(lambda: states(left.debuggee) == {"t"}, "it stands still")
        session.insert("visit")
        assert pc_of(session.go()) == session.symbols["visit"]
        session.remove("visit")
        session.client.resume(b"vCont;c")
        prints_nothing(left)
        session.interrupt()
        session.write_int("done", 1)
        exited(session.run(), CLEAN_END)
    assert left.wait() == 0


def test_a_client_that_only_looks_leaves_it_as_it_was(left: Server) -> None:
    for _ in range(5):
        with Session(left, PROGRAM) as session:
            assert session.ask("?").startswith("T00")
            assert session.read_int("visits") > 0
            leave(session)
        prints(left)
    grows(left, "children")
    finish(left)
    left.log.wait_for(rf"\nChild exited with status {CLEAN_END}\n")


def test_whoever_says_nothing_changes_nothing(left: Server) -> None:
    host, _, port = left.address.rpartition(":")
    with socket.create_connection((host, int(port)), 10):
        left.log.wait_for(r"(?s)Remote debugging from.*Remote debugging from")
        prints(left)
    prints(left)


def test_a_client_puts_the_same_commands_in_again(left: Server) -> None:
    with Session(left, PROGRAM) as session:
        pass_children(session)
        session.ask("?")
        insert(session, persist=0)
        session.client.resume(b"vCont;c")
        prints(left)
        session.interrupt()
        session.expect_ok(f"D;{session.pid:x}")
    left.log.wait_for(f"Detaching from process {left.debuggee}")
    finish(left)


def test_the_server_is_ended(left: Server, request: pytest.FixtureRequest) -> None:
    """A process that was started ends, one that was attached to runs on, with its own code."""
    pid = left.debuggee
    prints(left)
    left.process.send_signal(signal.SIGTERM)
    left.wait()
    if "started" in request.node.callspec.id:
        assert is_gone(pid)
        return
    assert status(pid, "TracerPid") == "0"
    in_memory, in_file = text_segment(pid, PROGRAM)
    assert in_memory == in_file
    grows(left, "children")
    grows(left, "visits")
    assert read(left, "failures") == 0


def test_in_non_stop_it_never_stops(serve_it: Callable[..., Server]) -> None:
    server = serve_it()
    with Session(server, PROGRAM) as session:
        start(session)
        insert(session)
        session.expect_ok("QNonStop:1")
        session.ask("?")
        session.expect_ok("vCont;c")
        leave(session)
    comes_back(server)
    prints(server)
    with Session(server, PROGRAM) as session:
        pass_children(session)
        session.expect_ok("QNonStop:1")
        assert session.ask("?") == "OK"
        assert len(session.ids()) == 2
        prints(server)
        leave(session)
    prints(server)


def test_without_persistence_it_is_let_go(serve_it: Callable[..., Server]) -> None:
    server = serve_it("--multi")
    with Session(server, PROGRAM) as session:
        start(session)
        insert(session, persist=0)
        leave(session)
        assert status(server.debuggee, "TracerPid") == "0"
        prints_nothing(server)
    finish(server)


def test_the_signal_that_stopped_it_is_passed_on(serve_it: Callable[..., Server]) -> None:
    server = serve_it()
    with Session(server, PROGRAM) as session:
        start(session)
        insert(session)
        session.client.resume(b"vCont;c")
        os.kill(server.debuggee, signal.SIGUSR1)
        while (stop := session.client.wait_stop()).signal != SIGUSR1:
            session.client.resume(b"vCont;c")
        assert stop.kind == "T"
        leave(session)
    wait_until(lambda: read(server, "handled") == 1, "the signal is handled")
    prints(server)


@pytest.mark.parametrize("option", ["--once", "--on-disconnect=detach"])
def test_the_server_stays_for_it(serve_it: Callable[..., Server], option: str) -> None:
    """Whether a client can come or not, and whether it was the client that let the process go or the user's policy."""
    server = serve_it(option)
    with Session(server, PROGRAM) as session:
        start(session)
        insert(session)
        if option == "--once":
            leave(session)
    server.log.wait_for(LEFT)
    prints(server)
    finish(server)
    server.log.wait_for(rf"\nChild exited with status {CLEAN_END}\n")
    assert server.wait() == 0


def test_the_same_client_attaches_again(serve_it: Callable[..., Server]) -> None:
    server = serve_it("--multi")
    with Session(server, PROGRAM) as session:
        start(session)
        pid = session.pid
        for _ in range(10):
            insert(session)
            leave(session)
            assert session.ask("?") == "W00"
            assert session.ask("qfThreadInfo") == "E01"
            prints(server)
            assert session.ask(f"vAttach;{pid:x}").startswith("T00")
            assert len(session.ids()) == 2
            session.insert("have_child")
            while pc_of(session.go()) != session.symbols["have_child"]:
                continue
            session.remove("have_child")
            prints_before = len(server.output.text)
        leave(session)
        assert prints_before == len(server.output.text)
    assert status(pid, "TracerPid") == "0"
    finish(server)


def test_its_end_is_told_while_a_client_is_there(serve_it: Callable[..., Server]) -> None:
    server = serve_it("--multi")
    with Session(server, PROGRAM) as session:
        start(session)
        insert(session)
        leave(session)
        os.kill(server.debuggee, signal.SIGUSR2)
        server.log.wait_for(r"\nChild terminated with signal = 0xc \(SIGUSR2\)\n")
        assert session.ask("?") == "W00"
    assert server.process.poll() is None


def is_running(pid: int, program: Path) -> bool:
    """Between its old leader's end and the new program it runs none."""
    try:
        return os.readlink(f"/proc/{pid}/exe") == str(program)
    except FileNotFoundError:
        return False


def test_it_becomes_another_program(serve: Callable[..., Server]) -> None:
    server = serve(compile_program("executes", *STATIC), "thread", PROGRAM)
    with Session(server, compile_program("executes", *STATIC)) as session:
        session.start()
        session.expect_ok(point(f"Z0,{session.symbols['execute']:x},1".encode(), commands=(PRINT,), persist=1).decode())
        leave(session)
    server.output.wait_for("<")
    wait_until(lambda: is_running(server.debuggee, PROGRAM), "it is the other program")
    grows(server, "children")
    with Session(server, PROGRAM) as session:
        assert session.ask("?").startswith("T00")
        session.write_int("done", 1)
        exited(session.run(), CLEAN_END)
