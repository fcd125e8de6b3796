"""A terminal of our own making: programs print to it and may read from it. Knows neither them nor its reader."""

from __future__ import annotations

import contextlib
import errno
import os
import termios

from debugserver.errors import TargetError
from debugserver.linux.launch import Streams
from debugserver.target.capabilities import ProgramInput, ProgramOutput

_OURS = 0
_PIECE = 4096
_MOST_WAITING = 1 << 20
"""Bytes that were typed and nobody has read."""


class PseudoTerminal(ProgramOutput, ProgramInput):
    """A pair of terminals (pty(7)): what programs print on one is read from the other.

    One serves all programs: it outlives a session that it is the controlling terminal of, and is opened anew for the
    next.
    """

    def __init__(self) -> None:
        self._master, self._slave = os.openpty()
        os.set_blocking(self._master, False)
        self._waiting = bytearray()
        """What was typed and found no room: the system keeps some kilobytes."""

    @property
    def descriptor(self) -> int:
        return self._master

    def read_output(self) -> bytes:
        try:
            return os.read(self._master, _PIECE)
        except BlockingIOError:
            return b""

    @property
    def waits(self) -> bool:
        return bool(self._waiting)

    def write_input(self, data: bytes) -> None:
        if len(self._waiting) + len(data) > _MOST_WAITING:
            raise TargetError("the program does not read what it is given", errno.EBUSY)
        self._waiting += data
        self.write_waiting()

    def write_waiting(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._waiting:
                del self._waiting[: os.write(self._master, self._waiting)]

    def resize(self, columns: int, rows: int) -> None:
        termios.tcsetwinsize(self._slave, (rows, columns))

    def streams(self) -> Streams:
        """For a program that has the terminal for itself; it has the size of ours, if we have one."""
        # Now, since a change of size is a signal to the programs there.
        with contextlib.suppress(termios.error):
            termios.tcsetwinsize(self._slave, termios.tcgetwinsize(_OURS))
        name = os.ttyname(self._slave)
        return Streams(name, name, name, terminal=name)

    def shared_streams(self) -> Streams:
        """For a program that must not lead a session: its children would be hung up on (SIGHUP) when it ends."""
        name = os.ttyname(self._slave)
        return Streams(name, name, name)

    def output_streams(self) -> Streams:
        """For a program that only prints, and whose lines arrive as they were printed."""
        mode = termios.tcgetattr(self._slave)
        mode[1] &= ~termios.OPOST
        termios.tcsetattr(self._slave, termios.TCSANOW, mode)
        name = os.ttyname(self._slave)
        return Streams(os.devnull, name, name)

    def close(self) -> None:
        """Programs that still have it find that nobody is there."""
        os.close(self._master)
        os.close(self._slave)
