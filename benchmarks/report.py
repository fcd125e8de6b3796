"""The results as tables in Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from benchmarks.rounds import FLOOR, Key, Results

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.peers import Peer
    from benchmarks.rows import Row

TITLES = {"bound": "Bound to one core", "free": "Where the scheduler likes"}


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
    return Verdict(ratio, goal, None if goal is None else ratio is not None and ratio <= goal)


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
            "" if stands.ratio is None else f"{stands.ratio:.2f}",
            _goal(row, stands),
            {None: "", True: "met", False: "**not met**"}[stands.met],
        )


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


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
