"""What --debug, --remote-debug and --verbose show. Not by `logging`, whose import alone takes 20 ms."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from debugserver.stub.settings import Settings

_VERBOSITY = {"event-loop": -1, "threads": -1, "remote": -2, "hw-points": -2}
"""From which `verbosity` down a component is logged without having been asked for."""
_STANDARD_ERROR = 2
_LONGEST = 512


class Log:
    """Writes to the debug file, or standard error. The settings may change at any time (`monitor set debug ...`)."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._file = ""
        self._descriptor = _STANDARD_ERROR
        self._has_complained = False
        """Of this file."""

    def bytes(self, component: str, what: str, data: bytes) -> None:
        """Log what went over the wire, cut where it is long."""
        settings = self._settings
        if (settings.debug or settings.verbosity < 0) and self._wanted(component):
            rest = len(data) - _LONGEST
            text = data[:_LONGEST].decode("ascii", "backslashreplace")
            self._write(component, f'{what} "{text}"' + (f" and {rest} bytes more" if rest > 0 else ""))

    def text(self, component: str, form: str, *values: object) -> None:
        """Log one line; it is put together (`form % values`) only if somebody wants it."""
        settings = self._settings
        if (settings.debug or settings.verbosity < 0) and self._wanted(component):
            self._write(component, form % values)

    def close(self) -> None:
        """Close the debug file."""
        if self._descriptor != _STANDARD_ERROR:
            os.close(self._descriptor)
            self._descriptor = _STANDARD_ERROR

    def _wanted(self, component: str) -> bool:
        settings = self._settings
        return component in settings.debug or settings.verbosity <= _VERBOSITY[component]

    def _write(self, component: str, text: str) -> None:
        if self._settings.debug_file != self._file:
            self._reopen()
        stamp = f"{time.monotonic():.6f} " if self._settings.debug_timestamps else ""
        try:
            os.write(self._descriptor, f"{stamp}[{component}] {text}\n".encode(errors="backslashreplace"))
        except OSError as error:
            # What the log tells of goes on without it.
            self._complain("write", error)

    def _reopen(self) -> None:
        self.close()
        self._file = self._settings.debug_file
        self._has_complained = False
        if not self._file:
            return
        try:
            self._descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        except OSError as error:
            self._complain("open", error)

    def _complain(self, what: str, error: OSError) -> None:
        """Once of a file; of standard error, there is nowhere to."""
        if self._file and not self._has_complained:
            self._has_complained = True
            self._settings.announce(f"Cannot {what} debug file {self._file}: {error.strerror}")
