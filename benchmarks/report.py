"""The results as a page in Markdown, and as a chart."""

from __future__ import annotations

import datetime
import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.chart import Bar, Group, chart
from benchmarks.consoles import GDB, LLDB
from benchmarks.operations import ROUND_TRIP, Costs, Operation, named_operations, peers_of
from benchmarks.rounds import FLOOR, Key, Results

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.consoles import Debugger
    from benchmarks.peers import Peer
    from benchmarks.rows import Row

TITLES = {"bound": "Bound to one core", "free": "Where the scheduler likes"}

INTRODUCTION = """\
# Benchmarks

Made by `./bench`: {peers} do the same work,
in each of {rounds} rounds one after the other, once with client, server and debuggee bound to one core and once where
the scheduler likes. The client is a small C program on the same machine; it verifies every reply. A figure is the
median of a server's best round. The ratio is our time to that of the best of the others: below 1 we are faster, also
where throughput is shown. "Floor" is what the machine takes without a debug server: a C echo server's round trip, bare
`ptrace` calls, the start of Python.

{date}, {machine}.

![Our time to that of the best other server](benchmarks.svg)
"""

FAR = """\
## Over a round trip of {milliseconds:g} ms

GDB 18.1 and LLDB 23.1 themselves, through a proxy that adds {milliseconds:g} ms: the packets that they send, and the
seconds that their users wait. GDB is a client of GNU gdbserver and LLDB of lldb-server; ours serves both. The ratio is
that of packets.
"""


class Verdict(NamedTuple):
    """A row's ratio to the best peer, and what it may be at most; None where there is none."""

    ratio: float | None
    goal: float | None
    met: bool | None


def verdict(results: Results, row: Row, placement: str, peers: Sequence[Peer]) -> Verdict:
    """Where the first of `peers` stands against the others."""
    times = [results.best(Key(row.name, placement, peer.name)) for peer in peers]
    own, others = times[0], [time for time in times[1:] if time is not None]
    ratio = own / min(others) if own is not None and others else None
    if row.goal.limit is not None:
        return Verdict(ratio, None, None if own is None else own <= row.goal.limit)
    goal = row.goal.bound if placement == "bound" else row.goal.free
    return Verdict(ratio, goal, None if goal is None or not others else ratio is not None and ratio <= goal)


def page(results: Results, costs: Costs, rows: Sequence[Row], peers: Sequence[Peer], rounds: int) -> str:
    """The whole page."""
    date = datetime.datetime.now(datetime.UTC).date()
    titles = [peer.title for peer in peers]
    parts = [
        INTRODUCTION.format(
            peers=f"{', '.join(titles[:-1])} and {titles[-1]}", rounds=rounds, date=date, machine=machine()
        ),
        *sections(results, costs, rows, peers),
    ]
    return "\n".join(parts)


def sections(results: Results, costs: Costs, rows: Sequence[Row], peers: Sequence[Peer]) -> Iterator[str]:
    """The tables, as far as they have lines."""
    for placement, title in TITLES.items():
        if any(key.placement == placement for key in results.keys):
            yield f"## {title}\n"
            yield "\n".join(table(results, rows, placement, peers)) + "\n"
    if costs.operations():
        yield FAR.format(milliseconds=1000 * ROUND_TRIP)
        for debugger in (GDB, LLDB):
            yield "\n".join(far_table(costs, debugger, peers)) + "\n"


def table(results: Results, rows: Sequence[Row], placement: str, peers: Sequence[Peer]) -> Iterator[str]:
    """The lines of one placement's table."""
    yield _line("", *(peer.title for peer in peers), "floor", "ratio", "at most", "")
    yield _line(*["---"] * (len(peers) + 5))
    for row in rows:
        stands = verdict(results, row, placement, peers)
        yield _line(
            row.title,
            *(_cell(results, row, Key(row.name, placement, peer.name)) for peer in peers),
            _cell(results, row, Key(row.name, placement, FLOOR)),
            _ratio(stands.ratio),
            _goal(row, stands),
            _met(stands.met),
        )


def far_table(costs: Costs, debugger: Debugger, peers: Sequence[Peer]) -> Iterator[str]:
    """The lines of one client's table."""
    servers = peers_of(debugger, peers)
    yield _line(debugger.title, *(peer.title for peer in servers), "ratio", "at most", "")
    yield _line(*["---"] * (len(servers) + 4))
    for operation in named_operations(debugger):
        if operation.name in costs.operations():
            ratio = packet_ratio(costs, operation, servers)
            goal = operation.goal
            met = None if goal is None or len(servers) < 2 else ratio is not None and goal.met_by(ratio)
            yield _line(
                operation.title,
                *(_cost(costs, operation, peer) for peer in servers),
                _ratio(ratio),
                str(goal or ""),
                _met(met),
            )


def packet_ratio(costs: Costs, operation: Operation, servers: Sequence[Peer]) -> float | None:
    """Our packets to those of the other."""
    own, *others = (costs.best(operation.name, peer.name) for peer in servers)
    fewest = min((cost.packets for cost in others if cost), default=None)
    return own.packets / fewest if own and fewest else None


def drawing(results: Results, rows: Sequence[Row], peers: Sequence[Peer]) -> str:
    """The chart of the ratios."""
    groups = []
    for row in rows:
        stands = [verdict(results, row, placement, peers) for placement in TITLES]
        if row.goal.limit is None:
            label = row.title.replace("`", "")
            groups.append(Group(label, tuple(Bar(stand.ratio, stand.goal) for stand in stands)))
    return chart("Our time to that of the best other server (below 1: faster)", tuple(TITLES.values()), groups)


def machine() -> str:
    """What it was measured on."""
    information = Path("/proc/cpuinfo").read_text()
    lines = (line.split(":", 1) for line in information.splitlines() if ":" in line)
    facts = {name.strip(): value.strip() for name, value in lines}
    virtual = "a virtual machine with " if "hypervisor" in facts.get("flags", "") else ""
    cores = os.cpu_count()
    return (
        f"{virtual}{cores} cores of {facts.get('model name', platform.machine())}, Linux {platform.release()}, "
        f"Python {platform.python_version()}"
    )


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _ratio(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2f}"


def _met(met: bool | None) -> str:
    return {None: "", True: "met", False: "**not met**"}[met]


def _goal(row: Row, stands: Verdict) -> str:
    if row.goal.limit is not None:
        return row.unit.show(row.goal.limit)
    return "" if stands.goal is None else f"{stands.goal:g}"


def _cell(results: Results, row: Row, key: Key) -> str:
    if key in results.failures:
        return "failed"
    if key in results.refusals:
        return "not served"
    time = results.best(key)
    return "" if time is None else row.unit.show(time)


def _cost(costs: Costs, operation: Operation, peer: Peer) -> str:
    cost = costs.best(operation.name, peer.name)
    return "failed" if cost is None else f"{cost.packets} packets, {cost.seconds:.2f} s"
