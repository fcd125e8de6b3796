"""Stop events -> stop replies. All-stop is made here, out of a target that is always non-stop.

All-stop: the first event is the reply of the resume, and every other thread is stopped before it is sent. Non-stop:
each event is a %Stop notification, one in flight, the next one fetched by vStopped. LLDB's non-stop is one of
processes: when one thread reports, all others of its process are stopped, and told of.
"""

from __future__ import annotations

import errno
import signal
import time
from collections import deque
from typing import TYPE_CHECKING

from debugserver.errors import NoSuchProcess, NotStopped, TargetError
from debugserver.rsp import fields, stop_reply
from debugserver.rsp import resume as wire
from debugserver.stub.announcements import describe_end
from debugserver.stub.dialects import NOTHING_TO_TELL
from debugserver.stub.expedited import other_pairs, others, register_pairs, runs_on_stack
from debugserver.stub.lldb_stops import LldbStops
from debugserver.stub.registry import Dialect, Outcome
from debugserver.target.capabilities import Registers
from debugserver.target.model import Action, ActionKind, ProcessExit, Stop, StopReason, ThreadExit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from debugserver.rsp.resume import ResumeAction
    from debugserver.stub.session import Session
    from debugserver.target.capabilities import Execution
    from debugserver.target.model import Event, ThreadId

_BREAKPOINT_REASONS = {
    StopReason.SOFTWARE_BREAKPOINT: "swbreak",
    StopReason.HARDWARE_BREAKPOINT: "hwbreak",
}
_WATCHPOINT_REASONS = {
    StopReason.WRITE_WATCHPOINT: b"watch",
    StopReason.READ_WATCHPOINT: b"rwatch",
    StopReason.ACCESS_WATCHPOINT: b"awatch",
}

_BIRTH_REASONS = {StopReason.FORK: b"fork", StopReason.VFORK: b"vfork", StopReason.CLONE: b"clone"}
_PLAIN_REASONS = {StopReason.VFORK_DONE: b"vforkdone", StopReason.THREAD_CREATED: b"create"}
_SYSTEM_CALL_REASONS = {StopReason.SYSCALL_ENTRY: b"syscall_entry", StopReason.SYSCALL_RETURN: b"syscall_return"}

_NO_PAIR = frozenset({StopReason.STEP, StopReason.SIGNAL, StopReason.ATTACHED, StopReason.HALTED})

_ENDS_OF_CALLS = frozenset({StopReason.SOFTWARE_BREAKPOINT, StopReason.SIGNAL})
"""Where the stack cannot be executed, a signal comes instead of the breakpoint."""
_MOST_EVENTS = 64
"""Queued at a time, so that the client is heard in between."""


class Stops:
    """What of the target's events this client has been told."""

    def __init__(
        self,
        session: Session,
        execution: Execution | None,
        reply: Callable[[bytes], None],
        notify: Callable[[bytes], None],
    ) -> None:
        self._session = session
        self._execution = execution
        self._reply = reply
        self._notify = notify
        self._registers = session.target.capability(Registers)
        self._lldb = LldbStops(session)
        self.awaited = False
        """All-stop: the client waits for a stop reply."""
        self._resumed: Sequence[ResumeAction] | None = None
        """All-stop: the actions that the client waits for; None: for whatever happens."""
        self._interrupted = False
        self._deferred: set[ThreadId] = set()
        """Since ^C came, or its process ran last: threads whose step was told of as it is, because they are another
        process's."""
        self._marked: tuple[Stop, Stop] | None = None
        """A stop as the target remembers it, and what was told of it instead: the answer to the last ^C, or an
        exec to LLDB, which asks again."""
        self._has_more = False
        """Non-stop: events came faster than they could be queued."""
        self._unreported: deque[Event] = deque()
        """Events that came when nobody waited (all-stop) or that follow the one in flight (non-stop, first in
        flight)."""
        self._ended: ThreadExit | None = None
        """Non-stop: the thread whose end was the last event, until it is clear whether anything else runs."""
        self._ends_when_told = False
        """Whether the conversation ends with the last notification."""
        self._notification = b""
        """The one in flight, until it is acknowledged."""
        self.deadline: float | None = None
        """The monotonic time at which `on_deadline` is due."""

    @property
    def polling(self) -> bool:
        """Whether the target has to be asked for events without waiting to be woken."""
        execution = self._execution
        return self._has_more or (execution is not None and execution.wakeup is None and self._something_runs())

    def resume(
        self, actions: Mapping[ThreadId, Action], wanted: Sequence[ResumeAction] | None = None
    ) -> bytes | Outcome:
        """Resume these threads: the reply of the packet that asked for it, which in all-stop is of a process that the
        `wanted` actions name; None: of any."""
        if self._execution is None:
            raise TargetError("this target cannot run")
        if self._session.non_stop:
            self._execution.resume(actions)
            self._reply(b"OK")
            self.poll()
            return Outcome.SILENT
        if self.awaited:
            raise NotStopped("the target is running", errno.EBUSY)
        self._execution.resume(actions)
        self.awaited = True
        self._resumed = wanted
        if self._interrupted:
            if any(thread.pid == self._session.newest_process for thread in actions):
                self._deferred.clear()
            self._interrupt(self._execution)
        self.poll()
        return Outcome.DEFERRED

    def refuses_to_resume(self, threads: Iterable[ThreadId]) -> bool:
        """Whether a process of these runs already, and the client is to be told so."""
        execution, target = self._execution, self._session.target
        if execution is None or not self._stops_processes:
            return False
        pids = {thread.pid for thread in threads}
        return any(execution.running(thread) for pid in pids for thread in target.threads(pid))

    def knows_process(self, pid: int | None = None) -> bool:
        """Whether there is this inferior (None: any) as far as the client was told: its end may still wait."""
        if self._session.target.has_process(pid):
            return True
        ended = self.ended_processes()
        return bool(ended) if pid is None else pid in ended

    def ended_processes(self) -> list[int]:
        """The inferiors whose end the client has not been told of."""
        return [end.pid for end in self._untold_ends()]

    def _untold_ends(self) -> list[ProcessExit]:
        known = -1
        while known < len(self._unreported):
            known = len(self._unreported)
            self.poll()
        return [event for event in self._unreported if isinstance(event, ProcessExit)]

    def forget_ends(self) -> None:
        """What has ended before the client came is no news to it."""
        self._unreported.clear()

    def last_end(self) -> bytes:
        """How the last process ended, if that was not told yet; empty if it was, or if there was none."""
        ends = self._untold_ends()
        if not ends:
            return b""
        self._unreported.clear()
        self._note(ends[-1])
        return self.encode(ends[-1])

    def interrupt(self) -> None:
        """The client pressed ^C: some running thread stops as if by SIGINT.

        In all-stop it may have been sent while the last stop reply was on its way: then the next resume is interrupted.
        Not so for LLDB, which takes whatever stop comes for the answer.
        """
        if self._execution is not None and self._can_be_interrupted():
            self._interrupted = True
            self._deferred.clear()
            self._interrupt(self._execution)
            self.poll()

    def _can_be_interrupted(self) -> bool:
        """Whether ^C will stop something, now or (all-stop, GDB) as soon as it is resumed."""
        only_now = self._session.non_stop or self._session.thread_suffix
        return self._something_runs() if only_now else self._session.target.has_process()

    def _interrupt(self, execution: Execution) -> None:
        newest = self._session.newest_process
        running = [thread for thread in self.threads() if execution.running(thread)]
        execution.halt_any(sorted(running, key=lambda thread: thread.pid != newest))

    def halt(self, threads: list[ThreadId]) -> None:
        """Stop these threads; non-stop reports each."""
        if self._execution is not None:
            self._execution.halt([thread for thread in threads if self._execution.running(thread)])
            self.poll()

    def poll(self) -> None:
        """Report what the target has to say."""
        execution = self._execution
        if execution is None:
            return
        if self._session.non_stop:
            for _ in range(_MOST_EVENTS):
                if not (event := execution.next_event()):
                    self._has_more = False
                    self._tell_if_nothing_runs()
                    return
                if isinstance(event, Stop) and self._stops_processes:
                    execution.halt_all(event.thread.pid)
                    if self._was_killed(event):
                        continue
                self._queue_notification(event)
            self._has_more = True
        elif self.awaited:
            self._poll_all_stop(execution)
        elif event := execution.next_end() if self._something_runs() else execution.next_event():
            # Threads that run while nobody waits (after --attach) keep what happens to them for whoever resumes them.
            self._unreported.append(event)

    def _poll_all_stop(self, execution: Execution) -> None:
        while self.awaited:
            event = self._next_awaited(execution)
            if event is None:
                if not self._something_runs():
                    self._finish(self._nothing_resumed())
                elif self._interrupted:
                    self._interrupt(execution)
                return
            if not isinstance(event, ThreadExit) or event.wanted:
                if self._interrupted:
                    event = self._mark_interrupt(event)
                execution.halt_all()
                if isinstance(event, Stop) and self._was_killed(event):
                    continue
                if self._session.thread_suffix:
                    # LLDB is told of all threads at once why they stopped, and asks for no more.
                    execution.take_stops()
                self._note(event)
                self._finish(self.encode(event))

    def _next_awaited(self, execution: Execution) -> Event | None:
        """The end of a process that the client did not resume waits until it does: GDB, which has a thread of another
        one pass a breakpoint, would wait for that step for ever."""
        for waiting in self._unreported:
            if self._is_awaited(waiting):
                self._unreported.remove(waiting)
                return waiting
        while (event := execution.next_event()) and not self._is_awaited(event):
            self._unreported.append(event)
        return event

    def _is_awaited(self, event: Event) -> bool:
        return isinstance(event, Stop) or self._resumed is None or wire.covers(self._resumed, _process_of(event))

    def _was_killed(self, event: Stop) -> bool:
        """Whether the process that stopped has been killed meanwhile, which is an event to come."""
        if self._session.target.has_process(event.thread.pid):
            return False
        self._give_back([event])
        return True

    def _finish(self, reply: bytes) -> None:
        self._session.flush_output()
        self.awaited = False
        self._interrupted = self._interrupted and not self._session.thread_suffix
        self._reply(reply)

    def _nothing_resumed(self) -> bytes:
        if self._session.offers("no-resumed"):
            return b"N"
        try:
            return self.current()
        except TargetError:
            return stop_reply.encode_exit(0, 0, None)

    def current(self) -> bytes:
        """All-stop: the stop reply for the chosen thread as it stands (`?`, vAttach, vRun). A client that asks so while
        it waits for one gets this one."""
        if self._execution is None:
            raise NoSuchProcess("nothing runs here")
        if not self._session.non_stop:
            self._execution.halt_all()
            self.awaited = False
        return self.encode(self.last_stop(self._session.thread()))

    def last_stop(self, thread: ThreadId) -> Stop:
        """Why a thread stands still, as the client was told."""
        if self._execution is None:
            raise NoSuchProcess("nothing runs here")
        stop = self._execution.last_stop(thread)
        return self._marked[1] if self._marked and self._marked[0] is stop else stop

    def report_new(self, thread: ThreadId) -> bytes:
        """The reply of vAttach: all-stop the new thread's stop; non-stop OK, and the process runs until it is stopped.

        GDB does not survive a stop here that it has not asked for.
        """
        if not self._session.non_stop or self._execution is None:
            return self.current()
        self._execution.resume({thread: Action(ActionKind.CONTINUE)})
        return b"OK"

    def acknowledge_then_halt(self, threads: list[ThreadId] | None) -> None:
        """vCont;t and vCtrlC (None: some running thread): OK first, the stops come as notifications."""
        self._reply(b"OK")
        if threads is None:
            self.interrupt()
        else:
            self.halt(threads)

    def set_mode(self, *, non_stop: bool) -> None:
        """Switch between all-stop and non-stop. Going to all-stop stops everything."""
        if non_stop == self._session.non_stop:
            return
        if not non_stop and self._execution is not None:
            self._execution.halt_all()
        self._give_back(self._take_out(lambda event: isinstance(event, Stop)))
        if self._session.non_stop and self._unreported:
            self._make_current(self._unreported.popleft())
        self._session.non_stop = non_stop
        self.awaited = False
        self.deadline = None
        if non_stop:
            # Nothing is in flight yet, and that nothing runs is no news.
            waiting, self._unreported = self._unreported, deque()
            for event in waiting:
                self._queue_notification(event)
            self._ended = None

    def _make_current(self, told: Event) -> None:
        """What the client may have taken no notice of is what `?` tells."""
        if isinstance(told, Stop) and self._session.target.has_thread(told.thread):
            self._session.general_thread = told.thread

    def close(self) -> None:
        """The client is gone: everything stops where it is, and what it did not acknowledge is news to the next one."""
        if self._execution is not None:
            self._execution.halt_all()
        self._give_back(self._unreported)

    def unreported_threads(self) -> set[ThreadId]:
        """Those of which a stop is queued, or their birth: what a client asks of one was meant for a thread that runs,
        or for others. What LLDB asks is meant for a process."""
        if not self._unreported or self._stops_processes:
            return set()
        stops = [event for event in self._unreported if isinstance(event, Stop)]
        return {thread for stop in stops for thread in (stop.thread, stop.child) if thread is not None}

    def stopped_threads(self) -> list[ThreadId]:
        """Every thread that the client sees as stopped."""
        execution = self._execution
        return [t for t in self.threads() if execution is not None and not execution.running(t)]

    @property
    def _stops_processes(self) -> bool:
        """Whether, in non-stop, a process runs and stops as a whole."""
        return self._session.is_lldb and self._session.non_stop

    def restart_notifications(self) -> bytes:
        """`?` in non-stop: forget what is queued and report all stopped threads anew, the first one as the reply. LLDB
        is told of the end of the last process as long as it has not acknowledged it."""
        if self._session.is_lldb and self._unreported and not self._session.target.has_process():
            return self.encode(self._unreported[-1])
        self._unreported.clear()
        self.deadline = None
        if self._execution is None:
            return b"OK"
        current = self._session.general_thread if self._session.is_lldb else None
        threads = sorted(self.stopped_threads(), key=lambda thread: thread != current)
        self._unreported.extend(map(self.last_stop, threads))
        return self.encode(self._unreported[0]) if self._unreported else b"OK"

    def next_notification(self) -> bytes:
        """vStopped: the one in flight has arrived; the next, or OK. To LLDB it is an error in all-stop."""
        if self._session.is_lldb and not self._session.non_stop:
            return NOTHING_TO_TELL
        self.deadline = None
        if self._unreported:
            self._unreported.popleft()
        if self._unreported:
            return self.encode(self._unreported[0])
        self._session.ended = self._ends_when_told
        return b"OK"

    def _queue_notification(self, event: Event) -> None:
        self._ended = event if isinstance(event, ThreadExit) else None
        if isinstance(event, ThreadExit) and not event.wanted:
            return
        if isinstance(event, ProcessExit):
            pid = event.pid
            self._give_back(self._take_out(lambda queued: isinstance(queued, Stop) and queued.thread.pid == pid))
        self._session.flush_output()
        if self._interrupted:
            event = self._mark_interrupt(event)
        self._note(event)
        more: list[Stop] = []
        if isinstance(event, Stop) and self._stops_processes:
            others = self._session.target.threads(event.thread.pid)
            more = [self.last_stop(thread) for thread in others if thread != event.thread]
        self._enqueue(event, *more)

    def _tell_if_nothing_runs(self) -> None:
        """After the end of a thread, when no event is left: the end of its process would say so itself."""
        ended, self._ended = self._ended, None
        if ended is not None and self._session.offers("no-resumed") and not self._something_runs():
            self._session.flush_output()
            self._enqueue(ended._replace(wanted=False))

    def _enqueue(self, *events: Event) -> None:
        is_first = not self._unreported
        self._unreported.extend(events)
        if is_first and events:
            self._notification = b"Stop:" + self.encode(events[0])
            self._send_notification()

    def _send_notification(self) -> None:
        self._notify(self._notification)
        self.deadline = time.monotonic() + self._session.settings.notification_timeout

    def on_deadline(self) -> None:
        """The notification in flight was not acknowledged in time: the client may have lost it."""
        if self.deadline is not None:
            self._send_notification()

    def report_killed(self, pids: Sequence[int], *, last: bool) -> bytes | Outcome:
        """The reply of k, which ends the conversation if it was the `last`. GDB reads none; LLDB hears of each
        process."""
        self._session.ended = last
        if self._session.dialect is not Dialect.LLDB:
            return Outcome.SILENT
        ends = [ProcessExit(pid, 0, signal.SIGKILL) for pid in pids]
        if self._session.non_stop and ends:
            self._session.ended, self._ends_when_told = False, last
            self._reply(b"OK")
            self._enqueue(*ends)
            return Outcome.SILENT
        for end in ends[:-1]:
            self._reply(self.encode(end))
        # LLDB waits for one even if there was no process.
        return self.encode(ends[-1]) if ends else stop_reply.encode_exit(0, self._session.encode_signal(signal.SIGKILL))

    def leave(self, pid: int) -> None:
        """The process is about to be let go or killed at the client's wish: nothing more of it is reported or awaited.
        Children of which the client was not told go with it; the one whose birth is in flight is the client's."""
        self._give_back(self._take_out(lambda event: _process_of(event) == pid))
        self.awaited = self.awaited and self._something_runs(but=pid)

    def _give_back(self, events: Iterable[Event]) -> None:
        if self._execution is not None:
            self._execution.give_back([event for event in events if isinstance(event, Stop)])

    def _take_out(self, is_meant: Callable[[Event], bool]) -> list[Event]:
        """Out of the queue. The one in flight keeps its place: the client will acknowledge it."""
        in_flight = 1 if self._session.non_stop else 0
        queue = tuple(self._unreported)
        taken = [event for event in queue[in_flight:] if is_meant(event)]
        kept = [event for event in queue[in_flight:] if not is_meant(event)]
        self._unreported = deque((*queue[:in_flight], *kept))
        return taken

    def encode(self, event: Event) -> bytes:
        """The stop reply for an event, with all that this client understands."""
        if isinstance(event, ProcessExit):
            pid = event.pid if self._session.multiprocess else None
            return stop_reply.encode_exit(event.status, self._session.encode_signal(event.signal), pid)
        if isinstance(event, ThreadExit):
            thread = self._session.encode_thread(event.thread)
            return b"w%02x;%b" % (event.status & 0xFF, thread) if event.wanted else b"N"
        lldb = self._session.dialect is Dialect.LLDB
        number = self._lldb.signal(event) if lldb else self._session.encode_signal(event.signal)
        if "stop reply T" in self._session.settings.disabled_packets:
            return b"S%02x" % number
        if lldb:
            return stop_reply.encode_stop(number, map(b"%b:%b;".__mod__, self._lldb.pairs(event)))
        return stop_reply.encode_stop(number, (self._cause(event), self._expedited(event), self._thread(event.thread)))

    def describe_threads(self, pid: int) -> bytes:
        """All stopped threads of a process, as JSON."""
        return self._lldb.describe_threads(pid)

    def _mark_interrupt(self, event: Event) -> Event:
        """What ^C stopped stops with SIGINT; a step that ends at the same time must not swallow it."""
        if not isinstance(event, Stop):
            return event
        if event.reason not in (StopReason.HALTED, StopReason.STEP):
            return event
        if event.reason is StopReason.STEP and self._another_is_meant(event.thread):
            return event
        self._interrupted = False
        answer = event._replace(signal=signal.SIGINT, reason=StopReason.SIGNAL)
        self._marked = event, answer
        return answer

    def _another_is_meant(self, thread: ThreadId) -> bool:
        """Whether ^C is for another process, which stands still while GDB has threads of this one pass breakpoints: it
        is stopped when it runs again. Somebody who steps a thread of this process waits for one step more."""
        newest = self._session.newest_process
        if thread in self._deferred or newest == thread.pid or not self._session.target.has_process(newest):
            return False
        self._deferred.add(thread)
        return True

    def _thread(self, thread: ThreadId) -> bytes:
        if "Tthread" in self._session.settings.disabled_packets:
            return b""
        return b"thread:%b;" % self._session.encode_thread(thread)

    def _cause(self, stop: Stop) -> bytes:
        """The pair that says why, if the client knows one."""
        reason = stop.reason
        if reason in _NO_PAIR:
            return b""
        if reason in _BREAKPOINT_REASONS:
            word = _BREAKPOINT_REASONS[reason]
            return b"%b:;" % word.encode() if self._session.offers(word) else b""
        if reason in _WATCHPOINT_REASONS:
            return b"%b:%x;" % (_WATCHPOINT_REASONS[reason], stop.address)
        if reason in _SYSTEM_CALL_REASONS:
            return b"%b:%x;" % (_SYSTEM_CALL_REASONS[reason], stop.number)
        return self._birth_or_change(stop)

    def _birth_or_change(self, stop: Stop) -> bytes:
        if stop.reason is StopReason.EXEC:
            return b"exec:%b;" % fields.hex_text(stop.path)
        if stop.reason in _BIRTH_REASONS and stop.child is not None:
            return b"%b:%b;" % (_BIRTH_REASONS[stop.reason], self._session.encode_thread(stop.child))
        if stop.reason in _PLAIN_REASONS:
            return b"%b:;" % _PLAIN_REASONS[stop.reason]
        return b""

    def _expedited(self, stop: Stop) -> bytes:
        """The general registers; all of them where a call that GDB has made returns.

        GDB puts every register back then, and all that it has not been told of one by one, changed or not."""
        registers, thread = self._registers, stop.thread
        if registers is None:
            return b""
        try:
            architecture = self._session.last_architecture = self._session.target.architecture(thread.pid)
            general = registers.read_several(thread, architecture.general)
            text = register_pairs(architecture).encode(general)
            if stop.reason in _ENDS_OF_CALLS and runs_on_stack(architecture, general):
                text += other_pairs(architecture).encode(registers.read_several(thread, others(architecture)))
        except TargetError:
            return b""
        return text

    def _note(self, event: Event) -> None:
        """What an event changes here: the thread that stopped is the current one, the end of a process is said
        aloud."""
        if isinstance(event, ProcessExit):
            if self._session.settings.announces_exits:
                self._session.settings.announce(describe_end(event))
            self._session.forget_process(event.pid)
            self._interrupted = self._interrupted and self._can_be_interrupted()
        elif isinstance(event, Stop) and (self._session.is_lldb or not self._session.non_stop):
            self._session.general_thread = event.thread
            if event.reason is StopReason.EXEC and self._session.is_lldb and self._execution is not None:
                self._marked = self._execution.last_stop(event.thread), event

    def threads(self) -> list[ThreadId]:
        """Every thread there is."""
        target = self._session.target
        return [thread for pid in target.processes() for thread in target.threads(pid)]

    def _something_runs(self, but: int = 0) -> bool:
        """Whether anything is to be waited for, of other processes than `but`."""
        execution, target = self._execution, self._session.target
        return execution is not None and any(
            any(map(execution.running, target.threads(pid))) or execution.ending(pid)
            for pid in target.processes()
            if pid != but
        )


def _process_of(event: Event) -> int:
    return event.pid if isinstance(event, ProcessExit) else event.thread.pid
