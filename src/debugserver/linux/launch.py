"""Starting a program as a shell would: signals, process group, terminal, descriptors, address space layout.

The new process waits for `release` before it runs anything, so that it can be traced meanwhile.
Knows nothing of tracing.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shlex
import signal
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from debugserver.errors import LaunchFailed
from debugserver.linux.ptrace import libc

if TYPE_CHECKING:
    from debugserver.target.model import LaunchSettings

_ADDR_NO_RANDOMIZE = 0x0040000
_CURRENT_PERSONALITY = 0xFFFF_FFFF
_NOT_FOUND = 127
"""The exit status of a process that could not execute its program, as shells have it."""
_TERMINAL = 2
"""Whoever debugs sees standard error; gdbserver, too, looks for its terminal there."""


class Streams(NamedTuple):
    """The descriptors that become the program's standard input, output and error."""

    input: int = 0
    output: int = 1
    error: int = 2


INHERITED = Streams()
"""Our own."""


class Command(NamedTuple):
    """What the new process executes; `execs`: how many times until it is the program itself."""

    arguments: tuple[str, ...]
    execs: int


class Spawned:
    """A new process that waits for `release`. Our child; to be waited for by whoever traces it."""

    def __init__(self, pid: int, execs: int, go: int, failures: int, terminal: Foreground | None) -> None:
        self.pid = pid
        self.execs = execs
        """How many times it executes something, until that is the program itself."""
        self._go = go
        self._failures = failures
        self._terminal = terminal

    def release(self) -> None:
        """Let it execute the program."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self._go, b"\0")
        os.close(self._go)

    def failure(self) -> OSError | None:
        """Why the first exec failed. To be asked once: when it has succeeded, or the process is gone."""
        with os.fdopen(self._failures, "rb") as failures:
            number = failures.read()
        return OSError(int(number), os.strerror(int(number))) if number else None

    def abandon(self) -> None:
        """Instead of `release` and `failure`: the process ends without having run anything."""
        os.close(self._go)
        os.close(self._failures)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)
        self.take_terminal_back()

    def take_terminal_back(self) -> None:
        """The process is gone, or let go: the terminal's foreground is again whose it was."""
        if self._terminal is not None:
            self._terminal.take_back()


class Foreground:
    """The right to read from the terminal, lent to a process group."""

    def __init__(self, owner: int) -> None:
        """`owner` is the process group that gets it back."""
        self._owner = owner
        self._borrower = 0

    def lend(self, group: int) -> None:
        """Make `group` the foreground. Everything that could stop us for it must be blocked."""
        with contextlib.suppress(OSError):
            os.tcsetpgrp(_TERMINAL, group)
            self._borrower = group

    def take_back(self) -> None:
        """Unless somebody else has it by now."""
        with contextlib.suppress(OSError), _Blocked({signal.SIGTTOU}):
            if os.tcgetpgrp(_TERMINAL) == self._borrower:
                os.tcsetpgrp(_TERMINAL, self._owner)


class _Blocked:
    """Signals are held back within."""

    def __init__(self, signals: Iterable[int]) -> None:
        self._signals = signals
        self._before: set[int] = set()

    def __enter__(self) -> None:
        self._before = set(signal.pthread_sigmask(signal.SIG_BLOCK, self._signals))

    def __exit__(self, *_: object) -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, self._before)


def command(settings: LaunchSettings) -> Command:
    """What to execute for this program: by way of a shell and a wrapper, or not. LaunchFailed."""
    words = (*settings.wrapper, settings.program)
    execs = 2 if settings.wrapper else 1
    if not settings.startup_with_shell:
        return Command((*words, *_split(settings)), execs)
    line = " ".join(filter(None, ["exec", *map(shlex.quote, words), settings.argument_line()]))
    return Command((os.environ.get("SHELL") or "/bin/sh", "-c", line), execs + 1)


def _split(settings: LaunchSettings) -> Sequence[str]:
    """The arguments one by one, where no shell will take them apart."""
    if settings.escape_arguments:
        return settings.arguments
    try:
        return shlex.split(settings.argument_line())
    except ValueError as error:
        raise LaunchFailed(f"the arguments are not a list of words: {error}") from error


def spawn(settings: LaunchSettings, streams: Streams = INHERITED) -> Spawned:
    """A new process for this program. OSError if there is none to be had; LaunchFailed."""
    to_run = command(settings)
    go_reader, go = os.pipe2(os.O_CLOEXEC)
    failures, failures_writer = os.pipe2(os.O_CLOEXEC)
    terminal = _our_terminal()
    # A handler of ours must not run in the child, and the change of foreground must not stop us.
    with _Blocked(signal.valid_signals()), _Layout(settings.disable_randomization):
        pid = os.fork()
        if pid == 0:
            os.close(go)
            _become(settings, to_run.arguments, streams, go_reader, failures_writer)
        with contextlib.suppress(OSError):
            os.setpgid(pid, pid)
        if terminal is not None:
            terminal.lend(pid)
    os.close(go_reader)
    os.close(failures_writer)
    return Spawned(pid, to_run.execs, go, failures, terminal)


def _our_terminal() -> Foreground | None:
    """The terminal, if its foreground is ours to lend."""
    try:
        owner = os.tcgetpgrp(_TERMINAL)
    except OSError:
        return None
    return Foreground(owner) if owner == os.getpgrp() else None


def _become(settings: LaunchSettings, arguments: tuple[str, ...], streams: Streams, go: int, failures: int) -> NoReturn:
    """The child, up to its exec. Only system calls: the parent's objects are none of its business any more."""
    try:
        os.setpgid(0, 0)
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        _set_streams(streams)
        if settings.directory:
            os.chdir(os.path.expanduser(settings.directory))
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        # End of file: whoever was to release us is gone.
        if os.read(go, 1):
            os.execvpe(arguments[0], arguments, settings.environment)
    except OSError as error:
        os.write(failures, str(error.errno).encode())
    finally:
        os._exit(_NOT_FOUND)


def _set_streams(streams: Streams) -> None:
    # All are copied first: one may be where another belongs.
    copies = [os.dup(descriptor) for descriptor in streams]
    for standard, copy in enumerate(copies):
        os.dup2(copy, standard)


class _Layout:
    """The address space layout of processes that are made within (personality(2)). A refusal is a warning."""

    def __init__(self, disable_randomization: bool) -> None:
        self._disable = disable_randomization
        self._before = -1

    def __enter__(self) -> None:
        if not self._disable:
            return
        try:
            before = _personality(_CURRENT_PERSONALITY)
            _personality(before | _ADDR_NO_RANDOMIZE)
            self._before = before
        except OSError as error:
            os.write(2, f"warning: Error disabling address space randomization: {error.strerror}\n".encode())

    def __exit__(self, *_: object) -> None:
        if self._before != -1:
            _personality(self._before)


def _personality(persona: int) -> int:
    before: int = libc.personality(ctypes.c_ulong(persona))
    if before == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return before
