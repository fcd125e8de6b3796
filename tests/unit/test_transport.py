"""COMM in all its forms: where it listens, who may connect, and what is left behind."""

from __future__ import annotations

import os
import pty
import select
import socket
import stat
import termios
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from debugserver.errors import ConfigurationError
from debugserver.server import transport
from debugserver.server.connection import Connection
from debugserver.server.transport import Listener

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DEADLINE = 5.0


def listen(comm: str) -> Listener:
    listener = transport.parse(comm).open()
    assert isinstance(listener, Listener)
    return listener


def port_of(listener: Listener) -> int:
    return int(listener.banner.removeprefix("Listening on port "))


def accept(listener: Listener) -> Connection:
    assert select.select([listener], [], [], DEADLINE)[0]
    connection = listener.accept()
    assert connection is not None
    return connection


@pytest.fixture
def connected() -> Iterator[tuple[Connection, socket.socket]]:
    with closing(listen(":0")) as listener, socket.create_connection(("127.0.0.1", port_of(listener))) as client:
        client.settimeout(DEADLINE)
        with closing(accept(listener)) as connection:
            yield connection, client


def bound_address(listener: Listener) -> str:
    with socket.socket(fileno=os.dup(listener.fileno())) as view:
        return str(view.getsockname()[0])


@pytest.mark.parametrize(
    ("comm", "address"),
    [
        ("0", "127.0.0.1"),
        (":0", "127.0.0.1"),
        ("127.0.0.1:0", "127.0.0.1"),
        ("tcp:127.0.0.1:0", "127.0.0.1"),
        ("tcp4:localhost:0", "127.0.0.1"),
        ("0.0.0.0:0", "0.0.0.0"),
        ("[::1]:0", "::1"),
        ("::1:0", "::1"),
        ("tcp6:[::1]:0", "::1"),
        ("tcp6:::1:0", "::1"),
        ("tcp6::0", "::1"),
    ],
)
def test_tcp_listens_on_loopback_unless_a_host_is_named(comm: str, address: str) -> None:
    with closing(listen(comm)) as listener:
        assert bound_address(listener) == address
        assert port_of(listener) > 0


@pytest.mark.parametrize(
    ("comm", "message"),
    [
        (":65536", "cannot resolve name"),
        (":http", "cannot resolve name"),
        ("-1:x", "cannot resolve name"),
        ("does-not-exist.invalid:0", "cannot resolve name"),
        ("nothing", "no such kind of connection"),
        ("udp:localhost:2345", "UDP"),
        ("/nowhere/tty", "No such file or directory"),
        ("/dev/null", "not a terminal"),
        ("fd:x", "not an open descriptor"),
        ("fd:99999", "not an open descriptor"),
        ("unix:/nowhere/socket", "No such file or directory"),
        ("unix:", "names no socket"),
        ("unix:@", "names no socket"),
        ("unix:" + "x" * 200, "too long"),
    ],
)
def test_what_cannot_be_opened_is_explained(comm: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        transport.parse(comm).open()


def test_a_port_in_use_is_reported_in_gdbservers_words() -> None:
    with closing(listen(":0")) as listener, pytest.raises(ConfigurationError) as caught:
        transport.parse(f"localhost:{port_of(listener)}").open()
    assert str(caught.value) == "Can't bind address: Address already in use."


def test_nothing_that_is_opened_is_inherited(connected: tuple[Connection, socket.socket]) -> None:
    connection, _ = connected
    assert not os.get_inheritable(connection.reader)
    with closing(listen(":0")) as listener:
        assert not os.get_inheritable(listener.fileno())


def test_small_replies_are_sent_at_once(connected: tuple[Connection, socket.socket]) -> None:
    with socket.socket(fileno=os.dup(connected[0].writer)) as view:
        assert view.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_client_whose_machine_is_gone_is_noticed(connected: tuple[Connection, socket.socket]) -> None:
    with socket.socket(fileno=os.dup(connected[0].writer)) as view:
        assert view.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_the_greeting_names_host_and_port(connected: tuple[Connection, socket.socket]) -> None:
    connection, client = connected
    assert connection.greeting == f"Remote debugging from host 127.0.0.1, port {client.getsockname()[1]}"


def test_bytes_go_both_ways(connected: tuple[Connection, socket.socket]) -> None:
    connection, client = connected
    connection.send(b"to the client")
    assert client.recv(100) == b"to the client"
    assert connection.receive() is None
    client.sendall(b"from it")
    assert receive(connection) == b"from it"


def receive(connection: Connection) -> bytes:
    assert select.select([connection.reader], [], [], DEADLINE)[0]
    data = connection.receive()
    assert data is not None
    return data


def test_what_a_client_does_not_read_waits(connected: tuple[Connection, socket.socket]) -> None:
    connection, client = connected
    data = bytes(range(256)) * 80_000
    connection.send(data[:-3])
    connection.send(data[-3:])
    assert connection.pending
    received = bytearray()
    while len(received) < len(data):
        received += client.recv(1 << 20)
        connection.flush()
    assert received == data
    assert not connection.pending


def test_a_client_that_closes_or_half_closes_is_gone(connected: tuple[Connection, socket.socket]) -> None:
    connection, client = connected
    client.shutdown(socket.SHUT_WR)
    assert receive(connection) == b""


def test_a_client_that_resets_is_gone_and_sending_to_it_is_no_error(
    connected: tuple[Connection, socket.socket],
) -> None:
    connection, client = connected
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()
    assert receive(connection) == b""
    connection.send(b"too late")
    assert connection.broken
    assert not connection.pending


def test_a_client_that_resets_before_it_is_accepted_is_none() -> None:
    with closing(listen(":0")) as listener:
        with socket.create_connection(("127.0.0.1", port_of(listener))) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        assert select.select([listener], [], [], DEADLINE)[0]
        assert listener.accept() is None


def test_a_unix_socket_is_its_owners_and_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    listener = listen(f"unix:{path}")
    assert listener.banner == f"Listening on socket {path}"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        with closing(accept(listener)) as connection:
            assert connection.greeting == f"Remote debugging from socket {path}"
    listener.close()
    assert not path.exists()


def test_a_stale_unix_socket_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with closing(listen(f"unix:{path}")), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def test_a_unix_socket_in_use_and_a_file_are_not_replaced(tmp_path: Path) -> None:
    path, file = tmp_path / "socket", tmp_path / "file"
    file.write_text("precious")
    with closing(listen(f"unix:{path}")), pytest.raises(ConfigurationError, match="Address already in use"):
        transport.parse(f"unix:{path}").open()
    with pytest.raises(ConfigurationError, match="Address already in use"):
        transport.parse(f"unix:{file}").open()
    assert file.read_text() == "precious"


def test_the_socket_of_a_successor_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    first = listen(f"unix:{path}")
    path.rename(tmp_path / "moved")
    with closing(listen(f"unix:{path}")):
        first.close()
        assert path.exists()


def test_an_abstract_socket_has_no_file() -> None:
    name = f"debugserver-test-{os.getpid()}"
    with closing(listen(f"unix:@{name}")) as listener, socket.socket(socket.AF_UNIX) as client:
        assert listener.banner == f"Listening on socket @{name}"
        client.connect(f"\0{name}")


def test_an_inherited_connected_socket_is_a_connection() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        connection = transport.parse(f"fd:{ours.detach()}").open()
        assert isinstance(connection, Connection)
        connection.send(b"hello")
        assert theirs.recv(10) == b"hello"
        connection.close()
        assert theirs.recv(10) == b""


def test_one_of_a_pair_is_called_by_its_number() -> None:
    ours, theirs = socket.socketpair()
    number = ours.detach()
    with theirs, closing(transport.parse(f"fd:{number}").open()) as connection:
        assert isinstance(connection, Connection)
        assert connection.greeting == f"Remote debugging using fd:{number}"


@pytest.mark.parametrize(
    ("family", "kind", "message"),
    [
        (socket.AF_INET, socket.SOCK_DGRAM, "no stream socket"),
        (socket.AF_UNIX, socket.SOCK_SEQPACKET, "no stream socket"),
        (socket.AF_INET, socket.SOCK_STREAM, "neither listens nor is connected"),
        (socket.AF_UNIX, socket.SOCK_STREAM, "neither listens nor is connected"),
    ],
)
def test_an_inherited_socket_has_to_reach_a_client(
    family: socket.AddressFamily, kind: socket.SocketKind, message: str
) -> None:
    with socket.socket(family, kind) as inherited:
        with pytest.raises(ConfigurationError, match=message) as caught:
            transport.parse(f"fd:{inherited.fileno()}").open()
        assert "It has to be a stream socket" in caught.value.remedy
        inherited.getsockname()


def test_an_inherited_file_reaches_no_client() -> None:
    descriptor = os.open("/dev/null", os.O_RDWR)
    try:
        with pytest.raises(ConfigurationError, match="neither a socket nor a terminal"):
            transport.parse(f"fd:{descriptor}").open()
    finally:
        os.close(descriptor)


def test_an_inherited_device_may_reach_a_client(tmp_path: Path) -> None:
    """As a port of a virtual machine does: like a FIFO, it is no file in which one reads on and on."""
    os.mkfifo(tmp_path / "port")
    descriptor = os.open(tmp_path / "port", os.O_RDWR)
    with closing(transport.parse(f"fd:{descriptor}").open()) as connection:
        assert isinstance(connection, Connection)
        assert connection.greeting == f"Remote debugging using fd:{descriptor}"


def test_an_inherited_listening_socket_is_listened_on() -> None:
    inherited = socket.create_server(("127.0.0.1", 0))
    port = inherited.getsockname()[1]
    with closing(listen(f"fd:{inherited.detach()}")) as listener:
        assert port_of(listener) == port
        with socket.create_connection(("127.0.0.1", port)):
            accept(listener).close()


def test_an_inherited_descriptor_has_to_go_both_ways() -> None:
    reader, writer = os.pipe()
    try:
        with pytest.raises(ConfigurationError, match="both reading and writing"):
            transport.parse(f"fd:{reader}").open()
    finally:
        os.close(reader)
        os.close(writer)


@pytest.mark.parametrize("inherited", [False, True])
def test_a_terminal_is_raw_while_it_is_used(inherited: bool) -> None:
    master, slave = pty.openpty()
    try:
        before = termios.tcgetattr(slave)
        endpoint = transport.parse(f"fd:{os.dup(slave)}" if inherited else os.ttyname(slave))
        connection = endpoint.open()
        assert endpoint.is_serial
        assert isinstance(connection, Connection)
        every_byte = bytes(range(256))
        os.write(master, every_byte)
        received = b""
        while len(received) < 256:
            received += receive(connection)
        assert received == every_byte
        connection.send(b"\n")
        assert os.read(master, 10) == b"\n"
        assert termios.tcgetattr(slave) != before
        connection.close()
        assert termios.tcgetattr(slave) == before
    finally:
        os.close(slave)
        os.close(master)
