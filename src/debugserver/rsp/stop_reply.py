"""Stop replies: why the program stopped. Signal numbers are the client's. Source: GDB manual, "Stop Reply Packets"."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from debugserver.errors import MalformedPacket
from debugserver.rsp import thread_id
from debugserver.rsp.fields import number


def encode_stop(signal: int, pairs: Iterable[tuple[bytes, bytes]]) -> bytes:
    """A thread stopped: `T`, the signal, and what `pairs` say of it."""
    return b"T%02x%b" % (signal, b"".join([b"%b:%b;" % pair for pair in pairs]))


def encode_exit(status: int, signal: int, pid: int | None = None) -> bytes:
    """A process ended, by itself or (`signal` not 0) by a signal. `pid`: for clients that know of several processes."""
    letter, value = (b"X", signal) if signal else (b"W", status)
    process = b"" if pid is None else b";process:%x" % pid
    return b"%b%02x%b" % (letter, value & 0xFF, process)


class StopReply(NamedTuple):
    """A stop reply as a client sees it. `kind` is S, T (stopped), W, X (process ended), w (thread ended) or N (no
    thread left to wait for); `status` is for W and w; `pairs` are a T reply's, in order, values as sent."""

    kind: str
    signal: int = 0
    status: int = 0
    pairs: Mapping[str, str] = MappingProxyType({})
    thread: thread_id.ThreadSelector | None = None
    process: int | None = None


def parse(payload: bytes) -> StopReply:
    """Decode a stop reply, or the part of a `Stop:` notification after its name. MalformedPacket if it is none."""
    kind = payload[:1]
    if payload == b"N":
        return StopReply("N")
    if kind not in (b"S", b"T", b"W", b"X", b"w"):
        raise MalformedPacket(f"not a stop reply: {payload[:20]!r}")
    if kind in (b"S", b"T"):
        return _stop(kind.decode(), number(payload[1:3]), payload[3:])
    value, _, rest = payload[1:].partition(b";")
    if kind == b"w":
        return StopReply("w", status=number(value), thread=thread_id.parse(rest))
    return _process_exit(kind.decode(), number(value), rest)


def _stop(kind: str, signal: int, text: bytes) -> StopReply:
    pairs = {}
    for item in text.split(b";"):
        key, colon, value = item.partition(b":")
        if colon:
            pairs[key.decode("ascii", "replace")] = value.decode("ascii", "replace")
    thread = pairs.get("thread")
    return StopReply(kind, signal, pairs=pairs, thread=thread_id.parse(thread.encode()) if thread else None)


def _process_exit(kind: str, value: int, text: bytes) -> StopReply:
    name, _, pid = text.partition(b":")
    process = number(pid) if name == b"process" else None
    if kind == "X":
        return StopReply("X", signal=value, process=process)
    return StopReply("W", status=value, process=process)
