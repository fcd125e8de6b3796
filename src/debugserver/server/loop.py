"""The one place where the server waits: for descriptors, and for the signals that end it. Knows no client."""

from __future__ import annotations

import os
import selectors
import signal
from _thread import RLock
from collections.abc import Callable

Callback = Callable[[], object]

ENDING_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_LONGEST_WAIT = 86400.0
"""Seconds. poll(2) counts milliseconds in an int, so a month is too long for it."""


class Loop:
    """Calls back when a descriptor is ready. `stopped`: somebody asked for the end.

    poll(2), since epoll refuses standard input when it is a file or /dev/null.
    """

    def __init__(self) -> None:
        self.stopped = False
        self._selector = selectors.PollSelector()
        self._callbacks: dict[int, dict[int, Callback]] = {}
        self._handlers: dict[int, object] = {}
        self._waker: int | None
        self._wakeup, self._waker = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        # Reentrant: a signal handler may come at any time. `threading` itself is not needed otherwise.
        self._waking = RLock()
        self.watch(self._wakeup, self._drain)

    def watch(self, descriptor: int, readable: Callback | None, writable: Callback | None = None) -> None:
        """From now on, call these, and only these, when `descriptor` is ready."""
        callbacks = {selectors.EVENT_READ: readable, selectors.EVENT_WRITE: writable}
        wanted = {event: callback for event, callback in callbacks.items() if callback is not None}
        if self._callbacks.get(descriptor):
            self._selector.unregister(descriptor)
        self._callbacks[descriptor] = wanted
        if wanted:
            self._selector.register(descriptor, sum(wanted))

    def forget(self, descriptor: int) -> None:
        """Before it is closed. One that is not watched is nothing to forget."""
        if self._callbacks.pop(descriptor, None):
            self._selector.unregister(descriptor)

    def turn(self, timeout: float | None) -> None:
        """Wait, for so many seconds at most (None: as long as it takes), and call back for all that is ready. A turn
        may end early, with nothing ready."""
        for key, ready in self._selector.select(None if timeout is None else min(timeout, _LONGEST_WAIT)):
            for event in (selectors.EVENT_READ, selectors.EVENT_WRITE):
                # An earlier callback of this turn may have forgotten the descriptor.
                callback = self._callbacks.get(key.fd, {}).get(event)
                if ready & event and callback is not None:
                    callback()

    def catch_signals(self) -> None:
        """Let the signals that would kill the server end it in order. One that is ignored (nohup) stays so.

        Only in the main thread.
        """
        for number in ENDING_SIGNALS:
            if signal.getsignal(number) != signal.SIG_IGN:
                self._handlers[number] = signal.signal(number, lambda *_: self.stop())
        if self._waker is not None and (other := signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)) != -1:
            signal.set_wakeup_fd(other, warn_on_full_buffer=False)

    def stop(self) -> None:
        """Ask for the end; also from a signal handler or another thread, and after it."""
        self.stopped = True
        with self._waking:
            if self._waker is None:
                return
            try:
                os.write(self._waker, b"\0")
            except BlockingIOError:
                return

    def _drain(self) -> None:
        os.read(self._wakeup, 512)

    def close(self) -> None:
        """Give the signals back, to whoever caught them before; also one that comes meanwhile."""
        if self._handlers:
            self._give_back_signals()
        self._selector.close()
        with self._waking:
            if self._waker is not None:
                os.close(self._waker)
                os.close(self._wakeup)
                self._waker = None

    def _give_back_signals(self) -> None:
        # Blocked: Python drops one that came under the old handler and is looked at when the default one is in place.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, self._handlers)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        if (other := signal.set_wakeup_fd(-1)) not in (-1, self._waker):
            signal.set_wakeup_fd(other, warn_on_full_buffer=False)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
