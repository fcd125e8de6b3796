"""The live processes of this system as a target: it puts the capabilities together and owns nothing else."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, TypeVar, cast

from debugserver.errors import TargetError
from debugserver.linux.breakpoints import LinuxBreakpoints
from debugserver.linux.core_files import LinuxCoreFiles
from debugserver.linux.execution import (
    LinuxExecution,
    LinuxProcessEvents,
    LinuxSignalDelivery,
    LinuxSystemCalls,
    LinuxThreadEvents,
)
from debugserver.linux.host_files import LinuxHostFiles
from debugserver.linux.host_system import LinuxHostSystem
from debugserver.linux.injection import LinuxAllocation
from debugserver.linux.launch import INHERITED
from debugserver.linux.libraries import Svr4Libraries
from debugserver.linux.lifecycle import (
    LinuxAttach,
    LinuxDetach,
    LinuxKill,
    LinuxLaunch,
    detach_process,
    kill_process,
)
from debugserver.linux.memory import LinuxMemory
from debugserver.linux.objects import (
    LinuxAuxv,
    LinuxExecFile,
    LinuxMemoryMap,
    LinuxSignalInfo,
    LinuxThreadNames,
)
from debugserver.linux.procfs import Procfs
from debugserver.linux.registers import LinuxRegisters
from debugserver.linux.system_tables import LinuxTables
from debugserver.linux.thread_local import LinuxThreadLocalStorage
from debugserver.linux.tracer import Tracer
from debugserver.linux.unattended import LinuxUnattended
from debugserver.linux.watchpoints import LinuxWatchpoints
from debugserver.target import capabilities as abilities
from debugserver.target.target import Target, TargetLog, log_nothing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from debugserver.arch.architecture import Architecture
    from debugserver.linux.launch import Streams
    from debugserver.target.model import LaunchSettings, ThreadId

Capability = TypeVar("Capability")


class LinuxTarget(Target):
    """Processes that this server started or attached to."""

    def __init__(
        self,
        settings: LaunchSettings,
        streams: Streams = INHERITED,
        output: abilities.ProgramOutput | None = None,
        keyboard: abilities.ProgramInput | None = None,
        log: TargetLog = log_nothing,
    ) -> None:
        """`settings`: what programs are started with unless a client says otherwise; `streams`: their standard
        streams; `output` and `keyboard`: where these lead, if the client is to have it. ConfigurationError."""
        procfs = Procfs()
        procfs.require_own()
        self._tracer = tracer = Tracer(procfs, log)
        self._table = tracer.table
        memory = LinuxMemory(tracer.table)
        registers = LinuxRegisters(tracer.table)
        auxv = LinuxAuxv(procfs)
        libraries = Svr4Libraries(self, memory, auxv)
        signals = LinuxSignalInfo(tracer.table)
        self._unattended = unattended = LinuxUnattended(tracer)
        self._capabilities: dict[type[Any], Any] = {
            abilities.Allocation: LinuxAllocation(tracer),
            abilities.Attach: LinuxAttach(tracer),
            abilities.Auxv: auxv,
            abilities.CoreFiles: LinuxCoreFiles(procfs, tracer.table, memory, signals),
            abilities.Detach: LinuxDetach(tracer),
            abilities.ExecFile: LinuxExecFile(procfs),
            abilities.Execution: LinuxExecution(tracer),
            abilities.HostFiles: LinuxHostFiles(procfs),
            abilities.HostSystem: LinuxHostSystem(procfs),
            abilities.Kill: LinuxKill(tracer),
            abilities.Launch: LinuxLaunch(tracer, settings, streams),
            abilities.LibraryList: libraries,
            abilities.Memory: memory,
            abilities.MemoryMap: LinuxMemoryMap(procfs),
            abilities.OperatingSystem: LinuxTables(procfs),
            abilities.ProcessEvents: LinuxProcessEvents(tracer),
            abilities.ProgramInput: keyboard,
            abilities.ProgramOutput: output,
            abilities.Registers: registers,
            abilities.RegisterState: registers,
            abilities.SignalDelivery: LinuxSignalDelivery(tracer),
            abilities.SignalInfo: signals,
            abilities.SoftwareBreakpoints: LinuxBreakpoints(tracer.table),
            abilities.SystemCalls: LinuxSystemCalls(tracer),
            abilities.ThreadEvents: LinuxThreadEvents(tracer),
            abilities.ThreadLocalStorage: LinuxThreadLocalStorage(self, memory, registers, auxv, libraries),
            abilities.ThreadNames: LinuxThreadNames(procfs, tracer.table),
            abilities.Unattended: unattended,
            abilities.Watchpoints: LinuxWatchpoints(tracer),
        }

    def capability(self, kind: type[Capability]) -> Capability | None:
        return cast("Capability | None", self._capabilities.get(kind))

    def processes(self) -> Sequence[int]:
        return [process.pid for process in self._table.processes()]

    def has_process(self, pid: int | None = None) -> bool:
        return self._table.has_process(pid)

    def has_thread(self, thread: ThreadId) -> bool:
        return self._table.has_thread(thread)

    def threads(self, pid: int) -> Sequence[ThreadId]:
        return [thread.id for thread in self._table.process(pid).threads.values() if thread.announced]

    def architecture(self, pid: int) -> Architecture:
        architecture = self._table.process(pid).architecture
        if architecture is None:
            raise TargetError(f"the registers of process {pid} are not known yet")
        return architecture

    def attached(self, pid: int) -> bool:
        return self._table.process(pid).attached

    def left_running(self) -> bool:
        self._tracer.drain_wakeup()
        left = self._tracer.left_running
        for pid in tuple(left):
            if _has_ended(pid):
                left.pop(pid)()
        return bool(left)

    def close(self) -> None:
        """End what was started here, let go of what was attached to. TargetError for those with which that fails, after
        all the others."""
        self._unattended.take_back()
        failures = []
        for process in self._table.processes():
            leave = detach_process if process.attached else kill_process
            try:
                leave(self._tracer, process)
            except TargetError as error:
                failures.append(str(error))
        for at_end in self._tracer.left_running.values():
            at_end()
        self._tracer.close()
        if failures:
            raise TargetError("; ".join(failures))


def _has_ended(child: int) -> bool:
    try:
        return os.waitpid(child, os.WNOHANG)[0] == child
    except ChildProcessError:
        return True
