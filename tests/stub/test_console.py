"""What programs print reaches the client while it waits for a stop reply, and at no other time."""

from __future__ import annotations

import signal
from collections import deque
from typing import TYPE_CHECKING

import pytest

from debugserver.stub.console import Route
from debugserver.stub.settings import Settings
from debugserver.target.capabilities import ProgramOutput
from debugserver.target.model import ProcessExit, Stop, StopReason, ThreadId
from debugserver.testing.fake_target import FakeTarget
from tests.support.packets import connect, frame, send, take, transcript

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from debugserver.stub.stub import Stub
    from debugserver.target.model import Action, Event

MAIN = ThreadId(0x10, 0x10)


class Printing(FakeTarget, ProgramOutput):
    """A target whose programs have printed what the test says."""

    descriptor = -1

    def __init__(self) -> None:
        super().__init__(script=self._run)
        self.add_process(MAIN.pid)
        self.printed: deque[bytes] = deque()
        self.prints_when_it_runs: tuple[bytes, ...] = ()
        self.events: list[Event] = []

    def _run(self, target: FakeTarget, actions: Mapping[ThreadId, Action]) -> Iterable[Event]:
        self.printed.extend(self.prints_when_it_runs)
        return self.events

    def read_output(self) -> bytes:
        return self.printed.popleft() if self.printed else b""


@pytest.fixture
def target() -> Printing:
    return Printing()


@pytest.fixture
def stub(target: Printing) -> Stub:
    return connect(target)


def test_it_is_held_while_everything_stands_still(target: Printing, stub: Stub) -> None:
    target.printed.append(b"early\n")
    assert stub.output_route is Route.HELD
    transcript(stub, [(b"qAttached:10", b"0")])
    assert target.printed == deque([b"early\n"])


def test_it_comes_as_soon_as_it_is_printed(target: Printing, stub: Stub) -> None:
    stub.receive_data(frame(b"vCont;c"))
    assert stub.output_route is Route.CLIENT
    target.printed.append(b"Hi\n")
    stub.program_output()
    assert take(stub).packets == [b"O48690a"]


@pytest.mark.parametrize(
    ("event", "reply"),
    [
        (Stop(MAIN, signal.SIGUSR1, StopReason.SIGNAL), b"T1e"),
        (ProcessExit(MAIN.pid, 3), b"W03"),
        (ProcessExit(MAIN.pid, 0, signal.SIGKILL), b"X09"),
    ],
)
def test_all_of_it_comes_before_the_stop_reply(target: Printing, stub: Stub, event: Event, reply: bytes) -> None:
    target.printed.append(b"A")
    target.prints_when_it_runs = (b"B", b"\x00C")
    target.events = [event]
    packets = send(stub, b"vCont;c").packets
    assert packets[:-1] == [b"O41", b"O42", b"O0043"]
    assert packets[-1].startswith(reply)


def test_a_stop_is_told_though_somebody_prints_without_end(target: Printing, stub: Stub) -> None:
    target.printed.extend([b"x"] * 100_000)
    target.events = [Stop(MAIN, signal.SIGUSR1, StopReason.SIGNAL)]
    assert send(stub, b"vCont;c").packets[-1].startswith(b"T1e")
    assert target.printed


def test_what_remains_without_a_process_is_the_servers(target: Printing, stub: Stub) -> None:
    target.events = [ProcessExit(MAIN.pid, 0)]
    send(stub, b"vCont;c")
    assert stub.output_route is Route.SERVER


def test_in_non_stop_it_is_the_servers(target: Printing, stub: Stub) -> None:
    transcript(stub, [(b"QNonStop:1", b"OK")])
    assert stub.output_route is Route.SERVER
    target.prints_when_it_runs = (b"B",)
    target.events = [Stop(MAIN, signal.SIGUSR1, StopReason.SIGNAL)]
    assert send(stub, b"vCont;c").packets == [b"OK"]
    assert target.printed == deque([b"B"])


def test_in_non_stop_it_is_passed_on_before_the_end_is_told(target: Printing) -> None:
    said: list[str] = []
    settings = Settings()
    settings.announce = said.append
    settings.catch_up = lambda: said.append(f"{target.printed.popleft()!r}")
    stub = connect(target, settings=settings)
    transcript(stub, [(b"QNonStop:1", b"OK")])
    target.prints_when_it_runs = (b"B",)
    target.events = [ProcessExit(MAIN.pid, 0)]
    assert send(stub, b"vCont;c").notifications == [b"Stop:W00;process:10"]
    assert said == ["b'B'", "\nChild exited with status 0"]


def test_lldb_takes_notifications_in_non_stop(target: Printing) -> None:
    """As lldb-server does: one in flight, the next by vStdio, which says OK when there are no more."""
    stub = connect(target, b"xmlRegisters=i386;multiprocess+")
    transcript(stub, [(b"QNonStop:1", b"OK"), (b"vStdio", b"OK")])
    target.printed.extend([b"one", b"two", b"three"])
    stub.program_output()
    assert take(stub).notifications == [b"Stdio:O" + b"one".hex().encode()]
    stub.program_output()
    assert take(stub).notifications == []
    assert stub.output_route is Route.HELD
    assert send(stub, b"vStdio").packets == [b"O" + b"two".hex().encode()]
    transcript(stub, [(b"vStdio", b"OK"), (b"vStdio", b"OK")])
    assert target.printed == deque([b"three"])


def test_what_a_program_printed_last_is_told_with_its_end(target: Printing) -> None:
    stub = connect(target, b"xmlRegisters=i386;multiprocess+")
    transcript(stub, [(b"QNonStop:1", b"OK")])
    target.prints_when_it_runs = (b"one", b"two")
    target.events = [ProcessExit(MAIN.pid, 0)]
    assert send(stub, b"vCont;c").notifications == [b"Stdio:O" + b"one".hex().encode(), b"Stop:W00;process:10"]
    assert send(stub, b"vStdio").packets == [b"O" + b"two".hex().encode()]
    transcript(stub, [(b"vStdio", b"OK"), (b"vStopped", b"OK")])


def test_gdb_has_no_such_notifications(target: Printing, stub: Stub) -> None:
    transcript(stub, [(b"QNonStop:1", b"OK"), (b"vStdio", b"")])
    target.prints_when_it_runs = (b"one",)
    target.events = [ProcessExit(MAIN.pid, 0)]
    assert send(stub, b"vCont;c").notifications == [b"Stop:W00;process:10"]
    assert target.printed == deque([b"one"])
