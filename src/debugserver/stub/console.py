"""What programs and breakpoints' commands print, on its way to the client: `O` packets, which are legal only while it
waits for a stop reply.

Does not know where the text comes from.
"""

from __future__ import annotations

from collections import deque
from enum import Enum
from typing import TYPE_CHECKING

from debugserver.rsp import fields
from debugserver.stub.registry import Dialect

if TYPE_CHECKING:
    from collections.abc import Callable

    from debugserver.stub.session import Session
    from debugserver.target.capabilities import ProgramOutput

_MOST_UNTOLD = 2
"""Pieces that wait for a non-stop client; programs that print more wait, too."""
_MOST_PIECES = 256
"""So many at a time: not everybody who prints is debugged, and stands still now."""


class Route(Enum):
    """Where what programs print is to go now."""

    CLIENT = "client"
    SERVER = "server"
    """To the person at the server: no client will ever take it."""
    HELD = "held"
    """Nowhere yet; a program that prints much waits."""


class Console:
    """The programs' output as one client gets it."""

    def __init__(self, session: Session, output: ProgramOutput | None, notify: Callable[[bytes], None]) -> None:
        """`notify` sends a notification."""
        self._session = session
        self._output = output
        self._notify = notify
        self._untold: deque[bytes] = deque()
        """Non-stop: what follows the piece in flight, which is the first."""

    @property
    def route(self) -> Route:
        """In non-stop, GDB takes an `O` packet for the reply to whatever it has just asked: it gets none."""
        if self._session.stops.awaited:
            return Route.CLIENT
        if self._session.non_stop and self._takes_notifications:
            return Route.CLIENT if len(self._untold) < _MOST_UNTOLD else Route.HELD
        if self._session.non_stop or not self._session.target.processes():
            return Route.SERVER
        return Route.HELD

    @property
    def _takes_notifications(self) -> bool:
        return self._session.dialect is Dialect.LLDB

    def pass_on(self) -> bool:
        """Send what there is; whether there was anything."""
        text = self._output.read_output() if self._output else b""
        if text and self._session.non_stop:
            self._untold.append(text)
            if len(self._untold) == 1:
                self._notify(b"Stdio:O" + fields.hex_bytes(text))
        elif text:
            self._session.console(text)
        return bool(text)

    def next_piece(self) -> bytes:
        """vStdio: the piece in flight has arrived; the next one, or OK."""
        if self._untold:
            self._untold.popleft()
        return b"O" + fields.hex_bytes(self._untold[0]) if self._untold else b"OK"

    def print(self, text: bytes) -> None:
        """Print for a breakpoint's command: where programs print, or on our standard output, as GNU gdbserver does."""
        if self._output is not None and self._session.stops.awaited:
            self.flush()
            self._session.console(text)
        else:
            self._session.settings.print(text)

    def flush(self) -> None:
        """Send all that there is to whom it is for, before the client is told of a stop."""
        if self._output is None:
            return
        if self._session.non_stop and not self._takes_notifications:
            self._session.settings.catch_up()
            return
        for _ in range(_MOST_PIECES):
            if not self.pass_on():
                return
