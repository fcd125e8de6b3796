"""Processes of a test's own, to attach to."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from tests.live.session import STATIC, symbols
from tests.support.processes import Output, read_memory, write_memory
from tests.support.programs import compile_program

if TYPE_CHECKING:
    from collections.abc import Iterator


class Running:
    """A process of our own to attach to; it says `ready` first, and ends with a line of input."""

    def __init__(self, source: str, *arguments: str | int) -> None:
        self.program = compile_program(source, *STATIC)
        self.process = subprocess.Popen(
            [self.program, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        self.output = Output(self.process.stdout)
        self.pid = self.process.pid

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *exception: object) -> None:
        """End it and its children, at once: a server may still hold them."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait(20)
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.output.close()

    def read(self, variable: str, size: int, count: int = 1) -> tuple[int, ...]:
        """A variable of the program, from outside."""
        data = read_memory(self.pid, symbols(self.program)[variable], size * count)
        return struct.unpack(f"<{count}{'q' if size == 8 else 'i'}", data)

    def write(self, variable: str, value: int) -> None:
        """Change an int of the program, from outside."""
        write_memory(self.pid, symbols(self.program)[variable], struct.pack("<i", value))

    def end(self) -> int:
        """Its exit code, once it has read its line."""
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")
        return self.process.wait(20)


@contextmanager
def running(source: str, *arguments: str | int) -> Iterator[Running]:
    with Running(source, *arguments) as found:
        found.output.wait_for("ready")
        yield found
