"""What the person at the server's terminal is told of processes, in GNU gdbserver's words: test rigs wait for them."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from debugserver.target.model import ProcessExit

LEFT_UNATTENDED = "Persistent commands are present, leaving gdbserver attached to the process"


def describe_end(end: ProcessExit) -> str:
    """How a process ended, on a line of its own whatever it has printed."""
    if end.signal:
        return f"\nChild terminated with signal = 0x{end.signal:x} ({_signal_name(end.signal)})"
    return f"\nChild exited with status {end.status}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIG{number}"
