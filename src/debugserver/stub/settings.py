"""What the user set for the server as a whole; it outlives sessions. `monitor set` and the command line change it."""

from __future__ import annotations

import os
from collections.abc import Callable
from enum import Enum


class OnDisconnect(Enum):
    """What becomes of the processes when a client goes away without having decided it."""

    STOP = "stop"
    DETACH = "detach"
    KILL = "kill"


class Settings:
    """One value a running server."""

    def __init__(self) -> None:
        self.extended = False
        """The server stays when the last process is gone: --multi, or a client said `!`."""
        self.stands_for_lldb_server = False
        """Whoever does not speak GDB's dialect is LLDB beyond doubt, from the first packet on."""
        self.on_disconnect = OnDisconnect.STOP
        self.notification_timeout = 30.0
        """Seconds until a notification that was not acknowledged is sent again."""
        self.disabled_packets: frozenset[str] = frozenset()
        self.verbosity = 0
        """-2 (everything) to 3 (only what is fatal), the seed's scale."""
        self.debug: set[str] = set()
        """Components whose doings are logged: threads, event-loop, remote, hw-points."""
        self.debug_timestamps = False
        self.debug_file = ""
        """Where the log goes; empty: standard error."""
        self.announce: Callable[[str], None] = lambda line: None
        """Tells the person at the server's terminal; one line, without its end."""
        self.print: Callable[[bytes], None] = _print
        """Prints on our standard output."""
        self.catch_up: Callable[[], None] = lambda: None
        """Passes on to our standard output what programs have printed for it, before something else is said."""
        self.announces_exits = True
        """Whether the person at the terminal is told how processes end; a client there says it itself."""
        self.keeps_commands = True
        """Whether breakpoints' commands may persist; a client that has started us ends us when it goes."""
        self.report_bug: Callable[[bytes, Exception], None] = self._announce_bug
        """Told of a packet whose handler failed in a way that nobody foresaw."""
        self.serial_line = False
        """Whether every byte to the client counts, which takes a tenth of a millisecond, and no client hangs up."""
        self.exit_requested = False

    def _announce_bug(self, payload: bytes, error: Exception) -> None:
        import traceback

        text = "".join(traceback.format_exception(error))
        self.announce(f"debugserver: internal error while handling {payload[:80]!r}:\n{text}")


def _print(text: bytes) -> None:
    """Straight to the descriptor, as programs print there; whoever would have read it may be gone."""
    try:
        while text:
            text = text[os.write(1, text) :]
    except OSError:
        return
