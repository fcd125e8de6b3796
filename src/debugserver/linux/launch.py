"""Starting a program as a shell would: signals, process group, terminal, descriptors, address space layout.

The new process waits for `release` before it runs anything, so that it can be traced meanwhile. Knows nothing of
tracing.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import select
import shlex
import signal
import stat
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from debugserver.errors import LaunchFailed
from debugserver.linux.ptrace import libc

if TYPE_CHECKING:
    from collections.abc import Mapping

    from debugserver.target.model import LaunchSettings

_ADDR_NO_RANDOMIZE = 0x0040000
_CURRENT_PERSONALITY = 0xFFFF_FFFF
_NOT_FOUND = 127
"""The exit status of a process that could not execute its program, as shells have it."""
_TERMINAL = 2
"""Whoever debugs sees standard error; gdbserver, too, looks for its terminal there."""


class Streams(NamedTuple):
    """What become the program's standard input, output and error: descriptors, or files that are opened for it.
    `terminal`: one that the program gets for itself (its file)."""

    input: int | str = 0
    output: int | str = 1
    error: int | str = 2
    terminal: str = ""

    def overridden(self, settings: LaunchSettings) -> Streams:
        """The same, but for the files that somebody wishes; a terminal that nothing leads to any more is left out."""
        return Streams(
            input=settings.stdin or self.input,
            output=settings.stdout or self.output,
            error=settings.stderr or self.error,
            terminal="" if settings.stdin and settings.stdout and settings.stderr else self.terminal,
        )


INHERITED = Streams()
"""Our own."""
NOWHERE = Streams(os.devnull, os.devnull, os.devnull)


class _Files(NamedTuple):
    """What a new process has open that concerns it."""

    standard: Sequence[int]
    terminal: str
    go: int
    failures: int


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
    streams = streams.overridden(settings)
    terminal = None if streams.terminal else _our_terminal()
    with contextlib.ExitStack() as opened:
        standard = _open_all(streams, opened)
        go_reader, go = os.pipe2(os.O_CLOEXEC)
        opened.callback(os.close, go_reader)
        failures, failures_writer = os.pipe2(os.O_CLOEXEC)
        opened.callback(os.close, failures_writer)
        # A handler of ours must not run in the child, and the change of foreground must not stop us.
        with _Blocked(signal.valid_signals()), _Layout(settings.disable_randomization):
            pid = os.fork()
            if pid == 0:
                os.close(go)
                _become(settings, to_run, _Files(standard, streams.terminal, go_reader, failures_writer))
            if not streams.terminal:
                with contextlib.suppress(OSError):
                    os.setpgid(pid, pid)
            if terminal is not None:
                terminal.lend(pid)
    return Spawned(pid, to_run.execs, go, failures, terminal)


def _open_all(streams: Streams, opened: contextlib.ExitStack) -> list[int]:
    """Three descriptors; those that are no longer needed once the program has them are put in `opened`."""
    descriptors: dict[tuple[str, int], int] = {}
    standard = []
    for stream, access in zip(streams[:3], (os.O_RDONLY, os.O_WRONLY, os.O_WRONLY), strict=True):
        if isinstance(stream, int):
            standard.append(stream)
            continue
        # One file for both outputs is opened once, or they would overwrite each other.
        if (stream, access) not in descriptors:
            descriptors[stream, access] = _open(stream, access)
            opened.callback(os.close, descriptors[stream, access])
        standard.append(descriptors[stream, access])
    return standard


def _open(path: str, access: int) -> int:
    kind = _kind(path)
    if stat.S_ISCHR(kind):
        # A terminal is open for both on every descriptor that leads there.
        access = os.O_RDWR
    elif access != os.O_RDONLY:
        access |= os.O_CREAT | os.O_TRUNC
    try:
        # Whoever opens a FIFO waits for its other side, and a terminal line for its carrier: not we, who have a client.
        descriptor = os.open(path, access | os.O_NONBLOCK | os.O_NOCTTY, 0o666)
    except OSError as error:
        if stat.S_ISFIFO(kind) and error.errno == errno.ENXIO:
            raise _one_sided(path, "reader") from None
        raise LaunchFailed(f"cannot open {path} for the program: {error.strerror}", number=error.errno) from None
    if stat.S_ISFIFO(kind) and access == os.O_RDONLY and not _has_writer(descriptor):
        os.close(descriptor)
        raise _one_sided(path, "writer")
    os.set_blocking(descriptor, True)
    return descriptor


def _kind(path: str) -> int:
    try:
        return os.stat(path).st_mode
    except OSError:
        return 0


def _one_sided(path: str, missing: str) -> LaunchFailed:
    sentence = f"cannot open {path} for the program: it is a FIFO without a {missing}; start that first"
    return LaunchFailed(sentence, number=errno.ENXIO)


def _has_writer(fifo: int) -> bool:
    """Whether somebody writes to it, or has done so: then its end, too, is what the program is to read."""
    poll = select.poll()
    poll.register(fifo, select.POLLIN)
    if poll.poll(0):
        return True
    # Empty, and nobody has hung up since we opened it. tee(2) can tell, and takes nothing out if that changes now.
    reader, writer = os.pipe()
    copied: int = libc.tee(fifo, writer, 1, os.SPLICE_F_NONBLOCK)
    os.close(reader)
    os.close(writer)
    return copied != 0


def _our_terminal() -> Foreground | None:
    """The terminal, if its foreground is ours to lend."""
    try:
        owner = os.tcgetpgrp(_TERMINAL)
    except OSError:
        return None
    return Foreground(owner) if owner == os.getpgrp() else None


def _become(settings: LaunchSettings, to_run: Command, files: _Files) -> NoReturn:
    """The child, up to its exec. Only system calls: the parent's objects are none of its business any more."""
    try:
        if files.terminal:
            _lead_session(files.terminal)
        else:
            os.setpgid(0, 0)
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        _set_streams(files.standard)
        if settings.directory:
            os.chdir(os.path.expanduser(settings.directory))
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        # End of file: whoever was to release us is gone.
        if os.read(files.go, 1):
            _execute(to_run, settings.environment)
    except OSError as error:
        os.write(files.failures, str(error.errno).encode())
    finally:
        os._exit(_NOT_FOUND)


def _execute(to_run: Command, environment: Mapping[str, str]) -> NoReturn:
    """A failure is told in gdbserver's words, where a shell would tell it."""
    program = to_run.arguments[0]
    try:
        os.execvpe(program, to_run.arguments, environment)
    except OSError as error:
        os.write(2, f"debugserver: Cannot exec {program}\ndebugserver: Error: {error.strerror}\n".encode())
        raise


def _lead_session(terminal: str) -> None:
    """A leader that has no terminal yet gets the one that it opens, unless another session has it."""
    os.setsid()
    os.close(os.open(terminal, os.O_RDWR))


def _set_streams(standard: Sequence[int]) -> None:
    # All are copied first: one may be where another belongs.
    copies = [os.dup(descriptor) for descriptor in standard]
    for number, copy in enumerate(copies):
        os.dup2(copy, number)


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
