"""What LLDB has done to live processes beside what every client has: memory of its own, states that are put back."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from debugserver.rsp.stop_reply import parse
from tests.live.running import running
from tests.live.session import (
    LLDB,
    RAX,
    RDI,
    RIP,
    RSP,
    SIGCHLD,
    SIGTRAP,
    STATIC,
    Session,
    child_of,
    exited,
    name,
    pc_of,
    states,
    thread_of,
)
from tests.live.sleeping import asleep
from tests.support.i386 import FREESTANDING
from tests.support.processes import status, thread_ids, wait_until
from tests.support.programs import compile_program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from debugserver.rsp.stop_reply import StopReply
    from tests.live.running import Running

SIGUSR1 = 10
"""Linux's number: signals are native after QThreadSuffixSupported."""


@pytest.fixture
def lldb(debug: Callable[..., Session]) -> Callable[..., Session]:
    """As `debug`, in LLDB's dialect."""

    def run(source: str, *arguments: str | int, flags: tuple[str, ...] = ()) -> Session:
        session = debug(source, *arguments, offered=LLDB, flags=flags)
        session.expect_ok("QThreadSuffixSupported")
        return session

    return run


@pytest.fixture
def target() -> Iterator[Running]:
    """A process of our own; a server that is asked for later is gone before it."""
    with running("threads") as process:
        yield process


def regions(pid: int) -> list[str]:
    """The lines of /proc/PID/maps, less the heap, which the program itself makes larger."""
    return [line for line in Path(f"/proc/{pid}/maps").read_text().splitlines() if "[heap]" not in line]


def permissions(pid: int, address: int) -> str:
    (line,) = (line for line in regions(pid) if line.startswith(f"{address:x}-"))
    return line.split()[1]


# Memory


@pytest.mark.parametrize(("program", "flags", "status"), [("steps", (), 7), ("i386", FREESTANDING, 2)])
def test_memory_of_its_own(connect: Callable[..., Session], program: str, flags: tuple[str, ...], status: int) -> None:
    session = connect(compile_program(program, *(flags or STATIC)), offered=LLDB)
    session.insert("main")
    session.go()
    session.remove("main")
    before = session.client.read_registers()
    maps = regions(session.pid)
    address = int(session.ask("_M3000,rwx"), 16)
    assert permissions(session.pid, address) == "rwxp"
    session.client.write_memory(address + 0x2FFF, b"!")
    assert session.client.read_memory(address + 0x2FFE, 2) == b"\0!"
    session.expect_ok(f"_m{address:x}")
    assert session.ask(f"_m{address:x}")[:1] == "E"
    assert regions(session.pid) == maps
    assert session.client.read_registers() == before
    exited(session.go(), status)


def test_memory_of_a_process_that_job_control_has_stopped(connect: Callable[..., Session], target: Running) -> None:
    """It can be mapped, used and given back; the process is stopped still when it is let go, and goes on by SIGCONT."""
    maps = regions(target.pid)
    os.kill(target.pid, signal.SIGSTOP)
    wait_until(lambda: states(target.pid) == {"T"}, "every thread has stopped")
    session = connect(target.program, attach=target.pid, offered=LLDB)
    before = session.client.read_registers()
    address = int(session.ask("_M1000,rw"), 16)
    session.client.write_memory(address, b"here")
    assert session.client.read_memory(address, 4) == b"here"
    session.expect_ok(f"_m{address:x}")
    assert session.client.read_registers() == before
    assert regions(target.pid) == maps
    session.expect_ok(f"D;{target.pid:016x}")
    wait_until(lambda: states(target.pid) == {"T"}, "every thread has stopped again")
    os.kill(target.pid, signal.SIGCONT)
    target.write("done", 1)
    assert target.end() == 0


def test_memory_that_there_is_not(lldb: Callable[..., Session]) -> None:
    session = lldb("steps")
    before = session.client.read_registers()
    assert session.ask("_M7fffffffffff,rw")[:1] == "E"
    assert session.client.read_registers() == before


def test_sleepers_sleep_on_while_memory_is_mapped(lldb: Callable[..., Session]) -> None:
    session, *_ = asleep(lldb)
    for _ in range(3):
        address = session.ask("_M1000,rw")
        session.expect_ok(f"_m{address}")
        session.client.resume()
        session.interrupt()
    session.write_int("done", 1)
    exited(session.go(), 0)


@pytest.mark.parametrize("leave", ["D", "vanish"])
def test_nothing_is_left_of_it(target: Running, connect: Callable[..., Session], leave: str) -> None:
    maps = regions(target.pid)
    session = connect(target.program, attach=target.pid, offered=LLDB)
    assert session.ask("?")
    for size in (0x1000, 0x8000):
        assert int(session.ask(f"_M{size:x},rx"), 16)
    assert regions(target.pid) != maps
    if leave == "D":
        session.expect_ok(f"D;{target.pid:016x}")
    else:
        session.close()
    wait_until(lambda: regions(target.pid) == maps, "what was mapped is gone")


def test_a_signal_on_its_way_arrives_after_memory_was_mapped(lldb: Callable[..., Session]) -> None:
    session = lldb("gets_signals", "wait")
    pid = session.pid
    session.client.resume()
    os.kill(pid, signal.SIGUSR1)
    stop = session.client.wait_stop()
    assert stop.signal == SIGUSR1
    info = session.client.transfer("siginfo", "")
    address = session.ask("_M1000,rw")
    session.expect_ok(f"_m{address}")
    assert session.client.transfer("siginfo", "") == info


def test_a_child_has_memory_too(lldb: Callable[..., Session]) -> None:
    """At a fork the parent stands in the middle of its system call, and the child has a copy of what was mapped."""
    session = lldb("forks_on")
    address = session.ask("_M1000,rw")
    stop = session.go()
    assert "fork" in stop.pairs, stop
    session.expect_ok(f"_m{address}")
    child = stop.pairs["fork"]
    session.expect_ok(f"Hg{child}")
    assert session.client.read_memory(int(address, 16), 1) == b"\0"
    session.expect_ok(f"_m{address}")


@pytest.mark.parametrize("offered", ["xmlRegisters=i386;multiprocess+", LLDB], ids=["by us", "by the client"])
def test_a_child_that_is_let_go_has_none(debug: Callable[..., Session], offered: str) -> None:
    session = debug("looks", offered=offered)
    session.expect_ok(f"QPassSignals:{SIGCHLD:x}")
    session.write_int("page", int(session.ask("_M1000,rwx"), 16), size=8)
    stop = session.go()
    if stop.kind == "T":
        pid, _ = child_of(stop) or (0, 0)
        session.expect_ok(f"D;{pid:x}")
        stop = session.go()
    exited(stop, 2)


# Starting


def test_started_by_the_old_packet(connect: Callable[..., Session]) -> None:
    """`A` and `qLaunchSuccess`, where a client does not use vRun."""
    program = compile_program("steps", *STATIC)
    session = connect(program, multi=True, offered=LLDB)
    assert session.ask(launch("/none"))[:1] == "E"
    assert "No such file" in session.ask("qLaunchSuccess")
    session.expect_ok(launch(str(program), "one"))
    session.expect_ok("qLaunchSuccess")
    assert Path(f"/proc/{session.pid}/cmdline").read_bytes() == f"{program}\0one\0".encode()
    assert session.go().kind == "W"


def launch(*words: str) -> str:
    encoded = [word.encode().hex() for word in words]
    return "A" + ",".join(f"{len(word)},{index},{word}" for index, word in enumerate(encoded))


# Non-stop


def test_a_process_stops_as_a_whole_in_non_stop(lldb: Callable[..., Session]) -> None:
    """As with lldb-server, whose non-stop is one of processes (TestNonStop)."""
    session = lldb("threads")
    session.insert("ready")
    session.go()
    session.remove("ready")
    session.insert("work")
    session.expect_ok("QNonStop:1")
    tids = set(session.tids())
    told: list[set[int]] = []
    for action in ("c", f"vCont;c:{name((session.pid, -1))}", "vCont;c"):
        session.expect_ok(action)
        stops = [parse(reply.encode()) for reply in session.told()]
        told.append({thread_of(stop)[1] for stop in stops})
        assert [stop.signal for stop in stops] == [SIGTRAP, *[0] * (len(tids) - 1)]
        assert pc_of(stops[0]) == session.symbols["work"]
        assert states(session.pid) == {"t"}
    assert told == [tids] * 3


# States


@pytest.mark.parametrize("who", ["reader", "sleeper"])
def test_a_call_in_a_sleeping_thread(lldb: Callable[..., Session], who: str) -> None:
    """No system call is restarted in the function; put back, it goes on unharmed."""
    session, reader, sleeper = asleep(lldb)
    tid = reader if who == "reader" else sleeper
    suffix = f";thread:{tid:x};"
    session.choose(tid)
    saved = session.ask("QSaveRegisterState" + suffix)
    stack = (session.register(RSP) - 256) & ~15
    session.client.write_memory(stack - 8, session.symbols["returned"].to_bytes(8, "little"))
    for number, value in ((RSP, stack - 8), (RDI, 41), (RIP, session.symbols["call"])):
        session.expect_ok(f"P{number:x}={value.to_bytes(8, 'little').hex()}{suffix}")
    session.insert("returned")
    stop = session.go(f"c:{name((session.pid, tid))}")
    assert (thread_of(stop), pc_of(stop)) == ((session.pid, tid), session.symbols["returned"])
    assert session.register(RAX) == 42
    session.remove("returned")
    session.expect_ok(f"QRestoreRegisterState:{saved}{suffix}")
    session.write_int("done", 1)
    exited(session.go(), 0)


def test_a_saved_state_alone_changes_nothing_that_is_put_back(lldb: Callable[..., Session]) -> None:
    session, reader, sleeper = asleep(lldb)
    for tid in (reader, sleeper):
        session.choose(tid)
        before = session.client.read_registers()
        saved = session.ask(f"QSaveRegisterState;thread:{tid:x};")
        session.expect_ok(f"QRestoreRegisterState:{saved};thread:{tid:x};")
        assert session.client.read_registers() == before
    session.write_int("done", 1)
    exited(session.go(), 0)


# Ends


def test_let_go_and_left_stopped(target: Running, connect: Callable[..., Session]) -> None:
    session = connect(target.program, attach=target.pid, offered=LLDB)
    assert session.ask("?")
    session.expect_ok("qSupportsDetachAndStayStopped:")
    session.expect_ok(f"D1;{target.pid:016x}")
    for tid in thread_ids(target.pid):
        wait_until(lambda tid=tid: status(target.pid, "State", tid)[:1] == "T", "it stands")  # type: ignore[misc]
        assert status(target.pid, "TracerPid", tid) == "0"
    os.kill(target.pid, signal.SIGCONT)
    wait_until(lambda: status(target.pid, "State")[:1] != "T", "it goes on")


# Stops


def description(stop: StopReply) -> str:
    return bytes.fromhex(stop.pairs["description"]).decode()


def test_a_watchpoint_tells_its_slot(lldb: Callable[..., Session]) -> None:
    """Address, slot, and the address that was hit, as lldb-server writes what it does not know."""
    session = lldb("watched")
    addresses = [session.symbols["cells"] + 8 * index for index in (0, 1, 2)]
    for address in addresses:
        session.expect_ok(f"Z2,{address:x},8")
    told = [description(session.go()) for _ in addresses]
    assert told == [f"{address} {slot} {2**64 - 1}" for slot, address in enumerate(addresses)]


def test_an_exec_is_told_to_whoever_asks_again(lldb: Callable[..., Session]) -> None:
    """As lldb-server tells of it until the thread goes on."""
    session = lldb("executes", compile_program("steps", *STATIC))
    assert session.go().pairs["reason"] == "exec"
    (thread,) = json.loads(session.ask("jThreadsInfo"))
    assert thread["reason"] == "exec"
    for packet in (f"qThreadStopInfo{session.pid:x}", "?"):
        assert parse(session.ask(packet).encode()).pairs["reason"] == "exec"
    session.step((session.pid, session.pid))
    (thread,) = json.loads(session.ask("jThreadsInfo"))
    assert thread["reason"] == "trace"
