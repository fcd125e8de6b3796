"""LLDB with a platform: `platform select remote-linux`, `platform connect`, and debugging over it.

`pytest --server lldb` runs the same with lldb-server.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.support.gdb import expect, printed
from tests.support.processes import DEADLINE, Output, end_process, processes_with, status, wait_until
from tests.support.programs import compile_program
from tests.support.server import SOURCE, server_command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.lldb import Lldb


class Platform:
    """A platform server, with a directory of its own; nothing may be left of it."""

    def __init__(self, command: list[str], directory: Path, *options: str, listen: str = "localhost:0") -> None:
        self.directory = directory / "remote"
        self.directory.mkdir()
        self._marker = f"PLATFORM_TEST={directory}"
        self._port_file = directory / "port"
        line = [*command, "platform", "--listen", listen, "--socket-file", str(self._port_file), *options]
        name, _, value = self._marker.partition("=")
        self.process = subprocess.Popen(
            line,
            cwd=self.directory,
            env={**os.environ, "PYTHONPATH": str(SOURCE), name: value},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        assert self.process.stderr is not None
        self.log = Output(self.process.stderr)
        wait_until(lambda: self._port_file.exists() and self._port_file.read_text(), "the platform listens")

    @property
    def port(self) -> str:
        return self._port_file.read_text().strip("\0\n")

    @property
    def connect(self) -> tuple[str, str]:
        """The commands that connect to it."""
        url = f"unix-connect://{self.port}" if "/" in self.port else f"connect://localhost:{self.port}"
        return "platform select remote-linux", f"platform connect {url}"

    def close(self) -> None:
        end_process(self.process)
        try:
            wait_until(lambda: not any(processes_with(self._marker)), "the platform leaves no process behind", 10)
        finally:
            for pid in processes_with(self._marker):
                os.kill(pid, signal.SIGKILL)
        self.log.close()
        assert "Traceback" not in self.log.text, self.log.text


@pytest.fixture
def platform(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Platform]]:
    """Start a platform, with options."""
    command = server_command(request.config.getoption("--server"))
    with ExitStack() as platforms:

        def start(*options: str, listen: str = "localhost:0") -> Platform:
            started = Platform(command, tmp_path, *options, listen=listen)
            platforms.callback(started.close)
            return started

        yield start


@contextmanager
def waiting(program: Path) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


def test_what_the_platform_is(lldb: Lldb, platform: Callable[..., Platform]) -> None:
    server = platform("--server")
    output = lldb(*server.connect)
    expect(output, "Connected: no", "Connected: yes", f"WorkingDir: {re.escape(str(server.directory))}")
    expect(output, f"Triple: {os.uname().machine}-", f"Hostname: {os.uname().nodename}")


def test_processes(lldb: Lldb, platform: Callable[..., Platform]) -> None:
    with waiting(compile_program("waits")) as process:
        listing, details = "platform process list -n waits", f"platform process info {process.pid}"
        output = lldb(*platform("--server").connect, listing, details)
        expect(printed_by(output, listing), rf"^{process.pid} +{os.getpid()} +\S+ +x86_64\S* +waits$")
        expect(printed_by(output, details), f"pid = {process.pid}", f"parent = {os.getpid()}", "name = waits")


def printed_by(output: str, command: str) -> str:
    return printed(output.replace("(lldb) ", "(gdb) "), command)


def test_files_come_and_go(lldb: Lldb, platform: Callable[..., Platform], tmp_path: Path) -> None:
    server = platform("--server")
    source = compile_program("started")
    lldb(
        *server.connect,
        f"platform put-file {source} {server.directory}/put",
        f"platform get-file {source} {tmp_path}/got",
        f"platform get-file {server.directory}/none {tmp_path}/none",
    )
    assert (server.directory / "put").read_bytes() == source.read_bytes()
    assert (tmp_path / "got").read_bytes() == source.read_bytes()
    assert not (tmp_path / "none").exists()


def test_reading_and_writing_files(lldb: Lldb, platform: Callable[..., Platform]) -> None:
    server = platform("--server")
    path = server.directory / "file"
    path.write_text("some text")
    output = lldb(
        *server.connect,
        f"platform file open {path} -v 644",
        *(f"platform file {each}" for each in ("write 3 -d ++ -o 1", "write 4 -d ++ -o 1", "write 5 -d ++ -o 1")),
        *(f"platform file read {descriptor} -o 5 -c 4" for descriptor in (3, 4, 5)),
    )
    assert path.read_text() == "s++e text"
    expect(output, "Return = 2", "Return = 4", 'Data = "text"')


def test_facts_about_files(lldb: Lldb, platform: Callable[..., Platform]) -> None:
    server = platform("--server")
    (server.directory / "file").write_text("12345")
    (server.directory / "file").chmod(0o640)
    output = lldb(
        *server.connect,
        f"platform get-size {server.directory}/file",
        f"platform get-permissions {server.directory}/file",
        f"platform file-exists {server.directory}/file",
        f"platform file-exists {server.directory}/none",
        f"platform mkdir {server.directory}/made -v 750",
        "platform settings -w made",
        "platform mkdir within",
    )
    expect(
        output,
        "File size of .*: 5$",
        "File permissions of .*: 0o0640",
        r"\(remote\) exists$",
        r"\(remote\) does not exist",
    )
    assert (server.directory / "made").is_dir()
    assert (server.directory / "made" / "within").is_dir()


@pytest.fixture
def ours(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--server") == "lldb":
        pytest.skip("lldb-server runs every command, and without a shell")


@pytest.mark.usefixtures("ours")
def test_shell_commands_are_refused(lldb: Lldb, platform: Callable[..., Platform]) -> None:
    server = platform("--server")
    output = lldb(*server.connect, f"platform shell touch {server.directory}/touched")
    expect(output, "debugserver: shell commands are not allowed here; start it with --allow-shell")
    assert not (server.directory / "touched").exists()


@pytest.mark.usefixtures("ours")
def test_shell_commands(lldb: Lldb, platform: Callable[..., Platform]) -> None:
    server = platform("--server", "--allow-shell")
    output = lldb(*server.connect, "platform shell echo out; echo err >&2; pwd; exit 3")
    expect(output, "^out$", "^err$", f"^{server.directory}$", "command returned with status 3")


def test_launching(lldb: Lldb, platform: Callable[..., Platform], tmp_path: Path) -> None:
    """LLDB puts the program there first."""
    server = platform("--server")
    program = tmp_path / "prog"
    shutil.copy(compile_program("started"), program)
    output = lldb(
        *server.connect,
        f"target create {program}",
        "settings set target.env-vars ADDED=yes",
        "breakpoint set -n told",
        "process launch -i /dev/null -- one",
        "thread backtrace",
        "continue",
    )
    expect(output, "stop reason = breakpoint 1.1", r"frame #1: .*`main", "exited with status = 1")
    expect(output, "argument 1 is <one>")
    assert f"directory is <{server.directory}>" in output
    assert "variable <ADDED=yes>" in output
    assert (server.directory / "prog").read_bytes() == program.read_bytes()


def test_signals_are_linuxs(lldb: Lldb, platform: Callable[..., Platform]) -> None:
    """LLDB asks for a list of them."""
    output = lldb(
        *platform("--server").connect,
        f"target create {compile_program('started')}",
        "process launch -s",
        "process handle SIGSTKFLT SIGCHLD SIGRTMIN+1",
        "process kill",
    )
    expect(output, "SIGSTKFLT +true +true +true", "SIGCHLD +true +false +true", r"SIGRTMIN\+1 +true +false +false")


def test_attaching(lldb: Lldb, platform: Callable[..., Platform]) -> None:
    with waiting(compile_program("waits")) as process:
        output = lldb(
            *platform("--server").connect,
            f"process attach -p {process.pid}",
            "thread list",
            "process detach",
        )
        expect(output, rf"Process {process.pid} stopped", rf"Process {process.pid} detached")
        assert status(process.pid, "TracerPid") == "0"
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(DEADLINE) == 0


def test_several_clients_at_a_time(lldb: Lldb, platform: Callable[..., Platform]) -> None:
    server = platform("--server")
    with waiting(compile_program("waits")) as process:
        with lldb.start(*server.connect, f"process attach -p {process.pid}", "thread list") as first:
            first.wait_for(rf"Process {process.pid} stopped")
            expect(lldb(*server.connect, "platform status"), "Connected: yes", "Connected: yes")
        wait_until(lambda: status(process.pid, "TracerPid") == "0", "the first has let go, or its server has")


def test_without_server_only_the_first_client_is_served(lldb: Lldb, platform: Callable[..., Platform]) -> None:
    server = platform()
    expect(lldb(*server.connect), "Connected: yes")
    assert server.process.wait(DEADLINE) == 0


def test_chosen_ports(lldb: Lldb, platform: Callable[..., Platform], request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--server") == "lldb":
        pytest.skip("lldb-server 23 has no range of ports any more")
    server = platform("--server", "--min-gdbserver-port", "21000", "--max-gdbserver-port", "21100")
    log = server.directory / "log"
    with waiting(compile_program("waits")) as process:
        output = lldb(
            f"log enable -f {log} gdb-remote packets", *server.connect, f"process attach -p {process.pid}", "detach"
        )
        expect(output, rf"Process {process.pid} detached")
    assert re.search(r"pid:\d+;port:210\d\d;", log.read_text())


def test_a_program_that_waits_for_its_client(lldb: Lldb, platform: Callable[..., Platform]) -> None:
    server = platform("--server", "--", str(compile_program("started")), "one")
    output = lldb(*server.connect, "process status", "process kill")
    expect(output, r"Process \d+ stopped", "exited with status = 9")


@pytest.mark.parametrize("lldb", ["lldb23"], indirect=True)  # LLDB 14 does not find a debug server's socket
def test_a_unix_socket(lldb: Lldb, platform: Callable[..., Platform], tmp_path: Path) -> None:
    server = platform("--server", listen=f"unix://{tmp_path}/socket")
    with waiting(compile_program("waits")) as process:
        output = lldb(*server.connect, f"process attach -p {process.pid}", "process detach")
        expect(output, "Connected: yes", rf"Process {process.pid} stopped", rf"Process {process.pid} detached")
