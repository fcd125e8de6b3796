"""Detaching from a process whose breakpoints have commands that persist. The target is the fake one."""

from __future__ import annotations

import pytest

from debugserver.stub.settings import Settings
from debugserver.stub.stub import Stub
from debugserver.target.capabilities import Unattended
from debugserver.target.model import ThreadId, WatchKind
from debugserver.testing.fake_target import FakeTarget
from tests.support.agent_expressions import assemble, point, printf
from tests.support.packets import GDB, LLDB, ask, connect, stop_reply, stopped, transcript

PID = 0x10
LEFT = "Persistent commands are present, leaving gdbserver attached to the process"
EXCLAIM = assemble("const8 0 const8 0") + printf("!", 0) + assemble("end")
PERSISTENT = point(b"Z0,104,1", commands=(EXCLAIM,), persist=1)


class World:
    """Process 16 with one thread, 16 bytes of memory at 0x100, and what the person at the server sees."""

    def __init__(self, *without: type) -> None:
        self.target = FakeTarget(without=without)
        self.target.add_process(PID)
        self.target.memory[0x100] = bytearray(range(16))
        self.printed = bytearray()
        self.said: list[str] = []
        self.settings = Settings()
        self.settings.print = self.printed.extend
        self.settings.announce = self.said.append

    def connect(self, offered: bytes = GDB) -> Stub:
        return connect(self.target, offered, self.settings)


@pytest.fixture
def world() -> World:
    return World()


def leave(world: World) -> None:
    stub = world.connect()
    transcript(stub, [(PERSISTENT, b"OK"), (b"D;10", b"OK")])
    stub.close()


@pytest.mark.parametrize("detach", [b"D", b"D;10"])
def test_only_what_persists_stays(world: World, detach: bytes) -> None:
    others = [(b"Z0,108,1", b"OK"), (point(b"Z0,10a,1", commands=(EXCLAIM,)), b"OK"), (b"Z2,100,4", b"OK")]
    transcript(world.connect(), [(PERSISTENT, b"OK"), *others, (detach, b"OK")])
    assert list(world.target.unattended()) == [PID]
    assert list(world.target.breakpoints) == [(PID, 0x104)]
    assert not world.target.watchpoints
    assert not world.target.detached
    assert world.said == [LEFT]


def test_the_client_does_not_see_it_any_more(world: World) -> None:
    stub = world.connect()
    transcript(stub, [(PERSISTENT, b"OK"), (b"D;10", b"OK")])
    transcript(stub, [(b"?", b"W00"), (b"D;10", b"E01"), (b"qfThreadInfo", b"E01"), (b"m100,1", b"E02")])


def test_another_process_of_the_client_goes_on(world: World) -> None:
    other = world.target.add_process(0x20)
    stub = world.connect()
    transcript(stub, [(PERSISTENT, b"OK"), (b"D;10", b"OK"), (b"qfThreadInfo", b"mp20.20"), (b"Hgp20.20", b"OK")])
    assert not world.target.running(other)
    stub.close()
    assert list(world.target.unattended()) == [PID]


def test_another_client_on_a_serial_line_takes_it_back(world: World) -> None:
    world.settings.serial_line = True
    stub = world.connect()
    transcript(stub, [(PERSISTENT, b"OK"), (b"D;10", b"OK"), (b"?", b"W00")])
    assert ask(stub, b"qSupported:" + GDB)
    assert ask(stub, b"qC") == b"QCp10.10"


@pytest.mark.parametrize(
    ("client", "commands", "detach", "gone"),
    [
        (GDB, point(b"Z0,104,1", commands=(EXCLAIM,)), b"D;10", "detached"),
        (GDB, b"Z0,104,1", b"D;10", "detached"),
        (LLDB, PERSISTENT, b"D1;10", "left_stopped"),
    ],
    ids=["not persistent", "no commands", "to stay stopped"],
)
def test_otherwise_it_goes(world: World, client: bytes, commands: bytes, detach: bytes, gone: str) -> None:
    transcript(world.connect(client), [(commands, b"OK"), (detach, b"OK")])
    assert getattr(world.target, gone) == [PID]
    assert not world.target.unattended()
    assert world.said == ["Detaching from process 16"]


def test_what_is_removed_or_replaced_does_not_persist(world: World) -> None:
    removed = [(PERSISTENT, b"OK"), (b"z0,104,1", b"OK")]
    replaced = [(PERSISTENT, b"OK"), (point(b"Z0,104,1", commands=(EXCLAIM,)), b"OK")]
    transcript(world.connect(), [*removed, *replaced, (b"D;10", b"OK")])
    assert world.target.detached == [PID]


def test_a_client_that_has_started_the_server_leaves_nothing_to_it(world: World) -> None:
    """GDB ends it with the connection, and it would end the process."""
    world.settings.keeps_commands = False
    transcript(world.connect(), [(PERSISTENT, b"OK"), (b"D;10", b"OK")])
    assert world.target.detached == [PID]


def test_without_the_ability_commands_go_with_the_process() -> None:
    world = World(Unattended)
    transcript(world.connect(), [(PERSISTENT, b"OK"), (b"D;10", b"OK")])
    assert world.said == ["Detaching from process 16"]


def test_the_next_client_finds_it(world: World) -> None:
    leave(world)
    stub = world.connect()
    assert stop_reply(ask(stub, b"?")) == stopped(0, "p10.10")
    assert not world.target.unattended()
    transcript(stub, [(b"qfThreadInfo", b"mp10.10"), (b"D;10", b"OK")])
    assert list(world.target.unattended()) == [PID]
    assert world.said == [LEFT, LEFT]


def test_in_non_stop_it_runs_on(world: World) -> None:
    leave(world)
    transcript(world.connect(), [(b"QNonStop:1", b"OK"), (b"?", b"OK"), (b"qfThreadInfo", b"mp10.10")])
    assert world.target.running(ThreadId(PID, PID))


def test_a_client_that_says_nothing_changes_nothing(world: World) -> None:
    leave(world)
    stub = Stub(world.target, world.settings)
    for noise in (b"", b"+", b"GET / HTTP/1.1\r\n\r\n"):
        stub.receive_data(noise)
    stub.close()
    assert list(world.target.unattended()) == [PID]
    assert world.target.running(ThreadId(PID, PID))


def test_commands_print_at_the_server_when_their_client_is_gone(world: World) -> None:
    leave(world)
    assert not world.printed
    world.target.take_back()
    world.target.hits(ThreadId(PID, PID), 0x104)
    assert world.printed == b"!"


def test_breakpoints_of_a_client_that_just_goes_away_go_with_it(world: World) -> None:
    stub = world.connect()
    transcript(stub, [(PERSISTENT, b"OK"), (b"Z2,100,4", b"OK")])
    stub.close()
    assert not world.target.breakpoints
    assert (PID, WatchKind.WRITE, 0x100, 4) not in world.target.watchpoints
    assert list(world.target.processes()) == [PID]
