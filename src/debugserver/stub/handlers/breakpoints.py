"""Breakpoints and watchpoints: Z0 to Z4 and their z."""

from __future__ import annotations

import errno
from functools import lru_cache
from typing import TYPE_CHECKING

from debugserver.errors import ExpressionError, MalformedPacket, MemoryFault
from debugserver.rsp import fields, framing
from debugserver.stub.registry import LLDB_ONLY, Dialect, packet
from debugserver.target.capabilities import SoftwareBreakpoints, Watchpoints
from debugserver.target.conditions import UNCONDITIONAL, BreakpointProgram
from debugserver.target.model import WatchKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from debugserver.stub.registry import Reply
    from debugserver.stub.session import Session
    from debugserver.target.conditions import Command, ThreadState

_NO_PROCESS = errno.EPERM
_POINTS = {b"1": WatchKind.EXECUTE, b"2": WatchKind.WRITE, b"3": WatchKind.READ, b"4": WatchKind.ACCESS}
_AS_ACCESS = "Where reads cannot be watched alone, accesses are watched; GDB gets the empty reply."
_NO_LENGTH = "A length of 0 is an error."
_DIFFERENCES = {"Z2": _NO_LENGTH, "Z3": f"{_AS_ACCESS} {_NO_LENGTH}", "z3": _AS_ACCESS, "Z4": _NO_LENGTH}
_BREAKPOINT_FEATURES = "swbreak+;ConditionalBreakpoints+;BreakpointCommands+"


@packet("Z0", needs=SoftwareBreakpoints, no_process=_NO_PROCESS, explains=True, feature=_BREAKPOINT_FEATURES)
def insert_breakpoint(session: Session, breakpoints: SoftwareBreakpoints, args: bytes) -> Reply:
    """Insert a software breakpoint, with conditions and commands."""
    address, kind, program = _breakpoint(session, args)
    breakpoints.insert_breakpoint(session.process(), address, kind, program)
    return b"OK"


@packet("z0", needs=SoftwareBreakpoints, no_process=_NO_PROCESS, explains=True)
def remove_breakpoint(session: Session, breakpoints: SoftwareBreakpoints, args: bytes) -> Reply:
    """Remove a software breakpoint."""
    breakpoints.remove_breakpoint(session.process(), *_place(args))
    return b"OK"


@packet("Z1", needs=Watchpoints, no_process=_NO_PROCESS, explains=True, feature="hwbreak+")
def insert_hardware_breakpoint(session: Session, watchpoints: Watchpoints, args: bytes) -> Reply:
    """Insert a hardware breakpoint, with conditions and commands."""
    address, kind, program = _breakpoint(session, args)
    if WatchKind.EXECUTE not in watchpoints.watch_kinds():
        return b""
    watchpoints.insert_watchpoint(session.process(), WatchKind.EXECUTE, address, kind, program)
    return b"OK"


def _enter(digit: bytes, kind: WatchKind) -> None:
    """Enter Z and z of one kind of hardware point; a breakpoint's Z takes more, and has a handler of its own."""
    what = "a hardware breakpoint" if kind is WatchKind.EXECUTE else f"a watchpoint ({kind.value})"

    def handler(change: str) -> Callable[[Session, Watchpoints, bytes], Reply]:
        needs_length = change.startswith("insert")

        def point(session: Session, watchpoints: Watchpoints, args: bytes) -> Reply:
            supported = _supported(session, watchpoints, kind)
            place = _place(args)
            if supported is None:
                return b""
            if needs_length and not place[1] and session.dialect is Dialect.LLDB:
                raise MalformedPacket("there is nothing to watch in a length of 0")
            getattr(watchpoints, change)(session.process(), supported, *place)
            return b"OK"

        point.__doc__ = f"{'Insert' if change.startswith('insert') else 'Remove'} {what}."
        return point

    for letter, change in (("Z", "insert_watchpoint"), ("z", "remove_watchpoint")):
        if letter == "Z" and kind is WatchKind.EXECUTE:
            continue
        packet(
            letter + digit.decode(),
            needs=Watchpoints,
            no_process=_NO_PROCESS,
            explains=True,
            lldb=_DIFFERENCES.get(letter + digit.decode(), ""),
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


@lru_cache
def _place(args: bytes) -> tuple[int, int]:
    """`addr,kind`, with nothing after it: only breakpoints have conditions and commands."""
    address, kind = fields.numbers(args, b",", 2)
    return address, kind


def _breakpoint(session: Session, args: bytes) -> tuple[int, int, BreakpointProgram]:
    """`addr,kind`, conditions and commands."""
    place, separator, options = args.partition(b";")
    return *_place(place), _program(session, separator + options) if separator else UNCONDITIONAL


def _program(session: Session, text: bytes) -> BreakpointProgram:
    from debugserver.rsp import agent_compiler, agent_expression

    def write(text: bytes) -> None:
        session.print(text)

    options = agent_expression.parse_options(text)
    return BreakpointProgram(
        tuple(agent_compiler.condition(code, write) for code in options.conditions),
        tuple(_command(session, agent_compiler.command(code, write)) for code in options.commands),
        options.persistent and session.settings.keeps_commands,
    )


def _command(session: Session, function: Command) -> Command:
    """A command that tells the person at the server's terminal when it fails."""

    def command(state: ThreadState) -> None:
        try:
            function(state)
        except (ExpressionError, MemoryFault) as error:
            session.settings.announce(f"A breakpoint's command failed: {error}")

    return command
