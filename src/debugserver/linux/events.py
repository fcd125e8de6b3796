"""What a wait status means for the thread it is of: an event to report, or a reason to go on. ptrace(2), siginfo of
SIGTRAP."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from debugserver.errors import MemoryFault, NoSuchProcess, NoSuchThread
from debugserver.linux import conditions, family, ptrace, ranges, registers, stepping, watchpoints
from debugserver.linux.release import release_stopped
from debugserver.linux.waits import Exited, StopKind, Stopped
from debugserver.target.model import ActionKind, ProcessExit, Stop, StopReason

if TYPE_CHECKING:
    from debugserver.linux.threads import LinuxThread
    from debugserver.linux.tracer import Tracer
    from debugserver.linux.waits import Status
    from debugserver.target.conditions import BreakpointProgram

_SI_KERNEL = 128
"""si_code of a breakpoint instruction on x86."""
_TRAP_HWBKPT = 4
_TRAP_CODES = frozenset({1, 2, _TRAP_HWBKPT, 5})
"""TRAP_BRKPT (a stepped system call), TRAP_TRACE, TRAP_HWBKPT, and SIGTRAP (a step that ended at a signal handler)."""


def handle_status(tracer: Tracer, tid: int, status: Status) -> None:
    """Take one status in."""
    tracer.log("threads", "%d: %s", tid, status)
    leaver = tracer.leaving.pop(tid, None)
    thread = tracer.table.find_tid(tid) or family.revive_leader(tracer, tid)
    if isinstance(status, Exited):
        _handle_exit(tracer, tid, status)
    elif thread is not None:
        _handle_stop(tracer, thread, status)
    elif leaver is not None:
        release_stopped(tracer, leaver, status)
    else:
        tracer.early[tid] = status
        family.release_orphans(tracer)


def _handle_exit(tracer: Tracer, tid: int, status: Exited) -> None:
    tracer.early.pop(tid, None)
    process = tracer.table.find_process(tid)
    thread = tracer.table.find_tid(tid)
    if process is not None:
        family.let_clones_go(tracer, process)
        tracer.table.remove_process(process)
        tracer.last_ended = process
        family.release_orphans(tracer)
        if tid in tracer.unattended:
            tracer.unattended.discard(tid)
            tracer.unattended_ends.append(ProcessExit(tid, status.status, status.signal))
        elif not process.is_hidden:
            tracer.exits.append(ProcessExit(tid, status.status, status.signal))
    elif thread is not None:
        tracer.end_thread(thread, status.status)
    family.release_untold(tracer)


def _handle_stop(tracer: Tracer, thread: LinuxThread, status: Stopped) -> None:
    """A known thread stopped: find out why, then report it, keep it, or let it go on."""
    halting, thread.halting = thread.halting, False
    thread.stopped = True
    ran_through = bool(thread.range_stops)
    if ran_through:
        ranges.end(thread)
    kind = status.kind
    thread.signal_stop = kind is StopKind.SIGNAL
    thread.in_system_call = kind is StopKind.EVENT or kind is StopKind.SYSTEM_CALL
    try:
        finished = _classify(tracer, thread, status, halting)
    except (NoSuchThread, NoSuchProcess):
        thread.stopped = False
        return
    if ran_through:
        ranges.clear_up(thread)
    if finished:
        _settle(tracer, thread, halting)


def _settle(tracer: Tracer, thread: LinuxThread, halting: bool) -> None:
    """Report what stopped a thread, or that it was to be stopped, or let it go on."""
    if thread.event is not None:
        tracer.report(thread)
    elif halting and thread.halt_reported and thread.resumed:
        thread.event = Stop(thread.id, 0, StopReason.HALTED)
        tracer.report(thread)
    else:
        tracer.run_on(thread)


def _classify(tracer: Tracer, thread: LinuxThread, status: Stopped, halting: bool) -> bool:
    """Set `thread.event` if there is one. False: the stop was taken care of and the thread may be gone or running."""
    if status.kind is StopKind.SIGNAL:
        return _classify_signal(tracer, thread, status.signal, halting)
    if status.kind is StopKind.SYSTEM_CALL:
        return _classify_system_call(thread)
    if status.kind is StopKind.EVENT:
        return family.handle_event(tracer, thread, status.event)
    return _classify_interrupt(tracer, thread, status.kind, halting)


def _classify_interrupt(tracer: Tracer, thread: LinuxThread, kind: StopKind, halting: bool) -> bool:
    """An interrupt, a group-stop or its end, or the first stop of a new thread."""
    thread.group_stopped = kind is StopKind.GROUP and thread.process.keeps_job_stop
    if thread.exec_path:
        family.report_exec(tracer, thread)
    elif halting and ptrace.has_pending_trap(thread.tid):
        # The trap of a breakpoint or a step that is done already comes after this stop. Taken in now, it finds
        # its breakpoint still there, and the pc is put back before anybody looks at it.
        registers.flush(thread)
        ptrace.resume(thread.tid)
        thread.stopped = False
        thread.halting = True
        return False
    return True


def _classify_signal(tracer: Tracer, thread: LinuxThread, number: int, halting: bool) -> bool:
    if number == signal.SIGTRAP and not _sent_by_somebody(thread):
        return _classify_trap(tracer, thread, halting)
    thread.stop_signal = number
    if number in thread.passing:
        thread.passing.remove(number)
        thread.signal = number
    elif passes(tracer, thread, number):
        thread.signal = number
    else:
        thread.event = Stop(thread.id, number, StopReason.SIGNAL)
    return True


def passes(tracer: Tracer, thread: LinuxThread, number: int) -> bool:
    """Whether a signal is delivered without a word: nobody sees the thread, or the client wants it so."""
    return thread.process.is_private or (number in tracer.passed_signals and not thread.stepping)


def _classify_system_call(thread: LinuxThread) -> bool:
    # An int to the kernel, and unsigned to the client: of a call that is suppressed it is -1.
    number = registers.read_system_call(thread) & 0xFFFF_FFFF
    if thread.process.catches(number):
        entry = ptrace.enters_system_call(thread.tid)
        reason = StopReason.SYSCALL_ENTRY if entry else StopReason.SYSCALL_RETURN
        thread.event = Stop(thread.id, signal.SIGTRAP, reason, number=number)
    return True


def _sent_by_somebody(thread: LinuxThread) -> bool:
    """SIGTRAP by kill(2) and its kin: a signal like any other."""
    thread.trap_code = ptrace.signal_code(thread.tid)
    return thread.trap_code != _SI_KERNEL and thread.trap_code not in _TRAP_CODES


def _classify_trap(tracer: Tracer, thread: LinuxThread, halting: bool) -> bool:
    if thread.trap_code == _SI_KERNEL:
        return _classify_breakpoint(tracer, thread, halting)
    if thread.process.is_guest:
        return True
    point = watchpoints.find_stop(thread, signal.SIGTRAP)
    if point is None and not thread.stepping:
        thread.event = Stop(thread.id, signal.SIGTRAP, StopReason.SIGNAL)
    else:
        thread.event = _judge(thread, point)
    return True


def _judge(thread: LinuxThread, point: Stop | None) -> Stop | None:
    """What a trap of the CPU is to the client: the point that was hit, the end of a step, or nothing."""
    if point is not None and conditions.is_point_reported(thread, point):
        return point
    # A thread that stands at a hardware breakpoint has not made its step yet; the CPU lets it pass now.
    if not thread.stepping or thread.trap_code == _TRAP_HWBKPT or _within_range(thread):
        return None
    return Stop(thread.id, signal.SIGTRAP, StopReason.STEP)


def _within_range(thread: LinuxThread) -> bool:
    action = thread.action
    if action.kind is not ActionKind.RANGE_STEP:
        return False
    return action.start <= registers.read_pc(thread) < action.end


def _classify_breakpoint(tracer: Tracer, thread: LinuxThread, halting: bool) -> bool:
    process = thread.process
    address = registers.read_pc(thread) - len(process.breakpoints.instruction)
    if address in process.breakpoints:
        registers.write_pc(thread, address)
        if process.is_guest:
            stepping.step_over(tracer, thread, address)
            if thread.stopped and thread.event is None:
                tracer.run_on(thread)
            return False
        return _hit(tracer, thread, address, halting)
    if process.breakpoints.is_in_memory(address):
        return _classify_own_breakpoint(tracer, thread, address, halting)
    if _is_the_programs(thread, address):
        thread.event = Stop(thread.id, signal.SIGTRAP, StopReason.SIGNAL)
    else:
        # It was removed while the thread was in it: the instruction under it is still to be run.
        registers.write_pc(thread, address)
    return True


def _hit(tracer: Tracer, thread: LinuxThread, address: int, halting: bool) -> bool:
    """A thread stands at a breakpoint: report it, or have it pass."""
    program = thread.process.breakpoints.programs.get(address)
    if program is None:
        thread.passed = None
        thread.event = Stop(thread.id, signal.SIGTRAP, StopReason.SOFTWARE_BREAKPOINT, address)
        return True
    mark = program, registers.read_sp(thread)
    passed = thread.passed == mark
    if tracer.holding and (passed or program.commands):
        return True  # It comes here again when it runs on; commands are run then.
    thread.passed = None
    if not passed and conditions.is_reported(thread, program):
        thread.event = Stop(thread.id, signal.SIGTRAP, StopReason.SOFTWARE_BREAKPOINT, address)
    elif not tracer.holding:
        _pass(tracer, thread, address, halting, mark)
        return False
    return True


def _classify_own_breakpoint(tracer: Tracer, thread: LinuxThread, address: int, halting: bool) -> bool:
    """A breakpoint that the client does not know, or not any more."""
    registers.write_pc(thread, address)
    if thread.action.kind is ActionKind.RANGE_STEP and not thread.process.is_guest and not _within_range(thread):
        thread.event = Stop(thread.id, signal.SIGTRAP, StopReason.STEP)
    elif thread.process.breakpoints.is_own(address) and not tracer.holding:
        _pass(tracer, thread, address, halting)
        return False
    return True


def _pass(
    tracer: Tracer,
    thread: LinuxThread,
    address: int,
    halting: bool,
    mark: tuple[BreakpointProgram, int] | None = None,
) -> None:
    """Step over a breakpoint that is not reported, and go on with what the thread was resumed for."""
    is_done = stepping.step_over(tracer, thread, address)
    if not thread.stopped:
        if halting and thread.halt_reported:
            tracer.interrupt(thread)
        return
    # An instruction may lead to itself.
    interrupted = not is_done and registers.read_pc(thread) == address
    if interrupted:
        thread.passed = mark
    if thread.event is None:
        if not interrupted:
            thread.event = _judge(thread, watchpoints.find_stop(thread, signal.SIGTRAP))
        _settle(tracer, thread, halting)


def _is_the_programs(thread: LinuxThread, address: int) -> bool:
    """Whether the program has a breakpoint instruction of its own there."""
    process = thread.process
    instruction = process.breakpoints.instruction
    try:
        return process.memory.read(address, len(instruction)) == instruction
    except MemoryFault:
        return True
