"""`debugserver demo`: a whole debugging session on a machine that has nothing but Python.

The program is the machine's own python3 with a thread; the server runs in a child process, and the built-in client
drives it through a socket, as GDB would. Every step is checked, and the first that fails ends the demonstration.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import struct
import sys
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from debugserver.errors import DebugServerError
from debugserver.rsp import thread_id
from debugserver.testing.client import RspClient

if TYPE_CHECKING:
    from collections.abc import Callable

    from debugserver.rsp.stop_reply import StopReply

    Serve = Callable[[list[str]], int]
    """Runs the server: command line -> exit code."""

FUNCTION = "getppid"
"""In the C library, and called by nobody else than the script's thread."""
STATUS = 7
SCRIPT = (
    f"import os, sys, threading; t = threading.Thread(target=os.{FUNCTION}); t.start(); t.join(); sys.exit({STATUS})"
)
FEATURES = "multiprocess+;swbreak+;hwbreak+;vContSupported+;no-resumed+;binary-upload+"
TIMEOUT = 10.0  # seconds, of each wait

_AT_ENTRY = 9
_DT_STRTAB, _DT_SYMTAB, _DT_GNU_HASH = 5, 6, 0x6FFFFEF5
_SYMBOL = struct.Struct("<IBBHQQ")


class DemoFailed(DebugServerError):
    """A step did not do what it should."""


def check(condition: object, what: str) -> None:
    """Raise DemoFailed unless `condition` holds."""
    if not condition:
        raise DemoFailed(what)


def main(arguments: list[str], serve: Serve) -> int:
    """Run the demonstration, with `serve` as the server; 0 if every step really worked."""
    if arguments:
        print("Usage:\tdebugserver demo", file=sys.stderr)
        return 2
    command = [sys.executable or "/usr/bin/python3", "-c", SCRIPT]
    print(f"The program: {shlex.join(command)}")
    ours, theirs = socket.socketpair()
    log, server = _start_server(serve, ours, theirs, command)
    try:
        with RspClient(ours, timeout=TIMEOUT) as client:
            _run_steps(Session(client))
    except BrokenPipeError:
        raise
    except (DebugServerError, OSError, struct.error) as error:
        print(f"\nFailed: {error}")
        return 1
    finally:
        _end_server(server)
        said = _read_all(log)
        print("\nWhat the server said meanwhile:")
        print("\n".join(f"  {line}" for line in said.splitlines() if line))
    _say_how_with_gdb(command)
    return 0


def _run_steps(session: Session) -> None:
    for number, (title, step) in enumerate(STEPS.items(), 1):
        print(f"\n{number}. {title}", flush=True)
        for line in step(session):
            print(f"   {line}")


def _say_how_with_gdb(command: list[str]) -> None:
    name = sys.argv[0] if os.path.basename(sys.argv[0]) == "debugserver" else f"{sys.executable} -m debugserver"
    print("\nAll of it worked. The same with GDB, in two terminals:\n")
    print(f"  {name} :2345 {shlex.join(command)}")
    print(f"  gdb -ex 'target remote :2345' -ex 'set breakpoint pending on' -ex 'break {FUNCTION}' -ex continue")


# The server, in a process of its own


def _start_server(serve: Serve, ours: socket.socket, theirs: socket.socket, command: list[str]) -> tuple[int, int]:
    """Where it writes what it says, and its pid."""
    log, written = os.pipe()
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        ours.close()
        os.close(log)
        os.dup2(written, 2)
        os.set_inheritable(theirs.fileno(), False)
        _run(serve, ["--once", "--no-startup-with-shell", f"fd:{theirs.fileno()}", *command])
    theirs.close()
    os.close(written)
    return log, pid


def _run(serve: Serve, arguments: list[str]) -> NoReturn:
    """What the parent would do afterwards is not this process's business."""
    status = 1
    try:
        status = serve(arguments)
    finally:
        os._exit(status)


def _end_server(pid: int) -> None:
    """It ends by itself when the client hangs up; SIGTERM is for the case that something failed."""
    os.kill(pid, signal.SIGTERM)
    os.waitpid(pid, 0)


def _read_all(descriptor: int) -> str:
    with open(descriptor, encoding="utf-8", errors="replace") as stream:
        return stream.read()


# The session


class Register(NamedTuple):
    """One register of the target description, and where it is in the register file."""

    name: str
    type: str
    number: int
    place: slice


class Session:
    """What the client has learnt of the program."""

    def __init__(self, client: RspClient) -> None:
        self.client = client
        self.registers: dict[str, Register] = {}
        self.entry = 0
        self.breakpoint = 0

    @property
    def pc(self) -> Register:
        return next(register for register in self.registers.values() if register.type == "code_ptr")

    def read_registers(self) -> dict[str, int]:
        file = self.client.read_registers()
        return {name: int.from_bytes(file[each.place], "little") for name, each in self.registers.items()}

    def where(self) -> int:
        return self.read_registers()[self.pc.name]

    def resume(self, action: bytes = b"vCont;c") -> StopReply:
        self.client.resume(action)
        return self.client.wait_stop()

    def insert_breakpoint(self, address: int) -> None:
        check(self.client.request(b"Z0,%x,1" % address) == b"OK", f"no breakpoint at {address:#x}")
        self.breakpoint = address

    def remove_breakpoint(self) -> None:
        check(self.client.request(b"z0,%x,1" % self.breakpoint) == b"OK", "the breakpoint cannot be removed")

    def run_to_breakpoint(self) -> StopReply:
        stop = self.resume()
        check("swbreak" in stop.pairs, f"no breakpoint was hit: {stop}")
        check(self.where() == self.breakpoint, f"the program stands at {self.where():#x}")
        return stop

    def threads(self) -> list[tuple[str, str]]:
        """Id and name of each."""
        xml = self.client.transfer("threads").decode()
        elements = re.findall(r"<thread ([^>]*)>", xml)
        return [(_attribute(each, "id"), _attribute(each, "name")) for each in elements]


def _describe_thread(identifier: str) -> str:
    pid, tid = thread_id.parse(identifier.encode())
    return f"thread {tid} of process {pid}"


def _attribute(element: str, name: str) -> str:
    match = re.search(rf'{name}="([^"]*)"', element)
    return match[1] if match else ""


def _connect(session: Session) -> list[str]:
    features = session.client.supported(FEATURES)
    session.client.start_no_ack_mode()
    stop = session.client.request(b"?")
    check(stop[:1] == b"T", f"the program did not start: {stop!r}")
    session.registers = _describe(session.client.transfer("features", "target.xml").decode())
    program = session.client.transfer("exec-file").decode()
    return [
        f"{len(features)} features agreed upon, packets of up to {session.client.packet_size} bytes",
        f"{program} stands before its first instruction, at {session.where():#x}",
    ]


def _describe(xml: str) -> dict[str, Register]:
    registers = {}
    offset = 0
    for number, element in enumerate(re.findall(r"<reg ([^>]*)>", xml)):
        name, size = _attribute(element, "name"), int(_attribute(element, "bitsize")) // 8
        registers[name] = Register(name, _attribute(element, "type"), number, slice(offset, offset + size))
        offset += size
    return registers


def _stop_at_entry(session: Session) -> list[str]:
    auxv = dict(struct.iter_unpack("<QQ", session.client.transfer("auxv")))
    session.entry = auxv[_AT_ENTRY]
    before = session.client.read_memory(session.entry, 16)
    session.insert_breakpoint(session.entry)
    session.run_to_breakpoint()
    check(session.client.read_memory(session.entry, 16) == before, "the breakpoint shows in memory")
    return [
        f"breakpoint at the program's entry point, {session.entry:#x}: hit",
        f"the memory there, in which the breakpoint does not show: {before.hex(' ')}",
    ]


def _step(session: Session) -> list[str]:
    session.remove_breakpoint()
    places = [session.where()]
    for _ in range(4):
        stop = session.resume(b"vCont;s")
        check(stop.kind == "T" and stop.signal == 5, f"no step: {stop}")
        places.append(session.where())
    check(len(set(places)) == len(places), f"the program did not move: {places}")
    return ["instruction by instruction: " + " -> ".join(f"{place:#x}" for place in places)]


def _stop_in_library(session: Session) -> list[str]:
    xml = session.client.transfer("libraries-svr4").decode()
    libraries = re.findall(r"<library ([^>]*)>", xml)
    for library in libraries:
        address = find_symbol(
            session.client, int(_attribute(library, "l_addr"), 16), int(_attribute(library, "l_ld"), 16)
        )
        if address:
            session.insert_breakpoint(address)
            stop = session.run_to_breakpoint()
            name = _attribute(library, "name")
            return [
                "loaded: " + " ".join(os.path.basename(_attribute(each, "name")) for each in libraries),
                f"breakpoint at {FUNCTION} in {name}, {address:#x}: hit by {_describe_thread(stop.pairs['thread'])}",
            ]
    raise DemoFailed(f"no library has {FUNCTION}")


def _show_registers(session: Session) -> list[str]:
    values = [(name, value) for name, value in session.read_registers().items() if value >> 64 == 0][:17]
    check(dict(values)[session.pc.name] == session.breakpoint, "the registers are those of another place")
    cells = [f"{name:<6} {value:#18x}" for name, value in values]
    return ["   ".join(cells[start : start + 3]) for start in range(0, len(cells), 3)]


def _show_threads(session: Session) -> list[str]:
    threads = session.threads()
    check(len(threads) == 2, f"the program has two threads here, and these are shown: {threads}")
    return [f"{_describe_thread(identifier)}, {name}" for identifier, name in threads]


def _run_to_the_end(session: Session) -> list[str]:
    session.remove_breakpoint()
    stop = session.resume()
    check((stop.kind, stop.status) == ("W", STATUS), f"the program did not end with status {STATUS}: {stop}")
    return [f"the program has ended with status {stop.status}"]


STEPS: dict[str, Callable[[Session], list[str]]] = {
    "Start the program and connect": _connect,
    "Set a breakpoint and continue": _stop_at_entry,
    "Step": _step,
    "Set a breakpoint in a library and continue": _stop_in_library,
    "Look at the registers": _show_registers,
    "Look at the threads": _show_threads,
    "Let it run to its end": _run_to_the_end,
}


# Symbols, found in the program's memory by the hash table that the dynamic loader itself uses


def find_symbol(client: RspClient, bias: int, dynamic: int) -> int:
    """The address of FUNCTION in the library with this load bias and dynamic section, or 0."""
    entries = dict(struct.iter_unpack("<QQ", client.read_memory(dynamic, 64 * 16)))
    if not all(tag in entries for tag in (_DT_STRTAB, _DT_SYMTAB, _DT_GNU_HASH)):
        return 0
    # glibc has relocated these addresses, musl has not, nor has anybody in the kernel's own library.
    strings, symbols, table = (
        entries[tag] + (bias if entries[tag] < bias else 0) for tag in (_DT_STRTAB, _DT_SYMTAB, _DT_GNU_HASH)
    )
    for index in _candidates(client, table, _gnu_hash(FUNCTION)):
        name, _, _, section, value, _ = _SYMBOL.unpack(client.read_memory(symbols + index * _SYMBOL.size, _SYMBOL.size))
        length = len(FUNCTION) + 1
        if section and client.read_memory(strings + name, length) == FUNCTION.encode() + b"\0":
            return bias + int(value)
    return 0


def _candidates(client: RspClient, table: int, value: int) -> list[int]:
    """The indices of the symbols in a DT_GNU_HASH table whose hash is `value`, but for its lowest bit."""

    def word(address: int) -> int:
        return int.from_bytes(client.read_memory(address, 4), "little")

    buckets, first, bloom_words = (word(table + offset) for offset in (0, 4, 8))
    bucket = table + 16 + 8 * bloom_words
    index = word(bucket + 4 * (value % buckets))
    chain = bucket + 4 * (buckets - first)
    found = []
    while index >= first:
        entry = word(chain + 4 * index)
        if entry | 1 == value | 1:
            found.append(index)
        if entry & 1:
            break
        index += 1
    return found


def _gnu_hash(name: str) -> int:
    value = 5381
    for byte in name.encode():
        value = (value * 33 + byte) & 0xFFFFFFFF
    return value
