"""Taking hold of processes and letting go of them: attach, launch, detach, kill."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from debugserver.arch.x86_registers import BREAKPOINT
from debugserver.errors import AttachRefused, LaunchFailed, TargetError
from debugserver.linux import family, injection, ptrace, registers, unattended
from debugserver.linux.breakpoints import BreakpointTable
from debugserver.linux.memory import MemoryFile
from debugserver.linux.release import release_process
from debugserver.linux.threads import LinuxProcess
from debugserver.target.capabilities import Attach, Detach, Kill, Launch
from debugserver.target.model import Stop, StopReason

if TYPE_CHECKING:
    from debugserver.linux.launch import Spawned, Streams
    from debugserver.linux.threads import LinuxThread
    from debugserver.linux.tracer import Tracer
    from debugserver.target.model import LaunchSettings, ThreadId

_START_DEADLINE = 60.0
"""Seconds from fork to the program's exec; a wrapper may take its time."""


class LinuxAttach(Attach):
    """Attaches to processes."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def attach(self, pid: int) -> ThreadId:
        if (found := self._tracer.table.find_process(pid)) is not None:
            if pid not in self._tracer.unattended:
                raise AttachRefused(f"process {pid} is being debugged here already")
            unattended.take_back(self._tracer, found)
            return self._stop_one(found)
        self._seize(pid, pid)
        process = LinuxProcess(pid, MemoryFile(pid), BreakpointTable(BREAKPOINT), attached=True)
        self._tracer.table.add_process(process)
        self._tracer.table.add_thread(process, pid)
        self._seize_threads(process)
        return self._stop_one(process)

    def _seize(self, pid: int, tid: int) -> None:
        try:
            ptrace.seize(tid, family.OPTIONS)
        except OSError as error:
            from debugserver.linux import diagnosis

            raise diagnosis.explain_attach(pid, error) from None

    def _seize_threads(self, process: LinuxProcess) -> None:
        """All threads: again and again, until a look finds no new one. A new thread of a seized one is ours by
        itself."""
        dead: set[int] = set()
        while new := set(self._tracer.procfs.tasks(process.pid)) - process.threads.keys() - dead:
            for tid in sorted(new):
                if self._seize_thread(process, tid):
                    self._tracer.table.add_thread(process, tid).resumed = True
                else:
                    dead.add(tid)
            self._tracer.collect()

    def _seize_thread(self, process: LinuxProcess, tid: int) -> bool:
        """Whether the thread is ours now. False: it is dead. Somebody else's makes the whole attach fail."""
        try:
            ptrace.seize(tid, family.OPTIONS)
        except OSError as error:
            owner = self._tracer.procfs.tracer(process.pid, tid)
            if owner in (0, os.getpid()):
                return owner != 0
            detach_process(self._tracer, process)
            from debugserver.linux import diagnosis

            raise diagnosis.explain_attach(tid, error) from None
        return True

    def _stop_one(self, process: LinuxProcess) -> ThreadId:
        """The leader, unless it has ended already."""
        for thread in tuple(process.threads.values()):
            if self._stop(thread):
                thread.last_stop = Stop(thread.id, 0, StopReason.ATTACHED)
                process.architecture = registers.find_architecture(thread)
                return thread.id
        _free(self._tracer, process, [])
        raise AttachRefused(f"process {process.pid} does not stop", "it may be stuck in the kernel (state D)")

    def _stop(self, thread: LinuxThread) -> bool:
        thread.resumed = False
        self._tracer.interrupt(thread)
        self._tracer.wait_until(lambda: thread.stopped or thread.tid not in thread.process.threads)
        thread.resumed = not thread.stopped
        return thread.stopped


class LinuxLaunch(Launch):
    """Starts programs."""

    def __init__(self, tracer: Tracer, settings: LaunchSettings, streams: Streams) -> None:
        self._tracer = tracer
        self._settings = settings
        self._streams = streams

    def launch_settings(self) -> LaunchSettings:
        return self._settings.copy()

    def launch(self, settings: LaunchSettings) -> ThreadId:
        from debugserver.linux.launch import spawn

        spawned = spawn(settings, self._streams)
        try:
            ptrace.seize(spawned.pid, family.OPTIONS | ptrace.OPTION_EXITKILL)
        except OSError as error:
            spawned.abandon()
            raise LaunchFailed(f"cannot trace the new process: {error.strerror}", number=error.errno) from None
        process = LinuxProcess(spawned.pid, MemoryFile(spawned.pid), BreakpointTable(BREAKPOINT), attached=False)
        process.execs_to_come = spawned.execs
        process.at_end = spawned.take_terminal_back
        self._tracer.table.add_process(process)
        thread = self._tracer.table.add_thread(process, spawned.pid)
        thread.resumed = True
        spawned.release()
        return self._await_program(process, thread, settings, spawned)

    def _await_program(
        self, process: LinuxProcess, thread: LinuxThread, settings: LaunchSettings, spawned: Spawned
    ) -> ThreadId:
        table = self._tracer.table

        def settled() -> bool:
            return thread.event is not None or table.find_process(process.pid) is not process

        if not self._tracer.wait_until(settled, _START_DEADLINE):
            kill_process(self._tracer, process)
            raise LaunchFailed(f"{settings.program} was not started within {_START_DEADLINE:.0f} s")
        if thread.event is None:
            raise self._explain(process, settings, spawned.failure())
        spawned.failure()
        process.execs_to_come = 0
        thread.event = None
        thread.resumed = False
        thread.last_stop = Stop(thread.id, signal.SIGTRAP, StopReason.START)
        return thread.id

    def _explain(self, process: LinuxProcess, settings: LaunchSettings, failure: OSError | None) -> LaunchFailed:
        from debugserver.linux import diagnosis

        return diagnosis.explain_launch(settings, self._tracer.forget_ends(process.pid), failure)


class LinuxDetach(Detach):
    """Lets processes go."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def detach(self, pid: int, *, stopped: bool = False) -> None:
        process = self._tracer.table.process(pid)
        if not stopped and unattended.stays(self._tracer, process):
            leave_process(self._tracer, process)
            return
        if not process.attached:
            # It is still our child, and the terminal's foreground.
            self._tracer.left_running[pid], process.at_end = process.at_end, lambda: None
        if stopped:
            self._tracer.hold([process])
            os.kill(pid, signal.SIGSTOP)
        detach_process(self._tracer, process)
        if stopped:
            self._tracer.let_go()


def detach_process(tracer: Tracer, process: LinuxProcess) -> None:
    """Stop it, take every trace of us out of it, and let it run on.

    One that shares the memory of a debugged parent becomes a guest, since breakpoints are in it, or may come. Not so a
    vfork child when the client has taken all out, which puts none in before it is told of vfork-done: what a traced
    process executes gains no rights from its file (set-user-ID in execve(2)).
    """
    tracer.hold([process, *tracer.table.sharers(process)])
    let_unannounced_go(tracer, process)
    sharers = tracer.table.sharers(process)
    parents = [other for other in sharers if not other.is_guest]
    if parents and process.by_vfork and _is_free(process):
        release_process(tracer, process)
    elif parents:
        _make_guest(process, parents[0])
    else:
        injection.give_back(tracer, process)
        _free(tracer, process, sharers)
    tracer.forget_ends(process.pid)
    tracer.let_go()


def leave_process(tracer: Tracer, process: LinuxProcess) -> None:
    """Let it run on with the breakpoints whose commands persist, and look after it ourselves."""
    tracer.hold([process, *tracer.table.sharers(process)])
    let_unannounced_go(tracer, process)
    injection.give_back(tracer, process)
    if tracer.table.find_process(process.pid) is process:
        unattended.leave(tracer, process)
    tracer.forget_ends(process.pid)
    tracer.let_go()


def let_unannounced_go(tracer: Tracer, process: LinuxProcess) -> None:
    """Let the children go that clients have not been told of, and do not tell."""
    for thread in tuple(process.threads.values()):
        if child := _unannounced_child(tracer, thread):
            thread.event = None
            detach_process(tracer, child)


def _unannounced_child(tracer: Tracer, thread: LinuxThread) -> LinuxProcess | None:
    if thread.event is None or thread.event.child is None:
        return None
    child = tracer.table.find_process(thread.event.child.pid)
    return child if child is not None and not child.announced else None


def _make_guest(process: LinuxProcess, parent: LinuxProcess) -> None:
    process.guest_of = parent
    for thread in process.threads.values():
        thread.let_run()


def _is_free(process: LinuxProcess) -> bool:
    """Whether its memory has no breakpoints, and none that are only still to be taken out."""
    process.breakpoints.settle(process.memory)
    return process.breakpoints.is_empty


def _free(tracer: Tracer, process: LinuxProcess, guests: list[LinuxProcess]) -> None:
    if not process.is_guest:
        process.breakpoints.clear(process.memory)
    for guest in guests:
        _free(tracer, guest, [])
    release_process(tracer, process)


class LinuxKill(Kill):
    """Ends processes."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def kill(self, pid: int) -> None:
        kill_process(self._tracer, self._tracer.table.process(pid))


def kill_process(tracer: Tracer, process: LinuxProcess) -> None:
    """End it, and hear no more of it."""
    for thread in tuple(process.threads.values()):
        if child := _unannounced_child(tracer, thread):
            kill_process(tracer, child)
    guests = [other for other in tracer.table.all() if other.guest_of is process]
    if guests:
        tracer.hold([process, *guests])
        process.breakpoints.clear(process.memory)
        for guest in guests:
            _free(tracer, guest, [])
        tracer.let_go()
    for tid in (process.pid, *process.threads):
        # A clone may be a thread group of its own.
        ptrace.kill(tid)
    if not tracer.wait_until(lambda: tracer.table.find_process(process.pid) is not process):
        raise TargetError(f"process {process.pid} does not end; it may be stuck in the kernel (state D)")
    tracer.forget_ends(process.pid)
    tracer.wake()
