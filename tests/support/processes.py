"""What a test sees of processes from outside: their output as it comes, and their state in /proc."""

from __future__ import annotations

import ctypes
import os
import re
import select
import signal
import subprocess
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DEADLINE = 20.0  # seconds; generous, since a busy machine must not fail a test

_TGKILL = 234
"""The system call, which Python does not have."""


def send_to_thread(pid: int, tid: int, number: int) -> None:
    """tgkill(2)."""
    assert ctypes.CDLL(None).syscall(_TGKILL, pid, tid, number) == 0


def read_memory(pid: int, address: int, length: int) -> bytes:
    """A process's memory as it really is, from outside: also while it runs."""
    with open(f"/proc/{pid}/mem", "rb") as memory:
        memory.seek(address)
        return memory.read(length)


def write_memory(pid: int, address: int, data: bytes) -> None:
    """Change a process's memory from outside."""
    with open(f"/proc/{pid}/mem", "r+b", 0) as memory:
        memory.seek(address)
        memory.write(data)


def wait_until(condition: Callable[[], object], what: str, deadline: float = DEADLINE) -> None:
    """Wait for something in /proc, which cannot be waited for in any other way than by looking again."""
    end = time.monotonic() + deadline
    while not condition():
        assert time.monotonic() < end, f"not within {deadline} s: {what}"
        time.sleep(0.01)


class Output:
    """Everything that comes out of a pipe, read as it comes. What was written before somebody looks is there when he
    does, even if the thread that reads has not had its turn."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe
        self._text = ""
        self._open = True
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while self._open:
            self._is_readable()
            with self._changed:
                self._take()
                self._changed.notify_all()

    def _is_readable(self, *, wait: bool = True) -> bool:
        """That it has ended is something to read, too."""
        readable = select.poll()
        readable.register(self._pipe, select.POLLIN)
        return bool(readable.poll(None if wait else 0))

    def _take(self) -> None:
        """All that is there, with the lock held, so that nobody else empties the pipe meanwhile."""
        while self._open and self._is_readable(wait=False):
            chunk = os.read(self._pipe.fileno(), 65536)
            self._text += chunk.decode(errors="backslashreplace")
            self._open = bool(chunk)

    @property
    def text(self) -> str:
        with self._changed:
            self._take()
            self._changed.notify_all()
            return self._text

    def wait_for(self, pattern: str, deadline: float = DEADLINE, start: int = 0) -> re.Match[str]:
        """The first match of `pattern` from offset `start`, as soon as it has come."""
        expression = re.compile(pattern, re.MULTILINE)
        end = time.monotonic() + deadline
        with self._changed:
            while (match := expression.search(self._text, start)) is None:
                seen = f"for {pattern!r} in:\n{self._text[start:]}"
                assert self._open, f"the output ended before there was a match {seen}"
                assert self._changed.wait(end - time.monotonic()), f"waited {deadline} s {seen}"
            return match

    @contextmanager
    def full(self) -> Iterator[None]:
        """Meanwhile nobody reads, and whoever writes has to wait."""
        with self._changed:
            writer = os.open(f"/proc/self/fd/{self._pipe.fileno()}", os.O_WRONLY | os.O_NONBLOCK)
            for size in (select.PIPE_BUF, 1):
                with suppress(BlockingIOError):
                    while os.write(writer, b"\n" * size):
                        pass
            os.close(writer)
            yield

    def wait_end(self, deadline: float = DEADLINE) -> None:
        """Wait until every process that could write is gone, and all that they wrote is here."""
        self._reader.join(deadline)
        assert not self._reader.is_alive(), f"a process still holds the pipe after:\n{self.text}"

    def close(self, deadline: float = DEADLINE) -> None:
        """The same, and be done with it."""
        self.wait_end(deadline)
        self._pipe.close()


def end_process(process: subprocess.Popen[bytes], deadline: float = DEADLINE) -> int:
    """Ask a process of ours to end, make it end after `deadline`, and give its return code."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        return process.wait(deadline)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(deadline)
        raise AssertionError(f"process {process.args!r} did not end on SIGTERM within {deadline} s") from None


def status(pid: int, field: str, tid: int | None = None) -> str:
    """A field of /proc/PID/task/TID/status, for example `State` or `TracerPid`; empty when the thread is gone."""
    try:
        lines = Path(f"/proc/{pid}/task/{tid or pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return next(line.split(None, 1)[1] for line in lines if line.startswith(f"{field}:"))


def thread_ids(pid: int) -> list[int]:
    return [int(tid) for tid in os.listdir(f"/proc/{pid}/task")]


def is_stopped(pid: int, tid: int | None = None) -> bool:
    """Whether a thread is held by its tracer."""
    return status(pid, "State", tid)[:1] == "t"


def system_call(pid: int, tid: int) -> int:
    """The number of the system call that a thread waits or is stopped in, as soon as it does; -1: in none (proc(5))."""
    seen = ["running"]

    def is_off_the_cpu() -> bool:
        seen[:] = Path(f"/proc/{pid}/task/{tid}/syscall").read_text().split()
        return seen[0] != "running"

    wait_until(is_off_the_cpu, f"thread {tid} waits or is stopped")
    return int(seen[0])


def is_gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has waited for yet counts."""
    return status(pid, "State")[:1] in ("", "Z", "X")


def processes_with(marker: str) -> Iterator[int]:
    """The processes that were started with `marker`, a string NAME=VALUE, in their environment."""
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            continue
        if marker.encode() in environment.split(b"\0"):
            yield int(pid)


def text_segment(pid: int, program: Path) -> tuple[bytes, bytes]:
    """The executable pages of `program` as they are in the process, and as they are in the file."""
    maps = Path(f"/proc/{pid}/maps").read_text().splitlines()
    (line,) = (line for line in maps if line.endswith(str(program)) and " r-xp " in line)
    addresses, _, offset = line.split()[:3]
    start, end = (int(address, 16) for address in addresses.split("-"))
    in_memory = read_memory(pid, start, end - start)
    in_file = program.read_bytes()[int(offset, 16) :][: end - start]
    return in_memory[: len(in_file)], in_file
