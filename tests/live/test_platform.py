"""The platform role, packet by packet: what its processes do, and that nothing is left of them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from typing import TYPE_CHECKING

import pytest

from debugserver.testing.client import RspClient
from tests.support.processes import DEADLINE, end_process, is_gone, wait_until
from tests.support.programs import compile_program
from tests.support.server import Server, lldb_server, server_command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

OURS = server_command("debugserver")


def hexed(text: object) -> bytes:
    return str(text).encode().hex().encode()


@pytest.fixture
def platform() -> Iterator[Callable[..., Server]]:
    """Start a platform with options; it ends with the test, and leaves nothing behind."""
    started: list[Server] = []

    def start(*options: str) -> Server:
        server = Server([*OURS, "platform", "--server", *options], "--listen", "localhost:0")
        started.append(server.__enter__())
        return server

    yield start
    for server in started:
        server.close()


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[str]:
    """The address of lldb-server's platform."""
    command = lldb_server()
    if command is None or not command.exists():
        pytest.skip("lldb-server is not installed (lldb-for-pwndbg)")
    port = tmp_path / "port"
    line: list[str | Path] = [command, "platform", "--server", "--listen", "localhost:0", "--socket-file", port]
    with subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True) as process:
        try:
            wait_until(lambda: port.exists() and port.read_text(), "it listens")
            yield f"localhost:{port.read_text().strip(chr(0))}"
        finally:
            end_process(process)


def raw_reply(address: str, packet: bytes) -> bytes:
    """The reply as it travels."""
    with socket.create_connection(("localhost", int(address.rpartition(":")[2])), DEADLINE) as connection:
        connection.sendall(b"+" + packet)
        with connection.makefile("rb") as stream:
            return b"".join(iter(lambda: stream.read(1), b"#")).partition(b"$")[2]


def connect(server: Server) -> RspClient:
    client = RspClient.connect(server.address, DEADLINE)
    client.start_no_ack_mode()
    return client


def start_program(client: RspClient, *words: object) -> bytes:
    encoded = [hexed(word) for word in words]
    return client.request(b"A" + b",".join(b"%d,%d,%b" % (len(w), i, w) for i, w in enumerate(encoded)))


def fields(reply: bytes) -> dict[str, str]:
    return dict(pair.split(":", 1) for pair in reply.decode().split(";") if pair)


def test_programs_that_nobody_debugs(platform: Callable[..., Server], tmp_path: Path) -> None:
    with connect(platform()) as client:
        assert client.request(b"QSetSTDOUT:" + hexed(tmp_path / "out")) == b"OK"
        assert client.request(b"QEnvironment:ONLY=this") == b"OK"
        assert start_program(client, "/bin/sh", "-c", "env; exec sleep 100") == b"OK"
        assert client.request(b"qLaunchSuccess") == b"OK"
        process = fields(client.request(b"qProcessInfo"))
        pid = int(process["pid"], 16)
        assert int(process["parent-pid"], 16) != os.getpid()
        wait_until(lambda: "ONLY=this\n" in (tmp_path / "out").read_text(), "it has what it was started with")
        # A platform starts as many as it is asked for.
        assert start_program(client, "/bin/true") == b"OK"
        assert client.request(b"qKillSpawnedProcess:%d" % pid) == b"OK"
        assert is_gone(pid)
        assert client.request(b"qKillSpawnedProcess:%d" % pid) == b"E01"
        assert client.request(b"qKillSpawnedProcess:1") == b"E01"


def test_a_program_that_is_not_there(platform: Callable[..., Server]) -> None:
    with connect(platform()) as client:
        assert start_program(client, "/none") == b"E02"
        assert b"No such file or directory" in client.request(b"qLaunchSuccess")
        assert client.request(b"qProcessInfo") == b"E01"


def test_each_client_has_its_own_directory(platform: Callable[..., Server], tmp_path: Path) -> None:
    server = platform()
    with connect(server) as one, connect(server) as other:
        assert one.request(b"QSetWorkingDir:" + hexed(tmp_path)) == b"OK"
        assert one.request(b"QSetWorkingDir:" + hexed("none")) == b"E02"
        assert one.request(b"qGetWorkingDir") == hexed(tmp_path)
        assert other.request(b"qGetWorkingDir") == hexed(os.getcwd())
        assert one.request(b"qPlatform_mkdir:000001ed," + hexed("made")) == b"F0"
        assert (tmp_path / "made").is_dir()


def test_commands_end_in_time_with_all_that_they_started(platform: Callable[..., Server], tmp_path: Path) -> None:
    command = f"sleep 100 & echo $! > {tmp_path}/pid; wait"
    with connect(platform("--allow-shell")) as client:
        reply = client.request(b"qPlatform_shell:%b,00000001" % hexed(command))
        assert reply == b"F,0000007e,00000000,debugserver: it did not end within 1 s\n"
        pid = int((tmp_path / "pid").read_text())
        wait_until(lambda: is_gone(pid), "what the command started has ended")
        # The server is as good as before.
        assert (
            client.request(b"qPlatform_shell:%b,0000000a,%b" % (hexed("pwd"), hexed("/"))) == b"F,00000000,00000000,/\n"
        )
        assert client.request(b"qPlatform_shell:%b,ffffffff" % hexed("kill -9 $$")) == b"F,00000000,00000009,"


def test_commands_end_with_their_client(platform: Callable[..., Server], tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    with connect(platform("--allow-shell")) as client:
        client.send(b"qPlatform_shell:%b,ffffffff" % hexed(f"echo $$ > {pid_file}; exec sleep 100"))
        wait_until(lambda: pid_file.exists() and pid_file.read_text().endswith("\n"), "the command runs")
    wait_until(lambda: is_gone(int(pid_file.read_text())), "it has ended")


def test_the_port_of_debug_servers_can_be_chosen(platform: Callable[..., Server]) -> None:
    with socket.create_server(("localhost", 0)) as taken:
        port = taken.getsockname()[1]
        with connect(platform(f"--gdbserver-port={port}", "--port-offset=1000")) as client:
            assert client.request(b"qLaunchGDBServer;host:here;") == b"E16"
            taken.close()
            address = fields(client.request(b"qLaunchGDBServer;host:here;"))
            assert int(address["port"]) == port + 1000
            with RspClient.connect(f"localhost:{port}", DEADLINE) as debugger:
                assert b"PacketSize" in debugger.request(b"qSupported")
            wait_until(lambda: is_gone(int(address["pid"])), "the debug server ends with its client")


def test_a_debug_server_outlives_its_platforms_client(platform: Callable[..., Server]) -> None:
    """LLDB may leave the platform and debug on."""
    with connect(platform()) as client:
        address = fields(client.request(b"qLaunchGDBServer;host:here;"))
        debugger = RspClient.connect(f"localhost:{address['port']}", DEADLINE)
    with debugger:
        debugger.supported("multiprocess+")
        debugger.start_no_ack_mode()
        program = hexed(compile_program("steps"))
        assert debugger.request(b"vRun;" + program).startswith(b"T")
        assert debugger.request(b"k") == b"X09" or True
    wait_until(lambda: is_gone(int(address["pid"])), "the debug server ends with its client")


def test_a_debug_server_that_nobody_connects_to_ends() -> None:
    with Server([*OURS, "gdbserver", "--accept-timeout=1"], "localhost:0") as server:
        assert server.wait() == 0


def test_a_debug_server_that_has_had_its_client_in_time_stays() -> None:
    with Server([*OURS, "gdbserver", "--accept-timeout=1"], "localhost:0") as server:
        with connect(server) as client:
            with pytest.raises(TimeoutError):
                client.receive(timeout=1.5)
            assert client.request(b"qVAttachOrWaitSupported") == b"OK"
        assert server.wait() == 0


def test_a_signal_ends_the_platform_and_its_clients(platform: Callable[..., Server]) -> None:
    server = platform()
    with connect(server) as client:
        server.process.send_signal(signal.SIGTERM)
        assert server.wait() == 0
        with pytest.raises((EOFError, OSError, ConnectionError)):
            client.request(b"qHostInfo")


# As lldb-server's platform tells it


def test_the_systems_signals(platform: Callable[..., Server], peer: str) -> None:
    """Without escapes, which a client of ours would take for such."""
    theirs, ours = (raw_reply(address, b"$jSignalsInfo#c7") for address in (peer, platform().address))
    assert json.loads(ours) == json.loads(theirs)


def test_the_status_of_files(platform: Callable[..., Server], peer: str, tmp_path: Path) -> None:
    """Of an open one. LLDB has no other way, and falls back to it where it is not told a size or permissions."""
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "file").write_text("x" * 12345)
    (tmp_path / "file").chmod(0o640)
    with RspClient.connect(peer, DEADLINE) as theirs, connect(platform()) as ours:
        theirs.start_no_ack_mode()
        for path in (tmp_path / "file", tmp_path / "link", tmp_path, "/dev/null"):
            ask = b"vFile:open:%b,00000000,00000000" % hexed(path)
            expected, told = (client.request(b"vFile:fstat:" + client.request(ask)[1:]) for client in (theirs, ours))
            assert told == expected, path
            assert ours.request(b"vFile:stat:" + hexed(path)) == expected, path
        assert ours.request(b"vFile:fstat:63") == theirs.request(b"vFile:fstat:63") == b"F-1,9"
        assert ours.request(b"vFile:stat:" + hexed("/none")) == b"F-1,2"
