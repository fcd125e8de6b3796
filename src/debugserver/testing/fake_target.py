"""A target made of dictionaries: processes, threads, registers and memory that exist only here, and events on demand.

With it, whatever speaks to a target is tested without a process, a privilege or a wait: a test puts the world in place,
says by `script` what a resumed thread does, and looks afterwards at what was asked of the target. Knows no packets.
"""

from __future__ import annotations

import errno
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence

from debugserver.arch.architecture import Architecture, Feature, Register, arrange
from debugserver.errors import (
    AttachRefused,
    LaunchFailed,
    MemoryFault,
    NoDebugRegister,
    NoSuchProcess,
    NoSuchThread,
    NotStopped,
    TargetError,
)
from debugserver.target.capabilities import (
    Allocation,
    Attach,
    Auxv,
    Detach,
    ExecFile,
    Execution,
    Kill,
    Launch,
    LibraryList,
    Memory,
    MemoryMap,
    OperatingSystem,
    Registers,
    RegisterState,
    SignalInfo,
    SoftwareBreakpoints,
    ThreadLocalStorage,
    ThreadNames,
    Unattended,
    Watchpoints,
)
from debugserver.target.conditions import UNCONDITIONAL, BreakpointProgram, TargetState
from debugserver.target.model import (
    Action,
    ActionKind,
    Event,
    LaunchSettings,
    Libraries,
    ProcessExit,
    Region,
    Stop,
    StopReason,
    ThreadId,
    WatchKind,
)
from debugserver.target.target import Capability, Target
from debugserver.testing.fake_files import FakeFiles
from debugserver.testing.fake_host import FakeHost

FAKE_ARCHITECTURE = Architecture(
    name="fake",
    features=arrange(
        [
            Feature(
                "org.example.fake.core",
                "",
                (
                    Register("r0", 32, "int32"),
                    Register("r1", 32, "int32"),
                    Register("sp", 32, "data_ptr"),
                    Register("pc", 32, "code_ptr"),
                ),
            )
        ]
    ),
    pointer_size=4,
    pc="pc",
    sp="sp",
    general=("sp", "pc"),
    breakpoint=b"\xcc",
)
"""Four little-endian 32-bit registers, so that expected values are short; every instruction is one byte long."""

_ROUNDS = 10
"""How often a thread comes by breakpoints that are not reported, until it is said to run for ever."""

Script = Callable[["FakeTarget", Mapping[ThreadId, Action]], Iterable[Event]]
"""Called at each resume with what was resumed; the events that then happen, in order."""


def run_to_breakpoint(target: FakeTarget, actions: Mapping[ThreadId, Action]) -> Iterable[Event]:
    """The script by default: a step moves one byte on, a range step to the range's end, and a thread that continues
    comes to the next breakpoint that is reported, at the end of memory from its start again, or runs for ever."""
    for thread, action in actions.items():
        pc = target.pc(thread)
        breakpoints = [address for pid, address in target.breakpoints if pid == thread.pid]
        ahead = sorted(breakpoints, key=lambda address: (address <= pc, address))
        if action.kind is ActionKind.STEP:
            target.step_to(thread, pc + 1)
            yield Stop(thread, signal.SIGTRAP, StopReason.STEP)
        elif action.kind is ActionKind.RANGE_STEP:
            target.step_to(thread, action.end)
            yield Stop(thread, signal.SIGTRAP, StopReason.STEP)
        elif any(target.hits(thread, address) for _ in range(_ROUNDS) for address in ahead):
            yield Stop(thread, signal.SIGTRAP, StopReason.SOFTWARE_BREAKPOINT)


class FakeTarget(
    Target,
    Registers,
    RegisterState,
    Memory,
    Allocation,
    Execution,
    SoftwareBreakpoints,
    Watchpoints,
    Attach,
    Detach,
    Unattended,
    Kill,
    Launch,
    ThreadNames,
    Auxv,
    ExecFile,
    LibraryList,
    MemoryMap,
    SignalInfo,
    ThreadLocalStorage,
    OperatingSystem,
):
    """Has every capability, less those in `without`. What has no underscore is the test's to read and set."""

    def __init__(self, script: Script = run_to_breakpoint, *, without: Sequence[type] = ()) -> None:
        self.script = script
        self.without = frozenset(without)
        self.files = FakeFiles()
        self.host = FakeHost()
        self.memory: dict[int, bytearray] = {}
        """Address -> contents from there on. All processes share it, as threads do."""
        self.breakpoints: dict[tuple[int, int], BreakpointProgram] = {}
        """By (pid, address)."""
        self.watchpoints: dict[tuple[int, WatchKind, int, int], BreakpointProgram] = {}
        """By (pid, kind, address, length); there are four slots."""
        self.attachable: dict[int, tuple[int, ...]] = {}
        """Processes that `attach` finds: pid -> tids."""
        self.programs: dict[str, tuple[int, ...]] = {}
        """Programs that `launch` finds: path -> the tids of its process, whose pid is the first of them."""
        self.defaults = LaunchSettings()
        self.names: dict[ThreadId, str] = {}
        self.cores: dict[ThreadId, int] = {}
        self.auxiliary = b""
        self.executable = "/bin/fake"
        self.library_list = Libraries(0, ())
        self.causes: dict[ThreadId, str] = {}
        """What caused the signal that a thread stopped with."""
        self.loader_place = 0
        self.allocations: dict[int, str] = {}
        """Address -> permissions of what was allocated."""
        self.memory_map: list[Region] = []
        self.siginfo: dict[ThreadId, bytes] = {}
        self.tables: dict[str, list[dict[str, str]]] = {}
        self.resumed: list[dict[ThreadId, Action]] = []
        """What was resumed, call by call."""
        self.launched: list[LaunchSettings] = []
        self.detached: list[int] = []
        self.left_stopped: list[int] = []
        """Let go, to stay stopped."""
        self.killed: list[int] = []
        self.left_unattended: dict[int, list[ThreadId]] = {}
        """Let go, and unattended: pid -> its threads."""
        self._threads: dict[int, list[ThreadId]] = {}
        self._attached: set[int] = set()
        self._register_files: dict[ThreadId, bytearray] = {}
        self._running: set[ThreadId] = set()
        self._halting: set[ThreadId] = set()
        self._stops: dict[ThreadId, Stop] = {}
        self._events: deque[Event] = deque()
        self._unattended_ends: list[ProcessExit] = []

    # What a test says

    def add_process(self, pid: int, tids: Sequence[int] = (), *, attached: bool = False) -> ThreadId:
        """A process whose threads stand still; without `tids`, it has one thread of the same number."""
        self._threads[pid] = []
        if attached:
            self._attached.add(pid)
        for tid in tids or (pid,):
            self.add_thread(pid, tid)
        return self._threads[pid][0]

    def add_thread(self, pid: int, tid: int) -> ThreadId:
        """One more thread, stopped by SIGTRAP as a program is at its start, its registers zero."""
        thread = ThreadId(pid, tid)
        self._threads[pid].append(thread)
        self._register_files[thread] = bytearray(FAKE_ARCHITECTURE.register_file_size)
        self._stops[thread] = Stop(thread, signal.SIGTRAP, StopReason.START)
        return thread

    def happen(self, event: Event) -> None:
        """Something happens; it is reported as soon as its thread is resumed."""
        self._events.append(event)

    def pc(self, thread: ThreadId) -> int:
        """Where the thread is."""
        return int.from_bytes(self._register_files[thread][_place(FAKE_ARCHITECTURE.pc)], "little")

    def set_pc(self, thread: ThreadId, address: int) -> None:
        """Put the thread elsewhere."""
        self._register_files[thread][_place(FAKE_ARCHITECTURE.pc)] = address.to_bytes(4, "little")

    def hits(self, thread: ThreadId, address: int) -> bool:
        """Put the thread to a breakpoint; whether that is reported."""
        self.set_pc(thread, address)
        return self.breakpoints[thread.pid, address].reports(TargetState(self, self, FAKE_ARCHITECTURE, thread))

    def step_to(self, thread: ThreadId, address: int) -> None:
        """Put the thread where its step ends."""
        self.set_pc(thread, address)
        program = self.breakpoints.get((thread.pid, address), UNCONDITIONAL)
        program.note_other_stop(TargetState(self, self, FAKE_ARCHITECTURE, thread))

    def remove_thread(self, thread: ThreadId) -> None:
        """The thread ends and nobody is told."""
        self._threads[thread.pid].remove(thread)
        for table in (self._register_files, self._stops, self.names, self.cores, self.siginfo):
            table.pop(thread, None)
        self._running.discard(thread)
        self._halting.discard(thread)

    def remove_process(self, pid: int) -> None:
        """The process ends and nobody is told."""
        for thread in self.threads(pid):
            self.remove_thread(thread)
        del self._threads[pid]
        self._attached.discard(pid)
        self.breakpoints = {b: program for b, program in self.breakpoints.items() if b[0] != pid}
        self.watchpoints = {w: program for w, program in self.watchpoints.items() if w[0] != pid}
        self._events = deque(event for event in self._events if _process_of(event) != pid)

    def end_unattended(self, end: ProcessExit) -> None:
        """An unattended process ends."""
        self._threads[end.pid] = self.left_unattended.pop(end.pid)
        self.remove_process(end.pid)
        self._unattended_ends.append(end)

    # Target

    def capability(self, kind: type[Capability]) -> Capability | None:
        if kind in self.without:
            return None
        for part in (self.files, self.host):
            if isinstance(part, kind):
                return part
        return super().capability(kind)

    def processes(self) -> Sequence[int]:
        return tuple(self._threads)

    def threads(self, pid: int) -> Sequence[ThreadId]:
        self._check_process(pid)
        return tuple(self._threads[pid])

    def architecture(self, pid: int) -> Architecture:
        self._check_process(pid)
        return FAKE_ARCHITECTURE

    def attached(self, pid: int) -> bool:
        self._check_process(pid)
        return pid in self._attached

    def _check_process(self, pid: int) -> None:
        if pid not in self._threads:
            raise NoSuchProcess(f"no process {pid}")

    def _check_thread(self, thread: ThreadId) -> None:
        if thread not in self._register_files:
            raise NoSuchThread(f"no thread {thread.tid} in process {thread.pid}")

    def _check_stopped(self, thread: ThreadId) -> None:
        self._check_thread(thread)
        if thread in self._running:
            raise NotStopped(f"thread {thread.tid} runs")

    # Registers

    def read_registers(self, thread: ThreadId) -> bytes:
        self._check_stopped(thread)
        return bytes(self._register_files[thread])

    def write_registers(self, thread: ThreadId, data: bytes) -> None:
        self._check_stopped(thread)
        self._register_files[thread][:] = data

    def read_register(self, thread: ThreadId, number: int) -> bytes:
        return self.read_registers(thread)[_place(number)]

    def write_register(self, thread: ThreadId, number: int, value: bytes) -> None:
        self._check_stopped(thread)
        self._register_files[thread][_place(number)] = value

    # Memory

    def read_memory(self, pid: int, address: int, length: int) -> bytes:
        self._check_process(pid)
        start, content = self._region(address)
        return bytes(content[address - start : address - start + length])

    def write_memory(self, pid: int, address: int, data: bytes) -> None:
        self._check_process(pid)
        start, content = self._region(address)
        if address - start + len(data) > len(content):
            raise MemoryFault(start + len(content))
        content[address - start : address - start + len(data)] = data

    def _region(self, address: int) -> tuple[int, bytearray]:
        for start, content in self.memory.items():
            if start <= address < start + len(content):
                return start, content
        raise MemoryFault(address)

    # RegisterState, Allocation

    def save_state(self, thread: ThreadId) -> object:
        return self.read_registers(thread)

    def restore_state(self, thread: ThreadId, state: object) -> None:
        if not isinstance(state, bytes):
            raise TargetError("this is no state of a thread")
        self.write_registers(thread, state)

    def allocate(self, pid: int, size: int, permissions: str) -> int:
        """Blocks lie 0x10000 apart, from 0x100000 on."""
        self._check_process(pid)
        address = 0x100000 + 0x10000 * len(self.allocations)
        self.memory[address] = bytearray(size)
        self.allocations[address] = permissions
        return address

    def deallocate(self, pid: int, address: int) -> None:
        self._check_process(pid)
        if self.allocations.pop(address, None) is None:
            raise TargetError(f"nothing was allocated at {address:#x}", errno.EINVAL)
        del self.memory[address]

    def clear_allocations(self) -> None:
        for address in tuple(self.allocations):
            del self.memory[address], self.allocations[address]

    # Execution

    def resume(self, actions: Mapping[ThreadId, Action]) -> None:
        resumed = {t: a for t, a in actions.items() if t in self._register_files and t not in self._running}
        self.resumed.append(resumed)
        self._events.extend(self.script(self, resumed))
        self._running.update(resumed)

    def next_event(self) -> Event | None:
        for event in self._events:
            if self._reportable(event):
                self._events.remove(event)
                self._note(event)
                return event
        for thread in self._halting:
            stop = Stop(thread, 0, StopReason.HALTED)
            self._note(stop)
            return stop
        return None

    def give_back(self, stops: Sequence[Stop]) -> None:
        for stop in reversed(stops):
            if self._stops.get(stop.thread) is stop and stop.thread not in self._running:
                self._events.appendleft(stop)
                self._stand(Stop(stop.thread, 0, StopReason.HALTED))

    def _reportable(self, event: Event) -> bool:
        if isinstance(event, ProcessExit):
            return any(thread.pid == event.pid for thread in self._running)
        return event.thread in self._running

    def _note(self, event: Event) -> None:
        if isinstance(event, ProcessExit):
            self.remove_process(event.pid)
        elif isinstance(event, Stop):
            self._stand(event)
        else:
            self.remove_thread(event.thread)

    def _stand(self, stop: Stop) -> None:
        self._running.discard(stop.thread)
        self._halting.discard(stop.thread)
        self._stops[stop.thread] = stop

    def wait(self, milliseconds: int) -> None:
        """Everything that will happen has happened at `resume`, unless another thread of the test calls `happen`."""
        if not self._halting and not any(self._reportable(event) for event in self._events):
            time.sleep(milliseconds / 1000)

    def halt(self, threads: Iterable[ThreadId]) -> None:
        self._halting.update(self._running.intersection(threads))

    def halt_all(self, pid: int | None = None) -> None:
        pids = self._threads.keys() if pid is None else (pid,)
        for thread in [thread for thread in self._running if thread.pid in pids]:
            self._stand(Stop(thread, 0, StopReason.HALTED))

    def take_stops(self) -> Sequence[Stop]:
        stops = [e for e in self._events if isinstance(e, Stop) and not e.child and e.thread not in self._running]
        for stop in stops:
            self._events.remove(stop)
            self._stand(stop)
        return stops

    def running(self, thread: ThreadId) -> bool:
        return thread in self._running

    def last_stop(self, thread: ThreadId) -> Stop:
        self._check_thread(thread)
        return self._stops[thread]

    # SoftwareBreakpoints, Watchpoints

    def insert_breakpoint(self, pid: int, address: int, kind: int, program: BreakpointProgram = UNCONDITIONAL) -> None:
        self.read_memory(pid, address, 1)
        self.breakpoints[pid, address] = program

    def remove_breakpoint(self, pid: int, address: int, kind: int) -> None:
        self._check_process(pid)
        self.breakpoints.pop((pid, address), None)

    def clear_breakpoints(self) -> None:
        self.breakpoints = {b: program for b, program in self.breakpoints.items() if b[0] in self.left_unattended}

    def watch_kinds(self) -> frozenset[WatchKind]:
        return frozenset(WatchKind) - {WatchKind.READ}

    def watch_slots(self) -> int:
        return 4

    def insert_watchpoint(
        self, pid: int, kind: WatchKind, address: int, length: int, program: BreakpointProgram = UNCONDITIONAL
    ) -> None:
        self._check_process(pid)
        watchpoint = (pid, kind, address, length)
        if len(self.watchpoints) == self.watch_slots() and watchpoint not in self.watchpoints:
            raise NoDebugRegister("all four debug registers are taken")
        self.watchpoints[watchpoint] = program

    def remove_watchpoint(self, pid: int, kind: WatchKind, address: int, length: int) -> None:
        self._check_process(pid)
        self.watchpoints.pop((pid, kind, address, length), None)

    def clear_watchpoints(self) -> None:
        self.watchpoints.clear()

    # Attach, Detach, Unattended, Kill, Launch

    def attach(self, pid: int) -> ThreadId:
        if pid in self._threads or pid not in self.attachable:
            raise AttachRefused(f"process {pid} cannot be attached to", "choose another one")
        leader = self.add_process(pid, self.attachable[pid], attached=True)
        for thread in self._threads[pid]:
            self._stops[thread] = Stop(thread, 0, StopReason.HALTED)
        return leader

    def detach(self, pid: int, *, stopped: bool = False) -> None:
        for child in self._untold_children(pid):
            self.detach(child)
        if self.stays(pid) and not stopped:
            self._leave(pid)
            return
        self.remove_process(pid)
        (self.left_stopped if stopped else self.detached).append(pid)

    def stays(self, pid: int) -> bool:
        self._check_process(pid)
        return any(program.persistent for (process, _), program in self.breakpoints.items() if process == pid)

    def _leave(self, pid: int) -> None:
        self.left_unattended[pid] = self._threads.pop(pid)
        self._running.update(self.left_unattended[pid])
        self.breakpoints = {b: program for b, program in self.breakpoints.items() if b[0] != pid or program.persistent}
        self.watchpoints = {w: program for w, program in self.watchpoints.items() if w[0] != pid}

    def unattended(self) -> Sequence[int]:
        return tuple(self.left_unattended)

    def take_back(self) -> None:
        self._threads |= self.left_unattended
        self.left_unattended.clear()

    def look_after(self) -> None:
        """Nothing happens by itself."""

    def take_ends(self) -> Sequence[ProcessExit]:
        ends, self._unattended_ends = self._unattended_ends, []
        return ends

    def kill(self, pid: int) -> None:
        for child in self._untold_children(pid):
            self.kill(child)
        self.remove_process(pid)
        self.killed.append(pid)

    def _untold_children(self, pid: int) -> list[int]:
        """The processes whose birth in this one has not been reported."""
        stops = [event for event in self._events if isinstance(event, Stop) and event.thread.pid == pid]
        return [stop.child.pid for stop in stops if stop.child is not None and stop.child.pid != pid]

    def launch_settings(self) -> LaunchSettings:
        return self.defaults.copy()

    def launch(self, settings: LaunchSettings) -> ThreadId:
        if settings.program not in self.programs:
            raise LaunchFailed(f"{settings.program}: no such program", "check its path", errno.ENOENT)
        self.launched.append(settings.copy())
        tids = self.programs[settings.program]
        return self.add_process(tids[0], tids)

    # What is known of a process

    def thread_name(self, thread: ThreadId) -> str:
        self._check_thread(thread)
        return self.names.get(thread, "fake")

    def thread_core(self, thread: ThreadId) -> int | None:
        self._check_thread(thread)
        return self.cores.get(thread)

    def auxv(self, pid: int) -> bytes:
        self._check_process(pid)
        return self.auxiliary

    def exec_file(self, pid: int) -> str:
        self._check_process(pid)
        return self.executable

    def libraries(self, pid: int) -> Libraries:
        self._check_process(pid)
        return self.library_list

    def libraries_from(self, pid: int, link_map: int, previous: int, namespace: int) -> Libraries:
        libraries = self.libraries(pid).libraries
        return Libraries(
            0, tuple(each for each in libraries if each.namespace == namespace and each.link_map >= link_map)
        )

    def loader_pointer(self, pid: int) -> int:
        self._check_process(pid)
        return self.loader_place

    def regions(self, pid: int) -> Sequence[Region]:
        self._check_process(pid)
        return self.memory_map

    def read_siginfo(self, thread: ThreadId) -> bytes:
        self._check_thread(thread)
        if thread not in self.siginfo:
            raise TargetError("the thread did not stop with a signal")
        return self.siginfo[thread]

    def signal_cause(self, thread: ThreadId, number: int) -> str:
        return self.causes.get(thread, "")

    def write_siginfo(self, thread: ThreadId, data: bytes) -> None:
        self._check_thread(thread)
        self.siginfo[thread] = data

    def thread_local_address(self, thread: ThreadId, offset: int, link_map: int) -> int:
        """Blocks lie 0x1000 apart by thread number, from 0x10000 on."""
        self._check_thread(thread)
        return 0x10000 + 0x1000 * thread.tid + offset

    def table_names(self) -> Mapping[str, str]:
        return {name: f"The {name} of the fake system" for name in self.tables}

    def table(self, name: str) -> Iterable[Mapping[str, str]]:
        return self.tables[name]


def _place(number: int) -> slice:
    register = FAKE_ARCHITECTURE.registers[number]
    return slice(register.offset, register.offset + register.size)


def _process_of(event: Event) -> int:
    return event.pid if isinstance(event, ProcessExit) else event.thread.pid
