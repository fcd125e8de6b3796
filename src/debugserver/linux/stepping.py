"""Stepping a thread over a breakpoint in place: the breakpoint is lifted while every other thread of the memory stands still."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

from debugserver.linux import events, ptrace, registers, waits
from debugserver.linux.waits import Stopped

if TYPE_CHECKING:
    from debugserver.linux.threads import LinuxThread
    from debugserver.linux.tracer import Tracer

_PATIENCE = 0.02
"""Seconds after which a thread that is still stepping is looked at: it may have entered a system call that waits."""
_DEADLINE = 5.0


def step_over(tracer: Tracer, thread: LinuxThread, address: int) -> None:
    """Run the one instruction under the breakpoint at `address`, where the stopped thread stands; it runs on afterwards."""
    process = thread.process
    sharers = [other for other in tracer.table.all() if other.memory is process.memory]
    tracer.hold(sharers)
    try:
        process.breakpoints.lift(address, process.memory)
        try:
            _step(tracer, thread)
        finally:
            process.breakpoints.put_back(address, process.memory)
    finally:
        tracer.let_go()


def _step(tracer: Tracer, thread: LinuxThread) -> None:
    registers.flush(thread)
    ptrace.resume(thread.tid, step=True, signal_number=thread.signal)
    thread.signal = 0
    thread.stopped = False
    deadline = time.monotonic() + _DEADLINE
    while (found := waits.poll(thread.tid)) is None:
        # A system call that takes its time: the instruction itself has been run.
        if not tracer.wait(_PATIENCE) and tracer.procfs.in_system_call(thread.process.pid, thread.tid):
            return
        tracer.drain_wakeup()
        if time.monotonic() > deadline:
            return
    tid, status = found
    if isinstance(status, Stopped) and (status.signal, status.event) == (signal.SIGTRAP, 0):
        thread.stopped = True
        thread.signal_stop = True
    else:
        events.handle_status(tracer, tid, status)
    tracer.wake()
