"""A client of the real server that knows its program's symbols: what a debugger does, one packet at a time."""

from __future__ import annotations

import functools
import subprocess
from typing import TYPE_CHECKING

from debugserver.testing.client import RspClient
from tests.support.processes import DEADLINE, read_memory, status, thread_ids

if TYPE_CHECKING:
    from pathlib import Path

    from debugserver.rsp.stop_reply import StopReply
    from tests.support.server import Server

PLAIN = "multiprocess+;swbreak+;hwbreak+;no-resumed+;vContSupported+;error-message+"
LLDB = "xmlRegisters=i386;multiprocess+;fork-events+;vfork-events+"
WITH_EVENTS = PLAIN + ";fork-events+;vfork-events+;exec-events+"

STATIC = ("-no-pie",)
"""Flags of programs whose symbols are their addresses."""

RAX, RDI, RSP, RIP = 0, 5, 7, 16

SIGINT, SIGTRAP, SIGKILL, SIGCHLD, SIGUSR1, SIGUSR2 = 2, 5, 9, 20, 30, 31
"""GDB's numbers (gdb/signals.def), not Linux's."""


@functools.cache
def symbols(program: Path) -> dict[str, int]:
    """The addresses of a program that was linked with STATIC."""
    lines = subprocess.run(["nm", program], capture_output=True, text=True, check=True, timeout=20).stdout.splitlines()
    return {name: int(address, 16) for address, _, name in (line.split() for line in lines if line[:1] != " ")}


class Session:
    """One connection, all-stop."""

    def __init__(self, server: Server, program: Path, offered: str = PLAIN) -> None:
        self.server = server
        self.client = RspClient.connect(server.address, DEADLINE)
        self.features = self.client.supported(offered)
        self.client.start_no_ack_mode()
        self.symbols = symbols(program)

    def close(self) -> None:
        self.client.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def ask(self, packet: str) -> str:
        """The reply of a packet of plain text."""
        return self.client.request(packet.encode()).decode()

    def expect_ok(self, packet: str) -> None:
        assert self.ask(packet) == "OK", packet

    # Memory and registers

    def read_int(self, name: str, size: int = 4, index: int = 0) -> int:
        """A variable of the program, or an element of an array."""
        return int.from_bytes(self.client.read_memory(self.symbols[name] + size * index, size), "little")

    def look(self, name: str, size: int = 4, index: int = 0, *, pid: int = 0) -> int:
        """As `read_int`, but from outside: also while the program runs, which is the server's first one or `pid`."""
        data = read_memory(pid or self.server.debuggee, self.symbols[name] + size * index, size)
        return int.from_bytes(data, "little")

    def write_int(self, name: str, value: int, size: int = 4) -> None:
        self.client.write_memory(self.symbols[name], value.to_bytes(size, "little"))

    def choose(self, tid: int, pid: int | None = None) -> None:
        """The thread that registers are read of."""
        self.expect_ok(f"Hgp{pid or self.pid:x}.{tid:x}")

    def register(self, number: int) -> int:
        return int.from_bytes(self.client.read_register(number), "little")

    def set_register(self, number: int, value: int, size: int = 8) -> None:
        self.client.write_register(number, value.to_bytes(size, "little"))

    # Breakpoints

    def insert(self, *names: str) -> None:
        for name in names:
            self.expect_ok(f"Z0,{self.symbols[name]:x},1")

    def remove(self, *names: str) -> None:
        for name in names:
            self.expect_ok(f"z0,{self.symbols[name]:x},1")

    # Threads

    @property
    def pid(self) -> int:
        return self.ids()[0][0]

    def ids(self) -> list[tuple[int, int]]:
        """(pid, tid) of every thread, as the server lists them."""
        found = []
        reply = self.ask("qfThreadInfo")
        while reply != "l":
            for thread in reply[1:].split(","):
                pid, _, tid = thread.removeprefix("p").partition(".")
                found.append((int(pid, 16), int(tid, 16)))
            reply = self.ask("qsThreadInfo")
        return found

    def tids(self) -> list[int]:
        return [tid for _, tid in self.ids()]

    # Running

    def go(self, actions: str = "c") -> StopReply:
        """Resume and wait for the stop."""
        self.client.resume(b"vCont;" + actions.encode())
        return self.client.wait_stop()

    def run(self) -> StopReply:
        """Continue, and give the program its SIGCHLDs, as GDB does (`handle SIGCHLD nostop noprint pass`)."""
        stop = self.go()
        while stop.kind == "T" and stop.signal == SIGCHLD:
            stop = self.go(f"C{SIGCHLD:02x}:{name(thread_of(stop))};c")
        return stop

    def step(self, thread: tuple[int, int], signal: int = 0) -> StopReply:
        """Step one thread while all others stand still."""
        verb = f"S{signal:02x}" if signal else "s"
        return self.go(f"{verb}:{name(thread)}")

    def step_off(self, stop: StopReply, *names: str) -> None:
        """Step the thread that stopped over the breakpoint it stands at, as GDB does; `names` are back afterwards."""
        self.remove(*names)
        after = self.step(thread_of(stop))
        while (after.kind, after.signal) == ("T", SIGCHLD):
            after = self.step(thread_of(after), SIGCHLD)
        assert (after.kind, after.signal) == ("T", SIGTRAP), after
        self.insert(*names)

    def told(self) -> list[str]:
        """In non-stop mode: what the next notification tells, and what vStopped adds to it."""
        replies = [self.client.wait_notification().decode().removeprefix("Stop:")]
        while (reply := self.ask("vStopped")) != "OK":
            replies.append(reply)
        return replies

    def interrupt(self) -> StopReply:
        """^C while something runs."""
        self.client.interrupt()
        return self.client.wait_stop()

    def launch(self, program: Path) -> int:
        """Start a program, to its first instruction: its process."""
        self.client.send(b"vRun;" + str(program).encode().hex().encode())
        stop = self.client.wait_stop()
        assert (stop.kind, stop.signal) == ("T", SIGTRAP), stop
        return thread_of(stop)[0]

    def start(self) -> None:
        """Run to main."""
        self.insert("main")
        stop = self.go()
        assert pc_of(stop) == self.symbols["main"], stop
        self.remove("main")


def name(thread: tuple[int, int]) -> str:
    """A thread-id as packets have it."""
    return f"p{thread[0]:x}.{thread[1]:x}"


def thread_of(stop: StopReply) -> tuple[int, int]:
    """(pid, tid) of the thread that a stop reply is about."""
    assert stop.thread is not None, stop
    assert stop.thread.pid is not None, stop
    return stop.thread.pid, stop.thread.tid


def pc_of(stop: StopReply) -> int:
    """The pc among the registers in the reply."""
    assert stop.kind == "T", stop
    return int.from_bytes(bytes.fromhex(stop.pairs["10"]), "little")


def child_of(stop: StopReply) -> tuple[int, int] | None:
    """The child that a stop reply announces."""
    thread = stop.pairs.get("fork") or stop.pairs.get("vfork")
    if thread is None:
        return None
    pid, _, tid = thread.removeprefix("p").partition(".")
    return int(pid, 16), int(tid, 16)


def states(pid: int) -> set[str]:
    """The states of all threads of a process (proc(5)): R, S, t ..."""
    return {status(pid, "State", tid)[:1] for tid in thread_ids(pid)} - {""}


def live_threads(pid: int) -> set[int]:
    """Its threads but for a leader that has ended before the others."""
    return {tid for tid in thread_ids(pid) if status(pid, "State", tid)[:1] not in ("Z", "X", "")}


def exited(stop: StopReply, code: int) -> None:
    """The process ended by itself."""
    assert (stop.kind, stop.status) == ("W", code), stop


def killed(stop: StopReply, signal: int) -> None:
    """The process was killed."""
    assert (stop.kind, stop.signal) == ("X", signal), stop
