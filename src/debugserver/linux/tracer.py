"""The machinery under every traced thread: letting it run, stopping it, hearing from it. Always one thread at a time.

What a status means is `events`' business, what a client wants `execution`'s. Here is only how threads are moved, and
the two queues of what there is to tell.
"""

from __future__ import annotations

import select
import signal
import time
from collections import deque
from typing import TYPE_CHECKING

from debugserver.errors import NoSuchProcess, NoSuchThread
from debugserver.linux import ptrace, ranges, registers, unattended, waits, watchpoints
from debugserver.linux.child_signals import ChildSignals
from debugserver.linux.events import handle_status
from debugserver.linux.table import ProcessTable
from debugserver.target.model import ActionKind, ProcessExit, ThreadExit
from debugserver.target.target import log_nothing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from debugserver.linux.procfs import Procfs
    from debugserver.linux.threads import LinuxProcess, LinuxThread
    from debugserver.linux.waits import Status, Stopped
    from debugserver.target.model import StopReason
    from debugserver.target.target import TargetLog

_STOP_DEADLINE = 5.0
"""Seconds. A thread that does not stop by then sleeps uninterruptibly in the kernel."""

_MOST_STATUSES = 256
"""Taken in at a time."""
_STOP_SIGNALS = frozenset({signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU})
"""Those that begin a job control stop, unless the program handles or ignores them."""

_EAGER_LOOKS = 8
"""Some ten microseconds."""
_LOOK_AGAIN = 0.02
"""Seconds between looks for a status: its wake-up may have been that of another one, or, where the process has threads
of its own (a test's timer, say), have gone to one of them."""


class Tracer:
    """Moves all traced threads of one server."""

    def __init__(self, procfs: Procfs, log: TargetLog = log_nothing) -> None:
        self.procfs = procfs
        self.log = log
        self.table = ProcessTable()
        self.ready: deque[LinuxThread] = deque()
        """Threads with an event that the client may be told."""
        self.exits: deque[ProcessExit | ThreadExit] = deque()
        self.unattended: set[int] = set()
        """Processes that clients have let go, and that we keep for the commands of their breakpoints."""
        self.unattended_ends: deque[ProcessExit] = deque()
        self.left_running: dict[int, Callable[[], None]] = {}
        """Children of ours that clients let go -> what is due when they end."""
        self.early: dict[int, Stopped] = {}
        """First stops of threads and children whose birth was not reported yet."""
        self.last_ended: LinuxProcess | None = None
        """The parent of children that nobody was told of, because it was killed first."""
        self.leaving: dict[int, LinuxThread] = {}
        """Threads that were let go where they could not be stopped."""
        self.reported: frozenset[StopReason] = frozenset()
        """Which births and transformations clients are told of."""
        self.reports_threads = False
        """Whether clients are told of every thread's birth and end."""
        self.passed_signals: frozenset[int] = frozenset()
        """Delivered without asking the client."""
        self.signals_on_detach: frozenset[int] | None = None
        """What a process that is let go still gets; None: all but the debugger's own."""
        self._holds = 0
        """While it is not 0, what stops stays stopped."""
        self._fetched: deque[tuple[int, Status]] = deque()
        """Statuses that have not been acted upon."""
        self._eager = False
        """Something was just let run: it may stop again at once."""
        self._signals = ChildSignals()
        self.wakeup = self._signals.descriptor

    def close(self) -> None:
        """Hear of nothing any more."""
        self._signals.close()

    @property
    def holding(self) -> bool:
        """Whether threads that stop are to stay stopped for now."""
        return self._holds > 0

    def run(self, thread: LinuxThread) -> None:
        """Let a stopped thread run or step, with its signal. One that was killed meanwhile reports its end by
        itself."""
        self.log("threads", "run %d: %s, signal %d", thread.tid, thread.action.kind, thread.signal)
        process = thread.process
        if thread.signal in _STOP_SIGNALS:
            process.keeps_job_stop = True
        try:
            steps = thread.action.kind is not ActionKind.CONTINUE and not ranges.begin(thread)
            if process.breakpoints.stale or process.breakpoints.returned:
                self._settle_breakpoints(thread, steps=steps)
            if not steps:
                process.executable = None
            thread.computed = 0
            registers.flush(thread)
            if process.watchpoints.values is not thread.debug_registers:
                self.flush_points(thread)
            if steps:
                ptrace.step(thread.tid, thread.signal)
            elif thread.group_stopped and not thread.signal:
                ptrace.listen(thread.tid)
            elif process.caught_system_calls is not None:
                ptrace.resume_to_system_call(thread.tid, thread.signal)
            else:
                ptrace.resume(thread.tid, thread.signal)
        except NoSuchThread:
            thread.banks.clear()
            thread.dirty_banks.clear()
        thread.stopped = False
        thread.signal = 0
        thread.stop_signal = 0
        self._eager = True

    def _settle_breakpoints(self, thread: LinuxThread, *, steps: bool) -> None:
        """Of the breakpoints that nobody wants any more, or again, a step meets none but that at its pc."""
        process, pc = thread.process, registers.read_pc(thread) if steps else None
        if not steps or pc in process.breakpoints.stale:
            process.breakpoints.settle(process.memory)
        if not steps or pc in process.breakpoints.returned:
            process.breakpoints.renew(process.memory)

    def leave_system_call(self, thread: LinuxThread) -> None:
        """Let a thread that stands in the middle of a system call run to its end, and stop there with no instruction
        run."""
        registers.flush(thread)
        ptrace.interrupt(thread.tid)
        ptrace.resume(thread.tid)
        thread.stopped = False

    def flush_points(self, thread: LinuxThread) -> None:
        """Put the process's points into the debug registers of a stopped thread."""
        if watchpoints.flush(thread):
            self.log("hw-points", "debug registers of %d: %s", thread.tid, thread.debug_registers)

    def run_on(self, thread: LinuxThread) -> None:
        """Let a thread go on whose stop concerned nobody, unless everything is being held."""
        if thread.resumed and not self.holding:
            self.run(thread)

    def interrupt(self, thread: LinuxThread) -> None:
        """Ask a running thread to stop."""
        if thread.stopped or thread.halting:
            return
        self.log("threads", "interrupt %d", thread.tid)
        try:
            ptrace.interrupt(thread.tid)
        except NoSuchThread:
            return
        thread.halting = True

    def report(self, thread: LinuxThread) -> None:
        """The thread has an event; it is told as soon as the client counts the thread as running."""
        if self.unattended and thread.process.pid in self.unattended:
            unattended.pass_over(self, thread)
        elif thread.resumed:
            self.ready.append(thread)

    def end_thread(self, thread: LinuxThread, status: int) -> None:
        """A thread is gone while its process lives on."""
        if thread.range_stops:
            ranges.end(thread)
            ranges.clear_up(thread)
        self.table.remove_thread(thread)
        wanted = self.reports_threads or thread.reports_exit
        if (thread.resumed or wanted) and not thread.process.is_hidden:
            self.exits.append(ThreadExit(thread.id, status, wanted))

    def collect(self) -> None:
        """Take in the statuses that are there; a program that makes them as fast as we read must not keep us here.

        All are fetched before the first is acted upon: the kernel tells of the same threads first each time, and of the
        others never if those have been let go by then and have stopped again."""
        look = self._look_eagerly if self._eager else waits.poll
        while len(self._fetched) < _MOST_STATUSES:
            if not (found := look()):
                break
            self._fetched.append(found)
            look = waits.poll
        else:
            self.wake()
        while self._fetched:
            self.take_in(*self._fetched.popleft())

    def take_in(self, tid: int, status: Status) -> None:
        """Act upon one status, as `collect` does; for who has waited for that of one thread."""
        handle_status(self, tid, status)

    def _look_eagerly(self, tid: int = -1) -> tuple[int, Status] | None:
        """A thread that was let run may stop within microseconds: to look a few times costs less than to sleep and be
        woken."""
        self._eager = False
        for _ in range(_EAGER_LOOKS):
            if found := waits.poll(tid):
                return found
        return None

    def wait(self, seconds: float) -> None:
        """Wait until there may be a status, at most for so long."""
        poller = select.poll()
        poller.register(self.wakeup, select.POLLIN)
        poller.poll(max(0, int(min(seconds, _LOOK_AGAIN) * 1000) + 1))

    def forget_ends(self, pid: int) -> ProcessExit | None:
        """Take the ends of a process and of its threads out of what is to be reported; that of the process."""
        found = [event for event in self.exits if _process_of(event) == pid]
        for event in found:
            self.exits.remove(event)
        return next((event for event in found if isinstance(event, ProcessExit)), None)

    def drain_wakeup(self) -> None:
        """Forget that we were woken; to be called before `collect`."""
        self._signals.drain()

    def wake(self) -> None:
        """Make the server ask for events: statuses were taken in while it was not looking."""
        self._signals.raise_one()

    def wait_until(self, condition: Callable[[], bool], seconds: float = _STOP_DEADLINE) -> bool:
        """Take in statuses until the condition holds; whether it came to hold in time."""
        deadline = time.monotonic() + seconds
        while True:
            self._eager = True
            self.drain_wakeup()
            self.collect()
            self.find_dead_leaders()
            if condition():
                return True
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                return False
            self.wait(remaining)

    def await_status(self, tid: int, seconds: float = _STOP_DEADLINE) -> Status | None:
        """The next status of one thread, leaving all others for later; None if there is none in time."""
        for fetched in self._fetched:
            if fetched[0] == tid:
                self._fetched.remove(fetched)
                return fetched[1]
        if found := self._look_eagerly(tid):
            return found[1]
        deadline = time.monotonic() + seconds
        while found is None and time.monotonic() < deadline:
            self.drain_wakeup()
            if (found := waits.poll(tid)) is None:
                self.wait(seconds)
                found = waits.poll(tid)
        self.wake()
        return found[1] if found else None

    def hold(self, processes: Iterable[LinuxProcess]) -> None:
        """Stop every thread of these processes, quietly, before returning; each hold needs a `let_go`."""
        self._holds += 1
        held = tuple(processes)

        def all_stopped() -> bool:
            running = [t for p in held for t in tuple(p.threads.values()) if not t.stopped and not self._waits(t)]
            for thread in running:
                self.interrupt(thread)
            return not running

        if not all_stopped():
            self.wait_until(all_stopped)
            self.wake()

    def _waits(self, thread: LinuxThread) -> bool:
        """Whether a thread waits for its vfork child, which we may have let go. When that has left the memory, the
        thread comes to a stop."""
        return thread.in_vfork and (bool(self.table.sharers(thread.process)) or self._state(thread) == "D")

    def let_go(self, but: LinuxThread | None = None) -> None:
        """End a hold: threads that were running, and have nothing to report, run on; not `but`, which is looked
        after."""
        self._holds -= 1
        if self.holding:
            return
        for process in tuple(self.table.all()):
            for thread in tuple(process.threads.values()):
                if thread.resumed and thread.stopped and thread.event is None and thread is not but:
                    self.run(thread)

    def refresh(self, process: LinuxProcess) -> None:
        """Running threads take new debug registers in: they are stopped for a moment."""
        if any(not thread.stopped for thread in process.threads.values()):
            self.hold([process])
            self.let_go()

    def find_dead_leaders(self) -> None:
        """A leader that exits before its threads is a zombie that waitpid keeps to itself until the last of them ends.

        When the whole process ends, its leader is one too, for as long as the others take.
        """
        for process in tuple(self.table.all()):
            leader = process.threads.get(process.pid)
            if leader is None or leader.stopped or len(process.threads) == 1:
                continue
            group = (thread for thread in process.threads.values() if thread.group == process.pid)
            if self._state(leader) == "Z" and any(map(self.lives_on, group)):
                self.end_thread(leader, 0)

    def lives_on(self, thread: LinuxThread) -> bool:
        """Whether a thread is not ending with its whole process. One that we hold has left its stop when it is."""
        if self.procfs.is_ending(thread.group, thread.tid):
            return False
        return not thread.stopped or self._state(thread) == "t"

    def _state(self, thread: LinuxThread) -> str:
        try:
            return self.procfs.state(thread.group, thread.tid)
        except NoSuchProcess:
            return "X"


def _process_of(event: ProcessExit | ThreadExit) -> int:
    return event.pid if isinstance(event, ProcessExit) else event.thread.pid
