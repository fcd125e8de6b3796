"""Letting threads go without a trace of us, also those that cannot be stopped just now."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from debugserver.errors import NoSuchThread
from debugserver.linux import ptrace, registers, watchpoints
from debugserver.linux.waits import StopKind

if TYPE_CHECKING:
    from debugserver.linux.threads import LinuxProcess, LinuxThread
    from debugserver.linux.tracer import Tracer
    from debugserver.linux.waits import Stopped

_NOT_PASSED_ON = frozenset({signal.SIGTRAP, signal.SIGINT})
"""The debugger's own signals: never given to a process that is let go (GDB's default for both is "nopass")."""


def release(tracer: Tracer, thread: LinuxThread) -> None:
    """Detach a thread that is no longer in the table; one that runs, or waits for a vfork child, when it next stops."""
    if not thread.stopped:
        tracer.leaving[thread.tid] = thread
        return
    number = last_signal(tracer, thread)
    try:
        watchpoints.clear(thread)
        registers.flush(thread)
        ptrace.detach(thread.tid, number)
    except NoSuchThread:
        return


def release_process(tracer: Tracer, process: LinuxProcess) -> None:
    """Let its threads go as they are; nothing is known of it any more."""
    threads = tuple(process.threads.values())
    tracer.table.remove_process(process)
    for thread in threads:
        release(tracer, thread)


def last_signal(tracer: Tracer, thread: LinuxThread) -> int:
    """The signal that a stopped thread still gets when it is let go; 0: none."""
    number = thread.signal or thread.stop_signal
    wanted = tracer.signals_on_detach
    return number if (number not in _NOT_PASSED_ON if wanted is None else number in wanted) else 0


def release_stopped(tracer: Tracer, thread: LinuxThread, status: Stopped) -> None:
    """Detach a thread that was to go when it next stopped, which is now."""
    thread.stopped = True
    thread.stop_signal = status.signal if status.kind is StopKind.SIGNAL else 0
    release(tracer, thread)
