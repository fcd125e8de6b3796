"""Talking to a `Stub` in packets. Frames, checksums and runs are done here, so as not to trust the code under test."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from debugserver.stub.settings import Settings
from debugserver.stub.stub import Stub

if TYPE_CHECKING:
    from debugserver.target.target import Target

GDB = b"multiprocess+;swbreak+;hwbreak+;qRelocInsn+;no-resumed+;vContSupported+;binary-upload+;error-message+"
"""What GDB offers, as far as it changes replies."""

LLDB = b"xmlRegisters=i386,arm,mips,arc;multiprocess+;fork-events+;vfork-events+;swbreak+;hwbreak+"
"""What LLDB offers."""

NO_REPLY = None


def frame(payload: bytes) -> bytes:
    return b"$" + payload + b"#%02x" % (sum(payload) & 0xFF)


def expand_runs(payload: bytes) -> bytes:
    """`0*"` is four zeros: the character after the star counts repeats, plus 29."""
    return re.sub(rb"(?s)([^}]|}.)\*(.)", lambda m: m[1] + m[1] * (m[2][0] - 29), payload)


def unescape(payload: bytes) -> bytes:
    return re.sub(rb"(?s)}(.)", lambda m: bytes([m[1][0] ^ 0x20]), payload)


_FRAME = re.compile(rb"(?s)[+-]|([$%])([^#]*)#([0-9a-f]{2})")


class Sent(NamedTuple):
    """What the stub sent, frame by frame."""

    acknowledgements: list[bytes]
    packets: list[bytes]
    notifications: list[bytes]


def take(stub: Stub) -> Sent:
    """Everything that the stub wants to send now; checksums are verified."""
    data = stub.data_to_send()
    sent = Sent([], [], [])
    position = 0
    while position < len(data):
        match = _FRAME.match(data, position)
        assert match, f"no frame at {position} of {data!r}"
        position = match.end()
        if not match[1]:
            sent.acknowledgements.append(match[0])
        else:
            assert sum(match[2]) & 0xFF == int(match[3], 16), f"wrong checksum in {match[0]!r}"
            (sent.packets if match[1] == b"$" else sent.notifications).append(expand_runs(match[2]))
    return sent


def send(stub: Stub, packet: bytes, turns: int = 10_000) -> Sent:
    """Send one packet, let long work and a target that has to be polled take their turns, and collect what comes."""
    stub.receive_data(frame(packet))
    while stub.busy and turns:
        stub.work()
        turns -= 1
    assert turns, f"{packet!r} never ends"
    stub.target_event()
    return take(stub)


def ask(stub: Stub, packet: bytes) -> bytes | None:
    """The one reply to a packet, console output left out; None if there is none."""
    replies = [reply for reply in send(stub, packet).packets if not _is_console(reply)]
    assert len(replies) <= 1, f"{packet!r} got several replies: {replies}"
    return replies[0] if replies else None


def console(stub: Stub, packet: bytes) -> str:
    """What a monitor command prints, be it as `O` packets or as a reply in hex."""
    packets = send(stub, packet).packets
    assert packets, "every command gets a reply"
    texts = [reply[1:] if _is_console(reply) else reply for reply in packets if reply != b"OK"]
    return b"".join(bytes.fromhex(text.decode()) for text in texts).decode()


def _is_console(reply: bytes) -> bool:
    return re.fullmatch(rb"O(?:[0-9a-f]{2})+", reply) is not None


def transcript(stub: Stub, exchanges: Iterable[tuple[bytes, bytes | None]]) -> None:
    """Each packet gets exactly this reply."""
    for packet, expected in exchanges:
        reply = ask(stub, packet)
        assert reply == expected, f"{packet!r} got {reply!r}, not {expected!r}"


def connect(target: Target, offered: bytes = GDB, settings: Settings | None = None) -> Stub:
    """A session in which the client has said what it can do."""
    stub = Stub(target, settings or Settings())
    assert ask(stub, b"qSupported:" + offered)
    return stub


def connect_lldb(target: Target, offered: bytes = LLDB) -> Stub:
    """A session of LLDB, which asks for suffixes before all else."""
    stub = connect(target, offered)
    transcript(stub, [(b"QThreadSuffixSupported", b"OK")])
    return stub


class StopReply(NamedTuple):
    """A `T` packet: the order of its pairs means nothing."""

    signal: int
    pairs: frozenset[tuple[str, str]]


def stop_reply(packet: bytes | None) -> StopReply:
    assert packet, "no stop reply"
    match = re.fullmatch(r"T([0-9a-f]{2})((?:[^:;]+:[^;]*;)*)", packet.decode())
    assert match, f"{packet!r} is no stop reply"
    pairs = [tuple(pair.split(":", 1)) for pair in match[2].split(";") if pair]
    return StopReply(int(match[1], 16), frozenset(pairs))


def stopped(signal: int, thread: str, *, sp: str = "00000000", pc: str = "00000000", **reason: str) -> StopReply:
    """What the fake target's stop replies say: its general registers are sp (2) and pc (3)."""
    return StopReply(signal, frozenset({("02", sp), ("03", pc), ("thread", thread), *reason.items()}))
