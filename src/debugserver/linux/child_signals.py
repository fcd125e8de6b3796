"""SIGCHLD as something to wait for beside sockets: signalfd(2). Says that there may be a status, not whose.

The signal stays blocked, so that a stop costs us neither a handler nor the bytes of a pipe; processes that are started
here get an empty mask (`launch`).
"""

from __future__ import annotations

import ctypes
import os
import signal

from debugserver.errors import TargetError
from debugserver.linux.ptrace import libc

_SIGSET_SIZE = 128
"""sizeof(sigset_t), for the C library."""
_SIGINFO_SIZE = 128
"""struct signalfd_siginfo."""


class ChildSignals:
    """Only in the main thread; once in a process, which should have no other threads: they could take the signal."""

    def __init__(self) -> None:
        """TargetError if the kernel has no descriptor to give."""
        # Whoever started us may have it ignored: then the kernel keeps no statuses.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
        mask = (1 << signal.SIGCHLD - 1).to_bytes(_SIGSET_SIZE, "little")
        self.descriptor: int = libc.signalfd(-1, mask, os.O_CLOEXEC | os.O_NONBLOCK)
        if self.descriptor < 0:
            raise TargetError("signalfd", ctypes.get_errno())

    def drain(self) -> None:
        """Forget those that have come; to be called before statuses are taken in."""
        try:
            os.read(self.descriptor, _SIGINFO_SIZE)
        except BlockingIOError:
            return

    def raise_one(self) -> None:
        """Make the descriptor readable."""
        signal.raise_signal(signal.SIGCHLD)

    def close(self) -> None:
        """Let the signal through again; by default nothing comes of it."""
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        os.close(self.descriptor)
