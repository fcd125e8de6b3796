"""Reading and writing memory: m, M, X, x. Whole packets only; bounds are the packet size's."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from debugserver.errors import MalformedPacket, MemoryFault
from debugserver.rsp import fields, framing
from debugserver.stub.limits import PACKET_SIZE
from debugserver.stub.registry import LLDB_ONLY, Dialect, packet
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
    return fields.hex_bytes(memory.read_memory(session.process(), address, min(length, _LONGEST_READ)))


@packet(
    "x",
    needs=Memory,
    no_process=errno.ENOENT,
    feature="binary-upload+",
    lldb="The reply is the bytes alone, without a `b` before them; the probe `x0,0` gets `OK`.",
)
def read_memory_binary(session: Session, memory: Memory, args: bytes) -> Reply:
    """Read memory as escaped bytes, for GDB after a `b`; nothing, which LLDB probes with, is `b` or `OK`."""
    prefix, nothing = (b"b", b"b") if session.dialect is Dialect.GDB else (b"", b"OK")
    address, length = _range_to_read(args)
    if not length:
        return nothing
    return prefix + framing.escape(memory.read_memory(session.process(), address, min(length, _LONGEST_READ)))


@packet("MultiMemRead", needs=Memory, no_process=errno.ENOENT, feature="MultiMemRead+", dialects=LLDB_ONLY)
def read_ranges(session: Session, memory: Memory, args: bytes) -> Reply:
    """Read several ranges at once, `ranges:addr,length,addr,length...;`: how many bytes of each, and all of them."""
    ranges = _ranges(args)
    pid = session.process()
    parts = [_readable(memory, pid, address, length) for address, length in ranges]
    return b",".join(b"%x" % len(part) for part in parts) + b";" + framing.escape(b"".join(parts))


def _ranges(text: bytes) -> list[tuple[int, int]]:
    if not (text.startswith(b"ranges:") and text.endswith(b";")):
        raise MalformedPacket("ranges:...; is needed")
    numbers = [fields.number(part) for part in text[len(b"ranges:") : -1].removesuffix(b",").split(b",")]
    ranges = list(zip(numbers[::2], numbers[1::2], strict=False))
    if len(numbers) % 2 or sum(length for _, length in ranges) > _LONGEST_READ:
        raise MalformedPacket("a range has an address and a length, and all together fit into a packet")
    return ranges


def _readable(memory: Memory, pid: int, address: int, length: int) -> bytes:
    """Nothing, where nothing can be read."""
    try:
        return memory.read_memory(pid, address, length) if length else b""
    except MemoryFault:
        return b""


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
