"""What is measured, as data: one row of the table each."""

from __future__ import annotations

from typing import NamedTuple


class Unit(NamedTuple):
    """How a figure is shown. A time is in nanoseconds, and what is shown is `scale` of it, or its inverse."""

    name: str
    scale: float
    inverse: bool = False

    def show(self, value: float) -> str:
        """`value` with three significant digits, and with the name of the unit."""
        number = self.scale / value if self.inverse else value * self.scale
        digits = 0 if number >= 100 else 1 if number >= 10 else 2
        return f"{number:,.{digits}f} {self.name}"


MICROSECONDS = Unit("us", 1e-3)
MILLISECONDS = Unit("ms", 1e-6)
THROUGHPUT = Unit("MB/s", 1.048576e9, inverse=True)  # measured in nanoseconds a MiB
MEMORY = Unit("MiB", 1 / 1024)  # measured in KiB


class Work(NamedTuple):
    """A session in which several rows are measured: a program and how many threads it has."""

    name: str
    threads: int
    attach: bool = False  # to a process that runs already


ONE = Work("one", 1)
FIFTY = Work("fifty", 50)
CROWD = Work("crowd", 500)
ATTACH = Work("attach", 500, attach=True)

SESSIONS = (ONE, FIFTY, CROWD, ATTACH)


class Goal(NamedTuple):
    """The most that ours may take of the best peer's time; None is no goal. `limit` is one in the row's own unit."""

    bound: float | None = None
    free: float | None = None
    limit: float | None = None


def both(ratio: float) -> Goal:
    """The same wherever client and server run."""
    return Goal(ratio, ratio)


class Row(NamedTuple):
    """One line of the table."""

    name: str
    title: str
    session: Work
    measurement: str  # client.c's name for it
    repetitions: int
    unit: Unit = MICROSECONDS
    goal: Goal = Goal()
    floor: str = ""  # floor.c's measurement that no server can beat
    lacks: tuple[str, ...] = ()  # peers that do not have it, by their protocol


ROUND_TRIP = Goal(1.5, 1.25)
GNU_ONLY = ("lldb-server",)

ROWS = (
    Row("start", "start to listening", ONE, "start", 3, MILLISECONDS, Goal(limit=80e6), "interpreter"),
    Row("connect", "connect to first stop", ONE, "connect", 1, MILLISECONDS),
    Row("empty", "empty packet", ONE, "empty", 2000, goal=ROUND_TRIP, floor="empty"),
    Row("g", "`g`", ONE, "g", 1000, goal=both(1.1), floor="empty"),
    Row("p", "`p`", ONE, "p", 2000, goal=ROUND_TRIP, floor="empty", lacks=("gdbserver",)),
    Row("m64", "`m`, 64 bytes", ONE, "m64", 2000, goal=ROUND_TRIP, floor="empty"),
    Row("read-m", "memory read by `m`", ONE, "read-m", 40, THROUGHPUT, both(0.75)),
    Row("read-x", "memory read by `x`", ONE, "read-x", 40, THROUGHPUT, both(0.5)),
    Row("write", "memory write by `X`", ONE, "write", 20, THROUGHPUT, both(1.1)),
    Row("step", "step", ONE, "step", 60, goal=both(0.65), floor="step"),
    Row("step-g", "step and `g`", ONE, "step-g", 60, goal=both(0.65), floor="step"),
    Row("breakpoint", "breakpoint cycle, 1 thread", ONE, "breakpoint", 200, goal=both(0.6), floor="breakpoint"),
    Row("breakpoint-50", "breakpoint cycle, 50 threads", FIFTY, "breakpoint", 20, goal=both(0.6), floor="breakpoint"),
    Row("condition", "false condition, 1 thread", ONE, "condition", 6, goal=both(0.6), lacks=GNU_ONLY),
    Row("condition-50", "false condition, 50 threads", FIFTY, "condition", 2, goal=both(0.1), lacks=GNU_ONLY),
    Row("range", "range step, an instruction of 20", ONE, "range-straight", 20, goal=both(0.7), lacks=GNU_ONLY),
    Row("range-loop", "range step, an instruction of 3,001", ONE, "range-loop", 2, goal=both(0.1), lacks=GNU_ONLY),
    Row("signal", "passed signal, 1 thread", ONE, "signal", 5),
    Row("signal-50", "passed signal, 50 threads", FIFTY, "signal", 5, goal=both(0.1)),
    Row("attach", "attach and detach, 500 threads", ATTACH, "attach", 3, MILLISECONDS, both(1.0)),
    Row(
        "threads",
        "thread list, 500 threads",
        CROWD,
        "threads",
        10,
        MILLISECONDS,
        both(1.0),
    ),
    Row("memory", "resident memory of the server", ONE, "memory", 1, MEMORY),
)

FLOORS = {"empty": 2000, "step": 400, "breakpoint": 200}
"""How often each of floor.c's is measured; `empty` is by client.c against floor.c's echo server."""
