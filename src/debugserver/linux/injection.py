"""System calls that we run inside a stopped process, by one of its threads: memory for what a client compiles.

The thread is moved onto a system call instruction that the process has anyway, steps it, and then stands as it stood,
also in the middle of a call that is to be restarted: the kernel looks at its registers only when it runs. ptrace(2).
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from debugserver.errors import MemoryFault, TargetError
from debugserver.linux import ptrace, registers
from debugserver.linux.waits import STEPPED, Exited, StopKind, Stopped
from debugserver.target.capabilities import Allocation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from debugserver.arch.system_calls import SystemCalls
    from debugserver.linux.threads import LinuxProcess, LinuxThread
    from debugserver.linux.tracer import Tracer

_PROTECTION = {"r": 1, "w": 2, "x": 4}
_PRIVATE_ANONYMOUS = 0x22
_NO_FILE = -1
_DEADLINE = 60.0
"""Seconds for a system call that should take none: the machine may be busy."""
_MOST_STOPS = 64
"""That may come before the one of the step: a stop signal cannot be blocked."""
_LARGEST_ERROR = 4095


class LinuxAllocation(Allocation):
    """mmap(2) and munmap(2), in traced processes."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def allocate(self, pid: int, size: int, permissions: str) -> int:
        process = self._tracer.table.process(pid)
        protection = sum(_PROTECTION[letter] for letter in set(permissions))
        number = _calls(process).map_memory
        address = _call(self._tracer, process, number, 0, size, protection, _PRIVATE_ANONYMOUS, _NO_FILE, 0)
        process.allocations[address] = size
        return address

    def deallocate(self, pid: int, address: int) -> None:
        process = self._tracer.table.process(pid)
        if address not in process.allocations:
            raise TargetError(f"nothing was allocated at {address:#x}", errno.EINVAL)
        _unmap(self._tracer, process, address)

    def clear_allocations(self) -> None:
        for process in self._tracer.table.processes():
            give_back(self._tracer, process)


def give_back(tracer: Tracer, process: LinuxProcess) -> None:
    """Unmap what clients had us map in a process that stands still; where that is impossible, it keeps the memory."""
    for address in tuple(process.allocations):
        try:
            _unmap(tracer, process, address)
        except TargetError as error:
            tracer.log("threads", "memory at %#x stays in process %d: %s", address, process.pid, error)
    process.allocations.clear()


def _unmap(tracer: Tracer, process: LinuxProcess, address: int) -> None:
    _call(tracer, process, _calls(process).unmap_memory, address, process.allocations[address])
    process.allocations.pop(address, None)


def _call(tracer: Tracer, process: LinuxProcess, number: int, *arguments: int) -> int:
    calls = _calls(process)
    place = _find_instruction(tracer, process, calls)
    result = _Injection(tracer, _find_thread(tracer, process), calls).run(place, number, arguments)
    error = (1 << calls.bits) - result
    if error <= _LARGEST_ERROR:
        raise TargetError(f"system call {number} in process {process.pid}: {os.strerror(error)}", error)
    return result


def _find_instruction(tracer: Tracer, process: LinuxProcess, calls: SystemCalls) -> int:
    """Where one is: the vdso has some, and is small."""
    executable = [region for region in tracer.procfs.regions(process.pid) if "x" in region.permissions]
    for region in sorted(executable, key=lambda region: region.name != "[vdso]"):
        try:
            place = process.memory.read(region.start, region.end - region.start).find(calls.instruction)
        except MemoryFault:
            continue
        if place >= 0:
            return region.start + place
    raise TargetError(f"process {process.pid} has no system call instruction")


def _calls(process: LinuxProcess) -> SystemCalls:
    if process.architecture is None or process.architecture.system_calls is None:
        raise TargetError("how this process calls the system is not known")
    return process.architecture.system_calls


def _find_thread(tracer: Tracer, process: LinuxProcess) -> LinuxThread:
    """One that stands where its registers say where it goes on; no clone, whose memory may be its own."""
    group = [t for t in process.threads.values() if t.group == process.pid]
    able = [t for t in group if t.stopped and not t.in_vfork]
    for thread in able:
        if not thread.in_system_call:
            return thread
    for thread in able:
        if thread.event is None and _stop_again(tracer, thread) and not thread.in_system_call:
            return thread
    raise TargetError(f"no thread of process {process.pid} stands where it can run a system call", errno.EBUSY)


def _stop_again(tracer: Tracer, thread: LinuxThread) -> bool:
    """Let a thread finish the system call that it is in, and run nothing else; whether it stands then. It stands as
    job control has it: in a group-stop while there is one."""
    tracer.leave_system_call(thread)
    status = tracer.await_status(thread.tid, _DEADLINE)
    if status is not None:
        tracer.take_in(thread.tid, status)
    return thread.stopped


class _Injection:
    """One call of one thread."""

    def __init__(self, tracer: Tracer, thread: LinuxThread, calls: SystemCalls) -> None:
        self._tracer = tracer
        self._thread = thread
        self._calls = calls
        self._came_between: list[int] = []

    def run(self, place: int, number: int, arguments: tuple[int, ...]) -> int:
        """The result, as an unsigned number."""
        tid = self._thread.tid
        registers.flush(self._thread)
        before = ptrace.read_general_registers(tid)
        siginfo = ptrace.read_siginfo(tid) if self._thread.signal_stop else None
        mask = ptrace.read_signal_mask(tid)
        ptrace.write_signal_mask(tid, ptrace.ALL_SIGNALS)
        try:
            ptrace.write_general_registers(tid, self._calls.place(before, place, number, arguments))
            self._step(place + len(self._calls.instruction))
            return self._calls.result(ptrace.read_general_registers(tid))
        finally:
            if self._thread.stopped:
                ptrace.write_general_registers(tid, before)
                ptrace.write_signal_mask(tid, mask)
                self._restore_signal(siginfo)
                if self._thread.group_stopped:
                    _stop_again(self._tracer, self._thread)

    def _step(self, end: int) -> None:
        for status in self._statuses():
            if status == STEPPED:
                if self._calls.program_counter(ptrace.read_general_registers(self._thread.tid)) == end:
                    return
                break
            if status.kind is StopKind.SIGNAL:
                self._came_between.append(status.signal)
        raise TargetError(f"thread {self._thread.tid} could not run a system call")

    def _statuses(self) -> Iterator[Stopped]:
        """What the thread reports when it steps, again and again."""
        tracer, thread = self._tracer, self._thread
        for _ in range(_MOST_STOPS):
            thread.stopped = False
            ptrace.step(thread.tid)
            status = tracer.await_status(thread.tid, _DEADLINE)
            if status is None or isinstance(status, Exited):
                if status is not None:
                    tracer.take_in(thread.tid, status)
                return
            thread.stopped = True
            yield status

    def _restore_signal(self, siginfo: bytearray | None) -> None:
        """The signal that stopped it is on its way still; those that came meanwhile come again."""
        thread = self._thread
        if siginfo is not None:
            ptrace.write_siginfo(thread.tid, siginfo)
        thread.signal_stop = True
        for number in self._came_between:
            ptrace.send_signal(thread.tid, number)
