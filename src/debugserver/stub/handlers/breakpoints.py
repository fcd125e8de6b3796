"""Breakpoints and watchpoints: Z0 to Z4 and their z."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from debugserver.errors import MalformedPacket
from debugserver.rsp import fields, framing
from debugserver.stub.registry import LLDB_ONLY, Dialect, packet
from debugserver.target.capabilities import SoftwareBreakpoints, Watchpoints
from debugserver.target.model import WatchKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from debugserver.stub.registry import Reply
    from debugserver.stub.session import Session

_NO_PROCESS = errno.EPERM
_POINTS = {b"1": WatchKind.EXECUTE, b"2": WatchKind.WRITE, b"3": WatchKind.READ, b"4": WatchKind.ACCESS}
_POINT_FEATURES = {b"1": "hwbreak+"}
_POINT_DIFFERENCES = {b"3": "Where reads cannot be watched alone, accesses are watched; GDB gets the empty reply."}


@packet("Z0", needs=SoftwareBreakpoints, no_process=_NO_PROCESS, explains=True, feature="swbreak+")
def insert_breakpoint(session: Session, breakpoints: SoftwareBreakpoints, args: bytes) -> Reply:
    """Insert a software breakpoint."""
    breakpoints.insert_breakpoint(session.process(), *_place(args))
    return b"OK"


@packet("z0", needs=SoftwareBreakpoints, no_process=_NO_PROCESS, explains=True)
def remove_breakpoint(session: Session, breakpoints: SoftwareBreakpoints, args: bytes) -> Reply:
    """Remove a software breakpoint."""
    breakpoints.remove_breakpoint(session.process(), *_place(args))
    return b"OK"


def _enter(digit: bytes, kind: WatchKind) -> None:
    """Enter Z and z of one kind of hardware point."""
    what = "a hardware breakpoint" if kind is WatchKind.EXECUTE else f"a watchpoint ({kind.value})"

    def handler(change: str) -> Callable[[Session, Watchpoints, bytes], Reply]:
        def point(session: Session, watchpoints: Watchpoints, args: bytes) -> Reply:
            supported = _supported(session, watchpoints, kind)
            place = _place(args)
            if supported is None:
                return b""
            getattr(watchpoints, change)(session.process(), supported, *place)
            return b"OK"

        point.__doc__ = f"{'Insert' if change.startswith('insert') else 'Remove'} {what}."
        return point

    for letter, change in (("Z", "insert_watchpoint"), ("z", "remove_watchpoint")):
        feature = _POINT_FEATURES.get(digit, "") if letter == "Z" else ""
        packet(
            letter + digit.decode(),
            needs=Watchpoints,
            no_process=_NO_PROCESS,
            explains=True,
            feature=feature,
            lldb=_POINT_DIFFERENCES.get(digit, ""),
        )(handler(change))


for _digit, _kind in _POINTS.items():
    _enter(_digit, _kind)


def _supported(session: Session, watchpoints: Watchpoints, kind: WatchKind) -> WatchKind | None:
    """What stands for `kind` here. GDB falls back on an access watchpoint by itself, LLDB does not."""
    kinds = watchpoints.watch_kinds()
    if kind in kinds:
        return kind
    if kind is WatchKind.READ and session.dialect is Dialect.LLDB and WatchKind.ACCESS in kinds:
        return WatchKind.ACCESS
    return None


@packet("qWatchpointSupportInfo", needs=Watchpoints, dialects=LLDB_ONLY)
def count_watchpoints(session: Session, watchpoints: Watchpoints, args: bytes) -> Reply:
    """Tell how many watchpoints there can be."""
    return b"num:%d;" % watchpoints.watch_slots()


@packet("jMultiBreakpoint", feature="jMultiBreakpoint+", no_process=_NO_PROCESS, dialects=LLDB_ONLY)
def change_breakpoints(session: Session, args: bytes) -> Reply:
    """Answer several Z and z packets in one: `{"breakpoint_requests": [...]}` gets `{"results": [...]}`."""
    import json

    try:
        requests = json.loads(args)["breakpoint_requests"]
    except (ValueError, TypeError, KeyError):
        requests = None
    if not isinstance(requests, list) or not all(isinstance(r, str) and r[:1] in ("Z", "z") for r in requests):
        raise MalformedPacket("a list of breakpoint requests is needed")
    replies = [session.answer(request.encode()) for request in requests]
    results = [reply.decode() for reply in replies if isinstance(reply, bytes)]
    return framing.escape(json.dumps({"results": results}).encode())


def _place(args: bytes) -> tuple[int, int]:
    """`addr,kind`: options (conditions, commands) are not offered, so there are none."""
    if b";" in args:
        raise MalformedPacket("this breakpoint takes no conditions or commands")
    address, kind = fields.numbers(args, b",", 2)
    return address, kind
