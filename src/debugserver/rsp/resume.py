"""The arguments of packets that resume: `vCont` actions and those of `c`, `C`, `s`, `S`. Resumes nothing itself.

Signal numbers are the client's. Source: GDB manual, "Packets", vCont.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from debugserver.errors import MalformedPacket
from debugserver.rsp import thread_id
from debugserver.rsp.fields import number, numbers

if TYPE_CHECKING:
    from collections.abc import Iterable


class ResumeAction(NamedTuple):
    """One action. `verb`: c C s S r t; `signal` is for C and S, `start` and `end` for r; no selector: all others."""

    verb: str
    signal: int
    start: int
    end: int
    selector: thread_id.ThreadSelector | None


@lru_cache(maxsize=64)
def parse_actions(text: bytes) -> tuple[ResumeAction, ...]:
    """What follows `vCont;`: at least one action, leftmost first."""
    return tuple(_action(part) for part in text.split(b";"))


def _action(text: bytes) -> ResumeAction:
    action, colon, thread = text.partition(b":")
    verb, arguments = action[:1], action[1:]
    signal = start = end = 0
    if verb in (b"C", b"S"):
        signal = number(arguments)
    elif verb == b"r":
        start, end = _range(arguments)
    elif verb not in (b"c", b"s", b"t") or arguments:
        raise MalformedPacket("no such action")
    return ResumeAction(verb.decode(), signal, start, end, thread_id.parse(thread) if colon else None)


def _range(text: bytes) -> tuple[int, int]:
    start, end = numbers(text, b",", 2)
    if start > end:
        raise MalformedPacket("range ends before it starts")
    return start, end


def covers(actions: Iterable[ResumeAction], pid: int) -> bool:
    """Whether any of these actions resumes threads of this process, as far as their names tell."""
    every = (None, thread_id.ANY, thread_id.ALL, pid)
    return any(a.verb != "t" and (a.selector is None or a.selector.pid in every) for a in actions)


def parse_address(text: bytes) -> int | None:
    """What follows `c` or `s`: an address, or nothing."""
    return number(text) if text else None


def parse_signal_and_address(text: bytes) -> tuple[int, int | None]:
    """What follows `C` or `S`: a signal, and perhaps an address."""
    signal, semicolon, address = text.partition(b";")
    return number(signal), number(address) if semicolon else None
