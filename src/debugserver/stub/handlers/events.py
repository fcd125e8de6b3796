"""What a client wants to hear of beside stops and exits: births, execs, system calls."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from debugserver.errors import MalformedPacket
from debugserver.rsp import fields
from debugserver.stub.registry import packet
from debugserver.target.capabilities import ProcessEvents, SystemCalls
from debugserver.target.model import StopReason

if TYPE_CHECKING:
    from debugserver.stub.registry import Reply
    from debugserver.stub.session import Session

EVENT_FEATURES = {
    "fork-events": (StopReason.FORK,),
    "vfork-events": (StopReason.VFORK, StopReason.VFORK_DONE),
    "exec-events": (StopReason.EXEC,),
}
"""The client's feature -> what it is then told of."""


def choose_events(session: Session) -> None:
    """Report what the client said it understands. A child has no name without multiprocess ids."""
    events = session.target.capability(ProcessEvents)
    if events is None:
        return
    wanted = {reason for feature, reasons in EVENT_FEATURES.items() if session.offers(feature) for reason in reasons}
    if not session.multiprocess:
        wanted -= {StopReason.FORK, StopReason.VFORK, StopReason.VFORK_DONE}
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
