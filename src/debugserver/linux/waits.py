"""What waitpid(2) says, decoded: values only. ptrace(2), "Stopped tracees"."""

from __future__ import annotations

import errno
import os
import signal
from functools import lru_cache
from typing import NamedTuple

from debugserver.linux import ptrace

WALL = 0x40000000
"""__WALL: children of every kind."""


class Exited(NamedTuple):
    """The thread is gone; with the leader, the process. `signal` (not 0) killed it."""

    status: int
    signal: int


class Stopped(NamedTuple):
    """A ptrace-stop: a signal on its way, or (`event` not 0) an event. Of EVENT_STOP with a signal other than
    SIGTRAP, a group-stop."""

    signal: int
    event: int

    @property
    def is_system_call(self) -> bool:
        """Entry of or return from a system call (PTRACE_O_TRACESYSGOOD)."""
        return self.signal == signal.SIGTRAP | 0x80

    @property
    def is_signal(self) -> bool:
        """A signal on its way (or a trap of the debugger's making)."""
        return self.event == 0 and not self.is_system_call

    @property
    def is_group_stop(self) -> bool:
        """Job control stopped the process."""
        return self.event == ptrace.EVENT_STOP and self.signal != signal.SIGTRAP


Status = Exited | Stopped


@lru_cache
def decode(status: int) -> Status:
    """A wait status, in the words of ptrace."""
    if os.WIFEXITED(status):
        return Exited(os.WEXITSTATUS(status), 0)
    if os.WIFSIGNALED(status):
        return Exited(0, os.WTERMSIG(status))
    return Stopped(os.WSTOPSIG(status), status >> 16)


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
