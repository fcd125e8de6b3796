"""LLDB starts programs and attaches to them through a server that it starts by itself (LLDB_DEBUGSERVER_PATH).

`pytest --server lldb` runs the same with lldb-server.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.gdb import expect
from tests.support.processes import DEADLINE, Output, is_stopped, status, wait_until
from tests.support.programs import compile_program
from tests.support.server import SOURCE, server_command

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.support.lldb import Lldb, LldbSession


@contextmanager
def waiting(program: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that has said `ready` and ends with its input, or with the block."""
    with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        output = Output(process.stdout)
        try:
            output.wait_for("ready")
            yield process
        finally:
            process.kill()
            output.close()


def end(process: subprocess.Popen[bytes]) -> int:
    """Give it what it waits for; its exit code."""
    assert process.stdin is not None
    process.stdin.close()
    return process.wait(DEADLINE)


@pytest.mark.parametrize(
    "server",
    [Path(sys.executable).parent / "debugserver", SOURCE.parent / "debugserver"],
    ids=["installed", "source tree"],
)
def test_the_commands_that_users_have(lldb: Lldb, server: Path) -> None:
    lldb.environment["LLDB_DEBUGSERVER_PATH"] = str(server)
    output = lldb(
        "breakpoint set -n told",
        "process launch -i /dev/null -- one",
        "process plugin packet monitor help",
        "thread backtrace",
        "continue",
        program=compile_program("started"),
    )
    expect(output, "argument 1 is <one>", b"Quit GDBserver".hex(), r"frame #0: .*`told", "exited with status = 1")


def test_arguments_environment_and_directory(lldb: Lldb, tmp_path: Path) -> None:
    output = lldb(
        "settings set target.env-vars 'ADDED=a b' SPECIAL=$#}*",
        "settings set target.unset-env-vars HOME",
        f"process launch -i /dev/null -w {tmp_path} -- one 'two three' ''",
        program=compile_program("started"),
    )
    expect(output, "argument 1 is <one>", "argument 2 is <two three>", "argument 3 is <>")
    assert f"directory is <{tmp_path}>" in output
    assert "variable <ADDED=a b>" in output
    assert "variable <SPECIAL=$#}*>" in output
    assert "variable <PATH=" in output
    assert "variable <HOME=" not in output
    expect(output, r"exited with status = 3 \(0x00000003\)")


def test_the_terminal_is_lldbs(lldb: Lldb) -> None:
    output = lldb("process launch", program=compile_program("started"))
    expect(output, "stream 0 is a terminal", "stream 1 is a terminal", "stream 2 is a terminal")
    expect(output, "exited with status = 0")


def test_files_as_standard_streams(lldb: Lldb, tmp_path: Path) -> None:
    (tmp_path / "in").write_text("given\n")
    (tmp_path / "out").write_text("something longer that was there before" * 100)
    lldb(
        f"process launch -i {tmp_path / 'in'} -o {tmp_path / 'out'} -e {tmp_path / 'err'} -- one",
        program=compile_program("started"),
    )
    expect((tmp_path / "out").read_text(), r"\Aargument 1 is <one>", "stream 0 is not", r"read <given\n\Z")
    assert (tmp_path / "err").read_text() == "an error\n"


def test_the_program_has_nothing_open_but_its_streams(lldb: Lldb, tmp_path: Path) -> None:
    """LLDB lets its own pipes leak into its server, and users theirs; one more is that of the list itself."""
    reader, writer = os.pipe()
    with open(reader, "rb"), open(writer, "wb"):
        os.set_inheritable(writer, True)
        lldb(f"process launch -o {tmp_path / 'out'} -- /proc/self/fd", program=Path("/bin/ls"))
    assert (tmp_path / "out").read_text().split() == ["0", "1", "2", "3"]


def test_a_breakpoint_at_once(lldb: Lldb) -> None:
    output = lldb(
        "breakpoint set -n told",
        "process launch",
        "thread backtrace",
        "process kill",
        program=compile_program("started"),
    )
    expect(output, "stop reason = breakpoint 1.1", r"frame #0: .*`told", r"frame #1: .*`main", "exited with status = 9")


def test_a_program_that_cannot_be_started(lldb: Lldb, tmp_path: Path) -> None:
    program = tmp_path / "prog"
    shutil.copy(compile_program("started"), program)
    output = lldb(f"process launch -w {tmp_path / 'none'}", "process launch -w /", program=program)
    expect(output, "^error: ", "exited with status = 0")


def test_attaching_by_pid_and_letting_go(lldb: Lldb) -> None:
    with waiting(compile_program("waits")) as process:
        output = lldb(f"process attach -p {process.pid}", "image lookup -n main", "process detach")
        expect(
            output,
            rf"Process {process.pid} stopped\n.* stop reason = signal SIGSTOP\n +frame #0: ",
            r"waits`main at waits\.c",
            rf"Process {process.pid} detached",
        )
        assert status(process.pid, "TracerPid") == "0"
        assert not is_stopped(process.pid)
        assert end(process) == 0


def test_attaching_by_name(lldb: Lldb, tmp_path: Path) -> None:
    program = tmp_path / f"named_{os.getpid()}"
    shutil.copy(compile_program("waits"), program)
    with waiting(program) as process:
        output = lldb(f"process attach -n {program.name}", "process status", "process detach")
        expect(output, rf"Process {process.pid} stopped", rf"Process {process.pid} detached")
        assert end(process) == 0


def test_attaching_to_a_process_that_need_not_be_waited_for(lldb: Lldb, tmp_path: Path) -> None:
    program = tmp_path / f"there_{os.getpid()}"
    shutil.copy(compile_program("waits"), program)
    with waiting(program) as process:
        output = lldb(f"process attach -w -i -n {program.name}", "process detach")
        expect(output, rf"Process {process.pid} stopped", rf"Process {process.pid} detached")
        assert end(process) == 0


@pytest.mark.parametrize(("disabled", "personality"), [("true", "00040000"), ("false", "00000000")])
def test_address_space_randomization(lldb: Lldb, tmp_path: Path, disabled: str, personality: str) -> None:
    output = tmp_path / "personality"
    launch = f"process launch -A {disabled} -i /dev/null -o {output} -- /proc/self/personality"
    lldb(launch, program=Path("/bin/cat"))
    assert output.read_text() == f"{personality}\n"


def test_a_name_that_nobody_has(lldb: Lldb) -> None:
    expect(lldb("process attach -n nobody_is_called_so"), "^error: attach failed")


@contextmanager
def attached(session: LldbSession, program: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that LLDB has waited for. The packet is logged before it is answered: a process that starts in between
    is there already, and another one has to come."""
    with ExitStack() as stack:
        started: dict[str, subprocess.Popen[bytes]] = {}
        for _ in range(10):
            process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
            started[str(stack.enter_context(process).pid)] = process
            stack.callback(process.kill)
            with suppress(AssertionError):
                session.wait_for(stopped(started), DEADLINE / 10)
                break
        yield started[session.wait_for(stopped(started)).split()[1]]


def stopped(pids: Iterable[str]) -> str:
    return rf"Process ({'|'.join(pids)}) stopped"


def test_waiting_for_a_process(lldb: Lldb, tmp_path: Path) -> None:
    program = tmp_path / f"awaited_{os.getpid()}"
    shutil.copy(compile_program("waits"), program)
    log = tmp_path / "packets"
    lldb.environment |= {"LLDB_DEBUGSERVER_LOG_FILE": str(log), "LLDB_SERVER_LOG_CHANNELS": "gdb-remote packets"}
    with (
        waiting(program) as already_there,
        lldb.start(f"process attach -w -n {program.name}", "process detach") as session,
        ExitStack() as stack,
    ):
        wait_until(lambda: log.exists() and "vAttachWait" in log.read_text(), "LLDB waits for the process")
        process = stack.enter_context(attached(session, program))
        session.wait_for(rf"Process {process.pid} detached")
        assert end(process) == 0
        assert end(already_there) == 0


def test_lldb_crashes_and_the_program_runs_on(lldb: Lldb) -> None:
    with waiting(compile_program("waits")) as process:
        with lldb.start(f"process attach -p {process.pid}") as session:
            session.wait_for(rf"Process {process.pid} stopped")
            session.kill()
            wait_until(lambda: status(process.pid, "TracerPid") == "0", "nobody holds the process any more")
        wait_until(lambda: not is_stopped(process.pid), "it runs on")
        assert end(process) == 0


@pytest.fixture
def gdbserver(request: pytest.FixtureRequest) -> list[str]:
    """The command of the server under test, up to the role."""
    return [*server_command(request.config.getoption("--server")), "gdbserver"]


ENVIRONMENT = {**os.environ, "PYTHONPATH": str(SOURCE)}


def test_the_port_is_told_through_a_pipe(gdbserver: list[str]) -> None:
    reader, writer = os.pipe()
    with subprocess.Popen(
        [*gdbserver, "--pipe", str(writer), "localhost:0"], pass_fds=[writer], env=ENVIRONMENT
    ) as server:
        os.close(writer)
        try:
            with open(reader, "rb") as pipe:
                told = pipe.read()
            assert told.endswith(b"\0")
            with socket.create_connection(("localhost", int(told[:-1])), DEADLINE) as client:
                client.sendall(b"+$qVAttachOrWaitSupported#38")
                assert client.recv(1) == b"+"
            assert server.wait(DEADLINE) == 0
        finally:
            server.kill()


def test_the_port_is_told_through_a_named_pipe(gdbserver: list[str], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    line = [*gdbserver, "--named-pipe", str(tmp_path / "pipe"), "localhost:0"]
    with subprocess.Popen(line, env=ENVIRONMENT) as server:
        try:
            told = (tmp_path / "pipe").read_bytes()
            assert told.endswith(b"\0")
            assert 0 < int(told[:-1]) < 65536
        finally:
            server.kill()


def test_the_client_may_be_called_back(gdbserver: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(DEADLINE)
        line = [*gdbserver, "--reverse-connect", f"127.0.0.1:{listener.getsockname()[1]}"]
        with subprocess.Popen(line, env=ENVIRONMENT) as server:
            try:
                client, _ = listener.accept()
                with client:
                    client.sendall(b"+$qVAttachOrWaitSupported#38")
                    assert client.recv(1) == b"+"
                assert server.wait(DEADLINE) == 0
            finally:
                server.kill()
