"""Thread-ids as packets write them: `1a`, `-1`, `p1.2`. Knows no thread. Source: GDB manual, "thread-id syntax"."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from debugserver.errors import MalformedPacket
from debugserver.rsp.fields import number

ANY = 0
ALL = -1


class ThreadSelector(NamedTuple):
    """Which threads are meant. Both ids may be ANY or ALL; `pid` is None where none was given."""

    pid: int | None
    tid: int


def parse(text: bytes) -> ThreadSelector:
    """A thread-id; a process alone means all of its threads."""
    if text[:1] != b"p":
        return ThreadSelector(None, _id(text))
    pid_text, dot, tid_text = text[1:].partition(b".")
    pid = _id(pid_text)
    tid = _id(tid_text) if dot else ALL
    if pid == ALL and tid > 0:
        raise MalformedPacket("one thread of all processes")
    return ThreadSelector(pid, tid)


def _id(text: bytes) -> int:
    return ALL if text == b"-1" else number(text)


@lru_cache(maxsize=4096)
def encode(pid: int, tid: int, multiprocess: bool) -> bytes:
    """A thread-id; with its process if the client knows of several."""
    return b"p%x.%x" % (pid, tid) if multiprocess else b"%x" % tid


def split_suffix(arguments: bytes) -> tuple[bytes, bytes]:
    """The arguments of a packet, and the thread-id that LLDB put behind them as `;thread:ID;`; empty: it did not."""
    head, marker, tail = arguments.rpartition(b"thread:")
    return (head.removesuffix(b";"), tail.removesuffix(b";")) if marker else (arguments, b"")
