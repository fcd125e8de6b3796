"""Stop replies: why the program stopped. Signal numbers are the client's. Source: GDB manual, "Stop Reply Packets"."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, pairwise
from operator import itemgetter
from types import MappingProxyType
from typing import NamedTuple

from debugserver.errors import MalformedPacket
from debugserver.rsp import thread_id
from debugserver.rsp.fields import number


def encode_stop(signal: int, pairs: Iterable[bytes]) -> bytes:
    """A thread stopped: `T`, the signal, and what `pairs` (`name:value;`, one or several) say of it."""
    return b"T%02x%b" % (signal, b"".join(pairs))


_PAIRS_TOGETHER = 9


class RegisterPairs:
    """How the values of certain registers stand in a stop reply: `NN:hex;` for each."""

    def __init__(self, registers: Iterable[tuple[int, int]]) -> None:
        """`registers`: (number, size in bytes) of each."""
        known = tuple(registers)
        self._numbers = tuple(number for number, _ in known)
        ends = tuple(accumulate([size for _, size in known], initial=0))
        self._places = tuple(slice(start, end) for start, end in pairwise(ends))
        firsts = range(0, len(known), _PAIRS_TOGETHER)
        self._groups = [
            (slice(ends[i], ends[min(i + _PAIRS_TOGETHER, len(known))]), _PairGroup(known[i : i + _PAIRS_TOGETHER]))
            for i in firsts
        ]

    def encode(self, values: bytes) -> bytes:
        """`values`: of all of them, one after the other."""
        return b"".join([group.encode(values[place]) for place, group in self._groups])

    def by_number(self, values: bytes) -> Iterator[tuple[int, str]]:
        """(number, hex) of each."""
        return zip(self._numbers, (values[place].hex() for place in self._places), strict=True)


class _PairGroup:
    """Some that follow each other. Remembers what it encoded last: from stop to stop, few registers change."""

    def __init__(self, registers: Sequence[tuple[int, int]]) -> None:
        self._form = "".join([f"{number:02x}:%s;" for number, _ in registers]) + "%s%s"
        ends = accumulate([2 * size for _, size in registers], initial=0)
        # A getter of one item would return the item itself and not a tuple.
        self._cut: Callable[[str], tuple[str, ...]] = itemgetter(
            *[slice(start, end) for start, end in pairwise(ends)], slice(0, 0), slice(0, 0)
        )
        self._values: bytes | None = None
        self._text = b""

    def encode(self, values: bytes) -> bytes:
        if values != self._values:
            self._values = values
            self._text = (self._form % self._cut(values.hex())).encode()
        return self._text


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
