"""A debug server for the length of a test: ours, or GNU gdbserver to see that the test asks for the right thing."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import signal
import subprocess
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.processes import DEADLINE, Output, end_process, is_gone, processes_with, wait_until

if TYPE_CHECKING:
    from types import TracebackType

SOURCE = Path(__file__).resolve().parents[2] / "src"


def gnu_gdbserver() -> Path | None:
    """GNU gdbserver 18.1 from the package gdb-for-pwndbg, if it is installed."""
    package = importlib.util.find_spec("gdb_for_pwndbg")
    if package is None or package.origin is None:
        return None
    return Path(package.origin).parent / "_vendor" / "bin" / "gdbserver"


def lldb_server() -> Path | None:
    """lldb-server 23.1 from the package lldb-for-pwndbg, if it is installed."""
    package = importlib.util.find_spec("lldb_for_pwndbg")
    if package is None or package.origin is None:
        return None
    return Path(package.origin).parent / "_vendor" / "bin" / "lldb-server"


def server_command(choice: str) -> list[str]:
    """`debugserver` is ours, `gnu` GNU gdbserver, `lldb` lldb-server; anything else is a command line."""
    if choice == "debugserver":
        return [sys.executable, "-m", "debugserver"]
    if choice == "gnu":
        return [str(gnu_gdbserver())]
    if choice == "lldb":
        return [str(lldb_server())]
    return shlex.split(choice)


class Server:
    """A server process. `with Server(command, "localhost:0", program) as server:` waits until it listens.

    Ends the server, and what it left behind; leaving anything behind, and a traceback on stderr, fail the test.
    """

    def __init__(self, command: list[str], *arguments: str | int | Path) -> None:
        self._marker = f"DEBUGSERVER_TEST={uuid.uuid4()}"
        name, _, value = self._marker.partition("=")
        environment = {**os.environ, name: value, "PYTHONPATH": str(SOURCE)}
        self.process = subprocess.Popen(
            [*command, *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.output = Output(self.process.stdout)  # of the debuggee
        self.log = Output(self.process.stderr)
        self.address = ""

    def __enter__(self) -> Server:
        try:
            port = self.log.wait_for(r"^Listening on port (\d+)")[1]
        except BaseException:
            self.close()
            raise
        self.address = f"localhost:{port}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.close()
        except AssertionError:
            if kind is None:
                raise

    @property
    def debuggee(self) -> int:
        """The pid of the process that the server has started or attached to last, by its own words."""
        return int(re.findall(r"(?:created|Attached); pid = (\d+)", self.log.text)[-1])

    def wait(self, deadline: float = DEADLINE) -> int:
        """The exit code of a server that ends by itself."""
        return self.process.wait(deadline)

    def close(self) -> None:
        """End the server; an error says what it did not do as it should."""
        try:
            end_process(self.process)
            wait_until(lambda: not any(processes_with(self._marker)), "the server leaves no process behind", 5)
        finally:
            self._end_what_is_left()
        self.output.close()
        self.log.close()
        assert "Traceback" not in self.log.text, self.log.text

    def _end_what_is_left(self) -> None:
        for pid in processes_with(self._marker):
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda pid=pid: is_gone(pid), f"{pid} ends")  # type: ignore[misc]
