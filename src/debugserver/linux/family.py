"""Births and transformations: clone, fork, vfork, exec. ptrace(2), PTRACE_O_TRACECLONE and its kin.

A child that is not to be debugged is let go without our breakpoints in its memory. One that shares its parent's memory is followed
inside, as a guest, until it leaves that memory; a guest steps over the breakpoints that it meets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from debugserver.errors import NoSuchProcess, NoSuchThread
from debugserver.linux import events, ptrace, registers
from debugserver.linux.memory import MemoryFile
from debugserver.linux.threads import LinuxProcess
from debugserver.linux.watchpoints import WatchpointTable
from debugserver.target.model import Action, ActionKind

if TYPE_CHECKING:
    from debugserver.linux.threads import LinuxThread
    from debugserver.linux.tracer import Tracer

OPTIONS = (
    ptrace.OPTION_CLONE
    | ptrace.OPTION_FORK
    | ptrace.OPTION_VFORK
    | ptrace.OPTION_VFORK_DONE
    | ptrace.OPTION_EXEC
)  # fmt: skip


def handle_event(tracer: Tracer, thread: LinuxThread, event: int) -> bool:
    """Take in an event of a thread in an event-stop. False: the thread was taken care of."""
    if event == ptrace.EVENT_EXEC:
        return _become(tracer, thread)
    if event == ptrace.EVENT_VFORK_DONE:
        thread.in_vfork = False
    elif event in (ptrace.EVENT_CLONE, ptrace.EVENT_FORK, ptrace.EVENT_VFORK):
        _announce(tracer, thread, event)
    return True


def _announce(tracer: Tracer, parent: LinuxThread, event: int) -> None:
    """A thread or a child was born; it may have stopped before we hear of its birth."""
    tid = ptrace.event_message(parent.tid)
    process = parent.process
    if event == ptrace.EVENT_CLONE and tracer.procfs.thread_group(tid) in (process.pid, 0):
        _welcome_thread(tracer, parent, tid)
        return
    parent.in_vfork = event == ptrace.EVENT_VFORK
    shared = event == ptrace.EVENT_VFORK or ptrace.share_memory(process.pid, tid)
    tracer.births[tid] = Birth(process, None if shared else process.breakpoints.snapshot())
    meet(tracer, tid)


class Birth:
    """A child that was announced: of whom, and which breakpoints its copy of the memory has (None: it has no copy)."""

    __slots__ = ("covered", "parent")

    def __init__(self, parent: LinuxProcess, covered: dict[int, bytes] | None) -> None:
        self.parent = parent
        self.covered = covered


def _welcome_thread(tracer: Tracer, parent: LinuxThread, tid: int) -> None:
    thread = tracer.table.find_tid(tid)
    if thread is None:
        thread = tracer.table.add_thread(parent.process, tid)
        thread.resumed = parent.resumed
    early = tracer.early.pop(tid, None)
    if early is not None:
        events.handle_stop(tracer, thread, early)


def meet(tracer: Tracer, tid: int) -> None:
    """A child is dealt with when both its birth and its first stop are known."""
    if tid not in tracer.births or tid not in tracer.early:
        return
    birth = tracer.births.pop(tid)
    status = tracer.early.pop(tid)
    if birth.covered is not None:
        _release_child(birth, tid)
        return
    parent = birth.parent
    guest = LinuxProcess(tid, parent.memory, parent.breakpoints, attached=False, guest_of=parent)
    tracer.table.add_process(guest)
    thread = tracer.table.add_thread(guest, tid)
    thread.resumed = True
    events.handle_stop(tracer, thread, status)


def _release_child(birth: Birth, tid: int) -> None:
    try:
        memory = MemoryFile(tid)
        birth.parent.breakpoints.restore(birth.covered or {}, memory)
        memory.close()
        ptrace.detach(tid, 0)
    except (NoSuchProcess, NoSuchThread):
        return


def release_guest(tracer: Tracer, thread: LinuxThread) -> None:
    """Let a stopped guest go."""
    tracer.table.remove_process(thread.process)
    try:
        registers.flush(thread)
        ptrace.detach(thread.tid, thread.signal)
    except NoSuchThread:
        return


def revive_leader(tracer: Tracer, tid: int) -> LinuxThread | None:
    """A thread that execs takes the id of its leader, which may have ended long ago."""
    process = tracer.table.find_process(tid)
    return tracer.table.add_thread(process, tid) if process is not None else None


def _become(tracer: Tracer, thread: LinuxThread) -> bool:
    """The process is another program now, in new memory, with this one thread."""
    process = thread.process
    if process.is_guest:
        release_guest(tracer, thread)
        return False
    _keep_only(tracer, thread, former=ptrace.event_message(thread.tid))
    process.memory.reopen(thread.tid)
    process.breakpoints.forget()
    process.watchpoints = WatchpointTable()
    if process.execs_to_come > 1:
        process.execs_to_come -= 1
        return True
    process.architecture = registers.find_architecture(thread)
    thread.exec_path = tracer.procfs.exe(process.pid)
    _leave_system_call(thread)
    return False


def _keep_only(tracer: Tracer, thread: LinuxThread, former: int) -> None:
    process = thread.process
    caller = process.threads.get(former, thread)
    thread.resumed = caller.resumed
    thread.action = Action(ActionKind.CONTINUE)
    thread.event = None
    thread.passing.clear()
    thread.in_vfork = False
    thread.debug_registers = None
    thread.banks.clear()
    thread.dirty_banks.clear()
    for other in tuple(process.threads.values()):
        if other is not thread:
            tracer.table.remove_thread(other)


def _leave_system_call(thread: LinuxThread) -> None:
    """The exec event comes in the middle of execve. A step from there would end at its exit, with no instruction run."""
    registers.flush(thread)
    ptrace.interrupt(thread.tid)
    ptrace.resume(thread.tid, step=False, signal_number=0)
    thread.stopped = False
    thread.halting = True
