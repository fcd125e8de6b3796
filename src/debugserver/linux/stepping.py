"""Stepping a thread over a breakpoint in place: the breakpoint is lifted while every other thread of the memory
stands still."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from debugserver.linux import events, ptrace, registers
from debugserver.linux.waits import Stopped

if TYPE_CHECKING:
    from debugserver.linux.threads import LinuxThread
    from debugserver.linux.tracer import Tracer

_PATIENCE = 0.02
"""Seconds after which a thread that is still stepping is looked at."""


def step_over(tracer: Tracer, thread: LinuxThread, address: int) -> None:
    """Run the one instruction under the breakpoint at `address`, where the stopped thread stands; it runs on
    afterwards."""
    process = thread.process
    tracer.hold([process, *tracer.table.sharers(process)])
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
    ptrace.step(thread.tid, thread.signal)
    thread.signal = 0
    thread.stopped = False
    status = tracer.await_status(thread.tid, _PATIENCE)
    # Nothing yet, and asleep: the instruction was a system call that takes its time. It has been run.
    while status is None and not tracer.procfs.in_system_call(thread.group, thread.tid):
        status = tracer.await_status(thread.tid, _PATIENCE)
    if status == Stopped(signal.SIGTRAP, 0):
        thread.stopped = True
        thread.signal_stop = True
    elif status is not None:
        events.handle_status(tracer, thread.tid, status)
