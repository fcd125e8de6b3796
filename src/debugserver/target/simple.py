"""A target with one process and one thread, such as an emulator: say what its registers are and how it steps.

The rest (breakpoints, running in slices, halting, refusing ids that do not exist) is written once, here.
"""

from __future__ import annotations

import signal
import time
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from debugserver.errors import MemoryFault, NoSuchProcess, NoSuchThread
from debugserver.target.capabilities import Detach, Execution, Kill, Memory, Registers, SoftwareBreakpoints
from debugserver.target.conditions import UNCONDITIONAL, BreakpointProgram, TargetState
from debugserver.target.model import Action, ActionKind, Event, Stop, StopReason, ThreadId
from debugserver.target.target import Target

if TYPE_CHECKING:
    from debugserver.arch.architecture import Architecture

PID = 1
THREAD = ThreadId(PID, 1)
SLICE = 0.003
"""How many seconds `next_event` runs the machine before others get their turn."""


class SingleThreadTarget(Target, Registers, Memory, Execution, SoftwareBreakpoints, Detach, Kill):
    """The abstract methods take plain integers and bytes; a machine has no signals, so none is delivered to it."""

    def __init__(self, architecture: Architecture) -> None:
        self._architecture = architecture
        self._breakpoints: dict[int, BreakpointProgram] = {}
        self._alive = True
        self._action: Action | None = None
        self._halt_requested = False
        self._last_stop = self.stop(signal.SIGTRAP, StopReason.START)
        self._stopped_at: int | None = None
        self._leaving = False
        """Resumed where it was reported to be: a breakpoint there was hit already, the first instruction runs."""

    @abstractmethod
    def get_register(self, number: int) -> int:
        """The value of one register."""

    @abstractmethod
    def set_register(self, number: int, value: int) -> None:
        """Replace one register; `value` is unsigned and fits."""

    @abstractmethod
    def load(self, address: int, length: int) -> bytes:
        """Up to `length` bytes: as many as exist from `address` on, maybe none."""

    @abstractmethod
    def store(self, address: int, data: bytes) -> bool:
        """Write all of `data`; False, with nothing changed, where that is impossible."""

    @abstractmethod
    def step(self) -> Event | None:
        """Execute one instruction. What ended or stopped the machine meanwhile, if anything did."""

    def stop(self, signal: int, reason: StopReason = StopReason.SIGNAL, address: int = 0) -> Stop:
        """A stop of the only thread, for `step` to return."""
        return Stop(THREAD, signal, reason, address)

    @property
    def pc(self) -> int:
        """The address of the next instruction."""
        return self.get_register(self._architecture.pc)

    # Target

    def processes(self) -> Sequence[int]:
        return (PID,) if self._alive else ()

    def threads(self, pid: int) -> Sequence[ThreadId]:
        self._check_process(pid)
        return (THREAD,)

    def architecture(self, pid: int) -> Architecture:
        self._check_process(pid)
        return self._architecture

    def attached(self, pid: int) -> bool:
        self._check_process(pid)
        return True

    def _check_process(self, pid: int) -> None:
        if not self._alive or pid != PID:
            raise NoSuchProcess(f"no process {pid}")

    def _check_thread(self, thread: ThreadId) -> None:
        if not self._alive or thread != THREAD:
            raise NoSuchThread(f"no thread {thread.tid} in process {thread.pid}")

    # Registers

    def read_register(self, thread: ThreadId, number: int) -> bytes:
        self._check_thread(thread)
        return self._encoded(number)

    def write_register(self, thread: ThreadId, number: int, value: bytes) -> None:
        self._check_thread(thread)
        self.set_register(number, int.from_bytes(value, self._architecture.byteorder))

    def read_registers(self, thread: ThreadId) -> bytes:
        self._check_thread(thread)
        return b"".join(self._encoded(register.number) for register in self._architecture.registers)

    def write_registers(self, thread: ThreadId, data: bytes) -> None:
        for register in self._architecture.registers:
            self.write_register(thread, register.number, data[register.offset : register.offset + register.size])

    def _encoded(self, number: int) -> bytes:
        size = self._architecture.registers[number].size
        return self.get_register(number).to_bytes(size, self._architecture.byteorder)

    # Memory

    def read_memory(self, pid: int, address: int, length: int) -> bytes:
        self._check_process(pid)
        data = self.load(address, length)
        if length and not data:
            raise MemoryFault(address)
        return data

    def write_memory(self, pid: int, address: int, data: bytes) -> None:
        self._check_process(pid)
        if not self.store(address, data):
            raise MemoryFault(address)

    # SoftwareBreakpoints: the machine is asked before each instruction, so nothing is put into its memory

    def insert_breakpoint(self, pid: int, address: int, kind: int, program: BreakpointProgram = UNCONDITIONAL) -> None:
        self.read_memory(pid, address, 1)
        self._breakpoints[address] = program

    def remove_breakpoint(self, pid: int, address: int, kind: int) -> None:
        self._check_process(pid)
        self._breakpoints.pop(address, None)

    def clear_breakpoints(self) -> None:
        self._breakpoints.clear()

    # Execution

    def resume(self, actions: Mapping[ThreadId, Action]) -> None:
        if THREAD in actions and self._action is None and self._alive:
            self._action = actions[THREAD]
            self._leaving = self._stopped_at in (None, self.pc)

    def running(self, thread: ThreadId) -> bool:
        return thread == THREAD and self._action is not None

    def halt(self, threads: Iterable[ThreadId]) -> None:
        self._halt_requested |= THREAD in threads and self._action is not None

    def halt_all(self, pid: int | None = None) -> None:
        if self._action is not None:
            self._stand(self.stop(0, StopReason.HALTED))

    def last_stop(self, thread: ThreadId) -> Stop:
        self._check_thread(thread)
        return self._last_stop

    def wait(self, milliseconds: int) -> None:
        """A running machine advances in `next_event`, so there is nothing to wait for."""
        if self._action is None:
            time.sleep(milliseconds / 1000)

    def next_event(self) -> Event | None:
        event = self._run_slice()
        if isinstance(event, Stop):
            self._stand(event)
        elif event is not None:
            self._end()
        return event

    def _stand(self, stop: Stop) -> None:
        if not self._leaving and stop.reason is not StopReason.SOFTWARE_BREAKPOINT:
            self._breakpoints.get(self.pc, UNCONDITIONAL).note_other_stop(self._state())
        self._action = None
        self._halt_requested = False
        self._last_stop = stop
        self._stopped_at = self.pc

    def _end(self) -> None:
        self._alive = False
        self._action = None
        self._halt_requested = False
        self._breakpoints.clear()

    def _run_slice(self) -> Event | None:
        if self._action is None:
            return None
        if self._halt_requested:
            return self.stop(0, StopReason.HALTED)
        deadline = time.monotonic() + SLICE
        event = None
        while event is None and time.monotonic() < deadline:
            event = self._run_instruction(self._action)
        return event

    def _run_instruction(self, action: Action) -> Event | None:
        if not self._leaving and self._is_reported(self._breakpoints.get(self.pc)):
            return self.stop(signal.SIGTRAP, StopReason.SOFTWARE_BREAKPOINT)
        self._leaving = False
        return self.step() or self._step_ended(action)

    def _is_reported(self, program: BreakpointProgram | None) -> bool:
        return program is not None and program.reports(self._state())

    def _state(self) -> TargetState:
        return TargetState(self, self, self._architecture, THREAD)

    def _step_ended(self, action: Action) -> Event | None:
        if action.kind is ActionKind.CONTINUE:
            return None
        if action.kind is ActionKind.RANGE_STEP and action.start <= self.pc < action.end:
            return None
        return self.stop(signal.SIGTRAP, StopReason.STEP)

    # Detach, Kill

    def detach(self, pid: int, *, stopped: bool = False) -> None:
        """The machine is no longer debugged; whoever made it may run it on."""
        self._check_process(pid)
        self._end()

    def kill(self, pid: int) -> None:
        self.detach(pid)
