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

NOTES = Path(__file__).with_name("notes.md")
TITLES = {"bound": "Bound to one core", "free": "Where the scheduler likes"}

INTRODUCTION = """\
# Benchmarks

Made by `./bench`: {peers} do the same work,
in each of {rounds} rounds one after the other, once with client, server and debuggee bound to one core and once where
the scheduler likes. The client is a small C program on the same machine; it verifies every reply. A figure is the
best time of a server. The ratio is our time to that of the best of the others: below 1 we are faster, also where
throughput is shown; beside it stands the ratio of the medians of the best rounds. "Floor" is what the machine takes
without a debug server: a C echo server's round trip, bare `ptrace` calls, the start of Python.

lldb-server is spoken to as LLDB does it: it has no `X` (memory is written by `M`), no range steps and no conditions,
and its list of threads is `jThreadsInfo`, which says more than GDB's.

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
    """A row's ratio to the best peer, in best times and in medians, and the most it may be; None where it has none."""

    ratio: float | None
    medians: float | None
    goal: float | None
    met: bool | None


def verdict(results: Results, row: Row, placement: str, peers: Sequence[Peer]) -> Verdict:
    """Where the first of `peers` stands against the others."""
    keys = [Key(row.name, placement, peer.name) for peer in peers]
    own = results.best(keys[0])
    ratio = _to_the_best([results.best(key) for key in keys])
    medians = _to_the_best([results.median(key) for key in keys])
    if row.goal.limit is not None:
        return Verdict(ratio, medians, None, None if own is None else own <= row.goal.limit)
    goal = row.goal.bound if placement == "bound" else row.goal.free
    compared = any(results.best(key) is not None for key in keys[1:])
    met = None if goal is None or not compared else ratio is not None and ratio <= goal
    return Verdict(ratio, medians, goal, met)


def _to_the_best(figures: Sequence[float | None]) -> float | None:
    """The first to the least of the others."""
    own, others = figures[0], [figure for figure in figures[1:] if figure is not None]
    return own / min(others) if own is not None and others else None


def page(results: Results, costs: Costs, rows: Sequence[Row], peers: Sequence[Peer], rounds: int) -> str:
    """The whole page."""
    date = datetime.datetime.now(datetime.UTC).date()
    titles = [peer.title for peer in peers]
    parts = [
        INTRODUCTION.format(
            peers=f"{', '.join(titles[:-1])} and {titles[-1]}", rounds=rounds, date=date, machine=machine()
        ),
        *sections(results, costs, rows, peers),
        NOTES.read_text(),
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
        for debugger in (
            one for one in (GDB, LLDB) if costs.operations() & {row.name for row in named_operations(one)}
        ):
            yield "\n".join(far_table(costs, debugger, peers)) + "\n"


def table(results: Results, rows: Sequence[Row], placement: str, peers: Sequence[Peer]) -> Iterator[str]:
    """The lines of one placement's table."""
    yield _line("", *(peer.title for peer in peers), "floor", "ratio", "medians", "at most", "")
    yield _line(*["---"] * (len(peers) + 6))
    for row in rows:
        stands = verdict(results, row, placement, peers)
        yield _line(
            row.title,
            *(_cell(results, row, Key(row.name, placement, peer.name)) for peer in peers),
            _cell(results, row, Key(row.name, placement, FLOOR)),
            _ratio(stands.ratio),
            _ratio(stands.medians),
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
    costs_of_all = [costs.best(operation.name, peer.name) for peer in servers]
    return _to_the_best([cost and cost.packets for cost in costs_of_all])


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
    return "" if ratio is None else f"{ratio:.{2 if ratio >= 0.1 or ratio == 0 else 3}f}"


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
    if cost is None:
        return "failed"
    return f"{cost.packets} packet{'' if cost.packets == 1 else 's'}, {cost.seconds:.2f} s"
