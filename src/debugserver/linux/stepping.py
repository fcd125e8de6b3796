"""Running the one instruction under a breakpoint, with the breakpoint left where it is.

Three ways, the first that does: compute what the instruction does; run it in the scratch place; lift the breakpoint
while every other thread of the memory stands still.
"""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

from debugserver.arch.banks import NT_PRSTATUS
from debugserver.errors import MemoryFault, TargetError
from debugserver.linux import ptrace, registers, scratch
from debugserver.linux.procfs import unless_hidden
from debugserver.linux.waits import STEPPED, StopKind, Stopped
from debugserver.target.model import ActionKind, StopReason

if TYPE_CHECKING:
    from debugserver.arch.instructions import Instructions, Relocated
    from debugserver.linux.threads import LinuxProcess, LinuxThread
    from debugserver.linux.tracer import Tracer
    from debugserver.linux.waits import Status

_FAULTS = frozenset({signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGTRAP})
_PAGE = 4096
_PATIENCE = 0.02
"""Seconds after which a thread that is still stepping is looked at."""
_TRAP_TRACE = 2
_RSEQ_CS = 8
"""offsetof(struct rseq, rseq_cs)."""
_MOST_COMPUTED = 32
"""Instructions in a row. In a range, whatever goes back is a loop, which the CPU runs faster."""
_SYSTEM_CALLS = (b"\x0f\x05", b"\x0f\x34", b"\xcd\x80")
"""syscall, sysenter and int 0x80: mappings may be others afterwards."""
_LONGEST = 16
"""As many bytes as an instruction of any CPU has, or more."""


def step_over(tracer: Tracer, thread: LinuxThread, address: int) -> bool:
    """Run the one instruction under the breakpoint at `address`, where the stopped thread stands. Afterwards it is
    stopped, unless something else happened to it, which has been taken care of then; True: nothing else can have."""
    if compute(thread, address):
        return True
    if _run_elsewhere(tracer, thread, address):
        return False
    process = thread.process
    tracer.hold([process, *tracer.table.sharers(process)])
    try:
        process.breakpoints.lift(address, process.memory)
        try:
            _step(tracer, thread)
        finally:
            process.breakpoints.put_back(address, process.memory)
    except MemoryFault:
        pass  # It was killed meanwhile, and so has no memory; its end is still to come.
    finally:
        tracer.let_go(but=thread)
    return False


def _step(tracer: Tracer, thread: LinuxThread) -> None:
    status, put_off = _step_from(tracer, thread, registers.read_pc(thread))
    if status == STEPPED:
        thread.stopped = thread.signal_stop = True
        _deliver(tracer, thread, put_off)
        return
    _send_again(thread, put_off)
    if status is not None:
        tracer.take_in(thread.tid, status)


def _step_from(tracer: Tracer, thread: LinuxThread, pc: int) -> tuple[Status | None, list[bytearray]]:
    """Make a stopped thread step from `pc`: the status that comes of it, and the siginfos of signals that came before
    the instruction was run. They are put off: where they come faster than we step, the thread would never get ahead."""
    put_off: list[bytearray] = []
    given, thread.signal = thread.signal, 0
    while True:
        registers.flush(thread)
        ptrace.step(thread.tid, given)
        given = 0
        thread.stopped = False
        status = _await_step(tracer, thread)
        if not isinstance(status, Stopped) or status.kind is not StopKind.SIGNAL:
            return status, put_off
        by_instruction = status.signal in _FAULTS and ptrace.signal_code(thread.tid) > 0
        if by_instruction or registers.read_pc(thread) != pc:
            return status, put_off
        put_off.append(ptrace.read_siginfo(thread.tid))


def _await_step(tracer: Tracer, thread: LinuxThread) -> Status | None:
    """The status of a thread that was made to step. None: the instruction was a system call that takes its time; it has
    been run."""
    status = tracer.await_status(thread.tid, _PATIENCE)
    while status is None and not tracer.procfs.in_system_call(thread.group, thread.tid):
        status = tracer.await_status(thread.tid, _PATIENCE)
    return status


def _deliver(tracer: Tracer, thread: LinuxThread, put_off: list[bytearray]) -> None:
    """The thread stands behind its step, as if the first signal that was put off had stopped it there."""
    if not put_off:
        return
    _send_again(thread, put_off[1:])
    ptrace.write_siginfo(thread.tid, put_off[0])
    tracer.take_in(thread.tid, Stopped(StopKind.SIGNAL, _signal_of(put_off[0])))


def _send_again(thread: LinuxThread, put_off: list[bytearray]) -> None:
    """There is no stop for these."""
    for info in put_off:
        try:
            ptrace.send_signal(thread.tid, _signal_of(info))
        except TargetError:
            return


def _signal_of(info: bytearray) -> int:
    return int.from_bytes(info[:4], sys.byteorder)


class _OwnMemory:
    """A thread's memory as it would reach it itself (arch.instructions.MemoryAccess)."""

    __slots__ = ("_forced", "_process", "_tid")

    def __init__(self, thread: LinuxThread, *, forced: bool = False) -> None:
        """`forced`: it has been there already, so nothing can be in the way."""
        self._tid = thread.tid
        self._process = thread.process
        self._forced = forced

    def read(self, address: int, length: int) -> bytes:
        return self._process.breakpoints.hide(address, ptrace.read_user(self._tid, address, length))

    def write(self, address: int, data: bytes) -> None:
        memory, breakpoints = self._process.memory, self._process.breakpoints
        if self._forced:
            memory.write(address, breakpoints.keep(address, data, memory))
            return
        if breakpoints.overlaps(address, len(data)) or address // _PAGE != (address + len(data) - 1) // _PAGE:
            raise MemoryFault(address)
        ptrace.write_user(self._tid, address, data)


def instructions_of(thread: LinuxThread) -> Instructions | None:
    """What is known of the instructions that the thread runs now; nothing while a system call is to be restarted."""
    architecture = thread.process.architecture
    instructions = architecture.instructions if architecture is not None else None
    if instructions is None or not instructions.applies(registers.bank(thread, NT_PRSTATUS)):
        return None
    return instructions


def compute(thread: LinuxThread, address: int) -> bool:
    """Do to the registers and memory of a stopped thread what the instruction at `address`, its pc, does; whether that
    was possible. Not where a watchpoint might be hit."""
    return _compute(thread, address, _code(thread, address))


def _code(thread: LinuxThread, address: int) -> bytes:
    """What the program has there; nothing where nothing can be read."""
    try:
        return thread.process.read(address, _LONGEST)
    except MemoryFault:
        return b""


def _compute(thread: LinuxThread, address: int, code: bytes) -> bool:
    instructions = instructions_of(thread)
    if instructions is None or thread.process.watchpoints.in_use:
        return False
    computation = instructions.computation(code, address)
    if computation is None:
        return False
    try:
        computation(thread.banks[NT_PRSTATUS], _OwnMemory(thread))
    except MemoryFault:
        return False
    thread.dirty_banks.add(NT_PRSTATUS)
    return True


def compute_step(tracer: Tracer, thread: LinuxThread) -> bool:
    """Let a stopped thread make its step, or all steps in its range, by computing; whether it has made it.

    False: the rest is to be run. Nothing is delivered or caught meanwhile, as if it came after the step; so that it
    does come, every now and then one is left to the CPU."""
    process, action = thread.process, thread.action
    pc = registers.read_pc(thread)
    for _ in range(_MOST_COMPUTED - thread.computed):
        code = _code(thread, pc)
        if pc in process.breakpoints or not _is_executable(tracer, thread, pc) or not _compute(thread, pc, code):
            if not code or code.startswith(_SYSTEM_CALLS):
                process.executable = None
            return False
        thread.computed += 1
        if action.kind is ActionKind.STEP:
            return True
        before, pc = pc, registers.read_pc(thread)
        if not action.start <= pc < action.end:
            return True
        if pc <= before:
            return False
    return False


def _is_executable(tracer: Tracer, thread: LinuxThread, pc: int) -> bool:
    """Whether the CPU would run what is there, as it has just run a breakpoint that was hit. What may have changed
    mappings has had us forget them."""
    process, last = thread.process, thread.last_stop
    if process.executable is None:
        if last.reason is StopReason.SOFTWARE_BREAKPOINT and last.address == pc:
            return True
        regions = unless_hidden(tracer.procfs.regions, process.pid) or ()
        process.executable = tuple((region.start, region.end) for region in regions if "x" in region.permissions)
    for start, end in process.executable:  # noqa: SIM110 - asked for every step: a generator costs more
        if start <= pc < end:
            return True
    return False


def _run_elsewhere(tracer: Tracer, thread: LinuxThread, address: int) -> bool:
    """Step the instruction in the scratch place; whether that was possible. Nothing but the step can happen to the
    thread there: what comes meanwhile is put off until it is back."""
    process = thread.process
    instructions = instructions_of(thread)
    slot = _slot(tracer, process)
    if instructions is None or not slot or thread.signal:
        return False
    try:
        if _in_restartable_sequence(thread):
            return False
        relocated = instructions.relocate(_code(thread, address), address, slot)
        if relocated is None:
            return False
        process.memory.write(slot, relocated.code)
    except MemoryFault:
        return False
    try:
        return _step_in_slot(tracer, thread, relocated, slot)
    finally:
        _clean(process, slot, len(relocated.code))


def _clean(process: LinuxProcess, slot: int, length: int) -> None:
    try:
        process.memory.write(slot, bytes(length))
    except TargetError:
        return


def _slot(tracer: Tracer, process: LinuxProcess) -> int:
    if process.scratch is None:
        maps = unless_hidden(tracer.procfs.maps, process.pid) or b""
        process.scratch = scratch.find(maps, process.memory)
    return process.scratch


def _step_in_slot(tracer: Tracer, thread: LinuxThread, relocated: Relocated, slot: int) -> bool:
    general = registers.bank(thread, NT_PRSTATUS)
    saved = relocated.prepare(general)
    thread.dirty_banks.add(NT_PRSTATUS)
    status, put_off = _step_from(tracer, thread, slot)
    if not isinstance(status, Stopped):
        if status is not None:
            tracer.take_in(thread.tid, status)
        return True
    thread.stopped, thread.signal_stop = True, status.kind is StopKind.SIGNAL
    stepped = status == STEPPED and ptrace.signal_code(thread.tid) == _TRAP_TRACE
    general = registers.bank(thread, NT_PRSTATUS)
    thread.dirty_banks.add(NT_PRSTATUS)
    if stepped or registers.read_pc(thread) != slot:
        relocated.finish(general, _OwnMemory(thread, forced=True), saved)
    else:
        relocated.undo(general, saved)
    if stepped:
        _deliver(tracer, thread, put_off)
        return True
    _send_again(thread, put_off)
    if thread.signal_stop and status.signal in _FAULTS:
        # The instruction's own doing: in its own place it does it again, and the signal says where.
        return False
    tracer.take_in(thread.tid, status)
    return True


def _in_restartable_sequence(thread: LinuxThread) -> bool:
    """Whether the kernel would have to abort what the thread does, and could not tell so in the scratch place
    (rseq(2))."""
    area = ptrace.restartable_sequences(thread.tid)
    return area != 0 and any(thread.process.memory.read(area + _RSEQ_CS, 8))
