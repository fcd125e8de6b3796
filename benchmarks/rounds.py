"""Measuring the rows: round by round, in each round one server after the other, bound to one core and free."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.build import debuggee, symbols, tool
from benchmarks.peers import Peer, Server, serving
from benchmarks.rows import FLOORS, SESSIONS, Row, Work

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

PLACEMENTS = ("bound", "free")
FLOOR = "floor"
PRECEDENCE = -20  # nice
DEADLINE = 300.0  # seconds for the client to measure a whole session


class Key(NamedTuple):
    """What a figure is about; `peer` is FLOOR for what no server can beat."""

    row: str
    placement: str
    peer: str


class Results:
    """The best and the median time of each round, or why there are none."""

    def __init__(self) -> None:
        self.times: defaultdict[Key, list[tuple[float, float]]] = defaultdict(list)
        self.refusals: dict[Key, str] = {}
        self.failures: dict[Key, str] = {}

    @property
    def keys(self) -> set[Key]:
        """Everything that was asked."""
        return {*self.times, *self.refusals, *self.failures}

    def best(self, key: Key) -> float | None:
        """The best time of all. On a busy machine it varies by a few per cent, the medians by ten and more."""
        return self._least(key, 0)

    def median(self, key: Key) -> float | None:
        """The median of the best round."""
        return self._least(key, 1)

    def _least(self, key: Key, which: int) -> float | None:
        rounds = self.times.get(key)
        return min(times[which] for times in rounds) if rounds and key not in self.failures else None

    def take(self, key: Key, words: Sequence[str]) -> None:
        """A line of client.c or floor.c, without its name."""
        if words[0] == "unserved":
            self.refusals[key] = " ".join(words[1:])
        elif words[0] == "failed":
            self.failures[key] = " ".join(words[1:])
        else:
            self.times[key].append((float(words[0]), float(words[1])))


@contextmanager
def placed(placement: str) -> Iterator[None]:
    """What is started meanwhile runs on one core, the last, or where the scheduler likes."""
    before = os.sched_getaffinity(0)
    if placement == "bound":
        os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def measure(rows: Sequence[Row], peers: Sequence[Peer], rounds: int, placements: Sequence[str]) -> Results:
    """Run everything; what happens is told on standard error."""
    results = Results()
    begin = time.monotonic()
    for number in range(1, rounds + 1):
        with _precedence():
            for placement in placements:
                _round(results, rows, peers, placement)
        print(f"round {number} of {rounds}, {time.monotonic() - begin:.0f} s", file=sys.stderr)
    return results


@contextmanager
def _precedence() -> Iterator[None]:
    """What is started meanwhile is disturbed less by other work on the machine, if we are root."""
    before = os.getpriority(os.PRIO_PROCESS, 0)
    _set_precedence(PRECEDENCE)
    try:
        yield
    finally:
        _set_precedence(before)


def _set_precedence(nice: int) -> None:
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, nice)
        # Where the scheduler shares out by sessions, priorities are compared only within one: sched(7), autogroup.
        Path("/proc/self/autogroup").write_text(str(nice))


def _round(results: Results, rows: Sequence[Row], peers: Sequence[Peer], placement: str) -> None:
    _measure_floor(results, rows, placement)
    for row in rows:
        if row.measurement == "start":
            _measure_start(results, row, peers, placement)
    for session in SESSIONS:
        here = [row for row in rows if row.session == session and row.measurement != "start"]
        if here:
            _measure_session(results, session, here, peers, placement)


def _measure_start(results: Results, row: Row, peers: Sequence[Peer], placement: str) -> None:
    program = [str(debuggee("work")), "1"]
    for peer in peers:
        seconds = []
        for _ in range(row.repetitions):
            with placed(placement), serving(peer, program) as server:
                seconds.append(server.seconds)
        _take_seconds(results, Key(row.name, placement, peer.name), seconds)


def _take_seconds(results: Results, key: Key, seconds: Iterable[float]) -> None:
    times = [1e9 * second for second in seconds]
    results.times[key].append((min(times), statistics.median(times)))


def _measure_session(
    results: Results, session: Work, rows: Sequence[Row], peers: Sequence[Peer], placement: str
) -> None:
    command = [str(debuggee("work")), str(session.threads)]
    with _running(command, session.threads) if session.attach else _nothing() as pid:
        for peer in peers:
            wanted = [row for row in rows if peer.name not in row.lacks]
            with placed(placement), serving(peer, [] if session.attach else command) as server:
                _run_client(results, wanted, peer, server, placement, pid)


@contextmanager
def _nothing() -> Iterator[int]:
    yield 0


@contextmanager
def _running(command: Sequence[str], threads: int) -> Iterator[int]:
    """A process that has started all its threads, which sleep."""
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as process:
        try:
            end = time.monotonic() + 20
            while not _all_asleep(process.pid, threads):
                assert time.monotonic() < end, "the threads do not start"
                time.sleep(0.01)
            yield process.pid
        finally:
            process.kill()


def _all_asleep(pid: int, threads: int) -> bool:
    tasks = list(Path(f"/proc/{pid}/task").iterdir())
    return len(tasks) == threads and all(" S " in (task / "stat").read_text() for task in tasks)


def _run_client(results: Results, rows: Sequence[Row], peer: Peer, server: Server, placement: str, attach: int) -> None:
    command = [str(tool("client.c")), str(server.port), peer.dialect, f"server={server.process.pid}"]
    command += [f"attach={attach}"] if attach else []
    command += _symbol_arguments()
    command += [f"{row.measurement}:{row.repetitions}" for row in rows if row.measurement != "connect"]
    lines = _lines(command)
    for row in rows:
        key = Key(row.name, placement, peer.name)
        results.take(key, lines.get(row.measurement) or _why_not(lines))


def _why_not(lines: dict[str, list[str]]) -> list[str]:
    """Why there is no line: what failed before."""
    return next((words for words in lines.values() if words[0] == "failed"), ["failed", "the client ended"])


def _symbol_arguments() -> list[str]:
    return [f"{name}={address:x}" for name, address in symbols(debuggee("work")).items() if not name.startswith("_")]


def _lines(command: Sequence[str]) -> dict[str, list[str]]:
    output = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=DEADLINE, check=False).stdout
    lines = (line.split() for line in output.splitlines())
    return {name: words for name, *words in lines}


def _measure_floor(results: Results, rows: Sequence[Row], placement: str) -> None:
    wanted = {row.floor for row in rows if row.floor}
    lines: dict[str, list[str]] = {}
    with placed(placement):
        if "empty" in wanted:
            lines |= _echo()
        if driven := wanted & {"step", "breakpoint"}:
            measurements = [f"{name}:{FLOORS[name]}" for name in sorted(driven)]
            lines |= _lines([str(tool("floor.c")), str(debuggee("work")), *_symbol_arguments(), *measurements])
        if "interpreter" in wanted:
            begin = time.perf_counter()
            subprocess.run([sys.executable, "-c", "pass"], check=True)
            nanoseconds = str(1e9 * (time.perf_counter() - begin))
            lines["interpreter"] = [nanoseconds, nanoseconds]
    for row in rows:
        if row.floor:
            results.take(Key(row.name, placement, FLOOR), lines[row.floor])


def _echo() -> dict[str, list[str]]:
    with subprocess.Popen([str(tool("floor.c")), "echo"], stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        port = server.stdout.readline().split()[-1].decode()
        return _lines([str(tool("client.c")), port, "echo", f"empty:{FLOORS['empty']}"])
