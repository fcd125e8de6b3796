"""What programs and breakpoints' commands print, on its way to the client: `O` packets, which are legal only while it
waits for a stop reply.

Does not know where the text comes from.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from debugserver.stub.session import Session
    from debugserver.target.capabilities import ProgramOutput

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

    def __init__(self, session: Session, output: ProgramOutput | None) -> None:
        self._session = session
        self._output = output

    @property
    def route(self) -> Route:
        """In non-stop, GDB takes an `O` packet for the reply to whatever it has just asked: it gets none."""
        if self._session.stops.awaited:
            return Route.CLIENT
        if self._session.non_stop or not self._session.target.processes():
            return Route.SERVER
        return Route.HELD

    def pass_on(self) -> bool:
        """Send what there is; whether there was anything."""
        text = self._output.read_output() if self._output else b""
        if text:
            self._session.console(text)
        return bool(text)

    def print(self, text: bytes) -> None:
        """Print for a breakpoint's command: where programs print, or on our standard output, as GNU gdbserver does."""
        if self._output is not None and self.route is Route.CLIENT:
            self.flush()
            self._session.console(text)
        else:
            self._session.settings.print(text)

    def flush(self) -> None:
        """Send all that there is."""
        for _ in range(_MOST_PIECES):
            if not self.pass_on():
                return
