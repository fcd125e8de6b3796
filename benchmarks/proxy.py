"""A link with a round trip: a TCP proxy that delivers late, in both directions, and counts the client's packets."""

from __future__ import annotations

import queue
import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

    Line = queue.SimpleQueue[tuple[float, bytes]]


class Proxy:
    """`with Proxy(server_port, 0.02) as proxy:` serves one client on `proxy.port`; the round trip is in seconds.

    As on a real link, data waits for its time, not for the data before it to be read.
    """

    def __init__(self, server_port: int, round_trip: float) -> None:
        self.packets = 0
        """How many the client has sent so far. A `$` stands nowhere but at their start."""
        self._server_port = server_port
        self._delay = round_trip / 2
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._serve, daemon=True)]

    def __enter__(self) -> Proxy:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for end in (self._listener, *self._sockets):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        for thread in self._threads:
            thread.join(5)

    def _serve(self) -> None:
        try:
            client, _ = self._listener.accept()
        except OSError:
            return
        server = socket.create_connection(("127.0.0.1", self._server_port))
        self._sockets += [client, server]
        for end in self._sockets:
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._forward(client, server, counted=True)
        self._forward(server, client, counted=False)

    def _forward(self, source: socket.socket, drain: socket.socket, counted: bool) -> None:
        line: Line = queue.SimpleQueue()
        for thread in (
            threading.Thread(target=self._receive, args=(source, line, counted), daemon=True),
            threading.Thread(target=self._deliver, args=(line, drain), daemon=True),
        ):
            self._threads.append(thread)
            thread.start()

    def _receive(self, source: socket.socket, line: Line, counted: bool) -> None:
        data = b"."
        while data:
            try:
                data = source.recv(1 << 18)
            except OSError:
                data = b""
            if counted:
                self.packets += data.count(b"$")
            line.put((time.monotonic() + self._delay, data))

    def _deliver(self, line: Line, drain: socket.socket) -> None:
        while True:
            due, data = line.get()
            time.sleep(max(0.0, due - time.monotonic()))
            try:
                if not data:
                    drain.shutdown(socket.SHUT_WR)
                    return
                drain.sendall(data)
            except OSError:
                return
