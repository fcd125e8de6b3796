"""Questions about much memory, answered here so that it does not travel: qSearch:memory, qCRC. Work in slices."""

from __future__ import annotations

import errno
import zlib
from typing import TYPE_CHECKING

from debugserver.errors import MalformedPacket
from debugserver.rsp import fields
from debugserver.stub.registry import packet
from debugserver.target.capabilities import Memory

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from debugserver.stub.registry import Reply
    from debugserver.stub.session import Session

_NO_PROCESS = errno.EPERM
_CHUNK = 1 << 20
"""Bytes that are read at once: well under a few milliseconds' work."""
_ADDRESS_SPACE = 1 << 64


@packet("qSearch:memory", needs=Memory, no_process=_NO_PROCESS)
def search_memory(session: Session, memory: Memory, args: bytes) -> Reply:
    """Find bytes in memory: `address;length;pattern`. The reply is `0`, or `1,` and the address of the first match."""
    address_text, _, rest = args.partition(b";")
    length_text, _, pattern = rest.partition(b";")
    if not pattern:
        raise MalformedPacket("address, length and pattern are needed")
    address, length = fields.number(address_text), fields.number(length_text)
    return _search(_chunks(memory, session.process(), address, length), pattern)


def _search(chunks: Iterator[tuple[int, bytes]], pattern: bytes) -> Generator[None, None, bytes]:
    """A tail of each chunk is kept, for matches across the border."""
    tail = b""
    for address, data in chunks:
        window = tail + data
        found = window.find(pattern)
        if found >= 0:
            return b"1,%x" % (address - len(tail) + found)
        tail = window[max(0, len(window) - len(pattern) + 1) :]
        yield
    return b"0"


def _chunks(memory: Memory, pid: int, address: int, length: int) -> Iterator[tuple[int, bytes]]:
    """(address, data) for a range, in order. MemoryFault at its first byte that cannot be read."""
    end = min(address + length, _ADDRESS_SPACE)
    while address < end:
        data = memory.read_memory(pid, address, min(end - address, _CHUNK))
        yield address, data
        address += len(data)


@packet("qCRC", needs=Memory, no_process=_NO_PROCESS)
def checksum_memory(session: Session, memory: Memory, args: bytes) -> Reply:
    """Checksum a range of memory, for a client to compare with a file: `address,length`."""
    address, length = fields.address_and_length(args)
    return _checksum(_chunks(memory, session.process(), address, length))


def _checksum(chunks: Iterator[tuple[int, bytes]]) -> Generator[None, None, bytes]:
    """The CRC-32 of GDB's manual, "Separate Debug Files", which has most significant bits first and no final inversion:
    zlib's, with the bits of every byte and of the result reversed."""
    crc = 0
    for _, data in chunks:
        crc = zlib.crc32(data.translate(_REVERSED_BYTES), crc)
        yield
    return b"C%08x" % _reverse_bits(crc ^ 0xFFFFFFFF, 32)


def _reverse_bits(value: int, width: int) -> int:
    return int(f"{value:0{width}b}"[::-1], 2)


_REVERSED_BYTES = bytes(_reverse_bits(byte, 8) for byte in range(256))
