"""Frames of the Remote Serial Protocol: `$payload#checksum`, acknowledgements, notifications, escapes, run-lengths.

Knows nothing of what a payload means. Source: GDB manual, "Overview" of the protocol; GDB itself where it is laxer.
"""

from __future__ import annotations

import re
from enum import Enum
from zlib import adler32

from debugserver.errors import MalformedPacket


class Control(Enum):
    """What arrives besides payloads."""

    ACK = "+"
    NACK = "-"
    INTERRUPT = "\x03"
    BAD_CHECKSUM = "bad checksum"
    """A packet was damaged: ask for it again. Its payload is gone."""
    TOO_LONG = "too long"
    """A packet exceeded the limit: it is skipped, and this is all that is seen of it."""


class Notification(bytes):
    """The payload of a `%` frame. Only clients get these."""


Frame = bytes | Control | Notification
"""A payload without its escapes and run-lengths, or what stands in for one."""

_CONTROLS = {ord("+"): Control.ACK, ord("-"): Control.NACK, 0x03: Control.INTERRUPT}
_SERVER_OPENING = re.compile(rb"[$+\-\x03]")
_CLIENT_OPENING = re.compile(rb"[$%+\-\x03]")
_PACKET = ord("$")
_TRAILER = 3
"""Bytes of `#xx`."""
_LONGEST_KNOWN = 64
_MOST_KNOWN = 256


class FrameReader:
    """Cuts a byte stream into frames, however it was split. Work is linear in the bytes fed, memory bounded by `limit`.

    The buffer is empty, or begins with the opening byte of an incomplete frame (while skipping: with its `#`).
    """

    def __init__(self, limit: int, *, decode_runs: bool = False) -> None:
        """`limit` is in bytes of payload before unescaping. `decode_runs` is the client's role: replies carry
        run-lengths and notifications exist, whereas a `*` in a request is data."""
        self.judge_checksums = True
        self._limit = limit
        self._decode_runs = decode_runs
        self._opening = _CLIENT_OPENING if decode_runs else _SERVER_OPENING
        self._buffer = bytearray()
        self._scanned = 0
        self._skipping = False
        self._known: dict[bytes, list[Frame]] = {}
        """Short packets that came before: clients ask the same things again and again."""

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that `data` completes, in order. Never raises."""
        if not (self._buffer or self._skipping):
            if (known := self._known.get(data)) is not None:
                return known
            if self._is_plain_packet(data):
                return self._remember(data)
        buffer = self._buffer
        buffer += data
        frames: list[Frame] = []
        start = 0
        while (end := self._skip(start) if self._skipping else self._next(start, frames)) > start:
            start = end
        del buffer[:start]
        return frames

    def _remember(self, data: bytes) -> list[Frame]:
        frames: list[Frame] = [data[1:-_TRAILER]]
        if len(data) <= _LONGEST_KNOWN:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[data] = frames
        return frames

    def _is_plain_packet(self, data: bytes) -> bool:
        """Whether `data` is one whole packet whose payload needs no decoding: the usual case, worth a short cut."""
        return (
            data[:1] == b"$"
            and 0 < data.find(b"#") == len(data) - _TRAILER <= self._limit + 1
            and data.rfind(b"$") == 0
            and b"}" not in data
            and not (self._decode_runs and b"*" in data)
            and (not self.judge_checksums or _trailer_matches(data[1:-_TRAILER], data[-2:]))
        )

    def _next(self, start: int, frames: list[Frame]) -> int:
        """Consume one frame, or the garbage before it. The new start; the same one if more input is needed."""
        opening = self._opening.search(self._buffer, start)
        if opening is None:
            return len(self._buffer)
        control = _CONTROLS.get(self._buffer[opening.start()])
        if control is None:
            return self._packet(opening.start(), frames)
        frames.append(control)
        return opening.end()

    def _packet(self, start: int, frames: list[Frame]) -> int:
        """Consume the packet that opens at `start`, or what precedes its last opening byte."""
        buffer = self._buffer
        position = start + max(self._scanned, 1)
        end = buffer.find(b"#", position)
        known_end = end if end >= 0 else len(buffer)
        while (restart := buffer.find(b"$", position, known_end)) >= 0 and restart - start - 1 <= self._limit:
            start, position = restart, restart + 1
        if (restart if restart >= 0 else known_end) - start - 1 > self._limit:
            frames.append(Control.TOO_LONG)
            self._scanned = 0
            self._skipping = True
            return known_end
        if end < 0 or end + _TRAILER > len(buffer):
            self._scanned = known_end - start
            return start
        self._scanned = 0
        frames.extend(self._decode(start, end))
        return end + _TRAILER

    def _decode(self, start: int, end: int) -> list[Frame]:
        """The frame between the opening byte and `#`; none for a damaged notification, which is not resent."""
        buffer = self._buffer
        is_packet = buffer[start] == _PACKET
        payload = bytes(buffer[start + 1 : end])
        if self.judge_checksums and not _trailer_matches(payload, bytes(buffer[end + 1 : end + _TRAILER])):
            return [Control.BAD_CHECKSUM] if is_packet else []
        try:
            payload = unescape(decode_runs(payload) if self._decode_runs else payload)
        except MalformedPacket:
            return [Control.BAD_CHECKSUM] if is_packet else []
        return [payload if is_packet else Notification(payload)]

    def _skip(self, start: int) -> int:
        """Drop the rest of a packet that is too long. The new start; the same one if more input is needed."""
        end = self._buffer.find(b"#", start)
        if end < 0:
            return len(self._buffer)
        if end + _TRAILER > len(self._buffer):
            return end
        self._skipping = False
        return end + _TRAILER


_TRAILERS = tuple(b"#%02x" % total for total in range(256))


def _trailer_matches(payload: bytes, digits: bytes) -> bool:
    return _TRAILERS[checksum(payload)][1:] == digits.lower()


_SLICE = 256
"""The longest input for which the low half of Adler-32, one plus the sum modulo 65521, cannot wrap (255 a byte)."""
_TEXT_SLICE = 515
"""The same for ASCII, 127 a byte."""


def checksum(data: bytes) -> int:
    """The sum of all bytes, modulo 256. Taken from Adler-32, which sums many times faster than `sum`."""
    if len(data) <= _SLICE:
        return (adler32(data) - 1) & 0xFF
    size = _TEXT_SLICE if data.isascii() else _SLICE
    sums = [adler32(data[i : i + size]) for i in range(0, len(data), size)]
    return (sum(sums) - len(sums)) & 0xFF


def encode_packet(payload: bytes) -> bytes:
    """The packet around an escaped payload."""
    return b"".join((b"$", payload, _TRAILERS[checksum(payload)]))


def encode_notification(payload: bytes) -> bytes:
    """The notification around an escaped payload."""
    return b"".join((b"%", payload, _TRAILERS[checksum(payload)]))


def escape(data: bytes) -> bytes:
    """Binary data as it may stand in a packet. `*` needs it in replies only, and readers undo it anywhere."""
    return data.replace(b"}", b"}]").replace(b"#", b"}\x03").replace(b"$", b"}\x04").replace(b"*", b"}\n")


_ESCAPED = re.compile(rb"\}(.)", re.DOTALL)
_FLIPPED = [bytes([byte ^ 0x20]) for byte in range(256)]


def unescape(data: bytes) -> bytes:
    """Undo `escape`. An escape at the very end stays as it is: LLDB sends JSON whose closing brace is not escaped."""
    if b"}" not in data:
        return data
    first, *escaped = data.split(b"}")
    if all(escaped):
        # One pass in C, and a fifth of the time of a function called for each.
        return first + b"".join([_FLIPPED[piece[0]] + piece[1:] for piece in escaped])
    return _ESCAPED.sub(lambda match: _FLIPPED[match[1][0]], data)


_FEWEST_REPEATS = 3
_MOST_REPEATS = 97
_COUNT_BASE = 29
"""A count character is the number of repeats plus this: 3 to 97 are printable ASCII."""


def _run(repeats: int) -> tuple[bytes, int]:
    """How to send `repeats` copies of the byte before: the run, and how many copies follow it unencoded."""
    count = min(repeats, _MOST_REPEATS)
    while chr(count + _COUNT_BASE) in "#$+-":
        count -= 1
    return b"*%c" % (count + _COUNT_BASE), repeats - count


# One repeat more than a run can hold: the next run of the same byte then follows a plain byte, not a count.
_RUNS = [_run(repeats) for repeats in range(_MOST_REPEATS + 2)]
_REPEATS = re.compile(rb"\0\0\0\0{0,95}")
_COUNT = re.compile(rb"\*(.)", re.DOTALL)


def encode_runs(payload: bytes) -> bytes:
    """Shorten an escaped payload by run-lengths; unchanged where there is nothing to gain."""
    # Each byte XOR the one before it: repeats become zeros. Big integers do so ten times faster than a regex finds \1.
    number = int.from_bytes(payload, "big")
    changes = (number ^ (number >> 8)).to_bytes(len(payload), "big")
    if changes.find(b"\0\0\0", 1) < 0:
        return payload
    pieces: list[bytes] = []
    done = 0
    for match in _REPEATS.finditer(changes, 1):
        start, end = match.span()
        run, plain = _RUNS[end - start]
        pieces += (payload[done:start], run)
        done = end - plain
    pieces.append(payload[done:])
    return b"".join(pieces)


def _zeros(*lengths: int) -> list[tuple[bytes, bytes]]:
    """Zeros -> their run, for lengths whose counts are no special characters."""
    return [(b"0" * length, b"0" + _RUNS[length - 1][0]) for length in lengths]


_RUNS_BY_SIZE = ((1024, _zeros(12, 6)), (8192, _zeros(98, 49, 25, 16, 10, 6)))
"""Up to which size of a payload, in bytes, which runs are looked for."""
_STRIDE = 8
_SAMPLED_DIGITS = b"0" * 6, b"f" * 6
_SAMPLED_BINARY = bytes(6), b"\xff" * 6
"""What is left of the runs of some fifty bytes when only every eighth byte is looked at."""
_TELLING = 256
"""Bytes that tell digits from binary data."""


class Shortened(bytes):
    """A payload whose runs are encoded."""


def shorten(payload: bytes) -> bytes:
    """Encode the runs that are worth the work of looking for them.

    Where registers or small pieces of memory repeat anything, it is zeros, which are found at once. In long payloads
    only long runs are worth it."""
    size = len(payload)
    for limit, runs in _RUNS_BY_SIZE:
        if size <= limit:
            for zeros, run in runs:
                payload = payload.replace(zeros, run)
            return payload
    sample = payload[::_STRIDE]
    first, second = _SAMPLED_DIGITS if sample[:_TELLING].isalnum() else _SAMPLED_BINARY
    return encode_runs(payload) if first in sample or second in sample else payload


def decode_runs(payload: bytes) -> bytes:
    """Expand run-lengths; escapes are left alone. MalformedPacket for a run of nothing, or a count that is none."""
    if b"*" not in payload:
        return payload
    expanded = bytearray()
    done = 0
    for match in _COUNT.finditer(payload):
        expanded += payload[done : match.start()]
        repeats = match[1][0] - _COUNT_BASE
        if not expanded or not _FEWEST_REPEATS <= repeats <= _MOST_REPEATS:
            raise MalformedPacket("bad run-length")
        expanded += expanded[-1:] * repeats
        done = match.end()
    if payload.find(b"*", done) >= 0:
        raise MalformedPacket("run-length without a count")
    return bytes(expanded + payload[done:])
