"""Conditions and commands of breakpoints, from the packet to what the target does. The target is the fake one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from debugserver.stub.settings import Settings
from debugserver.testing.fake_target import FakeTarget
from tests.support.agent_expressions import assemble, point, printf
from tests.support.packets import ask, connect, stop_reply, stopped, transcript

if TYPE_CHECKING:
    from debugserver.stub.stub import Stub

EXCLAIM = assemble("const8 0 const8 0") + printf("!", 0) + assemble("end")
"""A command that prints."""


@pytest.fixture
def target() -> FakeTarget:
    """Process 16 with one thread, 16 bytes of memory at 0x100."""
    target = FakeTarget()
    target.add_process(0x10)
    target.memory[0x100] = bytearray(range(16))
    return target


@pytest.fixture
def printed() -> bytearray:
    """What goes to the server's standard output."""
    return bytearray()


@pytest.fixture
def said() -> list[str]:
    """What the person at the server's terminal is told."""
    return []


@pytest.fixture
def stub(target: FakeTarget, printed: bytearray, said: list[str]) -> Stub:
    settings = Settings()
    settings.print = printed.extend
    settings.announce = said.append
    return connect(target, settings=settings)


@pytest.mark.parametrize(
    ("condition", "reply"),
    [
        (b";X3,220127", stopped(5, "p10.10", pc="04010000", swbreak="")),
        (b";X3,220027", stopped(5, "p10.10", pc="08010000", swbreak="")),
        (b";X3,220027X3,220127", stopped(5, "p10.10", pc="04010000", swbreak="")),
        (b";X4,22001727", stopped(5, "p10.10", pc="04010000", swbreak="")),
        (
            point(b"", assemble("reg 3 const16 0x104 equal log_not end")),
            stopped(5, "p10.10", pc="08010000", swbreak=""),
        ),
        (point(b"", assemble("reg 9 end")), stopped(5, "p10.10", pc="04010000", swbreak="")),
    ],
    ids=["true", "false", "one true", "no memory", "pc", "no register"],
)
def test_conditions(stub: Stub, condition: bytes, reply: object) -> None:
    transcript(stub, [(b"Z0,104,1" + condition, b"OK"), (b"Z0,108,1", b"OK")])
    assert stop_reply(ask(stub, b"c")) == reply


def test_a_second_breakpoint_replaces_the_condition(stub: Stub) -> None:
    transcript(stub, [(b"Z0,104,1;X3,220027", b"OK"), (b"Z0,108,1", b"OK"), (b"Z0,104,1", b"OK")])
    assert stop_reply(ask(stub, b"c")) == stopped(5, "p10.10", pc="04010000", swbreak="")


def test_commands_print_and_do_not_stop(stub: Stub, printed: bytearray) -> None:
    print_pc = assemble("reg 3 const8 0 const8 0") + printf(r"at %#x\n", 1) + assemble("end")
    both = (print_pc, EXCLAIM)
    transcript(stub, [(point(b"Z0,104,1", commands=both), b"OK"), (b"Z0,108,1", b"OK")])
    assert stop_reply(ask(stub, b"c")) == stopped(5, "p10.10", pc="08010000", swbreak="")
    assert printed == b"at 0x104\n!"


def test_commands_need_their_condition(stub: Stub, printed: bytearray) -> None:
    transcript(stub, [(point(b"Z0,104,1", b"\x22\x00\x27", commands=(EXCLAIM,)), b"OK"), (b"Z0,108,1", b"OK")])
    assert stop_reply(ask(stub, b"c")) == stopped(5, "p10.10", pc="08010000", swbreak="")
    assert not printed


def test_a_command_that_fails_does_not_stop(stub: Stub, printed: bytearray, said: list[str]) -> None:
    """GDB resumes a thread at a breakpoint with commands right into it: it would never get away from there."""
    command = assemble("const8 9 const8 0 const8 0") + printf("%s", 1) + assemble("end")
    transcript(stub, [(point(b"Z0,104,1", commands=(command, EXCLAIM)), b"OK"), (b"Z0,108,1", b"OK")])
    assert stop_reply(ask(stub, b"c")) == stopped(5, "p10.10", pc="08010000", swbreak="")
    assert printed == b"!"
    assert said == ["A breakpoint's command failed: cannot access memory at address 0x9"]


def test_hardware_breakpoints_have_conditions(target: FakeTarget, stub: Stub) -> None:
    transcript(stub, [(b"Z1,104,1;X3,220027", b"OK")])
    (program,) = target.watchpoints.values()
    assert len(program.conditions) == 1


def test_watchpoints_have_no_conditions(target: FakeTarget, stub: Stub) -> None:
    transcript(stub, [(b"Z2,104,4;X3,220027", b"E22"), (b"Z4,104,4;X3,220027", b"E22")])
    assert not target.watchpoints


@pytest.mark.parametrize("options", [b";X3,2200", b";X1,ff", b";X1,27", b";cmds:0,X1,22", b";Y"])
def test_breakpoints_with_malformed_programs_change_nothing(target: FakeTarget, stub: Stub, options: bytes) -> None:
    transcript(stub, [(b"Z0,104,1" + options, b"E22"), (b"Z1,104,1" + options, b"E22")])
    assert not target.breakpoints
    assert not target.watchpoints
