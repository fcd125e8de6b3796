"""The real LLDB, driven from a test: a list of commands in, a transcript out."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.support.processes import DEADLINE, Output, end_process
from tests.support.server import SOURCE

if TYPE_CHECKING:
    from types import TracebackType

PRELUDE = (
    "settings set auto-confirm true",
    "settings set use-color false",
    "settings set plugin.process.gdb-remote.packet-timeout 20",
    "settings set symbols.enable-external-lookup false",
)


class Installation(NamedTuple):
    """An LLDB on this machine: the command that starts it, and its major version."""

    command: tuple[str, ...]
    version: int


def distribution_lldb() -> Installation | None:
    """The distribution's LLDB: 14 on Debian 12."""
    lldb = Path("/usr/bin/lldb")
    return Installation((str(lldb),), 14) if lldb.exists() else None


def packaged_lldb() -> Installation | None:
    """LLDB 23.1 of the package lldb-for-pwndbg."""
    lldb = Path(sys.executable).parent / "lldb"
    return Installation((str(lldb),), 23) if lldb.exists() else None


INSTALLATIONS = {"lldb14": distribution_lldb, "lldb23": packaged_lldb}


class ServerScript:
    """A server that LLDB starts by itself, through LLDB_DEBUGSERVER_PATH. LLDB drops what it says; `log` has it."""

    def __init__(self, directory: Path, command: list[str]) -> None:
        self.path = directory / "server"
        self._log = directory / "server.log"
        self._log.touch()
        # LLDB's own interpreter must not become the server's.
        clean = ["env", "-u", "PYTHONHOME", f"PYTHONPATH={SOURCE}"]
        line = shlex.join([*clean, *command])
        self.path.write_text(f'#!/bin/sh\nexec {line} "$@" 2>>{shlex.quote(str(self._log))}\n')
        self.path.chmod(0o755)

    @property
    def log(self) -> str:
        """What it has said on standard error."""
        return self._log.read_text()


class Lldb:
    """One version of LLDB."""

    def __init__(self, installation: Installation, server: Path | None = None) -> None:
        """`server` is what it starts for local debugging."""
        self.version = installation.version
        self._command = installation.command
        self.environment = {**os.environ, "TERM": "dumb"}
        if server is not None:
            self.environment["LLDB_DEBUGSERVER_PATH"] = str(server)

    def __call__(self, *commands: str, program: Path | None = None, deadline: float = 4 * DEADLINE) -> str:
        """Run `commands`; the output, in which each command stands before what it printed."""
        with self.start(*commands, "quit", program=program) as session:
            session.wait(deadline)
            return session.text

    def start(self, *commands: str, program: Path | None = None) -> LldbSession:
        """An LLDB that works through `commands` while the test does something else."""
        with tempfile.NamedTemporaryFile("w", suffix=".lldb", delete=False) as script:
            script.write("\n".join(commands) + "\n")
        line = [*self._command, "--no-lldbinit"]
        for command in PRELUDE:
            line += ["-O", command]
        # Given one by one, commands end with the first that fails.
        line += ["-o", f"command source --stop-on-error false --stop-on-continue false {script.name}"]
        return LldbSession([*line, *([str(program)] if program else [])], self.environment, Path(script.name))


class LldbSession:
    """An LLDB that runs; it ends with the block."""

    def __init__(self, line: list[str], environment: dict[str, str], script: Path) -> None:
        self._script = script
        self._process = subprocess.Popen(
            line,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._input = self._process.stdin
        self._output = Output(self._process.stdout)

    def __enter__(self) -> LldbSession:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._input.close()
        try:
            end_process(self._process)
        finally:
            self._output.close()
            self._script.unlink()

    @property
    def text(self) -> str:
        """What it has printed so far."""
        return self._output.text

    def kill(self) -> None:
        """End it without a word to the server."""
        self._process.kill()

    def wait(self, deadline: float = 2 * DEADLINE) -> None:
        """Until it has ended, and all that it has printed is here."""
        try:
            self._process.wait(deadline)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(DEADLINE)
            raise AssertionError(f"LLDB did not end within {deadline} s:\n{self.text}") from None
        self._output.wait_end()

    def wait_for(self, pattern: str, deadline: float = DEADLINE) -> str:
        """Until it has printed this; the match."""
        return self._output.wait_for(pattern, deadline)[0]
