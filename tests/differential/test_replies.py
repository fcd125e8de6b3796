"""Packets that change nothing that lasts, at a breakpoint in a program with three threads."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest

from tests.support.differential import Side, actions, ids, kind, registers, stop, whole, xml

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.differential.conftest import Pair

    View = Callable[[Side, bytes], object]


def tables(side: Side, reply: bytes) -> object:
    """Those of the tables of `info os` that both have."""
    names = {item[0].text for item in ElementTree.fromstring(reply[1:])}
    return names & {"processes", "threads"}


def columns(side: Side, reply: bytes) -> object:
    """The columns of the first row, in order."""
    return [column.get("name") for column in ElementTree.fromstring(reply[1:])[0]]


def auxiliary_vector(side: Side, reply: bytes) -> object:
    """Entry by entry; random bytes have no fixed place on the stack, but here both stacks are alike."""
    return list(struct.iter_unpack("<QQ", reply[1:]))


PACKETS: list[tuple[bytes, View, *tuple[bytes, ...]]] = [
    (b"?", stop),
    (b"!", whole),
    (b"qC", whole),
    (b"qAttached", whole),
    (b"qAttached:{pid}", whole),
    (b"qfThreadInfo", ids),
    (b"vCont?", actions),
    (b"vMustReplyEmpty", whole),
    (b"vNope", whole),
    (b"qNope", whole),
    (b"QNope", whole),
    # H, T
    (b"Hgp{pid}.{tid1}", whole),
    (b"qC", whole, b"Hgp{pid}.{tid1}"),
    (b"Hg{tid2}", whole),
    (b"Hcp{pid}.{tid2}", whole),
    (b"Hc-1", whole),
    (b"Hcp{pid}.-1", whole),
    (b"Hc0", whole),
    (b"Hgp0.0", whole),
    (b"Hg0", whole),
    (b"Hgp{pid}.{tid0}", whole),
    (b"Hg7fffffff", whole),
    (b"Hgp7fffffff.1", whole),
    (b"Hcp{pid}.7fffffff", kind),
    (b"Hx0", whole),
    (b"Tp{pid}.{tid0}", whole),
    (b"Tp{pid}.{tid2}", whole),
    (b"Tp{pid}.7fffffff", whole),
    # Registers
    (b"g", lambda side, reply: len(reply)),
    (b"p0", kind),
    (b"G00", whole),
    # Memory
    (b"m{haystack},40", whole),
    (b"m{main},20", whole),
    (b"m{haystack},0", whole),
    (b"m0,1", whole),
    (b"mffffffffffffffff,1", whole),
    (b"M{scratch},4:01020304", whole),
    (b"m{scratch},4", whole, b"M{scratch},4:01020304"),
    (b"X{scratch},0:", whole),
    (b"X{scratch},4:#$}*", whole),
    (b"m{scratch},4", whole, b"X{scratch},4:#$}*"),
    (b"x{scratch},4", whole, b"X{scratch},4:#$}*"),
    (b"x{scratch},0", whole),
    (b"x0,1", whole),
    (b"M0,1:00", whole),
    (b"X0,1:a", whole),
    (b"M{scratch},4:0000", whole),
    (b"qSearch:memory:{haystack};40;needle", whole),
    (b"qSearch:memory:{haystack};30;needle", whole),
    (b"qSearch:memory:0;10;needle", whole),
    (b"qCRC:{haystack},40", whole),
    (b"qCRC:{main},1", whole),
    (b"qCRC:0,4", whole),
    # Breakpoints and watchpoints
    (b"Z0,{touch},1", whole),
    (b"Z0,{touch},1", whole, b"Z0,{touch},1"),
    (b"m{touch},4", whole, b"Z0,{touch},1"),
    (b"z0,{touch},1", whole, b"Z0,{touch},1"),
    (b"m{touch},4", whole, b"z0,{touch},1"),
    (b"Z1,{touch},1", whole),
    (b"z1,{touch},1", whole, b"Z1,{touch},1"),
    (b"Z2,{watched},4", whole),
    (b"Z2,{watched},4", whole, b"Z2,{watched},4"),
    (b"z2,{watched},4", whole, b"Z2,{watched},4"),
    (b"Z3,{watched},4", whole),
    (b"z3,{watched},4", whole),
    (b"Z4,{watched},4", whole),
    (b"z4,{watched},4", whole, b"Z4,{watched},4"),
    (b"Z2,{haystack},100", whole),
    (b"z2,{haystack},100", whole),
    (b"Z0,0,1", whole),
    (b"Z5,0,1", whole),
    (b"Z0", whole),
    (b"Z0,10", kind),
    # Objects
    (b"qXfer:threads:read::0,4000", xml),
    (b"qXfer:features:read:target.xml:0,8000", registers),
    (b"qXfer:features:read:nope.xml:0,8000", whole),
    (b"qXfer:exec-file:read::0,1000", whole),
    (b"qXfer:exec-file:read:{pid}:0,1000", whole),
    (b"qXfer:exec-file:read:{pid}:2,3", whole),
    (b"qXfer:libraries-svr4:read::0,4000", xml),
    (b"qXfer:siginfo:read::0,1000", whole),
    (b"qXfer:siginfo:read::10,8", whole),
    (b"qXfer:osdata:read::0,8000", tables),
    (b"qXfer:osdata:read:processes:0,100000", columns),
    (b"qXfer:osdata:read:threads:0,100000", columns),
    (b"qXfer:osdata:read:nope:0,8000", kind),
    (b"qXfer:nope:read::0,10", whole),
    (b"qXfer:auxv:read::0,1000", auxiliary_vector),
    (b"qXfer:auxv:read::10,20", whole),
    (b"qXfer:auxv:read::10000,10", kind),
    (b"qXfer:auxv:read:x:0,10", kind),
    (b"qXfer:auxv:write::0:a", kind),
    (b"qXfer:auxv:read:", kind),
    (b"qThreadExtraInfo,p{pid}.{tid1}", whole),
    (b"qGetTLSAddr:p{pid}.{tid0},0,0", kind),
    (b"qGetTLSAddr:", kind),
    # Settings for the next program
    (b"QDisableRandomization:1", whole),
    (b"QDisableRandomization:2", whole),
    (b"QStartupWithShell:1", whole),
    (b"QStartupWithShell:x", whole),
    (b"QEnvironmentHexEncoded:413d62", whole),
    (b"QEnvironmentUnset:41", whole),
    (b"QEnvironmentReset", whole),
    (b"QSetWorkingDir:2f", whole),
    (b"QSetWorkingDir:", whole),
    (b"QNonStop:2", kind),
    (b"QNonStop:0", whole),
    (b"QStartNoAckMode", whole),
    # Files
    (b"vFile:setfs:0", whole),
    (b"vFile:setfs:{pid}", whole),
    (b"vFile:open:" + b"/nope".hex().encode() + b",0,0", whole),
    (b"vFile:open:" + b"/proc".hex().encode() + b",1,0", whole),
    (b"vFile:open:zz,0,0", whole),
    (b"vFile:open:2f", whole),
    (b"vFile:close:3e7", whole),
    (b"vFile:pread:3e7,10,0", whole),
    (b"vFile:pread:3e7", whole),
    (b"vFile:fstat:3e7", whole),
    (b"vFile:unlink:" + b"/nope/nope".hex().encode(), whole),
    (b"vFile:readlink:" + b"/nope".hex().encode(), whole),
    (b"vFile:readlink:" + b"/proc/version".hex().encode(), whole),
    (b"vFile:stat:" + b"/nope".hex().encode(), whole),
    (b"vFile:lstat:" + b"/proc/version".hex().encode(), lambda side, reply: reply[:7]),
    (b"vFile:nope:", whole),
    # Refusals
    (b"vAttach;0", kind),
    (b"vAttach;xy", kind),
    (b"vKill;7fffffff", whole),
    (b"D;7fffffff", whole),
    (b"vCont;", kind),
    (b"vCont;z", kind),
    (b"qRcmd," + b"nope".hex().encode(), lambda side, reply: bool(reply)),
]

DIFFERENT: dict[bytes, tuple[object, object, str]] = {
    b"Hcp{pid}.-1": ("error", "OK", "all threads of a process may be chosen to continue"),
    b"p0": ("empty", "data", "one register is read without the whole file"),
    b"G00": ("OK", "error", "a register file of the wrong length is refused"),
    b"M{scratch},4:0000": ("OK", "error", "a payload of the wrong length is refused"),
    b"z2,{haystack},100": ("error", "OK", "removing what is not there changes nothing"),
    b"qXfer:osdata:read:nope:0,8000": ("data", "error", "there is no such table"),
    b"qXfer:auxv:read::10000,10": ("data", "error", "an offset past the end is an error"),
    b"qThreadExtraInfo,p{pid}.{tid1}": (
        "",
        b"sleeper-1".hex(),
        "clients that do not read qXfer:threads see names, too",
    ),
    b"qGetTLSAddr:p{pid}.{tid0},0,0": ("error", "data", "needs no libthread_db"),
    b"QDisableRandomization:2": ("OK", "error", "only 0 and 1 mean something"),
    b"vFile:close:3e7": ("F-1,16", "F-1,9", "EBADF: the manual's errno for a descriptor that is not open"),
    b"vFile:pread:3e7,10,0": ("F-1,16", "F-1,9", "as close"),
    b"vFile:fstat:3e7": ("F-1,16", "F-1,9", "as close"),
}
"""Packet -> GNU gdbserver's answer, ours, and why."""


@pytest.mark.parametrize("case", PACKETS, ids=[repr(b" ".join((*case[2:], case[0])))[2:-1] for case in PACKETS])
def test_reply(stopped: Pair, case: tuple[bytes, View, *tuple[bytes, ...]]) -> None:
    """A packet after those that prepare for it, and a view of its reply."""
    packet, view, *before = case
    for preparation in (b"Hgp{pid}.{tid0}", *before):
        stopped.ask(preparation, whole)
    gnu, ours = stopped.ask(packet, view)
    assert (gnu, ours) == DIFFERENT.get(packet, (gnu, gnu))[:2]


UNSETTLING = [b"qXfer:exec-file:read:7fffffff:0,1000", b"vCont;c:p{pid}.xy", b"qRcmd,zz"]
"""Errors after which GNU gdbserver forgets what was negotiated."""


@pytest.mark.parametrize("packet", UNSETTLING)
def test_errors_that_gnu_gdbserver_does_not_survive(both: Callable[..., None], packet: bytes) -> None:
    both(lambda side: [kind(side, side.ask(side.named(packet)))])
