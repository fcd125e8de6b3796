"""A hundred threads that hit breakpoints, take signals, fork, are born and end while one is stepped, in both modes.

The program counts what happened, the client what it was told, and in the end the two agree. DEBUGSERVER_STRESS_SECONDS
says for how long; ten seconds by default.
"""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections import Counter, deque
from typing import TYPE_CHECKING, NamedTuple

import pytest

from debugserver.rsp import stop_reply
from tests.live.session import (
    PLAIN,
    RIP,
    SIGCHLD,
    SIGINT,
    SIGTRAP,
    SIGUSR1,
    STATIC,
    Session,
    name,
    pc_of,
    states,
    thread_of,
)
from tests.support.processes import (
    Output,
    end_process,
    is_stopped,
    status,
    system_call,
    text_segment,
    thread_ids,
)
from tests.support.programs import compile_program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from debugserver.rsp.stop_reply import StopReply

SECONDS = float(os.environ.get("DEBUGSERVER_STRESS_SECONDS", "10"))
THREADS = 100
FORKS = PLAIN + ";fork-events+"
"""A fork is told of, a vfork is not: its child is followed inside."""
MIDDLE = 1.0
"""Seconds for which a last generation runs before the client leaves."""
PATIENCE = 60.0
"""Seconds for what has begun to come to its end."""
REMOTE_TIMEOUT = 2.0
"""Seconds that GDB waits for a reply (`show remotetimeout`)."""
QUEUED, PASSED = 48, 49
"""Linux's 36 and 37 as GDB numbers them: GDB_SIGNAL_REALTIME_33 is 45."""
VFORK = 58
"""The system call of x86-64."""
WALK = ("walk", "walk_1", "walk_2", "walk_3", "walk_4", "walk_5")
"""The walker's instructions in the order in which it comes to them. It leaves them from `walk_4`."""

Thread = tuple[int, int]


class Stress:
    """What a debugger does with all these threads, and what it has been told."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.random = random.Random(1)
        self.told: Counter[str] = Counter()
        self.walker: Thread | None = None
        self.place = 0
        """Of the walker, in WALK."""
        self.again: dict[Thread, str] = {}
        """Threads that come to the same breakpoint once more when they are back from a signal handler."""
        self.closing = False
        self.finished: Thread | None = None
        """The leader, when a generation has ended."""
        self.sides = False
        """Whether the breakpoint that comes and goes is there."""
        self.slowest = (0.0, "")
        assert self.ask("?")[0] == "T"
        self.expect_ok("QThreadEvents:1")
        self.expect_ok(f"QPassSignals:{SIGCHLD:x};{PASSED:x}")
        self.alive = set(session.ids())
        self.session.insert("finished")

    def ask(self, packet: str) -> str:
        began = time.monotonic()
        reply = self.session.ask(packet)
        self.slowest = max(self.slowest, (time.monotonic() - began, packet))
        return reply

    def expect_ok(self, packet: str) -> None:
        assert (reply := self.ask(packet)) == "OK", (packet, reply)

    def symbol(self, name: str) -> int:
        return self.session.symbols[name]

    def counts(self) -> Counter[str]:
        """The program's counts, by the words that the client counts with."""
        count = self.session.read_int
        # The walker of a generation is a thread as well, which the program does not count.
        walkers = count("generations", 8)
        return Counter(
            site=count("sites", 8),
            fork=count("forks", 8),
            plain=count("handled", 8, 0),
            queued=count("handled", 8, 1),
            walked=count("walked", 8),
            created=count("created", 8) + walkers,
            ended=count("ended", 8) + walkers,
        )

    # Stops: the action that the thread is to go on with, "" if it is not to

    def take(self, stop: StopReply) -> str:
        if stop.kind == "w":
            return self._take_end(stop)
        assert stop.kind == "T", (stop, self.told)
        assert thread_of(stop) in self.alive or "create" in stop.pairs, stop
        if stop.signal == SIGTRAP:
            return self._take_trap(stop, thread_of(stop))
        if stop.signal == SIGINT:
            return self._take_interrupt(stop)
        if stop.signal == 0:
            return self.take_halt(thread_of(stop))
        return self._take_signal(stop, thread_of(stop))

    def _take_end(self, stop: StopReply) -> str:
        assert stop.thread is not None
        assert stop.thread.pid is not None
        self.alive.remove((stop.thread.pid, stop.thread.tid))
        self.told["ended"] += 1
        return ""

    def _take_signal(self, stop: StopReply, thread: Thread) -> str:
        # Signals that pass by themselves are told of a thread that is being stepped.
        kinds = {SIGUSR1: "plain", QUEUED: "queued", SIGCHLD: "child", PASSED: "passed"}
        assert stop.signal in kinds, stop
        self.told[kinds[stop.signal]] += 1
        return f"{'S' if thread == self.walker else 'C'}{stop.signal:02x}"

    def take_halt(self, thread: Thread) -> str:
        raise AssertionError(f"nobody asked {thread} to stop")

    def _take_interrupt(self, stop: StopReply) -> str:
        """A thread that is stepped may or may not have taken its step."""
        self.told["interrupts"] += 1
        if thread_of(stop) == self.walker and pc_of(stop) != self.symbol(WALK[self.place]):
            self._walk(pc_of(stop))
        return self._go_on(thread_of(stop))

    def _take_trap(self, stop: StopReply, thread: Thread) -> str:
        if "create" in stop.pairs:
            assert thread not in self.alive, f"{thread} is born twice"
            self.alive.add(thread)
            self.told["created"] += 1
        elif "fork" in stop.pairs:
            self.told["fork"] += 1
            self.detach_child(stop)
        elif thread == self.walker:
            self._walk(pc_of(stop))
        else:
            assert "swbreak" in stop.pairs, stop
            return self._take_breakpoint(stop, thread)
        return self._go_on(thread)

    def _go_on(self, thread: Thread) -> str:
        return "s" if thread == self.walker else "c"

    def _take_breakpoint(self, stop: StopReply, thread: Thread) -> str:
        where = next(each for each in ("site", "side", "walk", "finished") if self.symbol(each) == pc_of(stop))
        if where == "finished":
            self.finished = thread
            return ""
        if where == "walk":
            assert self.walker is None, stop
            self.expect_ok(f"z0,{pc_of(stop):x},1")
            self.walker, self.place = thread, 0
            return "s"
        self.told[where] += self.again.pop(thread, "") != where
        if where == "side" and not self.sides:
            # It was told of before it went.
            return "c"
        return self.pass_breakpoint(stop, thread, where)

    def pass_breakpoint(self, stop: StopReply, thread: Thread, where: str) -> str:
        """Both functions that have breakpoints begin with a `nop` of one byte."""
        self.expect_ok(f"Hg{name(thread)}")
        self.expect_ok(f"P{RIP:x}={(pc_of(stop) + 1).to_bytes(8, 'little').hex()}")
        return "c"

    def _walk(self, pc: int) -> None:
        """The walker has taken one step, neither less nor more."""
        if WALK[self.place] == "walk_4" and pc == self.symbol("walk_end"):
            self.walker = None
            return
        self.place = (self.place + 1) % len(WALK)
        assert pc == self.symbol(WALK[self.place]), f"{pc:#x} is not at {WALK[self.place]}"
        self.told["walked"] += WALK[self.place] == "walk_3"

    # What is done in one way when all threads stop, and in another when only one does

    @property
    def outstanding(self) -> bool:
        """Whether a stop that was asked for is still to come."""
        raise NotImplementedError

    def turn(self) -> None:
        """Hear of something, and let its thread go on."""
        raise NotImplementedError

    def step_alone(self, thread: Thread) -> None:
        """Step it while all others stand still or are gone."""
        raise NotImplementedError

    # Generations

    def run_for(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.turn()
            if self.random.random() < 0.05:
                self.sides = not self.sides
                self.expect_ok(f"{'Z' if self.sides else 'z'}0,{self.symbol('side'):x},1")

    def finish(self) -> None:
        """End the generation: its threads are gone but for the leader, which stands at `finished`."""
        self.closing = True
        self.session.write_int("closing", 1)
        deadline = time.monotonic() + PATIENCE
        while self.finished is None or self.alive != {self.finished} or self.outstanding:
            self.turn()
            assert time.monotonic() < deadline, (self.told, self.alive)
        assert self.session.ids() == [self.finished]
        for kind in (1, 2):
            assert self.session.read_int("sent", 8, kind) == self.session.read_int("handled", 8, kind)

    def begin(self) -> None:
        """Let the leader begin another generation."""
        assert self.finished is not None
        leader, self.finished, self.closing = self.finished, None, False
        self.session.remove("finished")
        self.step_alone(leader)
        self.session.insert("finished", "walk")

    def leave(self) -> None:
        """Let the program go, whatever it does now."""
        self.expect_ok(f"D;{self.session.pid:x}")

    def detach_child(self, stop: StopReply) -> None:
        self.expect_ok(f"D;{stop.pairs['fork'].removeprefix('p').partition('.')[0]}")


def stands_still(pid: int) -> None:
    """No thread runs a further instruction: it is held, or in a vfork, where the kernel stops it only when the child is
    through. Until then it waits for that, or is on its way from there to the stop."""
    for tid in thread_ids(pid):
        if not is_stopped(pid, tid):
            assert system_call(pid, tid) == VFORK, status(pid, "State", tid)


class AllStop(Stress):
    """Every stop stops all threads, and they are resumed together."""

    action = ""
    """Of the thread that has stopped, for the next resume."""
    interrupts = 0
    """How many were sent."""

    @property
    def outstanding(self) -> bool:
        return self.interrupts != self.told["interrupts"]

    def turn(self) -> None:
        walk = f"s:{name(self.walker)};" if self.walker else ""
        self.session.client.resume(f"vCont;{self.action}{walk}c".encode())
        if self.random.random() < 0.05 and not self.outstanding and not self.closing:
            self.interrupts += 1
            self.session.client.interrupt()
        stop = self.session.client.wait_stop()
        if self.random.random() < 0.05:
            stands_still(self.session.pid)
        action = self.take(stop)
        self.action = f"{action}:{name(thread_of(stop))};" if action else ""

    def pass_breakpoint(self, stop: StopReply, thread: Thread, where: str) -> str:
        """Every other time as GDB does: without the breakpoint, while the other threads stand still."""
        if self.random.random() < 0.5:
            return super().pass_breakpoint(stop, thread, where)
        address = pc_of(stop)
        self.expect_ok(f"z0,{address:x},1")
        after = self._step_off(thread, address)
        self.expect_ok(f"Z0,{address:x},1")
        if pc_of(after) != address:
            assert pc_of(after) == address + 1, after
            return "c"
        self.again[thread] = where
        return self._take_signal(after, thread)

    def _step_off(self, thread: Thread, address: int) -> StopReply:
        """Its next stop; the ends of other threads, and an interrupt before the step, are none."""
        while True:
            stop = self.session.step(thread)
            if stop.kind == "w":
                self.take(stop)
                continue
            assert thread_of(stop) == thread, stop
            self.told["interrupts"] += stop.signal == SIGINT
            if stop.signal != SIGINT or pc_of(stop) != address:
                return stop

    def step_alone(self, thread: Thread) -> None:
        self._step_off(thread, self.symbol("finished"))
        self.action = ""


class NonStop(Stress):
    """Every thread stops and is resumed on its own."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.stops: deque[StopReply] = deque()
        self.asked: set[Thread] = set()
        """Threads that were asked to stop and have not since."""
        self.expect_ok("QNonStop:1")
        self.expect_ok("vCont;c")

    @property
    def outstanding(self) -> bool:
        return bool(self.asked)

    def turn(self) -> None:
        stop = self._next_stop()
        action = self.take(stop)
        if stop.kind == "T":
            thread = thread_of(stop)
            self.asked.discard(thread)
            if action:
                self.expect_ok(f"vCont;{action}:{name(thread)}")
        self.asked &= self.alive
        if self.random.random() < 0.05 and not self.closing:
            chosen = self.random.choice(sorted(self.alive))
            self.expect_ok(f"vCont;t:{name(chosen)}")
            self.asked.add(chosen)

    def take_halt(self, thread: Thread) -> str:
        assert thread in self.asked, f"nobody asked {thread} to stop"
        return self._go_on(thread)

    def _next_stop(self) -> StopReply:
        if not self.stops:
            self._fetch()
        return self.stops.popleft()

    def _fetch(self) -> None:
        # N: the last thread but the leader has ended after the leader has stopped.
        self.stops.extend(stop_reply.parse(reply.encode()) for reply in self.session.told() if reply != "N")

    def step_alone(self, thread: Thread) -> None:
        self.expect_ok(f"vCont;s:{name(thread)}")
        stop = self._next_stop()
        assert (thread_of(stop), stop.signal) == (thread, SIGTRAP), stop
        assert pc_of(stop) != self.symbol("finished")
        self.expect_ok(f"vCont;c:{name(thread)}")

    def leave(self) -> None:
        """As GDB does: children whose birth it has been told of are its own business, also if it hears of one only when
        it has let the parent go."""
        self._let_children_go()
        super().leave()
        self._let_children_go()

    def _let_children_go(self) -> None:
        if self.session.client.notifications:
            self._fetch()
        while self.stops:
            stop = self.stops.popleft()
            if "fork" in stop.pairs:
                self.detach_child(stop)


class Program(NamedTuple):
    """The program as it runs by itself, and what it says of its counts in the end."""

    process: subprocess.Popen[bytes]
    output: Output


@pytest.fixture
def session(connect: Callable[..., Session]) -> Session:
    return connect(compile_program("stress", *STATIC), multi=True, offered=FORKS)


@pytest.fixture
def program(session: Session) -> Iterator[Program]:
    """As soon as it runs, nothing else gets much of the CPU: the session is there before."""
    with subprocess.Popen([compile_program("stress", *STATIC), str(THREADS)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        output = Output(process.stdout)
        try:
            output.wait_for("^ready")
            yield Program(process, output)
        finally:
            process.kill()
            process.wait()
            output.close()


@pytest.mark.timeout(3 * PATIENCE + SECONDS)
@pytest.mark.parametrize("mode", [AllStop, NonStop])
def test_everything_at_once(session: Session, program: Program, mode: type[Stress]) -> None:
    assert session.ask(f"vAttach;{program.process.pid:x}")[0] == "T"
    stress = mode(session)
    stress.finish()
    before, told_before = stress.counts(), stress.told.copy()
    stress.session.insert("site")
    stress.begin()
    stress.run_for(SECONDS)
    stress.finish()
    counted, told = stress.counts() - before, stress.told - told_before
    assert {each: told[each] for each in counted} == counted
    stress.begin()
    stress.run_for(MIDDLE)
    stress.leave()
    nothing_is_left(program)
    assert stress.slowest[0] < REMOTE_TIMEOUT, stress.slowest
    assert end_process(program.process, PATIENCE) == 0, program.output.text


def nothing_is_left(program: Program) -> None:
    """It runs as if nobody had ever come."""
    pid = program.process.pid
    assert program.process.poll() is None
    in_memory, in_file = text_segment(pid, compile_program("stress", *STATIC))
    assert in_memory == in_file
    assert "t" not in states(pid)
    assert {status(pid, "TracerPid", tid) for tid in thread_ids(pid)} <= {"0", ""}
