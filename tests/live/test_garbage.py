"""What no client sends: the server says so, keeps nothing of it, and the session goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.live.session import Session, exited
from tests.support.processes import status

if TYPE_CHECKING:
    from collections.abc import Callable

MEBIBYTE = 1 << 20
FILE_TOO_BIG = b"E27"


def peak_memory(session: Session) -> int:
    """The most that the server has had in memory, in bytes."""
    kibibytes, _ = status(session.server.process.pid, "VmHWM").split()
    return int(kibibytes) * 1024


def test_a_packet_of_100_megabytes(debug: Callable[..., Session]) -> None:
    session = debug("steps")
    before = peak_memory(session)
    session.client.send_raw(b"$")
    for _ in range(100):
        session.client.send_raw(b"a" * 1_000_000)
    session.client.send_raw(b"#00")
    assert session.client.receive() == FILE_TOO_BIG
    assert peak_memory(session) - before < 8 * MEBIBYTE
    exited(session.go(), 7)


def test_anything_before_a_packet(debug: Callable[..., Session]) -> None:
    session = debug("steps")
    session.client.send_raw(b"GET / HTTP/1.1\r\n\r\n\0\xff}*" + bytes(range(128, 256)) + b"$qC#b4")
    assert session.client.receive() == f"QCp{session.pid:x}.{session.pid:x}".encode()
    exited(session.go(), 7)
