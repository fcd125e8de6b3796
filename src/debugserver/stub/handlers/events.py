"""What a client wants to hear of beside stops and exits: births, execs, system calls."""

from __future__ import annotations

import errno
from contextlib import suppress
from typing import TYPE_CHECKING

from debugserver.errors import MalformedPacket
from debugserver.rsp import fields, thread_id
from debugserver.stub.dialects import SIGNAL_NUMBERS
from debugserver.stub.registry import packet
from debugserver.target.capabilities import ProcessEvents, SignalDelivery, SystemCalls, ThreadEvents
from debugserver.target.model import StopReason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from debugserver.rsp.thread_id import ThreadSelector
    from debugserver.stub.registry import Reply
    from debugserver.stub.session import Session
    from debugserver.target.model import ThreadId

_CLONES, _EXITS = 1, 2
"""The options of QThreadOptions."""

EVENT_FEATURES = {
    "fork-events": (StopReason.FORK,),
    "vfork-events": (StopReason.VFORK, StopReason.VFORK_DONE),
    "exec-events": (StopReason.EXEC,),
}
"""The client's feature -> what it is then told of."""


def choose_events(session: Session) -> None:
    """Report what the client said it understands. A child has no name without multiprocess ids; LLDB wants to hear of
    every exec and does not say so."""
    events = session.target.capability(ProcessEvents)
    if events is None:
        return
    wanted = {reason for feature, reasons in EVENT_FEATURES.items() if session.offers(feature) for reason in reasons}
    if not session.multiprocess:
        wanted -= {StopReason.FORK, StopReason.VFORK, StopReason.VFORK_DONE}
    if session.thread_suffix:
        wanted.add(StopReason.EXEC)
    events.report_events(frozenset(wanted))


@packet("QCatchSyscalls", needs=SystemCalls, no_process=errno.EPERM, feature="QCatchSyscalls+")
def catch_system_calls(session: Session, calls: SystemCalls, args: bytes) -> Reply:
    """Report entries of and returns from system calls: all, a list, or none."""
    switch, *numbers = args.split(b";")
    if switch not in (b"0", b"1") or (switch == b"0" and numbers):
        raise MalformedPacket("0, or 1 and numbers, is needed")
    caught = frozenset(fields.number(number) for number in numbers) if switch == b"1" else None
    calls.catch_system_calls(session.process(), caught)
    return b"OK"


@packet("QThreadEvents", needs=ThreadEvents, feature="QThreadEvents+")
def report_threads(session: Session, events: ThreadEvents, args: bytes) -> Reply:
    """Report every thread's birth and end (1), or not (0)."""
    if args not in (b"0", b"1"):
        raise MalformedPacket("0 or 1 is needed")
    events.report_all(args == b"1")
    return b"OK"


@packet(
    "QThreadOptions",
    needs=ThreadEvents,
    explains=True,
    feature=f"QThreadOptions={_CLONES | _EXITS:x}",
)
def set_thread_options(session: Session, events: ThreadEvents, args: bytes) -> Reply:
    """Report clones (1) and ends (2) of chosen threads; of several options that name a thread the last one counts."""
    parsed = [_parse_options(item) for item in args.split(b";")]
    chosen: dict[ThreadId, int] = {}
    for options, selector in parsed:
        for thread in session.matching(selector):
            chosen[thread] = options
    for thread, options in chosen.items():
        events.report_of([thread], clones=bool(options & _CLONES), exits=bool(options & _EXITS))
    return b"OK"


def _parse_options(item: bytes) -> tuple[int, ThreadSelector]:
    number, separator, selector = item.partition(b":")
    options = fields.number(number)
    if options & ~(_CLONES | _EXITS):
        raise MalformedPacket(f"unknown thread options {options:#x}")
    return options, thread_id.parse(selector if separator else b"p-1.-1")


@packet("QPassSignals", needs=SignalDelivery, feature="QPassSignals+", lldb=SIGNAL_NUMBERS)
def pass_signals(session: Session, delivery: SignalDelivery, args: bytes) -> Reply:
    """Deliver these signals without a stop."""
    delivery.pass_signals(_signals(session, args.rstrip(b" ")))
    return b"OK"


@packet("QProgramSignals", needs=SignalDelivery, feature="QProgramSignals+")
def program_signals(session: Session, delivery: SignalDelivery, args: bytes) -> Reply:
    """Deliver these signals to a process that is let go while one of them stopped it."""
    delivery.deliver_on_detach(_signals(session, args))
    return b"OK"


def _signals(session: Session, args: bytes) -> frozenset[int]:
    """Clients name every signal that they know; what this system has no number for never comes."""
    return frozenset(_known_signals(session, [fields.number(number) for number in args.split(b";") if number]))


def _known_signals(session: Session, numbers: list[int]) -> Iterator[int]:
    for number in numbers:
        with suppress(MalformedPacket):
            yield session.decode_signal(number)
