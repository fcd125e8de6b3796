"""The Execution of traced processes: what the client wants of each thread, and what it is told."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from debugserver.errors import NoSuchProcess, NoSuchThread
from debugserver.linux import conditions, events, family, ptrace, registers, stepping, unattended
from debugserver.linux.lifecycle import let_unannounced_go
from debugserver.target.capabilities import (
    Execution,
    ProcessEvents,
    SignalDelivery,
    SystemCalls,
    ThreadEvents,
)
from debugserver.target.model import ActionKind, ProcessExit, Stop, StopReason

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from debugserver.linux.threads import LinuxProcess, LinuxThread
    from debugserver.linux.tracer import Tracer
    from debugserver.target.model import Action, Event, ThreadId

_LASTING = frozenset(
    {
        StopReason.SIGNAL,
        StopReason.STEP,
        StopReason.SOFTWARE_BREAKPOINT,
        StopReason.HARDWARE_BREAKPOINT,
        StopReason.WRITE_WATCHPOINT,
        StopReason.READ_WATCHPOINT,
        StopReason.ACCESS_WATCHPOINT,
        StopReason.HALTED,
    }
)
"""Reasons that still hold when somebody asks again."""
_NOTHING_TO_KEEP = frozenset({StopReason.STEP, StopReason.HALTED})
"""Of these stops nothing is lost if they are told to nobody: the thread stands where it stands."""
_OF_THREADS = frozenset({StopReason.CLONE, StopReason.THREAD_CREATED})
_OF_PROCESSES = frozenset({StopReason.FORK, StopReason.VFORK, StopReason.VFORK_DONE, StopReason.EXEC})
_OF_SYSTEM_CALLS = frozenset({StopReason.SYSCALL_ENTRY, StopReason.SYSCALL_RETURN})
_OF_DEBUG_REGISTERS = frozenset(
    {StopReason.HARDWARE_BREAKPOINT, StopReason.WRITE_WATCHPOINT, StopReason.ACCESS_WATCHPOINT}
)


class LinuxExecution(Execution):
    """Resumes, halts and reports traced threads."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self.wakeup = tracer.wakeup
        self._latest: ThreadId | None = None

    def resume(self, actions: Mapping[ThreadId, Action]) -> None:
        alone = len(actions) == 1
        for thread, action in actions.items():
            found = self._tracer.table.find_tid(thread.tid)
            if found is not None and found.id == thread and not found.resumed:
                self._resume(found, action, alone=alone)

    def _resume(self, thread: LinuxThread, action: Action, *, alone: bool) -> None:
        if thread.process.inherited:
            unattended.end_inheritance(self._tracer, thread.process)
        thread.resumed = True
        thread.reported = None
        thread.action = action
        thread.halt_reported = False
        if thread.group_stopped:
            thread.group_stopped = thread.process.keeps_job_stop = False
        if action.signal:
            self._give(thread, action.signal)
        if thread.event is not None and self._passes(thread, thread.event):
            thread.signal, thread.event = thread.event.signal, None
        if thread.event is not None and not self._outdated(thread, thread.event):
            self._tracer.report(thread)
            return
        thread.event = None
        if not thread.stopped:
            return
        if alone and action.kind is not ActionKind.CONTINUE and self._is_computed(thread):
            thread.stop_signal = 0
            thread.event = Stop(thread.id, signal.SIGTRAP, StopReason.STEP)
            self._tracer.report(thread)
        else:
            self._tracer.run(thread)

    def _passes(self, thread: LinuxThread, event: Stop) -> bool:
        """Whether a signal that waited to be told is delivered instead: by now the client wants it so, and gives no
        other."""
        waits = event.reason is StopReason.SIGNAL and event.signal == thread.stop_signal and not thread.signal
        return waits and events.passes(self._tracer, thread, event.signal)

    def _is_computed(self, thread: LinuxThread) -> bool:
        """Whether a step does nothing but what the instruction does, and has been made by that. Not while others run:
        they are to get their time. Nor in the middle of a system call: a step leads to its end, and no further. Nor
        when a signal waits, which comes before the instruction."""
        process = thread.process
        try:
            if (
                thread.signal
                or thread.group_stopped
                or thread.in_system_call
                or process.runs(but=thread)
                or ptrace.has_pending_signals(thread.tid)
            ):
                process.executable = None
                return False
            return stepping.compute_step(self._tracer, thread)
        except (NoSuchThread, NoSuchProcess):
            return False

    def _outdated(self, thread: LinuxThread, event: Stop) -> bool:
        """Whether an event that waited is no longer worth telling: its breakpoint or its child is gone, say."""
        if event.reason is StopReason.HALTED:
            return True
        if event.reason is StopReason.STEP:
            return not thread.stepping
        if event.reason in _OF_PROCESSES:
            gone = event.child is not None and self._tracer.table.find_tid(event.child.tid) is None
            return gone or event.reason not in self._tracer.reported
        if event.reason in _OF_SYSTEM_CALLS:
            return not thread.process.catches(event.number)
        if event.reason in _OF_DEBUG_REGISTERS:
            return not thread.process.watchpoints.watches(event.address)
        if event.reason is StopReason.SOFTWARE_BREAKPOINT:
            return event.address not in thread.process.breakpoints or registers.read_pc(thread) != event.address
        return False

    @staticmethod
    def _give(thread: LinuxThread, signal: int) -> None:
        """Deliver a signal: in place of the one on its way, or by sending it."""
        if thread.signal_stop and not thread.signal:
            thread.signal = signal
            return
        try:
            ptrace.send_signal(thread.tid, signal)
        except NoSuchThread:
            return
        thread.passing.append(signal)

    def next_event(self) -> Event | None:
        tracer = self._tracer
        if event := self._next_collected():
            return event
        tracer.collect()
        if event := self._next_collected():
            return event
        # Nothing: now the wake-ups that have come mean nothing any more, unless something happened just before.
        tracer.drain_wakeup()
        tracer.collect()
        tracer.find_dead_leaders()
        return self._next_collected()

    def _next_collected(self) -> Event | None:
        tracer = self._tracer
        if tracer.exits:
            return tracer.exits.popleft()
        while tracer.ready:
            if event := self._take_event(tracer.ready.popleft()):
                return event
        return None

    def next_end(self) -> Event | None:
        tracer = self._tracer
        tracer.drain_wakeup()
        tracer.collect()
        ends = [event for event in tracer.exits if isinstance(event, ProcessExit)]
        if not ends:
            return None
        tracer.exits.remove(ends[0])
        return ends[0]

    def _take_event(self, thread: LinuxThread) -> Stop | None:
        """The event of a thread that waits to be reported, unless it is out of date by now."""
        tracer = self._tracer
        event = thread.event
        if event is None or not thread.resumed or tracer.table.find_tid(thread.tid) is not thread:
            return None
        thread.event = None
        if event.reason is not StopReason.HALTED and self._outdated(thread, event):
            tracer.run_on(thread)
            return None
        thread.resumed = False
        if event.child is not None and (child := tracer.table.find_tid(event.child.tid)):
            child.announced = child.process.announced = True
        thread.reported = event
        thread.last_stop = event if event.reason in _LASTING else Stop(thread.id, event.signal, StopReason.SIGNAL)
        self._latest = thread.id
        if event.reason is not StopReason.SOFTWARE_BREAKPOINT:
            conditions.note_other_stop(thread)
        return event

    def give_back(self, stops: Sequence[Stop]) -> None:
        table = self._tracer.table
        for stop in stops:
            thread = table.find_tid(stop.thread.tid)
            if thread is not None:
                if thread.reported is not stop or stop.reason in _NOTHING_TO_KEEP:
                    continue
                thread.event = stop
                thread.reported = None
                thread.last_stop = Stop(thread.id, 0, StopReason.HALTED)
            if stop.child is not None and (child := table.find_tid(stop.child.tid)):
                newborn: LinuxThread | LinuxProcess = child.process if child.tid == child.process.pid else child
                newborn.announced = False
        family.release_untold(self._tracer)

    def wait(self, milliseconds: int) -> None:
        self._tracer.wait(milliseconds / 1000)

    def halt(self, threads: Iterable[ThreadId]) -> None:
        for thread in threads:
            found = self._tracer.table.find_tid(thread.tid)
            if found is None or not found.resumed:
                continue
            found.halt_reported = True
            self._tracer.interrupt(found)

    def halt_any(self, threads: Sequence[ThreadId]) -> None:
        found = (self._tracer.table.find_tid(thread.tid) for thread in threads)
        able = [thread.id for thread in found if thread is not None and not thread.in_vfork]
        self.halt((able or threads)[:1])

    def halt_all(self, pid: int | None = None) -> None:
        tracer = self._tracer
        if tracer.table.rests():
            return
        processes = [process for process in tracer.table.processes() if pid in (None, process.pid)]
        tracer.hold(processes)
        self._forget_resumes(processes)
        tracer.let_go()

    @staticmethod
    def _forget_resumes(processes: Iterable[LinuxProcess]) -> None:
        for process in processes:
            for thread in process.threads.values():
                if thread.resumed:
                    thread.resumed = False
                    thread.last_stop = Stop(thread.id, 0, StopReason.HALTED)

    def take_stops(self) -> Sequence[Stop]:
        threads = [thread for process in self._tracer.table.processes() for thread in process.threads.values()]
        return [stop for thread in threads if (stop := self._take_stop(thread))]

    def _take_stop(self, thread: LinuxThread) -> Stop | None:
        stop = thread.event
        if stop is None or thread.resumed or stop.reason not in _LASTING or self._outdated(thread, stop):
            return None
        thread.event = None
        thread.last_stop = stop
        return stop

    def running(self, thread: ThreadId) -> bool:
        found = self._tracer.table.find_tid(thread.tid)
        return found is not None and found.id == thread and found.resumed

    def ending(self, pid: int) -> bool:
        threads = self._tracer.table.process(pid).threads.values()
        stopped = next((thread for thread in threads if thread.stopped), None)
        return not threads or (stopped is not None and not self._tracer.lives_on(stopped))

    def last_stop(self, thread: ThreadId) -> Stop:
        return self._tracer.table.thread(thread).last_stop

    def latest_stop(self) -> ThreadId | None:
        return self._latest


class LinuxProcessEvents(ProcessEvents):
    """Which births and transformations are reported."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def report_events(self, reasons: frozenset[StopReason]) -> None:
        self._tracer.reported = reasons
        if not reasons:
            for process in self._tracer.table.processes():
                let_unannounced_go(self._tracer, process)


class LinuxSystemCalls(SystemCalls):
    """Which system calls are reported."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def catch_system_calls(self, pid: int, numbers: frozenset[int] | None) -> None:
        process = self._tracer.table.process(pid)
        process.caught_system_calls = numbers
        self._tracer.refresh(process)

    def clear_caught(self) -> None:
        for process in self._tracer.table.processes():
            process.caught_system_calls = None


class LinuxThreadEvents(ThreadEvents):
    """Which births and ends of threads are reported."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def report_all(self, enabled: bool) -> None:
        self._tracer.reports_threads = enabled

    def report_of(self, threads: Iterable[ThreadId], *, clones: bool, exits: bool) -> None:
        for thread in threads:
            found = self._tracer.table.thread(thread)
            found.reports_clones = clones
            found.reports_exit = exits

    def clear_thread_events(self) -> None:
        self.report_all(enabled=False)
        for process in self._tracer.table.processes():
            for thread in process.threads.values():
                thread.reports_clones = thread.reports_exit = False
                thread.announced = True
                if thread.event is not None and thread.event.reason in _OF_THREADS:
                    thread.event = None


class LinuxSignalDelivery(SignalDelivery):
    """Which signals pass without the client being asked."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def pass_signals(self, numbers: frozenset[int]) -> None:
        self._tracer.passed_signals = numbers

    def deliver_on_detach(self, numbers: frozenset[int] | None) -> None:
        self._tracer.signals_on_detach = numbers

    def reset_delivery(self) -> None:
        self.pass_signals(frozenset())
        self.deliver_on_detach(None)
