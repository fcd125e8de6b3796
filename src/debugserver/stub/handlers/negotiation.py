"""What client and stub agree on before anything is debugged: features, acknowledgements, modes."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from debugserver.errors import MalformedPacket
from debugserver.rsp import features
from debugserver.stub.dialects import LLDB_FEATURES
from debugserver.stub.handlers.events import EVENT_FEATURES, choose_events
from debugserver.stub.limits import PACKET_SIZE
from debugserver.stub.registry import Dialect, packet
from debugserver.target.capabilities import ProcessEvents

if TYPE_CHECKING:
    from debugserver.stub.registry import Reply
    from debugserver.stub.session import Session


@packet("qSupported", feature="multiprocess+")
def supported(session: Session, args: bytes) -> Reply:
    """Exchange features; the client's list decides the dialect."""
    offered = features.parse(args)
    session.client_features = offered
    session.dialect = Dialect.GDB if offered.get("vContSupported") is True else Dialect.LLDB
    session.reads_descriptions = "xmlRegisters" in offered
    session.multiprocess = offered.get("multiprocess") is True
    choose_events(session)
    return features.encode(_advertised(session))


def _advertised(session: Session) -> dict[str, str | bool]:
    advertised: dict[str, str | bool] = {"PacketSize": f"{PACKET_SIZE:x}"}
    for entry in session.table:
        if session.dialect in entry.row.dialects:
            advertised |= features.parse(entry.row.feature.encode())
    if session.target.capability(ProcessEvents) is not None:
        advertised |= dict.fromkeys(EVENT_FEATURES, True)
    if session.dialect is Dialect.LLDB:
        return {name: value for name, value in advertised.items() if name in LLDB_FEATURES}
    return advertised


@packet("QStartNoAckMode", feature="QStartNoAckMode+")
def start_no_ack_mode(session: Session, args: bytes) -> Reply:
    """Neither side acknowledges packets from now on, and the client's checksums are not judged."""
    session.acknowledge = False
    return b"OK"


@packet("!")
def extended_mode(session: Session, args: bytes) -> Reply:
    """The server stays when the last process is gone."""
    session.settings.extended = True
    return b"OK"


@packet("QNonStop", feature="QNonStop+", explains=True)
def set_non_stop(session: Session, args: bytes) -> Reply:
    """Choose non-stop (1) or all-stop (0)."""
    if args not in (b"0", b"1"):
        raise MalformedPacket("QNonStop takes 0 or 1", errno.EINVAL)
    session.stops.set_mode(non_stop=args == b"1")
    return b"OK"
