"""What the system knows of traced processes and threads beside registers and memory: names, cores, auxv, mappings,
program, siginfo."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

from debugserver.errors import MalformedPacket, TargetError
from debugserver.linux import ptrace, registers, siginfo
from debugserver.target.capabilities import Auxv, ExecFile, MemoryMap, SignalInfo, ThreadNames

if TYPE_CHECKING:
    from collections.abc import Sequence

    from debugserver.linux.procfs import Procfs
    from debugserver.linux.table import ProcessTable
    from debugserver.linux.threads import LinuxThread
    from debugserver.target.model import Region, ThreadId


class LinuxThreadNames(ThreadNames):
    """Names and cores from /proc; pthread_t is the thread pointer in every C library of Linux."""

    def __init__(self, procfs: Procfs, table: ProcessTable) -> None:
        self._procfs = procfs
        self._table = table

    def thread_name(self, thread: ThreadId) -> str:
        return self._procfs.comm(thread.pid, thread.tid)

    def name_and_core(self, thread: ThreadId) -> tuple[str, int | None]:
        return self._procfs.comm_and_core(thread.pid, thread.tid)

    def thread_handle(self, thread: ThreadId) -> bytes:
        try:
            pointer = registers.read_thread_pointer(self._table.stopped_thread(thread))
        except TargetError:
            return b""
        return pointer if any(pointer) else b""

    def thread_core(self, thread: ThreadId) -> int | None:
        try:
            return self._procfs.core(thread.pid, thread.tid)
        except TargetError:
            return None


class LinuxAuxv(Auxv):
    """/proc/PID/auxv."""

    def __init__(self, procfs: Procfs) -> None:
        self._procfs = procfs

    def auxv(self, pid: int) -> bytes:
        return self._procfs.auxv(pid)


class LinuxMemoryMap(MemoryMap):
    """/proc/PID/maps."""

    def __init__(self, procfs: Procfs) -> None:
        self._procfs = procfs

    def regions(self, pid: int) -> Sequence[Region]:
        return self._procfs.regions(pid)


class LinuxExecFile(ExecFile):
    """/proc/PID/exe."""

    def __init__(self, procfs: Procfs) -> None:
        self._procfs = procfs

    def exec_file(self, pid: int) -> str:
        return self._procfs.exe(pid)


class LinuxSignalInfo(SignalInfo):
    """PTRACE_GETSIGINFO and PTRACE_SETSIGINFO, in the form that the process knows."""

    def __init__(self, table: ProcessTable) -> None:
        self._table = table

    def read_siginfo(self, thread: ThreadId) -> bytes:
        stopped = self._table.stopped_thread(thread)
        data = bytes(ptrace.read_siginfo(stopped.tid))
        return siginfo.narrow(data) if _is_narrow(stopped) else data

    def signal_cause(self, thread: ThreadId, number: int) -> str:
        from debugserver.linux import signal_causes

        if not signal_causes.has_cause(number):
            return ""
        try:
            info = ptrace.read_siginfo(self._table.stopped_thread(thread).tid)
        except TargetError:
            return ""
        return signal_causes.describe(info)

    def write_siginfo(self, thread: ThreadId, data: bytes) -> None:
        if len(data) != siginfo.SIZE:
            raise MalformedPacket(f"siginfo has {siginfo.SIZE} bytes")
        stopped = self._table.stopped_thread(thread)
        number = int.from_bytes(data[:4], sys.byteorder, signed=True)
        if stopped.signal_stop and not 0 <= number < signal.NSIG:
            raise MalformedPacket(f"there is no signal {number}")
        ptrace.write_siginfo(stopped.tid, bytearray(siginfo.widen(data) if _is_narrow(stopped) else data))
        if stopped.signal_stop:
            # A call that a debugger makes ends in a SIGSEGV where the stack is not executable. GDB then puts back
            # what the thread stood with; a process that is let go now must be given that, and not the SIGSEGV.
            stopped.stop_signal = 0 if number == signal.SIGTRAP else number


def _is_narrow(thread: LinuxThread) -> bool:
    architecture = thread.process.architecture
    return architecture is not None and architecture.pointer_size == 4
