"""The real GDB, driven from a test: in batch mode, or by a conversation where the test must act in between."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pexpect

from tests.support.processes import DEADLINE, Output, end_process

if TYPE_CHECKING:
    from types import TracebackType

PRELUDE = (
    "set confirm off",
    "set pagination off",
    "set width 0",
    "set height 0",
    "set style enabled off",
    "set debuginfod enabled off",
    "set auto-load safe-path /",
    "set remotetimeout 20",
)


class Installation(NamedTuple):
    """A GDB on this machine: the command that starts it, and what it needs in its environment."""

    command: tuple[str, ...]
    environment: dict[str, str]


def distribution_gdb() -> Installation | None:
    """The distribution's GDB: 13 on Debian 12."""
    gdb = Path("/usr/bin/gdb")
    return Installation((str(gdb),), {}) if gdb.exists() else None


def packaged_gdb() -> Installation | None:
    """GDB 18.1 of the package gdb-for-pwndbg, started without its wrapper, which costs more than GDB itself.

    As the wrapper does, it is given this interpreter's library and modules.
    """
    package = importlib.util.find_spec("gdb_for_pwndbg")
    if package is None or package.origin is None:
        return None
    vendor = Path(package.origin).parent / "_vendor"
    environment = {
        "PYTHONHOME": f"{sys.base_prefix}:{sys.base_exec_prefix}",
        "PYTHONPATH": str(vendor.parent.parent),
        "PYTHONNOUSERSITE": "1",
        "LD_LIBRARY_PATH": str(sysconfig.get_config_var("LIBDIR")),
    }
    return Installation((f"{vendor}/bin/gdb", "--data-directory", f"{vendor}/share/gdb"), environment)


INSTALLATIONS = {"gdb13": distribution_gdb, "gdb18": packaged_gdb}


class Gdb:
    """One version of GDB."""

    def __init__(self, installation: Installation, sysroot: str = "/") -> None:
        self._command = installation.command
        self._environment = {**os.environ, **installation.environment}
        self._sysroot = sysroot

    def __call__(self, *commands: str, program: Path | None = None, deadline: float = 2 * DEADLINE) -> str:
        """Run `commands` in batch mode; the output, in which each command stands before what it printed."""
        line = self._line(program, "-batch")
        for command in commands:
            line += ["-ex", f"echo (gdb) {_quoted(command)}\\n", "-ex", command]
        with subprocess.Popen(
            line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=self._environment
        ) as process:
            try:
                output = process.communicate(timeout=deadline)[0]
            except subprocess.TimeoutExpired:
                process.kill()
                output = process.communicate(timeout=DEADLINE)[0]
                raise AssertionError(
                    f"GDB did not end within {deadline} s:\n{output.decode(errors='replace')}"
                ) from None
        return output.decode(errors="backslashreplace")

    def remote(self, address: str, *commands: str, program: Path | None = None, extended: bool = False) -> str:
        """As calling, after connecting to `address`."""
        return self(f"target {'extended-remote' if extended else 'remote'} {address}", *commands, program=program)

    def talk(self, program: Path | None = None) -> Conversation:
        """A GDB that reads commands as the test gives them."""
        return Conversation(self._line(program), self._environment)

    def on_terminal(self, program: Path) -> pexpect.spawn:
        """A GDB with a terminal of its own."""
        command, *arguments = self._line(program)
        environment = {**self._environment, "TERM": "xterm"}
        return pexpect.spawn(command, arguments, env=environment, timeout=DEADLINE, dimensions=(40, 120))

    def _line(self, program: Path | None, *options: str) -> list[str]:
        prepared = [*PRELUDE, f"set sysroot {self._sysroot}"]
        before = [argument for command in prepared for argument in ("-iex", command)]
        return [*self._command, "-nx", "-q", *options, *before, *([str(program)] if program else [])]


class Conversation:
    """A GDB at its prompt."""

    def __init__(self, line: list[str], environment: dict[str, str]) -> None:
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
        self._read_up_to = 0
        self._commands = 0

    def __enter__(self) -> Conversation:
        self._finish()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._input.close()
        try:
            end_process(self._process) if kind else self._process.wait(DEADLINE)
        finally:
            self._process.kill()
            self._output.close()

    def run(self, *commands: str) -> str:
        """Give each command when the one before has ended; what they printed. Without one, wait for the last sent."""
        if not commands:
            return self._finish()
        return "".join(f"(gdb) {command}\n{self._run(command)}" for command in commands)

    def _run(self, command: str) -> str:
        self.send(command)
        return self._finish()

    def _finish(self) -> str:
        """Wait until GDB has come to its prompt, which has no line of its own when its input is a pipe."""
        self._commands += 1
        mark = f"--{self._commands}--"
        self.send(f"echo {mark}")
        return self.wait_for(mark).removesuffix(mark).replace("(gdb) ", "")

    def send(self, command: str) -> None:
        """Give a command and do not wait."""
        self._input.write(f"{command}\n".encode())
        self._input.flush()

    def interrupt(self) -> None:
        """Type ^C."""
        self._process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        """End GDB without a word to the server."""
        self._process.kill()

    def wait_for(self, pattern: str) -> str:
        """What was printed since the last wait, up to the end of `pattern`."""
        start = self._read_up_to
        self._read_up_to = self._output.wait_for(pattern, start=start).end()
        return self._output.text[start : self._read_up_to]


def _quoted(command: str) -> str:
    return command.replace("\\", "\\\\").replace('"', '\\"')


def expect(output: str, *patterns: str) -> None:
    """Each pattern matches in `output`, one after the other."""
    __tracebackhide__ = True
    position = 0
    for pattern in patterns:
        match = re.compile(pattern, re.MULTILINE).search(output, position)
        assert match, f"no {pattern!r} after character {position} of:\n{output}"
        position = match.end()


def printed(output: str, command: str) -> str:
    """What GDB printed for the first occurrence of `command`."""
    __tracebackhide__ = True
    _, found, rest = output.partition(f"(gdb) {command}\n")
    assert found, f"no command {command!r} in:\n{output}"
    return rest.partition("\n(gdb) ")[0].strip()
