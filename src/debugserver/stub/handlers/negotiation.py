"""What client and stub agree on before anything is debugged: features, acknowledgements, modes."""

from __future__ import annotations

import errno
import re
import string
from typing import TYPE_CHECKING

from debugserver.errors import MalformedPacket
from debugserver.rsp import features, fields, framing
from debugserver.stub.dialects import LLDB_FEATURES
from debugserver.stub.handlers.events import EVENT_FEATURES, choose_events
from debugserver.stub.limits import PACKET_SIZE
from debugserver.stub.registry import LLDB_ONLY, Dialect, packet
from debugserver.target.capabilities import ProcessEvents

if TYPE_CHECKING:
    from debugserver.stub.registry import Reply
    from debugserver.stub.session import Session

_SPEED_TEST = re.compile(rb"response_size:([0-9]+);").match
"""What follows is a load for the way here, which nobody looks at."""
_LETTERS = string.ascii_uppercase.encode()


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
    if session.offers("native-signals"):
        advertised["native-signals"] = True
    if session.dialect is Dialect.LLDB:
        return {name: value for name, value in advertised.items() if name in LLDB_FEATURES}
    return advertised


@packet("QStartNoAckMode", feature="QStartNoAckMode+", bare=True)
def start_no_ack_mode(session: Session, args: bytes) -> Reply:
    """Neither side acknowledges packets from now on, and the client's checksums are not judged. Unknown on serial
    lines."""
    session.acknowledge = False
    return b"OK"


@packet("QThreadSuffixSupported", feature="QThreadSuffixSupported+", dialects=LLDB_ONLY, bare=True)
def accept_thread_suffix(session: Session, args: bytes) -> Reply:
    """Packets may name the thread that they mean, behind their arguments; from now on signals have native numbers."""
    session.thread_suffix = True
    choose_events(session)
    return b"OK"


@packet("QListThreadsInStopReply", feature="QListThreadsInStopReply+", dialects=LLDB_ONLY, bare=True)
def list_threads_in_stops(session: Session, args: bytes) -> Reply:
    """Stop replies list all threads from now on, where they are, and why they stopped."""
    session.lists_threads = True
    return b"OK"


@packet("QEnableErrorStrings", dialects=LLDB_ONLY, bare=True)
def enable_error_strings(session: Session, args: bytes) -> Reply:
    """Errors have a sentence from now on, in hex behind the number; but for `E37` and `Eff` of LLDB's non-stop."""
    session.error_strings = True
    return b"OK"


@packet("qEcho", feature="qEcho+", dialects=LLDB_ONLY)
def echo(session: Session, args: bytes) -> Reply:
    """Send the packet back: the client finds its place again after a reply that came too late."""
    return b"qEcho:" + framing.escape(args)


@packet("qSpeedTest", dialects=LLDB_ONLY)
def test_speed(session: Session, args: bytes) -> Reply:
    """Send as many bytes as the client wants, at most a packet: `response_size:N;data:...`, in decimal; for 0 `OK`."""
    request = _SPEED_TEST(args)
    if request is None:
        raise MalformedPacket("response_size is needed")
    size = min(fields.decimal(request[1]), PACKET_SIZE - len(b"data:;"))
    return b"data:%b;" % (_LETTERS * (size // len(_LETTERS) + 1))[:size] if size else b"OK"


@packet("!", bare=True)
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
