"""What waitpid(2) says, decoded: values only. ptrace(2), "Stopped tracees"."""

from __future__ import annotations

import errno
import os
import signal
from enum import Enum, auto
from functools import lru_cache
from typing import NamedTuple

from debugserver.linux import ptrace

WALL = 0x40000000
"""__WALL: children of every kind."""


class Exited(NamedTuple):
    """The thread is gone; with the leader, the process. `signal` (not 0) killed it."""

    status: int
    signal: int


class StopKind(Enum):
    """The kinds of ptrace-stop."""

    SIGNAL = auto()
    """A signal on its way, or a trap of the debugger's making."""
    SYSTEM_CALL = auto()
    """Entry of or return from a system call (PTRACE_O_TRACESYSGOOD)."""
    EVENT = auto()
    """In the middle of a system call: a birth, an exec."""
    INTERRUPT = auto()
    """PTRACE_INTERRUPT, the end of a group-stop, or the first stop of a new thread."""
    GROUP = auto()
    """Job control stopped the process."""


class Stopped(NamedTuple):
    """A ptrace-stop; with the signal on its way, or (of EVENT) the event."""

    kind: StopKind
    signal: int
    event: int = 0


Status = Exited | Stopped

STEPPED = Stopped(StopKind.SIGNAL, signal.SIGTRAP)
"""What a step ends with, and a breakpoint."""

_SYSTEM_CALL = signal.SIGTRAP | 0x80


@lru_cache
def decode(status: int) -> Status:
    """A wait status, in the words of ptrace."""
    if os.WIFEXITED(status):
        return Exited(os.WEXITSTATUS(status), 0)
    if os.WIFSIGNALED(status):
        return Exited(0, os.WTERMSIG(status))
    number, event = os.WSTOPSIG(status), status >> 16
    if event == ptrace.EVENT_STOP:
        return Stopped(StopKind.INTERRUPT if number == signal.SIGTRAP else StopKind.GROUP, number, event)
    if event:
        return Stopped(StopKind.EVENT, number, event)
    return Stopped(StopKind.SYSTEM_CALL if number == _SYSTEM_CALL else StopKind.SIGNAL, number)


_NOW = os.WNOHANG | WALL


def poll(tid: int = -1) -> tuple[int, Status] | None:
    """The next status that is there already, of any thread or of this one."""
    try:
        pid, status = os.waitpid(tid, _NOW)
    except OSError as error:
        if error.errno == errno.ECHILD:
            return None
        raise
    return (pid, decode(status)) if pid else None
