"""How LLDB starts and finds processes. Formats are those of LLVM's "LLDB Remote Protocol" and of LLDB 23's packets."""

from __future__ import annotations

import re
import signal
import time
from typing import TYPE_CHECKING

import pytest

from debugserver.errors import TargetError
from debugserver.stub.settings import OnDisconnect, Settings
from debugserver.target.capabilities import ProgramInput
from debugserver.target.model import ProcessDetails, Stop, StopReason, ThreadId
from debugserver.testing.fake_target import FakeTarget
from tests.support.packets import ask, connect, frame, send, take, transcript

if TYPE_CHECKING:
    from debugserver.stub.stub import Stub

LLDB = b"xmlRegisters=i386,arm,mips,arc;multiprocess+;fork-events+;vfork-events+"


def hexed(text: str) -> bytes:
    return text.encode().hex().encode()


def assert_stop(reply: bytes | None, thread: bytes) -> None:
    """LLDB takes the thread from it, wherever it stands."""
    assert reply is not None
    assert re.fullmatch(rb"T[0-9a-f]{2}(?:.*;)?thread:%b;.*" % re.escape(thread), reply)


class Keyboard(ProgramInput):
    descriptor = -1
    waits = False

    def __init__(self) -> None:
        self.typed = b""
        self.size = (0, 0)

    def write_input(self, data: bytes) -> None:
        if self.typed:
            raise TargetError("the program does not read")
        self.typed += data

    def write_waiting(self) -> None:
        raise AssertionError("nothing waits")

    def resize(self, columns: int, rows: int) -> None:
        self.size = (columns, rows)


@pytest.fixture
def target() -> FakeTarget:
    target = FakeTarget()
    target.programs["/bin/prog"] = (0x10,)
    target.defaults.environment = {"OURS": "1"}
    return target


@pytest.fixture
def stub(target: FakeTarget) -> Stub:
    return connect(target, LLDB)


def test_what_a_program_is_started_with(stub: Stub, target: FakeTarget) -> None:
    transcript(
        stub,
        [
            (b"QSetSTDIN:" + hexed("/in"), b"OK"),
            (b"QSetSTDOUT:" + hexed("/out"), b"OK"),
            (b"QSetSTDERR:" + hexed("/err"), b"OK"),
            (b"QSetDisableASLR:0", b"OK"),
            (b"QLaunchArch:x86_64", b"OK"),
            (b"QSetWorkingDir:" + hexed("/tmp"), b"OK"),
            (b"qGetWorkingDir", hexed("/tmp")),
        ],
    )
    assert_stop(ask(stub, b"vRun;%b;%b" % (hexed("/bin/prog"), hexed("a b"))), b"p10.10")
    (launched,) = target.launched
    assert (launched.stdin, launched.stdout, launched.stderr) == ("/in", "/out", "/err")
    assert (launched.program, launched.arguments, launched.directory) == ("/bin/prog", ("a b",), "/tmp")
    assert launched.escape_arguments
    assert not launched.disable_randomization
    assert launched.environment == {"OURS": "1"}


def test_the_environment_is_exactly_what_lldb_sends(stub: Stub, target: FakeTarget) -> None:
    """lldb-server starts with an empty one, too: what `target.unset-env-vars` names is not sent."""
    transcript(
        stub,
        [
            (b"QEnvironment:A=b=c", b"OK"),
            (b"QEnvironmentHexEncoded:" + hexed("B=$x"), b"OK"),
            (b"QEnvironment:C", b"OK"),
        ],
    )
    ask(stub, b"vRun;" + hexed("/bin/prog"))
    assert target.launched[0].environment == {"A": "b=c", "B": "$x", "C": ""}


def test_gdb_changes_the_servers_environment(target: FakeTarget) -> None:
    stub = connect(target)
    ask(stub, b"QEnvironmentHexEncoded:" + hexed("A=b"))
    ask(stub, b"vRun;" + hexed("/bin/prog"))
    assert target.launched[0].environment == {"OURS": "1", "A": "b"}


def test_starting_with_the_old_packet(stub: Stub, target: FakeTarget) -> None:
    program, argument = hexed("/bin/prog"), hexed("x,y")
    transcript(
        stub,
        [
            (b"qLaunchSuccess", b"OK"),
            (b"A %d,0,%b,%d,1,%b,0,2," % (len(program), program, len(argument), argument), b"OK"),
            (b"qLaunchSuccess", b"OK"),
            (b"qC", b"QCp10.10"),
        ],
    )
    assert_stop(ask(stub, b"?"), b"p10.10")
    assert (target.launched[0].program, target.launched[0].arguments) == ("/bin/prog", ("x,y", ""))


def test_a_program_that_cannot_be_started(stub: Stub) -> None:
    program = hexed("/none")
    reply = ask(stub, b"A%d,0,%b" % (len(program), program))
    assert reply == b"E02"
    assert ask(stub, b"qLaunchSuccess") == (
        b'ERunning "/none" on the remote target failed: /none: no such program; check its path'
    )


@pytest.mark.parametrize(
    "packet",
    [
        b"A", b"A2,0", b"A2,0,2f,", b"A4,0,2f", b"A2,1,2f", b"A2,0,2f,2,0,2f", b"A2,0,2f,2,2,2f", b"Ax,0,2f",
        b"A2,0,zz", b"QEnvironment:", b"QEnvironment:=x", b"QSetSTDIN:zz", b"QSetSTDOUT:2", b"QSetSTDERR:xx",
        b"QSetDisableASLR:2", b"QSetDisableASLR:", b"QSetDetachOnError:x", b"QLaunchArch:", b"vAttachName;",
        b"vAttachName;zz", b"vAttachWait;", b"vAttachOrWait;zz",
        b"QEnvironmentReset:x", b"QEnvironmentUnset:", b"QThreadSuffixSupported:1", b"QEnableErrorStrings:1",
    ],
)  # fmt: skip
def test_malformed(stub: Stub, target: FakeTarget, packet: bytes) -> None:
    sent = send(stub, packet)
    if sent.packets == []:
        stub.work()
        sent = take(stub)
    assert sent.packets == [b"E22"]
    assert not target.launched


@pytest.mark.parametrize(("value", "policy"), [(b"1", OnDisconnect.DETACH), (b"0", OnDisconnect.KILL)])
def test_what_becomes_of_processes_whose_client_goes_away(stub: Stub, value: bytes, policy: OnDisconnect) -> None:
    assert ask(stub, b"QSetDetachOnError:" + value) == b"OK"
    assert stub.on_disconnect is policy


def test_the_directory_is_the_servers_own_by_default(stub: Stub) -> None:
    assert ask(stub, b"qGetWorkingDir") == hexed("/work")


class KeyboardTarget(FakeTarget):
    """One whose programs are typed to."""

    def __init__(self) -> None:
        super().__init__()
        self.keyboard = Keyboard()

    def capability(self, kind: type) -> object | None:  # type: ignore[override]
        return self.keyboard if kind is ProgramInput else super().capability(kind)


def test_what_is_typed() -> None:
    target = KeyboardTarget()
    stub = connect(target, LLDB)
    transcript(
        stub,
        [
            (b"QSetSTDIOWindowSize:cols=132;rows=43", b"OK"),
            (b"QSetSTDIOWindowSize:cols=132", b"E22"),
            (b"QSetSTDIOWindowSize:cols=a;rows=1", b"E22"),
            (b"I" + hexed("ls\n"), b"OK"),
            (b"I6", b"E22"),
            (b"I66", b"E01"),
        ],
    )
    assert (target.keyboard.typed, target.keyboard.size) == (b"ls\n", (132, 43))


def test_without_a_keyboard_there_is_no_such_packet(stub: Stub) -> None:
    transcript(stub, [(b"I66", b""), (b"QSetSTDIOWindowSize:cols=1;rows=1", b"")])


def process(pid: int, program: str) -> ProcessDetails:
    return ProcessDetails(pid, 1, 0, 0, 0, 0, program, (), "")


def test_attaching_by_name(stub: Stub, target: FakeTarget) -> None:
    target.attachable[0x30] = (0x30,)
    target.host.processes = {each.pid: each for each in (process(0x30, "/bin/a"), process(0x31, "/bin/b"))}
    transcript(stub, [(b"QEnableErrorStrings", b"OK")])
    assert ask(stub, b"vAttachName;" + hexed("c")) == b"E01;" + hexed("no process is called c")
    assert_stop(ask(stub, b"vAttachName;" + hexed("/bin/a")), b"p30.30")


def test_a_name_that_several_processes_have(stub: Stub, target: FakeTarget) -> None:
    target.host.processes = {each.pid: each for each in (process(0x30, "/bin/a"), process(0x31, "/sbin/a"))}
    stub = connect(target, LLDB + b";error-message+")
    reply = ask(stub, b"vAttachName;" + hexed("a"))
    assert reply == b"E.processes 48, 49 are called a; name one by its pid"


def let_time_pass(stub: Stub) -> None:
    """Up to the moment at which the stub wants to look again."""
    assert stub.deadline is not None
    assert stub.deadline - time.monotonic() < 0.1
    while not stub.busy:
        stub.on_deadline()
    stub.work()


def test_waiting_for_a_process(stub: Stub, target: FakeTarget) -> None:
    target.attachable = {0x30: (0x30,), 0x31: (0x31,)}
    target.host.processes = {0x31: process(0x31, "/bin/a")}
    assert send(stub, b"vAttachWait;" + hexed("a")).packets == []
    for _ in range(3):
        let_time_pass(stub)
        assert take(stub).packets == []
    target.host.processes[0x30] = process(0x30, "/bin/a")
    let_time_pass(stub)
    (reply,) = take(stub).packets
    assert_stop(reply, b"p30.30")
    assert (stub.busy, stub.deadline) == (False, None)


def test_not_waiting_for_a_process_that_is_there(stub: Stub, target: FakeTarget) -> None:
    target.attachable = {0x30: (0x30,)}
    target.host.processes = {0x30: process(0x30, "/bin/a")}
    assert ask(stub, b"qVAttachOrWaitSupported") == b"OK"
    assert_stop(ask(stub, b"vAttachOrWait;" + hexed("a")), b"p30.30")


def test_an_interrupt_ends_the_wait(stub: Stub, target: FakeTarget) -> None:
    send(stub, b"vAttachWait;" + hexed("a"))
    stub.receive_data(frame(b"qGetWorkingDir"))
    assert take(stub).packets == []
    stub.receive_data(b"\x03")
    assert take(stub).packets == [b"E04", hexed("/work")]
    assert (stub.busy, stub.deadline) == (False, None)


def test_a_client_that_vanishes_ends_the_wait(stub: Stub, target: FakeTarget) -> None:
    send(stub, b"vAttachWait;" + hexed("a"))
    stub.close()
    assert (stub.busy, stub.deadline) == (False, None)


@pytest.mark.parametrize(
    ("native", "offered", "number"), [(True, LLDB, b"0a"), (False, LLDB, b"1e"), (True, b"vContSupported+", b"1e")]
)
def test_lldb_servers_signals_are_native_from_the_start(native: bool, offered: bytes, number: bytes) -> None:
    """LLVM's packet tests expect SIGUSR1 to be 10 without having asked; to GDB it is 30 (gdb/signals.def)."""
    target = FakeTarget(script=lambda target, actions: [Stop(ThreadId(0x10, 0x10), signal.SIGUSR1, StopReason.SIGNAL)])
    target.add_process(0x10)
    settings = Settings()
    settings.stands_for_lldb_server = native
    reply = ask(connect(target, offered, settings), b"vCont;c")
    assert reply is not None
    assert reply[1:3] == number
