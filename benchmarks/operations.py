"""What a user of GDB or LLDB waits for over a link with a round trip of 20 ms: packets and seconds of each command."""

from __future__ import annotations

import re
import sys
import time
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.build import debuggee
from benchmarks.consoles import GDB, LLDB, Console, Debugger
from benchmarks.peers import Peer, serving
from benchmarks.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROUND_TRIP = 0.020  # seconds


class Goal(NamedTuple):
    """The most packets that ours may take of the peer's."""

    ratio: float
    fewer: bool = False
    """Whether it must be less than that."""

    def met_by(self, ratio: float) -> bool:
        """Whether the ratio of packets is good enough."""
        return ratio < self.ratio if self.fewer else ratio <= self.ratio

    def __str__(self) -> str:
        return f"{'under ' if self.fewer else ''}{self.ratio:g}"


FEWER = Goal(1, fewer=True)
NO_MORE = Goal(1)


class Operation(NamedTuple):
    """Commands, and what must be in their output. Without a title it only leads to the next."""

    name: str
    title: str
    commands: tuple[str, ...]
    expected: str
    goal: Goal | None = None


class Scenario(NamedTuple):
    """A session of a client with a program of so many threads."""

    debugger: Debugger
    threads: int
    operations: tuple[Operation, ...]


CONNECT = "\0"  # stands for the client's own command

SCENARIOS = (
    Scenario(
        GDB,
        1,
        (
            Operation("gdb-connect", "connect", (CONNECT,), "_start"),
            Operation("gdb-start", "start (to main)", ("tbreak main", "continue"), "main .*value = argc", FEWER),
            Operation("gdb-step", "step", ("step",), r"value \+= 2", FEWER),
            Operation("gdb-next", "next", ("next",), r"value = f"),
            Operation("gdb-next-call", "next over a call", ("next",), "prctl"),
            Operation("", "", ("tbreak here", "continue"), "here "),
            Operation("gdb-threads", "info threads, 1 thread", ("info threads",), r"\* 1 "),
            Operation("gdb-bt", "bt, 13 frames", ("bt",), "#12 .*main"),
            Operation("gdb-call", "print f()", ("print f(1)",), "= 42", Goal(0.5)),
        ),
    ),
    Scenario(
        GDB,
        50,
        (
            Operation("", "", (CONNECT, "tbreak here", "continue"), "here "),
            Operation("gdb-threads-50", "info threads, 50 threads", ("info threads",), " 50 +Thread"),
        ),
    ),
    Scenario(
        LLDB,
        1,
        (
            Operation("lldb-connect", "connect", (CONNECT,), "Process [0-9]+ stopped", NO_MORE),
            Operation("lldb-start", "first stop (main)", ("b main", "continue"), r"-> [0-9]+\s+value = argc", NO_MORE),
            Operation("lldb-step", "step", ("step",), r"-> [0-9]+\s+value \+= 2", NO_MORE),
            Operation("", "", ("b here", "continue"), r"-> [0-9]+\s+total = 0"),
            Operation("lldb-call", "a function call", ("expression f(1)",), "= 42", NO_MORE),
        ),
    ),
    Scenario(
        LLDB,
        50,
        (
            Operation("", "", (CONNECT, "b here", "continue"), r"-> [0-9]+\s+total = 0"),
            Operation("lldb-threads-50", "thread list, 50 threads", ("thread list",), "thread #50", NO_MORE),
            Operation("lldb-bt-50", "bt all, 50 threads", ("bt all",), "thread #50.*frame", NO_MORE),
        ),
    ),
    Scenario(
        LLDB,
        1,
        (
            Operation("", "", (CONNECT, "b here", "continue"), r"-> [0-9]+\s+total = 0"),
            Operation("", "", ("breakpoint set -n hit -c 'total > 1000000'", "b finished"), "finished"),
            Operation("lldb-condition", "100 false conditions", ("continue",), "finished.*total = 0", NO_MORE),
        ),
    ),
)


class Cost(NamedTuple):
    """What one operation took."""

    packets: int
    seconds: float


class Costs:
    """What was measured of each operation and peer, or why it was not."""

    def __init__(self) -> None:
        self.all: defaultdict[tuple[str, str], list[Cost]] = defaultdict(list)
        self.failures: dict[tuple[str, str], str] = {}

    def operations(self) -> set[str]:
        """The names of those that were asked for."""
        return {name for name, _ in (*self.all, *self.failures)} - {""}

    def fail(self, operation: Operation, peer: Peer, reason: str) -> None:
        """Nothing is counted of an operation that failed once."""
        self.failures[operation.name, peer.name] = reason

    def best(self, operation: str, peer: str) -> Cost | None:
        """The fewest packets and the least time."""
        rounds = self.all.get((operation, peer))
        if not rounds or (operation, peer) in self.failures:
            return None
        return Cost(min(cost.packets for cost in rounds), min(cost.seconds for cost in rounds))


def named_operations(debugger: Debugger | None = None) -> Iterator[Operation]:
    """Those that are measured, of one client or of both."""
    for scenario in SCENARIOS:
        if debugger in (None, scenario.debugger):
            yield from (operation for operation in scenario.operations if operation.name)


def peers_of(debugger: Debugger, peers: Sequence[Peer]) -> list[Peer]:
    """The servers that `debugger` can be a client of: ours, and the one of its own project."""
    return [peer for peer in peers if peer.tree_of_ours or peer.is_lldb == (debugger == LLDB)]


def measure_operations(names: set[str], peers: Sequence[Peer], rounds: int) -> Costs:
    """Run the scenarios that contain `names`."""
    costs = Costs()
    begin = time.monotonic()
    scenarios = [one for one in SCENARIOS if names & {operation.name for operation in one.operations}]
    for number in range(1, rounds + 1 if scenarios else 1):
        for scenario in scenarios:
            for peer in peers_of(scenario.debugger, peers):
                _play(costs, scenario, peer)
        print(f"20 ms: round {number} of {rounds}, {time.monotonic() - begin:.0f} s", file=sys.stderr)
    return costs


def _play(costs: Costs, scenario: Scenario, peer: Peer) -> None:
    program = debuggee("session")
    waiting = iter(scenario.operations)
    with (
        serving(peer, [str(program), str(scenario.threads)]) as server,
        Proxy(server.port, ROUND_TRIP) as proxy,
        Console(scenario.debugger, program) as console,
    ):
        for operation in waiting:
            before, begin, output = proxy.packets, time.perf_counter(), ""
            try:
                for command in operation.commands:
                    line = scenario.debugger.connect.format(proxy.port) if command == CONNECT else command
                    output += console.run(line)
            except TimeoutError as error:
                output += f"{error}\nno answer"
            cost = Cost(proxy.packets - before, time.perf_counter() - begin)
            if not re.search(operation.expected, output, re.DOTALL):
                costs.fail(operation, peer, f"{', '.join(operation.commands)}: {output[-2000:]}")
                for lost in waiting:
                    costs.fail(lost, peer, f"not reached after {', '.join(operation.commands)}")
                return
            costs.all[operation.name, peer.name].append(cost)
