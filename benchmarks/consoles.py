"""GDB 18.1 and LLDB 23.1, given commands one by one."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from types import TracebackType

DEADLINE = 120.0  # seconds for a command


class Debugger(NamedTuple):
    """A client: its command (of the environment that runs the benchmark), what makes it quiet, and what it prints."""

    name: str
    title: str
    options: tuple[str, ...]
    preparation: tuple[str, ...]
    mark: str  # a command that prints `--N--`, but does not contain that
    connect: str


GDB = Debugger(
    "gdb",
    "GDB 18.1",
    ("-q", "-nx", "-iex", "set debuginfod enabled off", "-iex", "set pagination off", "-iex", "set confirm off"),
    (),
    "echo --{}-\\055\\n",
    "target remote localhost:{}",
)
LLDB = Debugger(
    "lldb",
    "LLDB 23.1",
    ("--no-lldbinit", "--no-use-colors", "-O", "settings set symbols.enable-external-lookup false"),
    ("script lldb.debugger.SetAsync(False)",),
    'script print("--{}" + "--")',
    "gdb-remote localhost:{}",
)


class Console:
    """A client that runs, and has read its program's symbols."""

    def __init__(self, debugger: Debugger, program: Path) -> None:
        self._mark = debugger.mark
        self._marks = 0
        self._process = subprocess.Popen(
            [str(Path(sys.executable).with_name(debugger.name)), *debugger.options, str(program)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "TERM": "dumb"},
            start_new_session=True,
        )
        for command in debugger.preparation or ("",):
            self.run(command)

    def __enter__(self) -> Console:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()  # the server is ended as well: nothing needs to be said to it
        self._process.communicate()

    def run(self, command: str) -> str:
        """What `command` prints. It has ended when this returns."""
        self._marks += 1
        mark = f"--{self._marks}--".encode()
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n{self._mark.format(self._marks)}\n".encode())
        self._process.stdin.flush()
        return self._read_up_to(mark)

    def _read_up_to(self, mark: bytes) -> str:
        assert self._process.stdout is not None
        output = b""
        end = time.monotonic() + DEADLINE
        while mark not in output:
            readable, _, _ = select.select([self._process.stdout], [], [], max(0.0, end - time.monotonic()))
            chunk = os.read(self._process.stdout.fileno(), 65536) if readable else b""
            if not chunk:
                raise TimeoutError(output.decode(errors="replace"))
            output += chunk
        return output.decode(errors="replace")
