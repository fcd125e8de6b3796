"""Reading and writing memory: m, M, X, x. Whole packets only; bounds are the packet size's."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from debugserver.errors import MalformedPacket
from debugserver.rsp import fields, framing
from debugserver.stub.limits import PACKET_SIZE
from debugserver.stub.registry import Dialect, packet
from debugserver.target.capabilities import Memory

if TYPE_CHECKING:
    from debugserver.stub.registry import Reply
    from debugserver.stub.session import Session

_LONGEST_READ = PACKET_SIZE // 2
"""So that the reply fits, in hex as well as with every byte escaped."""


@packet("m", needs=Memory, no_process=errno.ENOENT)
def read_memory(session: Session, memory: Memory, args: bytes) -> Reply:
    """Read memory as hex: what is readable from the address on."""
    address, length = _range_to_read(args)
    if not length:
        return b""
    return memory.read_memory(session.process(), address, min(length, _LONGEST_READ)).hex().encode()


@packet("x", needs=Memory, no_process=errno.ENOENT, feature="binary-upload+", dialects=frozenset({Dialect.GDB}))
def read_memory_binary(session: Session, memory: Memory, args: bytes) -> Reply:
    """Read memory as escaped bytes after a `b`: what is readable from the address on."""
    address, length = _range_to_read(args)
    if not length:
        return b"b"
    return b"b" + framing.escape(memory.read_memory(session.process(), address, min(length, _LONGEST_READ)))


@packet("M", needs=Memory, no_process=errno.ENOENT)
def write_memory(session: Session, memory: Memory, args: bytes) -> Reply:
    """Write memory given as hex."""
    header, separator, payload = args.partition(b":")
    address, length = fields.address_and_length(header)
    if not separator or len(payload) != 2 * length:
        raise MalformedPacket("the payload has another length than it says")
    return _write(session, memory, address, fields.blob(payload))


@packet("X", needs=Memory, no_process=errno.ENOENT)
def write_memory_binary(session: Session, memory: Memory, args: bytes) -> Reply:
    """Write memory given as bytes."""
    header, separator, payload = args.partition(b":")
    address, length = fields.address_and_length(header)
    if not separator or len(payload) != length:
        raise MalformedPacket("the payload has another length than it says")
    return _write(session, memory, address, payload)


def _write(session: Session, memory: Memory, address: int, data: bytes) -> bytes:
    if data:
        memory.write_memory(session.process(), address, data)
    return b"OK"


def _range_to_read(text: bytes) -> tuple[int, int]:
    """`addr,length`. The seed tells two kinds of bad arguments apart: too few or many parts, and parts not numbers."""
    parts = text.split(b",")
    if len(parts) != 2:
        raise MalformedPacket("an address and a length are needed")
    try:
        return fields.number(parts[0]), fields.number(parts[1])
    except MalformedPacket as error:
        raise MalformedPacket(str(error), errno.ENOENT) from None
