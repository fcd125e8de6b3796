"""Passing on bytes between the program's terminal and our own standard streams. Blocks for a moment only where
somebody is to catch up; knows no protocol."""

from __future__ import annotations

import math
import os
import select
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from debugserver.stub.console import Route

if TYPE_CHECKING:
    from debugserver.server.loop import Callback, Loop
    from debugserver.target.capabilities import ProgramInput, ProgramOutput

STANDARD_INPUT, STANDARD_OUTPUT = 0, 1
_PIECE = select.PIPE_BUF
"""A pipe that can be written to takes so much without blocking (pipe(7))."""
_INTERRUPT, _END_OF_FILE = b"\x03", b"\x04"
"""What a terminal takes for ^C and ^D, unless somebody has changed it."""
_MOST_PIECES = 1024
"""So many are passed on at a time: somebody may go on printing for good."""
_MOST_HELD = 64
"""More than a terminal keeps. Who catches up wants those, and to go on soon."""
_PATIENCE = 0.1
"""Seconds that the reader of the last ones has for each, and who catches up for all of them: the reader may be a slow
terminal, or have stopped reading."""


class Relay:
    """One direction, from the time that it is started."""

    def __init__(self, loop: Loop, source: int, sink: int) -> None:
        """Both descriptors stay whose they are; `source` does not block."""
        self._loop = loop
        self._source = source
        self._sink = sink
        self._piece = b""
        self._started = False
        self._stuck = False
        """Whether nobody took the last piece while somebody waited for that."""

    def start(self) -> None:
        """Pass on what comes. Again: nothing."""
        if not self._started:
            self._started = True
            self._watch()

    def stop(self) -> None:
        """Take nothing more."""
        self._started = False
        self._loop.forget(self._source)

    def finish(self) -> None:
        """Pass on what is there, as far as somebody takes it, and stop."""
        self.stop()
        self._loop.forget(self._sink)
        self._pass_on(_MOST_PIECES, math.inf)

    def catch_up(self) -> None:
        """Pass on what is there, as far as somebody takes it soon, before something else is said."""
        self._pass_on(_MOST_HELD, 0.0 if self._stuck else time.monotonic() + _PATIENCE)
        if self._started:
            self._watch()

    def _pass_on(self, most: int, end: float) -> None:
        """So many pieces at most, up to the monotonic time `end`."""
        poll = select.poll()
        poll.register(self._sink, select.POLLOUT)
        for _ in range(most):
            self._piece = self._piece or self.read()
            patience = min(_PATIENCE, max(0.0, end - time.monotonic()))
            self._stuck = bool(self._piece) and not poll.poll(patience * 1000)
            if self._stuck or not self._piece:
                return
            self._send()

    def read(self) -> bytes:
        """The next piece; empty if there is none."""
        try:
            return os.read(self._source, _PIECE)
        except OSError:
            return b""

    def _watch(self) -> None:
        if self._piece:
            self._loop.forget(self._source)
            self._loop.watch(self._sink, None, self._write)
        elif self._started:
            self._loop.watch(self._source, self._receive)

    def _receive(self) -> None:
        self._piece = self.read()
        self._watch()

    def _write(self) -> None:
        self._send()
        if not self._piece:
            self._loop.forget(self._sink)
        self._watch()

    def _send(self) -> None:
        try:
            self._piece = self._piece[os.write(self._sink, self._piece) :]
        except BlockingIOError:
            return
        except OSError:
            # Nobody will ever read it.
            self._piece = b""


class OutputSwitch:
    """Lets what programs print go to the client, to our standard output, or nowhere for now."""

    def __init__(self, loop: Loop, output: ProgramOutput) -> None:
        self._loop = loop
        self._descriptor = output.descriptor
        self._to_us = Relay(loop, output.descriptor, STANDARD_OUTPUT)
        self._route = Route.HELD

    def set(self, route: Route, to_client: Callback | None = None) -> None:
        """From now on, this way; `to_client` is called when there is something for it. The same again: nothing."""
        if route is self._route:
            return
        self._route = route
        self._to_us.stop()
        if route is Route.SERVER:
            self._to_us.start()
        elif route is Route.CLIENT:
            self._loop.watch(self._descriptor, to_client)

    def catch_up(self) -> None:
        """What has been printed is for our standard output: pass it on."""
        self._to_us.catch_up()

    def finish(self) -> None:
        """What nobody has got goes to our standard output."""
        self._to_us.finish()


class Typist:
    """Passes on what was typed at the client, once there is room for it."""

    def __init__(self, loop: Loop, keyboard: ProgramInput) -> None:
        self._loop = loop
        self._keyboard = keyboard
        # Of its own: the loop watches the other for what programs print.
        self._descriptor = os.dup(keyboard.descriptor)
        self._watches = False

    def look(self) -> None:
        """See whether there is anything to pass on now."""
        waits = self._keyboard.waits
        if waits is self._watches:
            return
        self._watches = waits
        if waits:
            self._loop.watch(self._descriptor, None, self._keyboard.write_waiting)
        else:
            self._loop.forget(self._descriptor)

    def finish(self) -> None:
        """Pass on nothing more."""
        self._loop.forget(self._descriptor)
        os.close(self._descriptor)


class Keyboard(Relay):
    """From our standard input to a program's terminal. Ours is left alone, except that every key goes to the program.

    Without a program, ^C ends the server, as it does at any other time.
    """

    def __init__(self, loop: Loop, source: int, sink: int) -> None:
        # Of its own: the loop watches the other for what comes back.
        super().__init__(loop, source, os.dup(sink))
        self._is_terminal = os.isatty(source)
        self._restore: Callable[[], None] = lambda: None

    def start(self) -> None:
        """As any relay; not in the background, where reading would stop us."""
        if self._may_read():
            if self._is_terminal:
                self._restore = _leave_keys_alone(self._source)
            super().start()

    def finish(self) -> None:
        """Give the terminal back as it was."""
        self.stop()
        self._loop.forget(self._sink)
        os.close(self._sink)
        self._restore()

    def read(self) -> bytes:
        if not self._may_read():
            self.stop()
            return b""
        piece = super().read()
        if not piece:
            self.stop()
            return _END_OF_FILE
        if _INTERRUPT in piece and self._is_terminal and not os.tcgetpgrp(self._sink):
            self._loop.stop()
        return piece

    def _may_read(self) -> bool:
        try:
            return not self._is_terminal or os.tcgetpgrp(self._source) == os.getpgrp()
        except OSError:
            # Not our controlling terminal: nobody stops us.
            return True


def _leave_keys_alone(ours: int) -> Callable[[], None]:
    """Let every key through unchanged, and what programs print too; the result restores what was."""
    import termios

    before = termios.tcgetattr(ours)
    mode = termios.tcgetattr(ours)
    mode[0] &= ~(termios.ICRNL | termios.IXON)
    mode[1] &= ~termios.OPOST
    mode[3] &= ~(termios.ICANON | termios.ECHO | termios.ISIG | termios.IEXTEN)
    termios.tcsetattr(ours, termios.TCSADRAIN, mode)

    def restore() -> None:
        try:
            termios.tcsetattr(ours, termios.TCSADRAIN, before)
        except termios.error:
            # Its other side is gone.
            return

    return restore
