"""A byte stream to one client, whatever carries it. Never blocks, but for a moment in `linger`; knows nothing of what
the bytes mean."""

from __future__ import annotations

import os
import socket
import stat
import struct
from collections.abc import Callable

_BUFFER_SIZE = 32 * 1024
"""Short: a `recv` of 256 KiB maps and unmaps pages at every call."""
_LARGE_BUFFER_SIZE = 256 * 1024
"""For what comes in the middle of much: fewer calls are worth it then."""
_LONGEST_LINGER = 0.02
"""Seconds."""


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
        self._pending = bytearray()
        self._room = _BUFFER_SIZE
        """Bytes to ask for next."""
        self._was_blocking = {fd: os.get_blocking(fd) for fd in {reader, writer}}
        for descriptor in self._was_blocking:
            os.set_inheritable(descriptor, False)
        self._socket = _as_socket(reader) if reader == writer else None
        self.can_linger = self._socket is not None
        for descriptor in self._was_blocking:
            os.set_blocking(descriptor, self.can_linger)

    @property
    def local_host(self) -> str:
        """Our own address, where the client has found us; empty if that is no network's."""
        if self._socket is None or self._socket.family not in (socket.AF_INET, socket.AF_INET6):
            return ""
        return str(self._socket.getsockname()[0])

    @property
    def pending(self) -> int:
        """How many bytes wait until the client reads."""
        return len(self._pending)

    def receive(self) -> bytes | None:
        """What has arrived; None: nothing yet; empty: the client is gone."""
        try:
            if self._socket is not None:
                return self._adapt(self._socket.recv(self._room, socket.MSG_DONTWAIT))
            return os.read(self.reader, _BUFFER_SIZE)
        except BlockingIOError:
            return None
        except OSError:
            # A reset, or the EIO of a terminal whose other side was closed.
            return b""

    def linger(self) -> bytes | None:
        """As `receive`, but give the client a moment to send something. Only where `can_linger`.

        For one descriptor this is a system call less than waiting for any of several to become ready."""
        try:
            return self._adapt(self._socket.recv(self._room)) if self._socket is not None else None
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def _adapt(self, data: bytes) -> bytes:
        if len(data) >= _BUFFER_SIZE:
            self._room = _LARGE_BUFFER_SIZE
        elif self._room != _BUFFER_SIZE:
            self._room = _BUFFER_SIZE
        return data

    def send(self, data: bytes) -> bool:
        """Send now what the client takes, and keep the rest for `flush`; whether all is sent."""
        sent = 0 if self._pending else self._write(data)
        if sent == len(data):
            return True
        self._pending += memoryview(data)[sent:]
        return False

    def flush(self) -> None:
        """Send on; to be called when the client takes more."""
        del self._pending[: self._write(self._pending)]

    def _write(self, data: bytes | bytearray) -> int:
        try:
            if self._socket is not None:
                # A moment for a client that is about to read is less than another turn of the loop.
                return self._socket.send(data)
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

    def abandon(self) -> None:
        """It is another process's now, which got it by a fork: close nothing but our own descriptors."""
        self._release()
        while self._was_blocking:
            os.close(self._was_blocking.popitem()[0])

    def close(self) -> None:
        """Close both directions. Standard streams and terminals get back the modes that they had. Again: nothing."""
        if self._was_blocking:
            self._on_close()
        self._release()
        while self._was_blocking:
            descriptor, blocking = self._was_blocking.popitem()
            os.set_blocking(descriptor, blocking)
            os.close(descriptor)

    def _release(self) -> None:
        """The descriptors are closed by their numbers."""
        if self._socket is not None:
            self._socket.detach()


def _as_socket(descriptor: int) -> socket.socket | None:
    """The socket behind a descriptor, which blocks no longer than `_LONGEST_LINGER`; None: it is something else."""
    if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
        return None
    found = socket.socket(fileno=descriptor)
    patience = struct.pack("ll", 0, int(_LONGEST_LINGER * 1_000_000))
    for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
        found.setsockopt(socket.SOL_SOCKET, option, patience)
    return found
