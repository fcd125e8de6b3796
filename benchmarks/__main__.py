"""The command line of the benchmark."""

from __future__ import annotations

import argparse
import fnmatch
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.operations import Costs, measure_operations, named_operations
from benchmarks.peers import PEERS, ROOT, Peer, ours
from benchmarks.report import drawing, page, sections
from benchmarks.rounds import PLACEMENTS, Results, measure
from benchmarks.rows import ROWS

if TYPE_CHECKING:
    from collections.abc import Sequence

ROUNDS = 8
FAR_ROUNDS = 2  # of what takes seconds over 20 ms, and hardly varies


def main() -> int:
    """Measure, print the tables, keep them if they are whole; 1 if anything failed."""
    options = _parser().parse_args()
    if options.list:
        for name, title in _names().items():
            print(f"{name:16}{title}")
        return 0
    chosen = {name for name in _names() if any(fnmatch.fnmatch(name, one) for one in options.only.split(","))}
    if not chosen:
        sys.exit(f"there is no row {options.only}; see ./bench --list")
    return _measure(options, chosen, _chosen_peers(options.peers, options.before))


def _measure(options: argparse.Namespace, chosen: set[str], peers: Sequence[Peer]) -> int:
    rows = [row for row in ROWS if row.name in chosen]
    if options.quick:
        rows = [row._replace(repetitions=max(1, row.repetitions // 10)) for row in rows]
    rounds = options.rounds or (1 if options.quick else ROUNDS)
    placements = options.placements.split(",")
    results = measure(rows, peers, rounds, placements) if rows else Results()
    costs = measure_operations(chosen, peers, min(rounds, FAR_ROUNDS))
    print("\n".join(sections(results, costs, rows, peers)))
    _tell_what_is_missing(results, costs)
    whole = len(chosen) == len(_names()) and len(peers) == len(PEERS) and rounds >= ROUNDS and len(placements) == 2
    if directory := options.output or (ROOT / "docs" if whole else None):
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "benchmarks.md").write_text(page(results, costs, rows, peers, rounds))
        (directory / "benchmarks.svg").write_text(drawing(results, rows, peers))
    return 1 if results.failures or costs.failures else 0


def _tell_what_is_missing(results: Results, costs: Costs) -> None:
    for what, words in (("refused", results.refusals), ("failed", results.failures), ("failed", costs.failures)):
        for key, text in words.items():
            print(f"{', '.join(filter(None, key))}: {what}: {text}", file=sys.stderr)


def _names() -> dict[str, str]:
    return {row.name: row.title for row in ROWS} | {
        operation.name: f"{operation.title} ({operation.name.split('-')[0].upper()}, 20 ms)"
        for operation in named_operations()
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench", description="Compare debugserver with gdbserver and lldb-server.")
    parser.add_argument("--only", metavar="ROWS", default="*", help="names with commas between, * and ? allowed")
    parser.add_argument("--rounds", metavar="N", type=int, help=f"{ROUNDS}, or 1 with --quick")
    parser.add_argument("--quick", action="store_true", help="a tenth of the repetitions, to see whether all works")
    parser.add_argument("--peers", metavar="NAMES", default=",".join(PEERS), help=f"of {', '.join(PEERS)}; all")
    parser.add_argument("--placements", default=",".join(PLACEMENTS), help="bound, free; both")
    parser.add_argument("--before", metavar="TREE", type=Path, help="also our server from another source tree")
    parser.add_argument("--output", metavar="DIR", type=Path, help="write the page there; docs, if all is measured")
    parser.add_argument("--list", action="store_true", help="the names of the rows")
    return parser


def _chosen_peers(names: str, before: Path | None) -> Sequence[Peer]:
    unknown = set(names.split(",")) - set(PEERS)
    if unknown:
        sys.exit(f"there is no server {', '.join(unknown)}")
    peers = [make() for name, make in PEERS.items() if name in names.split(",")]
    if before:
        peers.append(ours(before.resolve(), "before"))
    return peers


sys.exit(main())
