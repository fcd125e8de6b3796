"""Births and transformations: clone, fork, vfork, exec. ptrace(2), PTRACE_O_TRACECLONE and its kin.

A child that is not to be debugged is let go without our breakpoints in its memory. One that shares its parent's
memory is followed inside, as a guest, until it leaves that memory; a guest steps over the breakpoints that it meets.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from debugserver.errors import NoSuchProcess
from debugserver.linux import injection, ptrace, registers
from debugserver.linux.breakpoints import BreakpointTable
from debugserver.linux.memory import MemoryFile
from debugserver.linux.procfs import unless_hidden
from debugserver.linux.release import release, release_process
from debugserver.linux.threads import LinuxProcess
from debugserver.linux.waits import Stopped
from debugserver.linux.watchpoints import WatchpointTable
from debugserver.target.model import Stop, StopReason

if TYPE_CHECKING:
    from debugserver.linux.threads import LinuxThread
    from debugserver.linux.tracer import Tracer
    from debugserver.linux.waits import Status

OPTIONS = (
    ptrace.OPTION_SYSCALL_GOOD
    | ptrace.OPTION_CLONE
    | ptrace.OPTION_FORK
    | ptrace.OPTION_VFORK
    | ptrace.OPTION_VFORK_DONE
    | ptrace.OPTION_EXEC
)


def handle_event(tracer: Tracer, thread: LinuxThread, event: int) -> bool:
    """Take in an event of a thread in an event-stop. False: the thread was taken care of."""
    if event == ptrace.EVENT_EXEC:
        return _become(tracer, thread)
    if event == ptrace.EVENT_VFORK_DONE:
        thread.in_vfork = False
        if StopReason.VFORK_DONE in tracer.reported and not thread.process.is_private:
            thread.event = Stop(thread.id, signal.SIGTRAP, StopReason.VFORK_DONE)
    elif event in (ptrace.EVENT_CLONE, ptrace.EVENT_FORK, ptrace.EVENT_VFORK):
        _welcome(tracer, thread, event)
    return True


def _welcome(tracer: Tracer, parent: LinuxThread, event: int) -> None:
    tid = ptrace.event_message(parent.tid)
    if event == ptrace.EVENT_CLONE:
        _welcome_clone(tracer, parent, tid)
    elif isinstance(_first_status(tracer, tid), Stopped):
        _welcome_child(tracer, parent, tid, is_vfork=event == ptrace.EVENT_VFORK)


def _welcome_clone(tracer: Tracer, parent: LinuxThread, tid: int) -> None:
    """A thread to clients, as it is to GNU gdbserver, even if it is a thread group of its own. One that has memory of
    its own besides meets none of our breakpoints."""
    group = tracer.procfs.thread_group(tid) or parent.process.pid
    first_stop = None
    if group != parent.process.pid and not ptrace.share_memory(parent.tid, tid):
        first_stop = _first_status(tracer, tid)
        _clear_copy(parent.process, tid)
    thread = tracer.table.find_tid(tid) or tracer.table.add_thread(parent.process, tid)
    thread.group = group
    _welcome_thread(tracer, parent, thread, first_stop or tracer.early.pop(tid, None))


def _first_status(tracer: Tracer, tid: int) -> Status | None:
    """It stops before it runs anything; with its parent standing here, nothing can change in between."""
    return tracer.early.pop(tid, None) or tracer.await_status(tid)


def _clear_copy(parent: LinuxProcess, pid: int) -> None:
    """Take our breakpoints out of a copy of a process's memory, whose owner has not run yet."""
    try:
        memory = MemoryFile(pid)
    except NoSuchProcess:
        return
    parent.breakpoints.copy(memory).clear(memory)
    memory.close()


def _welcome_thread(tracer: Tracer, parent: LinuxThread, thread: LinuxThread, first_stop: Status | None) -> None:
    thread.resumed = parent.resumed
    if tracer.reports_threads and not parent.process.is_private:
        thread.event = Stop(thread.id, signal.SIGTRAP, StopReason.THREAD_CREATED)
    if parent.reports_clones:
        thread.resumed = False
        thread.announced = False
        parent.event = Stop(parent.id, signal.SIGTRAP, StopReason.CLONE, child=thread.id)
        first_stop = first_stop or tracer.await_status(thread.tid)
    if first_stop is not None:
        tracer.take_in(thread.tid, first_stop)


def _welcome_child(tracer: Tracer, parent: LinuxThread, pid: int, *, is_vfork: bool) -> None:
    """A child stands at its beginning: it is debugged, followed as a guest, or let go."""
    process = parent.process
    parent.in_vfork = is_vfork
    shared = is_vfork or ptrace.share_memory(parent.tid, pid)
    reason = StopReason.VFORK if is_vfork else StopReason.FORK
    if reason in tracer.reported and not process.is_private and process.announced:
        child = _add_child(tracer, process, pid, shared=shared)
        child.process.announced = False
        child.process.by_vfork = is_vfork
        parent.event = Stop(parent.id, signal.SIGTRAP, reason, child=child.id)
    elif shared:
        child = _add_child(tracer, process, pid, shared=True, guest_of=process)
        child.resumed = True
        tracer.run_on(child)
    else:
        _release_child(tracer, process, pid)


def _add_child(
    tracer: Tracer, parent: LinuxProcess, pid: int, *, shared: bool, guest_of: LinuxProcess | None = None
) -> LinuxThread:
    memory = parent.memory if shared else MemoryFile(pid)
    breakpoints = parent.breakpoints if shared else parent.breakpoints.copy(memory)
    child = LinuxProcess(pid, memory, breakpoints, attached=parent.attached, guest_of=guest_of)
    child.architecture = parent.architecture
    child.allocations = parent.allocations if shared else dict(parent.allocations)
    tracer.table.add_process(child)
    thread = tracer.table.add_thread(child, pid)
    thread.stopped = True
    return thread


def _release_child(tracer: Tracer, parent: LinuxProcess, pid: int) -> None:
    try:
        child = _add_child(tracer, parent, pid, shared=False)
    except NoSuchProcess:
        return
    child.process.announced = False
    _release_at_birth(tracer, child)


def _release_at_birth(tracer: Tracer, child: LinuxThread) -> None:
    """Let a child go that stands at its beginning, without what its copy of the memory has of ours."""
    process = child.process
    process.breakpoints.clear(process.memory)
    injection.give_back(tracer, process)
    if tracer.table.find_process(process.pid) is process:
        release_process(tracer, process)


def release_untold(tracer: Tracer) -> None:
    """Let the children go of which clients cannot be told any more: whoever was to tell of them has ended."""
    untold = [p for p in tracer.table.all() if not p.announced and p.pid not in tracer.unattended]
    if not untold:
        return
    events = [thread.event for process in tracer.table.all() for thread in process.threads.values()]
    waiting = {event.child.pid for event in events if event is not None and event.child is not None}
    for process in untold:
        child = process.threads.get(process.pid)
        if child is not None and process.pid not in waiting:
            _release_at_birth(tracer, child)


def release_orphans(tracer: Tracer) -> None:
    """Let the children go whose parent was killed before it could tell of them: the process that ended last."""
    if tracer.last_ended is None:
        return
    for tid in tuple(tracer.early):
        if _is_orphan(tracer, tid):
            del tracer.early[tid]
            _release_child(tracer, tracer.last_ended, tid)


def _is_orphan(tracer: Tracer, tid: int) -> bool:
    """Whether a new thread is neither of a process that we know nor a child of one."""
    try:
        status = tracer.procfs.status(tid)
    except NoSuchProcess:
        return False
    return not any(tracer.table.find_process(int(status[key])) for key in ("Tgid", "PPid"))


def let_clones_go(tracer: Tracer, process: LinuxProcess) -> None:
    """Clones that are thread groups of their own outlive the process, or the program, of which we made them threads."""
    clones = [thread for thread in process.threads.values() if thread.group != process.pid]
    for thread in clones:
        _stop(tracer, thread)
    if clones:
        process.breakpoints.clear(process.memory)
    for thread in clones:
        if thread.tid in process.threads:
            tracer.table.remove_thread(thread)
            release(tracer, thread)


def _stop(tracer: Tracer, thread: LinuxThread) -> None:
    """Stop it quietly, leaving the statuses of all others for later."""
    thread.resumed = False
    tracer.interrupt(thread)
    while not thread.stopped and (status := tracer.await_status(thread.tid)):
        tracer.take_in(thread.tid, status)
        if thread.tid not in thread.process.threads:
            return


def revive_leader(tracer: Tracer, tid: int) -> LinuxThread | None:
    """A thread that execs takes the id of its leader, which may have ended long ago."""
    process = tracer.table.find_process(tid)
    return tracer.table.add_thread(process, tid) if process is not None else None


def _become(tracer: Tracer, thread: LinuxThread) -> bool:
    """The process is another program now, in new memory, with this one thread."""
    process = thread.process
    if process.is_guest:
        release_process(tracer, process)
        return False
    if thread.tid != process.pid:
        tracer.end_thread(thread, 0)
        release(tracer, thread)
        return False
    let_clones_go(tracer, process)
    _keep_only(tracer, thread, former=ptrace.event_message(thread.tid))
    if not tracer.table.sharers(process):
        process.memory.close()
    process.memory = MemoryFile(thread.tid)
    process.breakpoints = BreakpointTable(process.breakpoints.instruction)
    process.watchpoints = WatchpointTable()
    process.scratch = None
    process.allocations = {}
    if process.execs_to_come > 1:
        process.execs_to_come -= 1
        return True
    process.architecture = registers.find_architecture(thread)
    # Of a program that hides its path, at least the name.
    thread.exec_path = unless_hidden(tracer.procfs.exe, process.pid) or tracer.procfs.comm(process.pid)
    if process.caught_system_calls is not None:
        report_exec(tracer, thread)
        return True
    # A step from the middle of execve would end at its exit, with no instruction run.
    tracer.leave_system_call(thread)
    thread.halting = True
    return False


def report_exec(tracer: Tracer, thread: LinuxThread) -> None:
    """Make an event of it, if anybody wants to know; a launch does. A step ends with it in any case."""
    if StopReason.EXEC in tracer.reported or thread.process.execs_to_come:
        thread.event = Stop(thread.id, signal.SIGTRAP, StopReason.EXEC, path=thread.exec_path)
    elif thread.stepping:
        thread.event = Stop(thread.id, signal.SIGTRAP, StopReason.STEP)
    thread.exec_path = ""


def _keep_only(tracer: Tracer, thread: LinuxThread, former: int) -> None:
    process = thread.process
    caller = process.threads.get(former, thread)
    thread.resumed = caller.resumed
    thread.action = caller.action
    thread.event = thread.reported = None
    thread.passing.clear()
    thread.in_vfork = False
    thread.reports_clones = thread.reports_exit = False
    thread.debug_registers = None
    thread.banks.clear()
    thread.dirty_banks.clear()
    for other in tuple(process.threads.values()):
        if other is not thread:
            tracer.table.remove_thread(other)
