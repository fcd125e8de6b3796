"""Every way for a client to reach the server, end to end with a real program; GDB where GDB can use it."""

from __future__ import annotations

import os
import pty
import select
import shlex
import signal
import socket
import subprocess
import threading
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest

from debugserver.testing.client import RspClient
from tests.support.gdb import expect
from tests.support.processes import DEADLINE, end_process, is_gone, status, wait_until
from tests.support.programs import compile_program
from tests.support.server import SOURCE, Server, server_command

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.gdb import Gdb

OURS = server_command("debugserver")


@pytest.fixture(scope="module")
def program() -> Path:
    return compile_program("steps")


@contextmanager
def started(*arguments: str | Path) -> Iterator[Server]:
    """A server that may listen on something else than a port."""
    with closing(Server(OURS, *arguments)) as server:
        yield server


def see_main(gdb: Gdb, address: str, program: Path) -> None:
    out = gdb.remote(address, "break add", "continue", "backtrace", "continue", "detach", program=program)
    expect(out, r"Breakpoint 1, add \(a=1, b=2\)", r"#1 .* in main", r"Breakpoint 1, add \(a=3, b=3\)", r"detached")


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost", ""])
def test_tcp_on_a_free_port(gdb: Gdb, program: Path, host: str) -> None:
    with started("--once", f"{host}:0", program) as server:
        port = server.log.wait_for(r"^Listening on port (\d+)$")[1]
        see_main(gdb, f"{host or 'localhost'}:{port}", program)
        server.log.wait_for(r"^Remote debugging from host (127\.0\.0\.1|::1), port \d+$")
        assert server.wait() == 0


def test_unix_socket(gdb: Gdb, program: Path, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with started("--once", f"unix:{path}", program) as server:
        server.log.wait_for(rf"^Listening on socket {path}$")
        see_main(gdb, str(path), program)
        assert server.wait() == 0
        assert not path.exists()


def test_gdb_starts_the_server_on_a_pipe(gdb: Gdb, program: Path) -> None:
    command = shlex.join(["env", f"PYTHONPATH={SOURCE}", *OURS, "--once", "-", str(program)])
    out = gdb(f"target remote | {command}", "break add", "continue", "delete", "continue", program=program)
    expect(out, r"^stdin/stdout redirected", r"^Process .*steps created; pid = \d+", r"^Remote debugging using stdio")
    expect(out, r"Breakpoint 1, add", r"^3 6 120 15 1$")
    expect(out, r"exited with code 07")


def test_terminal_line(gdb: Gdb, program: Path) -> None:
    """GDB and the server at the two ends of a line made of two pseudo-terminals."""
    with serial_line() as (ours, theirs), started("--once", ours, program) as server:
        server.log.wait_for(rf"^Remote debugging using {ours}$")
        see_main(gdb, theirs, program)
        assert server.wait() == 0


def test_one_client_after_another_on_a_line_where_nobody_hangs_up(gdb: Gdb, program: Path) -> None:
    with serial_line() as (ours, theirs), started("--multi", ours, program) as server:
        server.log.wait_for(rf"^Remote debugging using {ours}$")
        for _ in range(2):
            out = gdb.remote(theirs, "break add", "run", "kill", program=program, extended=True)
            expect(out, r"Breakpoint 1, add \(a=1, b=2\)", r"killed")
            assert "Packet instead of Ack" not in out
        assert server.process.poll() is None


@contextmanager
def serial_line() -> Iterator[tuple[str, str]]:
    pairs = [pty.openpty(), pty.openpty()]
    one, other = (master for master, _ in pairs)
    stop_reader, stop_writer = os.pipe()
    copier = threading.Thread(target=copy, args=(one, other, stop_reader))
    copier.start()
    try:
        # Both stay open here: a pseudo-terminal that nobody has open hangs up.
        yield os.ttyname(pairs[0][1]), os.ttyname(pairs[1][1])
    finally:
        os.close(stop_writer)
        copier.join(DEADLINE)
        for descriptor in (*pairs[0], *pairs[1], stop_reader):
            os.close(descriptor)


def copy(one: int, other: int, stop: int) -> None:
    while True:
        ready = select.select([one, other, stop], [], [])[0]
        if stop in ready:
            return
        for source in ready:
            os.write(other if source == one else one, os.read(source, 4096))


def test_inherited_socket(program: Path) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [*OURS, f"fd:{theirs.fileno()}", program],
            pass_fds=[theirs.fileno()],
            env={**os.environ, "PYTHONPATH": str(SOURCE)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    try:
        with RspClient(ours) as client:
            client.supported()
            debuggee = int(client.request(b"qC").removeprefix(b"QC"), 16)
            assert os.listdir(f"/proc/{debuggee}/fd") == ["0", "1", "2"]
            client.resume()
            assert client.wait_stop().status == 7
        assert process.wait(DEADLINE) == 0
    finally:
        end_process(process)


def connect(server: Server) -> RspClient:
    port = server.log.wait_for(r"^Listening on port (\d+)$")[1]
    return RspClient.connect(f"127.0.0.1:{port}", DEADLINE)


def test_gdb_is_told_that_another_client_is_served(gdb: Gdb, program: Path) -> None:
    with started(":0", program) as server, connect(server) as client:
        client.supported()
        port = server.log.wait_for(r"^Listening on port (\d+)$")[1]
        out = gdb.remote(f"localhost:{port}", program=program)
        expect(out, r"debugserver is busy with another client \(127\.0\.0\.1:\d+\); it serves one at a time")
        assert client.request(b"qC").startswith(b"QC")


def test_the_program_waits_for_the_next_client_without_breakpoints(gdb: Gdb, program: Path) -> None:
    with started(":0", program) as server:
        port = server.log.wait_for(r"^Listening on port (\d+)$")[1]
        out = gdb.remote(f"localhost:{port}", "break count", "continue", "disconnect", program=program)
        expect(out, r"Breakpoint 1, count")
        server.log.wait_for(r"^Remote side has terminated connection\.  GDBserver will reopen the connection\.$")
        wait_until(lambda: status(server.debuggee, "State").startswith("t"), "the program stands still")
        out = gdb.remote(f"localhost:{port}", "backtrace", "x/i $pc", "continue", program=program)
        expect(out, r"#0  count ", r"#1 .* in main", r"exited with code 07")
        assert server.wait() == 0


def test_a_client_that_vanishes_while_the_program_runs_leaves_it_stopped() -> None:
    with started(":0", "/bin/sleep", "1000") as server:
        with connect(server) as client:
            client.supported()
            client.resume()
            wait_until(lambda: status(server.debuggee, "State").startswith("S"), "the program runs")
        wait_until(lambda: status(server.debuggee, "State").startswith("t"), "the program is stopped")
        with connect(server) as client:
            client.supported()
            assert client.request(b"?").startswith(b"T")


def test_sessions_leak_no_descriptor_of_the_server(program: Path) -> None:
    def open_files() -> list[str]:
        directory = f"/proc/{server.process.pid}/fd"
        return sorted(os.readlink(f"{directory}/{descriptor}") for descriptor in os.listdir(directory))

    def session() -> None:
        with connect(server) as client:
            sessions = server.log.text.count("Listening")
            client.supported()
            client.start_no_ack_mode()
            client.read_memory(int.from_bytes(client.read_register(16), "little"), 16)
            client.request(b"vFile:open:2f6574632f706173737764,0,0")
        wait_until(lambda: server.log.text.count("Listening") > sessions, "the session ends")

    with started("--multi", ":0", program) as server:
        session()
        before = open_files()
        for _ in range(5):
            session()
        assert open_files() == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_end_the_server_and_what_it_started(program: Path, number: signal.Signals) -> None:
    with started(":0", program) as server, connect(server) as client:
        client.supported()
        server.process.send_signal(number)
        assert server.wait() == 0
        assert is_gone(server.debuggee)
        server.log.wait_for(rf"^Killing process\(es\): {server.debuggee}$")


def test_signals_are_heard_while_nobody_is_connected(program: Path) -> None:
    with started(":0", program) as server:
        server.log.wait_for(r"^Listening on port")
        server.process.send_signal(signal.SIGTERM)
        assert server.wait() == 0


def test_what_was_attached_to_lives_on() -> None:
    with subprocess.Popen(["sleep", "1000"]) as sleeper:
        try:
            with started("--once", "--attach", ":0", str(sleeper.pid)) as server:
                server.log.wait_for(rf"^Attached; pid = {sleeper.pid}$")
                with connect(server) as client:
                    client.supported()
                    assert client.request(b"qAttached") == b"1"
                assert server.wait() == 0
                server.log.wait_for(rf"^Detaching process\(es\): {sleeper.pid}$")
            wait_until(lambda: status(sleeper.pid, "State").startswith("S"), "it sleeps on")
            assert status(sleeper.pid, "TracerPid") == "0"
        finally:
            sleeper.kill()


def test_the_server_stays_as_long_as_a_program_that_it_started_and_let_go() -> None:
    with started("--once", ":0", "/bin/cat", "/dev/zero") as server:
        with connect(server) as client:
            client.supported()
            assert client.request(b"D") == b"OK"
        pid = server.debuggee
        wait_until(lambda: status(pid, "TracerPid") == "0", "the program is let go")
        assert server.process.poll() is None
        os.kill(pid, signal.SIGKILL)
        assert server.wait() == 0


def test_a_program_that_is_not_there_is_reported_as_gdbserver_does(tmp_path: Path) -> None:
    """The shell's own line, and then at once gdbserver's: GDB's test suite waits for them (gdb.server)."""
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "SHELL": "/bin/sh"}
    result = subprocess.run(
        [*OURS, "stdio", "no-such-program"],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert (result.returncode, result.stdout) == (1, "")
    expect(
        result.stderr,
        r"\Astdin/stdout redirected\n",
        r"no-such-program in PATH; give its path",
        r"exec: no-such-program: not found\nDuring startup program exited with code 127\.\nExiting\n\Z",
    )


def test_a_program_that_cannot_be_executed_directly_is_reported_as_gdbserver_does(tmp_path: Path) -> None:
    program = tmp_path / "text"
    program.write_text("no program\n")
    result = subprocess.run(
        [*OURS, "--no-startup-with-shell", "localhost:0", program],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert (result.returncode, result.stdout) == (1, "")
    expect(
        result.stderr,
        r"text is not executable; chmod \+x ",
        rf"debugserver: Cannot exec {program}\ndebugserver: Error: Permission denied\n",
        r"^During startup program exited with code 127\.\nExiting\n\Z",
    )


def test_the_programs_terminal_is_the_servers(program: Path) -> None:
    """As on the boards of GDB's test suite: the program reads what is typed, and gives the terminal back."""
    command = [*OURS, ":0", "/bin/sh", "-c", "read line; echo got $line; exit 3"]
    pid, master = pty.fork()
    if pid == 0:
        os.execvpe(command[0], command, {**os.environ, "PYTHONPATH": str(SOURCE)})
    terminal = Terminal(master)
    try:
        port = terminal.wait_for("Listening on port ").split()[0]
        assert os.tcgetpgrp(master) != pid
        with RspClient.connect(f"127.0.0.1:{port}", DEADLINE) as client:
            client.supported()
            client.resume()
            os.write(master, b"typed\n")
            terminal.wait_for("got typed")
            assert client.wait_stop().status == 3
            assert os.tcgetpgrp(master) == pid
        assert os.waitpid(pid, 0)[1] == 0
    finally:
        os.close(master)


class Terminal:
    """What is printed on a pseudo-terminal."""

    def __init__(self, master: int) -> None:
        self._master = master
        self._text = ""

    def wait_for(self, text: str) -> str:
        """What follows `text`, to the end of the line."""
        while "\n" not in self._text.partition(text)[2]:
            assert select.select([self._master], [], [], DEADLINE)[0], self._text
            self._text += os.read(self._master, 4096).decode()
        self._text = self._text.partition(text)[2]
        return self._text.partition("\n")[0]


@pytest.mark.parametrize(
    ("disabled", "beginning", "has_thread"), [("T", b"S05", False), ("Tthread", b"T05", False), ("qC", b"T05", True)]
)
def test_packets_can_be_disabled(program: Path, disabled: str, beginning: bytes, has_thread: bool) -> None:
    with started(f"--disable-packet={disabled}", ":0", program) as server, connect(server) as client:
        client.supported()
        stop = client.request(b"?")
        assert stop.startswith(beginning)
        assert (b"thread:" in stop) is has_thread
        assert (client.request(b"qC") == b"") is (disabled == "qC")


def test_what_threads_and_debug_registers_do_can_be_logged(program: Path) -> None:
    with started("--debug=threads", ":0", program) as server:
        with connect(server) as client:
            client.supported()
            client.monitor("set debug-hw-points 1")
            address = int.from_bytes(client.read_register(7), "little")
            assert client.request(b"Z2,%x,8" % address) == b"OK"
            client.resume(b"vCont;s")
            client.wait_stop()
        server.log.wait_for(rf"^\[threads\] run {server.debuggee}: step, signal 0$")
        server.log.wait_for(rf"^\[hw-points\] debug registers of {server.debuggee}: \({address}, 0, 0, 0, ")


def test_quiet_is_quiet(program: Path, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with started("--quiet", f"unix:{path}", program) as server:
        wait_until(path.exists, "it listens")
        with RspClient.connect(f"unix:{path}", DEADLINE) as client:
            client.supported()
            client.resume()
            assert client.wait_stop().status == 7
        assert server.wait() == 0
        assert server.log.text == ""
