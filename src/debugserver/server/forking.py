"""Serving any number of clients at a time: a process of its own for each. Knows neither packets nor targets."""

from __future__ import annotations

import os
import select
import signal
from typing import TYPE_CHECKING

from debugserver.server.loop import Loop

if TYPE_CHECKING:
    from collections.abc import Callable

    from debugserver.server.connection import Connection
    from debugserver.server.transport import Listener

_END_DEADLINE = 5000
"""Milliseconds that each of the processes has to end in order, when we do."""


class ForkingServer:
    """Accepts clients until a signal ends it; their processes end with it."""

    def __init__(self, listener: Listener, serve: Callable[[Connection], int]) -> None:
        """`serve` is called in the new process; what it returns is its exit status."""
        self._listener = listener
        self._serve = serve
        self._loop = Loop()
        self._children: dict[int, int] = {}
        """Process -> a descriptor that becomes readable when it has ended (pidfd_open(2))."""

    def run(self) -> None:
        """Only in the main thread."""
        self._loop.catch_signals()
        self._loop.watch(self._listener.fileno(), self._accept)
        try:
            while not self._loop.stopped:
                self._loop.turn(None)
        finally:
            self._end_children()
            self._loop.close()

    def _accept(self) -> None:
        connection = self._listener.accept()
        if connection is None:
            return
        child = os.fork()
        if not child:
            self._become(connection)
        connection.abandon()
        self._children[child] = os.pidfd_open(child)
        self._loop.watch(self._children[child], lambda: self._collect(child))

    def _become(self, connection: Connection) -> None:
        status = 1
        try:
            for descriptor in self._children.values():
                os.close(descriptor)
            self._loop.close()
            self._listener.abandon()
            status = self._serve(connection)
        finally:
            os._exit(status)

    def _collect(self, child: int) -> None:
        descriptor = self._children.pop(child)
        self._loop.forget(descriptor)
        os.close(descriptor)
        os.waitpid(child, 0)

    def _end_children(self) -> None:
        for child in self._children:
            os.kill(child, signal.SIGTERM)
        for child, descriptor in tuple(self._children.items()):
            ended = select.poll()
            ended.register(descriptor, select.POLLIN)
            if not ended.poll(_END_DEADLINE):
                os.kill(child, signal.SIGKILL)
            self._collect(child)
