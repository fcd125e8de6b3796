"""Clients come, go, vanish and get in each other's way: what the server does, with a conversation that only echoes."""

from __future__ import annotations

import math
import os
import select
import signal
import socket
import threading
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest

from debugserver.server import client as client_module
from debugserver.server import server as server_module
from debugserver.server import transport
from debugserver.server.loop import Loop
from debugserver.server.server import Server
from debugserver.server.transport import Listener
from debugserver.stub.console import Route
from debugserver.stub.settings import OnDisconnect, Settings
from debugserver.target.capabilities import ProgramOutput
from debugserver.target.conditions import BreakpointProgram
from debugserver.target.model import ProcessExit
from debugserver.testing.fake_target import FakeTarget
from tests.support.processes import DEADLINE, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import FrameType

SECONDS_UNNOTICED = 0.3


class Echo:
    """A conversation that says what it hears. Some words make it do something."""

    def __init__(self, settings: Settings) -> None:
        self.ended = False
        self.running = False
        self.idle = True
        self.closed = False
        self.events = 0
        self.work_left = 0
        self.deadline: float | None = None
        self.output_route = Route.HELD
        self.output: ProgramOutput | None = None
        self._settings = settings
        self._output = b""

    @property
    def busy(self) -> bool:
        return self.work_left > 0

    @property
    def on_disconnect(self) -> OnDisconnect:
        return self._settings.on_disconnect

    def receive_data(self, data: bytes) -> None:
        self._output += data
        self.ended = data == b"end"
        self.running = data == b"run"
        self._settings.exit_requested |= data == b"exit"
        if data == b"work":
            self.work_left = 1_000_000_000
        elif data == b"stop working":
            self.work_left = 0
        elif data == b"later":
            self.deadline = time.monotonic() + 0.05
        elif data == b"listen":
            self.output_route = Route.CLIENT
        elif data == b"talk":
            self._output = bytes(30_000_000)

    def data_to_send(self) -> bytes:
        data, self._output = self._output, b""
        return data

    def target_event(self) -> None:
        self.events += 1

    def work(self) -> None:
        self.work_left -= 1

    def on_deadline(self) -> None:
        self.deadline = None
        self._output += b"now"

    def program_output(self) -> None:
        assert self.output is not None
        self._output += self.output.read_output()

    def close(self) -> None:
        self.closed = True


class WakingTarget(FakeTarget):
    """Says by a descriptor when it has news."""

    def __init__(self) -> None:
        super().__init__()
        self.news, self.waker = os.pipe()
        self.wakeup = self.news
        self.left = False

    def left_running(self) -> bool:
        return self.left

    def close(self) -> None:
        os.close(self.news)
        os.close(self.waker)


class PrintingTarget(WakingTarget, ProgramOutput):
    """Programs that print are a pipe that the test writes to."""

    def __init__(self) -> None:
        super().__init__()
        self._reader, self.printer = os.pipe2(os.O_NONBLOCK)

    @property
    def descriptor(self) -> int:
        return self._reader

    def read_output(self) -> bytes:
        try:
            return os.read(self._reader, 4096)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        super().close()
        os.close(self._reader)
        os.close(self.printer)


class Running:
    """A server in a thread of its own, and what the test sees of it."""

    def __init__(self, once: bool, target: WakingTarget) -> None:
        self.settings = Settings()
        self.lines: list[str] = []
        self.settings.announce = self.lines.append
        self.target = target
        self.target.add_process(1)
        self.stubs: list[Echo] = []
        listener = transport.parse(":0").open()
        assert isinstance(listener, Listener)
        self.port = int(listener.banner.split()[-1])
        self.server = Server(self.target, self.settings, listener, self._new_stub, once=once)
        self.thread = threading.Thread(target=self.server.run)
        self.thread.start()

    def _new_stub(self) -> Echo:
        self.stubs.append(Echo(self.settings))
        self.stubs[-1].output = self.target.capability(ProgramOutput)
        return self.stubs[-1]

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), DEADLINE)

    def wait_end(self) -> None:
        self.thread.join(DEADLINE)
        assert not self.thread.is_alive()


@contextmanager
def serving(*, once: bool = False, target: WakingTarget | None = None) -> Iterator[Running]:
    running = Running(once, target or WakingTarget())
    try:
        yield running
    finally:
        running.server.stop()
        running.wait_end()
        running.target.close()


@pytest.fixture
def running() -> Iterator[Running]:
    with serving() as server:
        yield server


def ask(client: socket.socket, question: bytes) -> bytes:
    client.sendall(question)
    return client.recv(1000)


def read_all(client: socket.socket) -> bytes:
    data = b""
    while chunk := client.recv(1 << 16):
        data += chunk
    return data


def test_bytes_go_to_the_stub_and_back(running: Running) -> None:
    with running.connect() as client:
        assert ask(client, b"hello") == b"hello"
        port = client.getsockname()[1]
    assert running.lines[:2] == [
        f"Listening on port {running.port}",
        f"Remote debugging from host 127.0.0.1, port {port}",
    ]


def test_after_a_client_the_next_is_served_afresh(running: Running) -> None:
    for number in range(3):
        with running.connect() as client:
            assert ask(client, b"hello") == b"hello"
        wait_until(lambda number=number: running.stubs[number].closed, "the conversation ends")  # type: ignore[misc]
    assert len(running.stubs) == 3
    assert running.lines[2:4] == [
        "Remote side has terminated connection.  GDBserver will reopen the connection.",
        f"Listening on port {running.port}",
    ]


def test_a_second_client_is_told_why_not_and_the_first_is_not_disturbed(running: Running) -> None:
    with running.connect() as first:
        assert ask(first, b"hello") == b"hello"
        first_port = first.getsockname()[1]
        with running.connect() as second:
            second.sendall(b"+$qSupported:multiprocess+#c6")
            sentence = b"E.debugserver is busy with another client (127.0.0.1:%d); it serves one at a time" % first_port
            assert read_all(second) == b"+$" + sentence + b"#%02x" % (sum(sentence) % 256)
        assert ask(first, b"still here") == b"still here"
    assert len(running.stubs) == 1


def test_a_second_client_that_says_nothing_is_let_go(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "_REFUSAL_DEADLINE", 0.05)
    monkeypatch.setattr(server_module, "_LONGEST_SLEEP", 0.05)
    with running.connect() as first, running.connect() as second:
        assert ask(first, b"hello") == b"hello"
        assert b"busy with another client" in read_all(second)


@pytest.mark.parametrize("how", [socket.SHUT_WR, socket.SHUT_RDWR])
def test_a_client_that_closes_or_half_closes_in_mid_packet_is_gone(running: Running, how: int) -> None:
    with running.connect() as client:
        assert ask(client, b"$m1000,") == b"$m1000,"
        client.shutdown(how)
        wait_until(lambda: running.stubs[0].closed, "the server notices")
    with running.connect() as client:
        assert ask(client, b"hello") == b"hello"


def test_a_client_that_resets_while_much_is_sent_to_it_is_gone(running: Running) -> None:
    with running.connect() as client:
        client.sendall(b"talk")
        assert client.recv(1)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    wait_until(lambda: running.stubs[0].closed, "the server notices")
    with running.connect() as client:
        assert ask(client, b"hello") == b"hello"


def test_a_slow_client_gets_everything_and_is_heard_meanwhile(running: Running) -> None:
    with running.connect() as client:
        client.sendall(b"talk")
        assert client.recv(1) == b"\0"
        rest = 30_000_000 - 1
        while rest:
            rest -= len(client.recv(min(rest, 1 << 20)))
        assert ask(client, b"hello") == b"hello"


def test_when_the_stub_ends_the_connection_ends_after_its_last_words(running: Running) -> None:
    with running.connect() as client:
        client.sendall(b"end")
        assert read_all(client) == b"end"


def test_once_ends_with_the_first_client_and_frees_the_port_at_once() -> None:
    with serving(once=True) as running:
        with running.connect() as client:
            assert ask(client, b"hello") == b"hello"
            with pytest.raises(ConnectionRefusedError):
                running.connect()
        running.wait_end()
        assert running.stubs[0].closed


def test_without_a_process_the_server_ends_with_the_client(running: Running) -> None:
    with running.connect() as client:
        assert ask(client, b"hello") == b"hello"
        running.target.remove_process(1)
    running.wait_end()


def test_an_extended_server_stays_without_a_process(running: Running) -> None:
    running.settings.extended = True
    running.target.remove_process(1)
    with running.connect() as client:
        assert ask(client, b"hello") == b"hello"
    with running.connect() as client:
        assert ask(client, b"hello again") == b"hello again"


def test_monitor_exit_ends_the_server_after_the_reply(running: Running) -> None:
    with running.connect() as client:
        client.sendall(b"exit")
        assert read_all(client) == b"exit"
    running.wait_end()


def test_a_client_is_heard_while_the_stub_works(running: Running) -> None:
    with running.connect() as client:
        assert ask(client, b"work") == b"work"
        wait_until(lambda: running.stubs[0].work_left < 1_000_000_000, "it works")
        assert ask(client, b"stop working") == b"stop working"
        assert running.stubs[0].work_left == 0


def test_the_stub_hears_of_the_targets_news(running: Running) -> None:
    with running.connect() as client:
        assert ask(client, b"hello") == b"hello"
        assert running.stubs[0].events == 0
        os.write(running.target.waker, b"x")
        wait_until(lambda: running.stubs[0].events > 0, "the stub is told")
        os.read(running.target.news, 1)


def test_a_target_that_cannot_wake_anybody_is_asked_while_it_runs(running: Running) -> None:
    with running.connect() as client:
        assert ask(client, b"run") == b"run"
        wait_until(lambda: running.stubs[0].events > 10, "the stub is asked")
        assert ask(client, b"hello") == b"hello"


def test_news_while_nobody_is_there_do_not_keep_the_server_busy(running: Running) -> None:
    with running.connect() as client:
        assert ask(client, b"hello") == b"hello"
    wait_until(lambda: running.stubs[0].closed, "the conversation ends")
    os.write(running.target.waker, b"x")
    before = cpu_seconds(running.thread)
    running.thread.join(SECONDS_UNNOTICED)
    assert cpu_seconds(running.thread) - before < SECONDS_UNNOTICED / 3


def cpu_seconds(thread: threading.Thread) -> float:
    with open(f"/proc/self/task/{thread.native_id}/stat", encoding="ascii") as file:
        user, system = file.read().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def test_a_deadline_of_the_stub_is_kept_while_nothing_else_happens(running: Running) -> None:
    with running.connect() as client:
        assert ask(client, b"later") == b"later"
        started = time.monotonic()
        assert client.recv(10) == b"now"
        assert time.monotonic() - started < DEADLINE / 4


@pytest.mark.parametrize("seconds", [2.2e6, math.inf])
def test_a_turn_may_be_longer_than_the_system_can_wait(seconds: float) -> None:
    with closing(Loop()) as loop:
        loop.stop()
        loop.turn(seconds)


def test_a_signal_that_comes_while_they_are_given_back_is_for_whoever_gets_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caught: list[int] = []
    give_back = signal.signal

    def interrupted(number: int, handler: Callable[[int, FrameType | None], None]) -> object:
        if number == signal.SIGTERM:
            signal.raise_signal(number)
        return give_back(number, handler)

    before = signal.signal(signal.SIGTERM, lambda number, _: caught.append(number))
    try:
        with closing(Loop()) as loop:
            loop.catch_signals()
            monkeypatch.setattr(signal, "signal", interrupted)
        assert not loop.stopped
        assert caught == [signal.SIGTERM]
    finally:
        monkeypatch.undo()
        signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(
    ("policy", "detached", "killed"),
    [(OnDisconnect.STOP, [], []), (OnDisconnect.DETACH, [1, 2], []), (OnDisconnect.KILL, [], [1, 2])],
)
def test_what_becomes_of_the_processes_when_a_client_goes_away(
    running: Running, policy: OnDisconnect, detached: list[int], killed: list[int]
) -> None:
    running.target.add_process(2)
    running.settings.on_disconnect = policy
    running.settings.extended = True
    with running.connect() as client:
        assert ask(client, b"hello") == b"hello"
    with running.connect() as client:
        assert ask(client, b"hello") == b"hello"
    assert (running.target.detached, running.target.killed) == (detached, killed)


def test_monitor_exit_leaves_the_processes_to_whoever_made_the_target() -> None:
    with serving() as running:
        running.settings.on_disconnect = OnDisconnect.DETACH
        with running.connect() as client:
            client.sendall(b"exit")
            assert read_all(client) == b"exit"
        running.wait_end()
        assert list(running.target.processes()) == [1]


def test_the_server_stays_for_what_was_left_running() -> None:
    with serving() as running:
        running.target.left = True
        with running.connect() as client:
            assert ask(client, b"hello") == b"hello"
            running.target.remove_process(1)
        wait_until(lambda: running.stubs[0].closed, "the conversation ends")
        with pytest.raises(ConnectionRefusedError):
            wait_until(lambda: running.connect().close(), "nobody listens")
        assert running.thread.is_alive()
        running.target.left = False
        os.write(running.target.waker, b"x")
        running.wait_end()


def test_the_server_serves_on_while_a_process_is_unattended() -> None:
    with serving() as running:
        leave_unattended(running)
        with running.connect() as client:
            assert ask(client, b"hello") == b"hello"
        wait_until(lambda: len(running.stubs) == 2 and running.stubs[1].closed, "the second conversation ends")
        running.target.end_unattended(ProcessExit(1, 3, 0))
        os.write(running.target.waker, b"x")
        running.wait_end()
        assert running.lines[-1] == "\nChild exited with status 3"


def test_the_server_stays_for_an_unattended_process_after_its_only_client() -> None:
    with serving(once=True) as running:
        leave_unattended(running)
        with pytest.raises(ConnectionRefusedError):
            wait_until(lambda: running.connect().close(), "nobody listens")
        assert running.thread.is_alive()
        running.target.end_unattended(ProcessExit(1, 0, signal.SIGKILL))
        os.write(running.target.waker, b"x")
        running.wait_end()
        assert running.lines[-1] == "\nChild terminated with signal = 0x9 (SIGKILL)"


def test_a_server_with_more_to_do_outlives_an_unattended_process() -> None:
    with serving() as running:
        running.settings.extended = True
        leave_unattended(running)
        running.target.end_unattended(ProcessExit(1, 0, 0))
        os.write(running.target.waker, b"x")
        wait_until(lambda: running.lines[-1] == "\nChild exited with status 0", "its end is told")
        with running.connect() as client:
            assert ask(client, b"hello") == b"hello"


def leave_unattended(running: Running) -> None:
    """A client lets the only process go, but for commands that persist, and goes away."""
    with running.connect() as client:
        assert ask(client, b"hello") == b"hello"
        running.target.memory[0] = bytearray(1)
        running.target.insert_breakpoint(1, 0, 1, BreakpointProgram((), (lambda state: None,), persistent=True))
        running.target.detach(1)
    wait_until(lambda: running.stubs[0].closed, "the conversation ends")


def test_what_programs_print_is_held_until_the_client_takes_it() -> None:
    with serving(target=PrintingTarget()) as running, running.connect() as client:
        assert isinstance(running.target, PrintingTarget)
        assert ask(client, b"hello") == b"hello"
        os.write(running.target.printer, b"printed")
        assert ask(client, b"hello again") == b"hello again"
        client.sendall(b"listen")
        assert client.recv(6, socket.MSG_WAITALL) + client.recv(7, socket.MSG_WAITALL) == b"listenprinted"


def test_what_programs_print_that_are_nobodys_goes_to_standard_output(capfd: pytest.CaptureFixture[str]) -> None:
    with serving(target=PrintingTarget()) as running:
        assert isinstance(running.target, PrintingTarget)
        running.settings.extended = True
        with running.connect() as client:
            assert ask(client, b"hello") == b"hello"
            os.write(running.target.printer, b"printed")
            running.target.remove_process(1)
        printed = ""

        def has_come() -> bool:
            nonlocal printed
            printed += capfd.readouterr().out
            return printed == "printed"

        wait_until(has_come, "it is printed")


def test_a_client_that_does_not_read_makes_programs_wait() -> None:
    with serving(target=PrintingTarget()) as running, running.connect() as client:
        target = running.target
        assert isinstance(target, PrintingTarget)
        assert ask(client, b"listen") == b"listen"
        written = 0
        end = time.monotonic() + DEADLINE
        poll = select.poll()
        poll.register(target.printer, select.POLLOUT)
        while poll.poll(500):
            written += os.write(target.printer, bytes(4096))
            assert time.monotonic() < end, f"{written} bytes and no end"
        while written:
            written -= len(client.recv(min(written, 1 << 20)))
        assert ask(client, b"hello") == b"hello"


def test_nothing_leaks_from_session_to_session(running: Running) -> None:
    def talk() -> None:
        with running.connect() as first, running.connect() as second:
            assert ask(first, b"hello") == b"hello"
            assert b"busy" in ask(second, b"hello")
        wait_until(lambda: running.stubs[-1].closed, "the conversation ends")

    talk()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        talk()
    wait_until(lambda: len(os.listdir("/proc/self/fd")) == before, "every descriptor is closed")


def test_the_log_shows_what_goes_over_the_wire(running: Running, tmp_path: Path) -> None:
    running.settings.debug_file = str(tmp_path / "log")
    with running.connect() as client:
        assert ask(client, b"unseen") == b"unseen"
        running.settings.debug.add("remote")
        assert ask(client, b"seen\x03") == b"seen\x03"
        running.settings.debug_timestamps = True
        assert ask(client, b"timed") == b"timed"
    lines = (tmp_path / "log").read_text().splitlines()
    assert lines[:2] == ['[remote] received "seen\x03"', '[remote] sent "seen\x03"']
    stamp, _, text = lines[2].partition(" ")
    assert float(stamp) > 0
    assert text == '[remote] received "timed"'
