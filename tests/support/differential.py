"""Two servers side by side, ours and GNU gdbserver, each with a program of its own; replies made comparable."""

from __future__ import annotations

import functools
import re
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import TYPE_CHECKING

from debugserver.testing.client import RspClient
from tests.support.processes import is_gone, wait_until
from tests.support.programs import compile_program
from tests.support.server import Server, server_command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

    from tests.support.processes import Output

OFFERED = "multiprocess+;swbreak+;hwbreak+;qRelocInsn+;vContSupported+;no-resumed+;xmlRegisters=i386"
PROGRAM = compile_program("differential", "-no-pie")


@functools.cache
def symbols(program: Path = PROGRAM) -> dict[str, int]:
    """Name -> address of everything that the program defines; it is linked to a fixed address."""
    listing = subprocess.run(["nm", "--defined-only", program], capture_output=True, text=True, check=True, timeout=10)
    return {name: int(address, 16) for address, _, name in map(str.split, listing.stdout.splitlines())}


SYMBOL = symbols()


_PID_MAX = int(Path("/proc/sys/kernel/pid_max").read_text())


def _oldest_first(tids: Iterable[int]) -> list[int]:
    """After the highest ids, the kernel begins anew with low ones: the oldest is the one behind the largest gap."""
    ascending = sorted(tids)
    gap_before = [(tid - ascending[i - 1]) % _PID_MAX for i, tid in enumerate(ascending)]
    oldest = gap_before.index(max(gap_before)) if gap_before else 0
    return ascending[oldest:] + ascending[:oldest]


class Side:
    """One server and the client that talks to it."""

    def __init__(self, name: str, *command: str | Path, offered: str = OFFERED) -> None:
        self.name = name
        self._server = Server(server_command(name), *command)
        self._offered = offered
        self._symbols = symbols(next((word for word in command if isinstance(word, Path)), PROGRAM))

    def __enter__(self) -> Side:
        self._server.__enter__()
        try:
            self.client = RspClient.connect(self._server.address, timeout=15)
            self.features = self.client.supported(self._offered)
            self.client.start_no_ack_mode()
            self.first_stop = self.ask(b"?")  # GNU gdbserver crashes at a Z0 before any question about the state
        except BaseException as error:
            self._server.__exit__(type(error), error, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.client.close()
        self._server.__exit__(kind, error, trace)

    @property
    def pid(self) -> int:
        """The process; its leader is the oldest thread."""
        return self.threads()[0]

    @property
    def log(self) -> Output:
        """What the server says on standard error."""
        return self._server.log

    @property
    def output(self) -> Output:
        """What the program prints."""
        return self._server.output

    def ask(self, packet: bytes) -> bytes:
        """The final reply, as it came."""
        return self.client.request(packet)

    def threads(self) -> list[int]:
        """Thread ids, oldest first."""
        found: list[int] = []
        reply = self.ask(b"qfThreadInfo")
        while reply[:1] == b"m":
            found += [int(each.rpartition(".")[2], 16) for each in reply[1:].decode().split(",")]
            reply = self.ask(b"qsThreadInfo")
        return _oldest_first(found)

    def run_to(self, symbol: str) -> bytes:
        """The stop reply at a breakpoint, which is removed again. Signals on the way are delivered."""
        place = b"0,%x,1" % self._symbols[symbol]
        assert self.ask(b"Z" + place) == b"OK"
        reply = self.ask(b"vCont;c")
        while reply[:3] not in (b"T05", b"T0b"):
            assert reply[:1] == b"T", f"{self.name}: {reply!r} on the way to {symbol}"
            reply = self.ask(b"vCont;C%b:%x;c" % (reply[1:3], self.pid))
        assert self.ask(b"z" + place) == b"OK"
        return reply

    def symbol(self, name: str) -> int:
        """The address of something that the program defines."""
        return self._symbols[name]

    def wait_gone(self, pid: int) -> str:
        """Until the process has ended; for packets that have no reply."""
        wait_until(lambda: is_gone(pid), "the debuggee ends")
        return "gone"

    def named(self, packet: bytes) -> bytes:
        """A packet in which {pid}, {tid0}, {tid1} ... and symbols like {touch} stand for this side's numbers."""
        return re.sub(rb"{(\w+)}", lambda match: b"%x" % self._number(match[1].decode()), packet)

    def _number(self, name: str) -> int:
        if name == "pid":
            return self.pid
        if thread := re.fullmatch(r"tid(\d)", name):
            return self.threads()[int(thread[1])]
        return self._symbols[name]

    def unnamed(self, text: str) -> str:
        """The other way round for the ids in a reply: what differs from run to run becomes a name."""
        names = {tid: f"{{tid{number}}}" for number, tid in enumerate(self.threads())}
        pattern = re.compile(r"p([0-9a-f]+)\.([0-9a-f]+)\b")
        return pattern.sub(lambda m: f"p{{pid}}.{names.get(int(m[2], 16), m[2])}", text)


# Views: a reply as a value to be compared


def whole(side: Side, reply: bytes) -> object:
    """The reply as it is; that it is an error counts, its number does not (the protocol gives it no meaning)."""
    if re.fullmatch(rb"(?s)E(\d\d|[0-9a-f]{2}|\..*)", reply):
        return "error"
    return side.unnamed(reply.decode("latin-1"))


_PKRU = 8 if " ospke " in Path("/proc/cpuinfo").read_text() else 0
"""Hex digits of pkru, the last register of the file where there are protection keys."""


def register_file(side: Side, reply: bytes) -> object:
    """The reply to `g` without pkru: of that GNU gdbserver 18.1 says 0 on CPUs that have AMX, whatever RDPKRU says."""
    return whole(side, reply[: len(reply) - _PKRU])


def kind(side: Side, reply: bytes) -> object:
    """Whether it is empty, OK, an error or data."""
    words = {b"": "empty", b"OK": "OK"}
    return words.get(reply) or ("error" if whole(side, reply) == "error" else "data")


_EXPEDITED_BY_BOTH = ("06", "07", "10")
"""rbp, rsp and rip: GNU gdbserver's choice."""


def stop(side: Side, reply: bytes) -> object:
    """A stop reply: signal and pairs, of the registers those that both send, and not the CPU's number. Numbers are
    compared by value: GNU gdbserver writes exits with one digit and watched addresses with leading zeros."""
    if end := re.fullmatch(rb"([WX])([0-9a-f]{1,2})(?:;process:[0-9a-f]+)?", reply):
        return (end[1].decode(), int(end[2], 16))
    if reply[:1] != b"T":
        return whole(side, reply)
    pairs = dict(pair.split(":", 1) for pair in reply[3:].decode().split(";") if pair)
    values = {key: value for key, value in pairs.items() if key in _EXPEDITED_BY_BOTH}
    rest = {key: side.unnamed(value) for key, value in pairs.items() if not re.fullmatch("[0-9a-f]{2}|core", key)}
    if "watch" in rest:
        rest["watch"] = hex(int(rest["watch"], 16))
    return (reply[1:3].decode(), frozenset(values.items()), frozenset(rest.items()))


def ids(side: Side, reply: bytes) -> object:
    """All thread-ids, however many a reply has."""
    return (reply[:1], len(side.threads()), side.unnamed(reply.decode())[1:].split(",")[0])


def xml(side: Side, reply: bytes) -> object:
    """A whole qXfer object: elements in any order, attributes as they are. CPU numbers are left out, and handles, which
    GNU gdbserver has only with a libthread_db that fits."""
    assert reply[:1] == b"l", reply[:40]
    return _tree(side, ElementTree.fromstring(reply[1:]))


def _tree(side: Side, element: ElementTree.Element) -> object:
    attributes = frozenset(
        (key, side.unnamed(value)) for key, value in element.items() if key not in ("core", "handle")
    )
    children = sorted((_tree(side, child) for child in element), key=repr)
    return (element.tag, attributes, (element.text or "").strip(), tuple(children))


def registers(side: Side, reply: bytes) -> object:
    """The registers of a target description in the order of their numbers: feature, name, size, type, group."""
    found = []
    for feature in ElementTree.fromstring(reply[1:]).iter("feature"):
        for register in feature.iter("reg"):
            keys = ("name", "bitsize", "type", "group")
            found.append((feature.get("name"), *(register.get(key) for key in keys)))
    return found


def actions(side: Side, reply: bytes) -> object:
    """The list of vCont?, in any order."""
    return frozenset(reply.split(b";"))


# Comparing


def compare(
    server: str, scenario: Callable[[Side], Iterable[object]], *command: str | Path, offered: str = OFFERED
) -> None:
    """Run a scenario against GNU gdbserver and `server`, started afresh, and compare what it yields, step by step."""
    results = []
    for name in ("gnu", server):
        with Side(name, *(command or ("localhost:0", PROGRAM)), offered=offered) as side:
            results.append(list(scenario(side)))
    for number, (gnu, ours) in enumerate(zip(*results, strict=True)):
        assert gnu == ours, f"step {number}: GNU gdbserver says {gnu!r}, we say {ours!r}"
