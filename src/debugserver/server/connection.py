"""A byte stream to one client, whatever carries it. Never blocks; knows nothing of what the bytes mean."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable

_BUFFER_SIZE = 32 * 1024
"""Short, and reused: a `recv` of 256 KiB maps and unmaps pages at every call."""


class Connection:
    """Reads from one descriptor and writes to another, or to the same. Owns both."""

    def __init__(
        self,
        reader: int,
        writer: int,
        *,
        peer: str,
        greeting: str,
        on_close: Callable[[], None] = lambda: None,
    ) -> None:
        """`peer` names the client in messages; `greeting` is the line that says it has come; `on_close` is called
        before the descriptors are closed."""
        self.reader = reader
        self.writer = writer
        self.peer = peer
        self.greeting = greeting
        self.broken = False
        """The client no longer takes what is sent."""
        self._on_close = on_close
        self._buffer = memoryview(bytearray(_BUFFER_SIZE))
        self._pending = bytearray()
        self._was_blocking = {fd: os.get_blocking(fd) for fd in {reader, writer}}
        for descriptor in self._was_blocking:
            os.set_inheritable(descriptor, False)
            os.set_blocking(descriptor, False)

    @property
    def pending(self) -> int:
        """How many bytes wait until the client reads."""
        return len(self._pending)

    def receive(self) -> bytes | None:
        """What has arrived; None: nothing yet; empty: the client is gone."""
        try:
            length = os.readv(self.reader, [self._buffer])
        except BlockingIOError:
            return None
        except OSError:
            # A reset, or the EIO of a terminal whose other side was closed.
            return b""
        return bytes(self._buffer[:length])

    def send(self, data: bytes) -> None:
        """Send now what the client takes, and keep the rest for `flush`."""
        if self._pending:
            self._pending += data
            return
        sent = self._write(data)
        if sent < len(data):
            self._pending += memoryview(data)[sent:]

    def flush(self) -> None:
        """Send on; to be called when the client takes more."""
        del self._pending[: self._write(self._pending)]

    def _write(self, data: bytes | bytearray) -> int:
        try:
            return os.write(self.writer, data)
        except BlockingIOError:
            return 0
        except OSError:
            self.broken = True
            return len(data)

    def finish_sending(self) -> None:
        """Tell the client that nothing more will come; what it sends is still received."""
        with socket.socket(fileno=os.dup(self.writer)) as writer:
            try:
                writer.shutdown(socket.SHUT_WR)
            except OSError:
                self.broken = True

    def close(self) -> None:
        """Close both directions. Standard streams and terminals get back the modes that they had. Again: nothing."""
        if self._was_blocking:
            self._on_close()
        while self._was_blocking:
            descriptor, blocking = self._was_blocking.popitem()
            os.set_blocking(descriptor, blocking)
            os.close(descriptor)
