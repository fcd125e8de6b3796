"""Stops as LLDB wants to hear of them: why each thread stands still, and what the client would ask for next.

Knows no event but the stops of threads. Source: LLVM's lldbgdbremote document, "Stop reply packet extensions" and
jThreadsInfo.
"""

from __future__ import annotations

import re
import signal
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from debugserver.errors import TargetError
from debugserver.rsp import fields
from debugserver.stub.expedited import register_pairs
from debugserver.target.capabilities import Execution, Memory, Registers, SignalInfo, ThreadNames
from debugserver.target.model import Stop, StopReason, ThreadId

if TYPE_CHECKING:
    from collections.abc import Iterator

    from debugserver.arch.architecture import Architecture
    from debugserver.stub.session import Session

_REASONS = {
    StopReason.SIGNAL: "signal",
    StopReason.START: "signal",
    StopReason.ATTACHED: "signal",
    StopReason.STEP: "trace",
    StopReason.SOFTWARE_BREAKPOINT: "breakpoint",
    StopReason.HARDWARE_BREAKPOINT: "breakpoint",
    StopReason.WRITE_WATCHPOINT: "watchpoint",
    StopReason.READ_WATCHPOINT: "watchpoint",
    StopReason.ACCESS_WATCHPOINT: "watchpoint",
    StopReason.EXEC: "exec",
    StopReason.FORK: "fork",
    StopReason.VFORK: "vfork",
    StopReason.VFORK_DONE: "vforkdone",
}
_UNKNOWN_ADDRESS = (1 << 64) - 1
"""LLDB's word for it: the CPU tells which slot was hit, not where."""
_FIRST_STOPS = frozenset({StopReason.START, StopReason.ATTACHED})
"""Those of a process that the client is about to get to know."""
_RED_ZONE = 128
"""Bytes below the stack pointer that functions which call no other may use (System V ABI of x86-64)."""
_STACK_SENT = 512
"""Bytes of the stack that travel with a stop, from the red zone on: unwinding needs the return addresses among them."""
_is_plain = re.compile(r"[\w ./+-]+", re.ASCII).fullmatch


class LldbStops:
    """Describes the stops of one target's threads to one client."""

    def __init__(self, session: Session) -> None:
        target = session.target
        self._session = session
        self._target = target
        self._execution = target.capability(Execution)
        self._memory = target.capability(Memory)
        self._names = target.capability(ThreadNames)
        self._registers = target.capability(Registers)
        self._signals = target.capability(SignalInfo)

    def signal(self, stop: Stop) -> int:
        """The client's number for the signal of a stop.

        LLDB shows where a process begins or was found only if a signal is said to have stopped it. That is no SIGTRAP:
        LLDB takes one where it has a breakpoint of its own, as it may have at the first instruction, for a hit, and
        resumes.
        """
        first = stop.reason in _FIRST_STOPS and self._session.thread_suffix
        return self._session.encode_signal(signal.SIGSTOP if first else stop.signal)

    def pairs(self, stop: Stop) -> Iterator[tuple[bytes, bytes]]:
        """What a stop reply says of the stop, the thread first."""
        if "Tthread" not in self._session.settings.disabled_packets:
            yield b"thread", self._session.encode_thread(stop.thread)
        if name := self._name(stop.thread):
            yield (b"name", name.encode()) if _is_plain(name) else (b"hexname", fields.hex_text(name))
        if self._session.lists_threads:
            yield from self._all_threads(stop)
        for number, value in self._general(stop.thread):
            yield b"%02x" % number, value.encode()
        for address, content in self._stack(stop.thread):
            yield b"memory", b"%#x=%b" % (address, content.hex().encode())
        yield from self._cause(stop)

    def describe_threads(self, pid: int) -> bytes:
        """All stopped threads of a process as JSON, each with its stop, its registers and the top of its stack."""
        execution = self._execution
        threads = [t for t in self._target.threads(pid) if execution is None or not execution.running(t)]
        return _json([self._details(thread) for thread in threads])

    def _name(self, thread: ThreadId) -> str:
        try:
            return self._names.thread_name(thread) if self._names else ""
        except TargetError:
            return ""

    def _all_threads(self, stop: Stop) -> Iterator[tuple[bytes, bytes]]:
        """Who there is, where each stands, and why. LLDB 14 believes the program counters of threads only that are
        mentioned in `jstopinfo`."""
        threads = self._target.threads(stop.thread.pid)
        yield b"threads", b",".join(b"%x" % thread.tid for thread in threads)
        counters = [self._program_counter(thread) for thread in threads]
        if all(counters):
            yield b"thread-pcs", b",".join(counters)
        if len(threads) > 1:
            stops = (stop if thread == stop.thread else self._last_stop(thread) for thread in threads)
            yield b"jstopinfo", fields.hex_bytes(_json([{"tid": s.thread.tid, **self._reason(s)} for s in stops]))

    def _program_counter(self, thread: ThreadId) -> bytes:
        """As 16 digits; empty if it cannot be read now."""
        architecture = self._target.architecture(thread.pid)
        value = self._read(thread, architecture.pc)
        return b"" if value is None else b"%016x" % int.from_bytes(value, architecture.byteorder)

    def _read(self, thread: ThreadId, number: int) -> bytes | None:
        try:
            return self._registers.read_register(thread, number) if self._registers else None
        except TargetError:
            return None

    def _general(self, thread: ThreadId) -> list[tuple[int, str]]:
        """The general registers: (number, hex); none if they cannot be read now."""
        if self._registers is None:
            return []
        try:
            architecture = self._target.architecture(thread.pid)
            values = self._registers.read_several(thread, architecture.general)
        except TargetError:
            return []
        return list(register_pairs(architecture).by_number(values))

    def _registers_sent(self, thread: ThreadId, looked_at: bool) -> list[tuple[int, str]]:
        """(number, hex) of those that a user looks at where a thread stopped for a reason; elsewhere what unwinding
        begins with."""
        if looked_at:
            return self._general(thread)
        numbers = _numbers_for_unwinding(self._target.architecture(thread.pid))
        values = ((number, self._read(thread, number)) for number in numbers)
        return [(number, value.hex()) for number, value in values if value is not None]

    def _stack(self, thread: ThreadId) -> list[tuple[int, bytes]]:
        """(address, content) of the top of the thread's stack, if it can be read."""
        architecture = self._target.architecture(thread.pid)
        pointer = self._read(thread, architecture.sp)
        if pointer is None or self._memory is None:
            return []
        top = max(int.from_bytes(pointer, architecture.byteorder) - _RED_ZONE, 0)
        try:
            return [(top, self._memory.read_memory(thread.pid, top, _STACK_SENT))]
        except TargetError:
            return []

    def _cause(self, stop: Stop) -> Iterator[tuple[bytes, bytes]]:
        reason = self._reason(stop)
        if "reason" in reason:
            yield b"reason", reason["reason"].encode()
        if "description" in reason:
            yield b"description", fields.hex_text(reason["description"])
        if stop.child is not None and stop.reason in (StopReason.FORK, StopReason.VFORK):
            yield _REASONS[stop.reason].encode(), self._session.encode_thread(stop.child)

    def _last_stop(self, thread: ThreadId) -> Stop:
        if self._execution is None or self._execution.running(thread):
            return Stop(thread, 0, StopReason.HALTED)
        return self._session.stops.last_stop(thread)

    def _reason(self, stop: Stop) -> dict[str, Any]:
        """Why a thread stands still, in the words of LLDB's JSON; empty if there is no reason but a halt."""
        word = _REASONS.get(stop.reason)
        number = self.signal(stop)
        if word is None or not number:
            return {}
        reason = {"reason": word, "signal": number}
        description = self._description(stop)
        return {**reason, "description": description} if description else reason

    def _description(self, stop: Stop) -> str:
        """For a watchpoint its address, its slot and which address was hit, in decimal; for a signal its cause, if that
        is known."""
        if _REASONS[stop.reason] == "watchpoint":
            return f"{stop.address} {stop.number} {_UNKNOWN_ADDRESS}"
        if stop.reason is not StopReason.SIGNAL or self._signals is None:
            return ""
        cause = self._signals.signal_cause(stop.thread, stop.signal)
        return f"signal {signal.Signals(stop.signal).name}: {cause}" if cause else ""

    def _details(self, thread: ThreadId) -> dict[str, Any]:
        name = self._name(thread)
        reason = self._reason(self._last_stop(thread))
        return {
            "tid": thread.tid,
            **reason,
            **({"name": name} if name else {}),
            "registers": {str(number): value for number, value in self._registers_sent(thread, bool(reason))},
            "memory": [{"address": address, "bytes": data.hex()} for address, data in self._stack(thread)],
        }


@lru_cache
def _numbers_for_unwinding(architecture: Architecture) -> tuple[int, ...]:
    """The program counter, the stack pointer, and the frame pointer if there is one."""
    generic = {role.generic: architecture.by_name[name].number for name, role in architecture.roles.items()}
    return (architecture.pc, architecture.sp, *([generic["fp"]] if "fp" in generic else []))


def _json(value: object) -> bytes:
    import json

    return json.dumps(value, separators=(",", ":")).encode("utf-8", "surrogateescape")
