"""The command line of the benchmark."""

from __future__ import annotations

import argparse
import fnmatch
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.peers import Peer, all_peers, ours
from benchmarks.report import TITLES, table
from benchmarks.rounds import PLACEMENTS, measure
from benchmarks.rows import ROWS, Row

if TYPE_CHECKING:
    from collections.abc import Sequence


def main() -> int:
    """Measure, print the tables; 1 if anything failed."""
    options = _parser().parse_args()
    if options.list:
        for row in ROWS:
            print(f"{row.name:16}{row.title}")
        return 0
    rows = _chosen_rows(options.only)
    peers = _chosen_peers(options.peers, options.before)
    if options.quick:
        rows = [row._replace(repetitions=max(1, row.repetitions // 10)) for row in rows]
    results = measure(rows, peers, options.rounds or (1 if options.quick else 8), options.placements.split(","))
    for placement in options.placements.split(","):
        print(f"\n{TITLES[placement]}\n")
        print("\n".join(table(results, rows, placement, peers)))
    for what, words in (("refused", results.refusals), ("failed", results.failures)):
        for key, text in words.items():
            print(f"{key.row}, {key.placement}, {key.peer}: {what}: {text}", file=sys.stderr)
    return 1 if results.failures else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench", description="Compare debugserver with gdbserver and lldb-server.")
    parser.add_argument("--only", metavar="ROWS", default="*", help="names with commas between, * and ? allowed")
    parser.add_argument("--rounds", metavar="N", type=int, help="8, or 1 with --quick")
    parser.add_argument("--quick", action="store_true", help="a tenth of the repetitions, to see whether all works")
    parser.add_argument("--peers", metavar="NAMES", help="of ours, gdbserver, lldb-server; all")
    parser.add_argument("--placements", default=",".join(PLACEMENTS), help="bound, free; both")
    parser.add_argument("--before", metavar="TREE", type=Path, help="also our server from another source tree")
    parser.add_argument("--list", action="store_true", help="the names of the rows")
    return parser


def _chosen_rows(patterns: str) -> list[Row]:
    chosen = [row for row in ROWS if any(fnmatch.fnmatch(row.name, pattern) for pattern in patterns.split(","))]
    if not chosen:
        sys.exit(f"there is no row {patterns}; see ./bench --list")
    return chosen


def _chosen_peers(names: str | None, before: Path | None) -> Sequence[Peer]:
    peers = [peer for peer in all_peers() if names is None or peer.name in names.split(",")]
    if before:
        peers.append(ours(before.resolve(), "before"))
    return peers


sys.exit(main())
