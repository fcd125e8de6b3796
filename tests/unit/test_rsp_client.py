"""The scripted client. The server's part is written ahead into the other end of a socket pair, by hand."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from debugserver.errors import MalformedPacket, ProtocolError
from debugserver.testing.client import ErrorReply, RspClient

if TYPE_CHECKING:
    from pathlib import Path


def frame(payload: bytes) -> bytes:
    return b"$%b#%02x" % (payload, sum(payload) % 256)


class Peer:
    """The server's end."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        connection.settimeout(5)

    def says(self, *payloads: bytes) -> None:
        self.connection.sendall(b"".join(map(frame, payloads)))

    def heard(self) -> bytes:
        self.connection.setblocking(False)
        return self.connection.recv(1 << 20)


@pytest.fixture
def pair() -> Iterator[tuple[RspClient, Peer]]:
    """A client that has left acknowledgements behind, and its server."""
    ours, theirs = socket.socketpair()
    with theirs, RspClient(ours, timeout=5) as client:
        theirs.sendall(b"+" + frame(b"OK"))
        client.start_no_ack_mode()
        assert theirs.recv(100) == frame(b"QStartNoAckMode") + b"+"
        yield client, Peer(theirs)


def test_acknowledgements() -> None:
    ours, theirs = socket.socketpair()
    with theirs, RspClient(ours, timeout=5) as client:
        theirs.sendall(b"-+")
        client.send(b"qC")
        theirs.sendall(frame(b"QC1"))
        assert client.receive() == b"QC1"
        assert theirs.recv(100) == frame(b"qC") * 2 + b"+"


def test_damaged_reply_is_asked_for_again() -> None:
    ours, theirs = socket.socketpair()
    with theirs, RspClient(ours, timeout=5) as client:
        theirs.sendall(b"+$QC1#00" + frame(b"QC2"))
        assert client.request(b"qC") == b"QC2"
        assert theirs.recv(100) == frame(b"qC") + b"-+"


def test_refused_packet_is_given_up() -> None:
    ours, theirs = socket.socketpair()
    with theirs, RspClient(ours, timeout=5) as client:
        theirs.sendall(b"---")
        with pytest.raises(ProtocolError, match="qC"):
            client.request(b"qC")


def test_damaged_reply_without_acknowledgements(pair: tuple[RspClient, Peer]) -> None:
    client, peer = pair
    peer.connection.sendall(b"$QC1#00")
    with pytest.raises(ProtocolError, match="checksum"):
        client.request(b"qC")


def test_payloads_are_plain_both_ways(pair: tuple[RspClient, Peer]) -> None:
    client, peer = pair
    peer.says(b"m}\x03}]0* ")
    assert client.request(b"X0,2:#}") == b"m#}0000"
    assert peer.heard() == frame(b"X0,2:}\x03}]")


def test_console_output_before_the_reply(pair: tuple[RspClient, Peer]) -> None:
    client, peer = pair
    peer.says(b"O6869", b"O0a", b"OK")
    assert client.monitor("help") == "hi\n"
    assert peer.heard() == frame(b"qRcmd,68656c70")
    peer.says(b"6f6b")
    assert client.monitor("x") == "ok"
    assert client.console == b"hi\n"


def test_monitor_refused(pair: tuple[RspClient, Peer]) -> None:
    client, peer = pair
    peer.says(b"", b"E01", b"E.no such thing")
    for payload in (b"", b"E01", b"E.no such thing"):
        with pytest.raises(ErrorReply) as caught:
            client.monitor("x")
        assert caught.value.payload == payload


def test_stop(pair: tuple[RspClient, Peer]) -> None:
    client, peer = pair
    peer.says(b"O6f", b"T05thread:p1.2;")
    client.resume(b"vCont;s:p1.2")
    stop = client.wait_stop()
    assert (stop.kind, stop.signal, stop.thread) == ("T", 5, (1, 2))
    assert client.console == b"o"


def test_error_instead_of_a_stop(pair: tuple[RspClient, Peer]) -> None:
    client, peer = pair
    peer.says(b"E01")
    client.resume()
    with pytest.raises(ErrorReply, match="E01"):
        client.wait_stop()


def test_notifications(pair: tuple[RspClient, Peer]) -> None:
    client, peer = pair
    peer.connection.sendall(b"%Stop:T05#99" + frame(b"OK") + b"%Stop:T05#99")
    assert client.request(b"vCont;c") == b"OK"
    assert client.wait_notification() == b"Stop:T05"
    assert client.wait_notification() == b"Stop:T05"
    assert not client.notifications


def test_supported(pair: tuple[RspClient, Peer]) -> None:
    client, peer = pair
    peer.says(b"PacketSize=4000;swbreak+")
    assert client.supported("multiprocess+") == {"PacketSize": "4000", "swbreak": True}
    assert client.packet_size == 0x4000
    assert peer.heard() == frame(b"qSupported:multiprocess+")


def test_read_memory_in_pieces(pair: tuple[RspClient, Peer]) -> None:
    client, peer = pair
    client.packet_size = 12
    peer.says(b"00010203", b"0405")
    assert client.read_memory(0x1000, 6) == bytes(range(6))
    assert peer.heard() == frame(b"m1000,4") + frame(b"m1004,2")


def test_read_memory_up_to_a_gap(pair: tuple[RspClient, Peer]) -> None:
    client, peer = pair
    client.packet_size = 12
    peer.says(b"00010203", b"E01", b"0001", b"E01")
    assert client.read_memory(0x1000, 8) == bytes(range(4))
    assert client.read_memory(0x1000, 8) == bytes(range(2))
    with pytest.raises(ErrorReply):
        client.read_memory(0x1000, 8)


def test_write_memory(pair: tuple[RspClient, Peer]) -> None:
    client, peer = pair
    peer.says(b"OK", b"E01")
    client.write_memory(0x1000, b"a#b")
    assert peer.heard() == frame(b"X1000,3:a}\x03b")
    with pytest.raises(ErrorReply):
        client.write_memory(0x1000, b"a")


def test_registers(pair: tuple[RspClient, Peer]) -> None:
    client, peer = pair
    peer.says(b"0102xxxx", b"E101", b"OK", b"OK")
    assert client.read_registers() == b"\x01\x02\x00\x00"
    assert client.read_register(16) == b"\xe1\x01"
    client.write_register(16, b"\x01\x02")
    client.write_registers(b"\xff")
    assert peer.heard() == b"".join(map(frame, (b"g", b"p10", b"P10=0102", b"Gff")))


def test_transfer(pair: tuple[RspClient, Peer]) -> None:
    client, peer = pair
    client.packet_size = 0x104
    peer.says(b"mab}]", b"lc", b"E01")
    assert client.transfer("features", "target.xml") == b"ab}c"
    assert peer.heard() == frame(b"qXfer:features:read:target.xml:0,100") + frame(
        b"qXfer:features:read:target.xml:3,100"
    )
    with pytest.raises(ErrorReply):
        client.transfer("auxv")


def test_raw_bytes(pair: tuple[RspClient, Peer]) -> None:
    client, peer = pair
    client.send_raw(b"$bad")
    client.interrupt()
    assert peer.heard() == b"$bad\x03"
    peer.connection.sendall(b"-rest")
    assert client.receive_raw(1) == b"-"
    assert client.receive_raw(4) == b"rest"


@pytest.mark.parametrize(
    ("wait", "what"),
    [
        (lambda client: client.request(b"qC", 0.02), "reply to b'qC'"),
        (lambda client: client.receive(0.02), "a packet"),
        (lambda client: client.wait_stop(0.02), "a stop reply"),
        (lambda client: client.wait_notification(0.02), "a notification"),
        (lambda client: client.receive_raw(3, 0.02), "3 bytes"),
    ],
)
def test_deadlines(pair: tuple[RspClient, Peer], wait: Callable[[RspClient], object], what: str) -> None:
    with pytest.raises(TimeoutError, match=what):
        wait(pair[0])


def test_deadline_of_an_acknowledgement() -> None:
    ours, theirs = socket.socketpair()
    with theirs, RspClient(ours, timeout=0.02) as client, pytest.raises(TimeoutError, match="acknowledgement of b'qC'"):
        client.request(b"qC")


def test_deadline_of_a_write_that_nobody_reads(pair: tuple[RspClient, Peer]) -> None:
    client, _ = pair
    with pytest.raises(TimeoutError, match="to read"):
        client.send(b"a" * (16 << 20), 0.1)


def test_hang_up(pair: tuple[RspClient, Peer]) -> None:
    client, peer = pair
    client.resume()
    peer.heard()
    peer.connection.close()
    with pytest.raises(ConnectionError, match="a stop reply"):
        client.wait_stop()


def test_console_that_is_not_hex(pair: tuple[RspClient, Peer]) -> None:
    client, peer = pair
    peer.says(b"Ooops")
    with pytest.raises(MalformedPacket):
        client.request(b"qC")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", ""])
def test_connect_by_tcp(host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"{host}:{listener.getsockname()[1]}"
        with RspClient.connect(address, timeout=5) as client, listener.accept()[0] as accepted:
            accepted.sendall(b"+" + frame(b"QC1"))
            assert client.request(b"qC") == b"QC1"


def test_connect_by_unix_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        with RspClient.connect(f"unix:{path}", timeout=5) as client, listener.accept()[0] as accepted:
            accepted.sendall(b"+" + frame(b"QC1"))
            assert client.request(b"qC") == b"QC1"


def test_connect_to_nobody(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        RspClient.connect(f"unix:{tmp_path}/none", timeout=1)


def test_pipes() -> None:
    (from_server, to_client), (from_client, to_server) = os.pipe(), os.pipe()
    with open(from_server, "rb", 0) as reader, open(to_server, "wb", 0) as writer:
        os.write(to_client, b"+" + frame(b"QC1"))
        assert RspClient(reader, writer, timeout=5).request(b"qC") == b"QC1"
        assert os.read(from_client, 100) == frame(b"qC") + b"+"
    os.close(to_client)
    os.close(from_client)
