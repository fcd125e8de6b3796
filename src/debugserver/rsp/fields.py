"""The arguments of packets: numbers, hex and binary blobs, error replies. Readers raise MalformedPacket.

Knows no packet by name. Source: GDB manual, "Overview", "Standard Replies" and "File-I/O: Errno Values".
"""

from __future__ import annotations

import errno
import re
from binascii import Error, hexlify, unhexlify
from functools import lru_cache

from debugserver.errors import MalformedPacket
from debugserver.rsp.framing import escape

_NUMBER = re.compile(rb"[0-9A-Fa-f]{1,16}").fullmatch
_DECIMAL = re.compile(rb"[0-9]{1,20}").fullmatch


@lru_cache(maxsize=512)
def number(text: bytes) -> int:
    """A hex number of at most 64 bits: digits only. The same ones come again and again."""
    if _NUMBER(text) is None:
        raise MalformedPacket("not a hex number")
    return int(text, 16)


def decimal(text: bytes) -> int:
    """A decimal number, which a few of LLDB's packets have: digits only."""
    if _DECIMAL(text) is None:
        raise MalformedPacket("not a decimal number")
    return int(text)


def signed_number(text: bytes) -> int:
    """A hex number that may be negative."""
    return -number(text[1:]) if text[:1] == b"-" else number(text)


def numbers(text: bytes, separator: bytes, count: int) -> list[int]:
    """Exactly `count` hex numbers."""
    parts = text.split(separator)
    if len(parts) != count:
        raise MalformedPacket(f"{len(parts)} parts instead of {count}")
    return [number(part) for part in parts]


def address_and_length(text: bytes) -> tuple[int, int]:
    """The arguments `addr,length`."""
    address, length = numbers(text, b",", 2)
    return address, length


def offset_and_length(text: bytes) -> tuple[int, int]:
    """The arguments `offset,length`, the window of a transfer."""
    offset, length = numbers(text, b",", 2)
    return offset, length


def blob(text: bytes) -> bytes:
    """The bytes that pairs of hex digits stand for."""
    try:
        return unhexlify(text)
    except Error:
        raise MalformedPacket("not pairs of hex digits") from None


def text(field: bytes) -> str:
    """The text that pairs of hex digits stand for, as a file name would be decoded."""
    return blob(field).decode("utf-8", "surrogateescape")


def hex_bytes(data: bytes) -> bytes:
    """Two hex digits a byte."""
    return hexlify(data)


def hex_text(text: str) -> bytes:
    """Two hex digits for each byte of the text."""
    return hexlify(text.encode("utf-8", "surrogateescape"))


def hex_number(value: int) -> bytes:
    """A number without leading zeros."""
    return b"%x" % value


_ERROR_NUMBERS = {
    errno.EPERM: 1,
    errno.ENOENT: 2,
    errno.EINTR: 4,
    errno.EBADF: 9,
    errno.EACCES: 13,
    errno.EFAULT: 14,
    errno.EBUSY: 16,
    errno.EEXIST: 17,
    errno.ENODEV: 19,
    errno.ENOTDIR: 20,
    errno.EISDIR: 21,
    errno.EINVAL: 22,
    errno.ENFILE: 23,
    errno.EMFILE: 24,
    errno.EFBIG: 27,
    errno.ENOSPC: 28,
    errno.ESPIPE: 29,
    errno.EROFS: 30,
    errno.ENAMETOOLONG: 91,
}
"""Host errno -> the protocol's. The numbers are GDB's File-I/O ones, which error replies share."""

_UNKNOWN_ERROR = 99

# GDB's fileio.h has these beyond its manual's list.
_FILE_ERROR_NUMBERS = {**_ERROR_NUMBERS, errno.EIO: 5, errno.ENOSYS: 88}
_UNKNOWN_FILE_ERROR = 9999


def error(number: int) -> bytes:
    """The error reply for a host errno: always two decimal digits, since GDB takes more for success."""
    return b"E%02d" % _ERROR_NUMBERS.get(number, _UNKNOWN_ERROR)


def file_error(number: int) -> bytes:
    """The `vFile` reply for a host errno."""
    return b"F-1,%x" % _FILE_ERROR_NUMBERS.get(number, _UNKNOWN_FILE_ERROR)


def transfer(data: bytes, offset: int, length: int) -> bytes:
    """The `qXfer` reply for a window of `data`: `m` (more follows) or `l` (the last), and at most `length` bytes,
    escaped. MalformedPacket for an offset past the end."""
    if offset > len(data):
        raise MalformedPacket("offset past the end")
    end = offset + length
    return (b"m" if end < len(data) else b"l") + escape(data[offset:end])
