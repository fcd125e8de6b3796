"""Thread-ids, resume actions, stop replies, feature lists: the forms of GDB's manual."""

from __future__ import annotations

import pytest

from debugserver.errors import MalformedPacket
from debugserver.rsp import features, resume, stop_reply, thread_id
from debugserver.rsp.resume import ResumeAction
from debugserver.rsp.stop_reply import StopReply
from debugserver.rsp.thread_id import ALL, ANY, ThreadSelector


@pytest.mark.parametrize(
    ("text", "selector"),
    [
        (b"1a", (None, 26)),
        (b"0", (None, ANY)),
        (b"-1", (None, ALL)),
        (b"p1.2", (1, 2)),
        (b"p1.-1", (1, ALL)),
        (b"p1", (1, ALL)),
        (b"p0.0", (ANY, ANY)),
        (b"p-1.-1", (ALL, ALL)),
        (b"p-1", (ALL, ALL)),
        (b"pff.1F", (255, 31)),
    ],
)
def test_thread_id(text: bytes, selector: tuple[int | None, int]) -> None:
    assert thread_id.parse(text) == selector


@pytest.mark.parametrize("text", [b"", b"p", b"p1.", b"p.1", b".1", b"1.2", b"-2", b"x", b"p1.2.3", b"p-1.5", b"P1.2"])
def test_bad_thread_id(text: bytes) -> None:
    with pytest.raises(MalformedPacket):
        thread_id.parse(text)


def test_encode_thread_id() -> None:
    assert thread_id.encode(26, 27, multiprocess=True) == b"p1a.1b"
    assert thread_id.encode(26, 27, multiprocess=False) == b"1b"


def test_actions() -> None:
    assert list(resume.parse_actions(b"s:p1.2;C0b:-1;r10,20:5;t:7;S05;c")) == [
        ResumeAction("s", 0, 0, 0, ThreadSelector(1, 2)),
        ResumeAction("C", 11, 0, 0, ThreadSelector(None, ALL)),
        ResumeAction("r", 0, 0x10, 0x20, ThreadSelector(None, 5)),
        ResumeAction("t", 0, 0, 0, ThreadSelector(None, 7)),
        ResumeAction("S", 5, 0, 0, None),
        ResumeAction("c", 0, 0, 0, None),
    ]


def test_empty_range() -> None:
    assert resume.parse_actions(b"r10,10")[0][2:4] == (0x10, 0x10)


@pytest.mark.parametrize(
    "text",
    [b"", b"c;", b";c", b"x", b"c:", b"c5", b"s1:1", b"C", b"C:1", b"Czz", b"r", b"r1", b"r2,1", b"r1,2,3", b"c:1:2"],
)
def test_bad_actions(text: bytes) -> None:
    with pytest.raises(MalformedPacket):
        resume.parse_actions(text)


def test_arguments_of_the_old_packets() -> None:
    assert resume.parse_address(b"") is None
    assert resume.parse_address(b"0") == 0
    assert resume.parse_signal_and_address(b"0b") == (11, None)
    assert resume.parse_signal_and_address(b"0b;400000") == (11, 0x400000)


@pytest.mark.parametrize("text", [b"", b";1", b"5;", b"5,1", b"x", b"5;x", b"5;1;2"])
def test_bad_signal_and_address(text: bytes) -> None:
    with pytest.raises(MalformedPacket):
        resume.parse_signal_and_address(text)


def test_encode_stop() -> None:
    pairs = [b"06:00;", b"swbreak:;", b"thread:p1.2;"]
    assert stop_reply.encode_stop(5, pairs) == b"T0506:00;swbreak:;thread:p1.2;"
    assert stop_reply.encode_stop(31, []) == b"T1f"


def test_register_pairs() -> None:
    pairs = stop_reply.RegisterPairs([(6, 2), (16, 1), (7, 4)])
    assert pairs.encode(b"\x01\x02\xff\x00\x10\x20\x30") == b"06:0102;10:ff;07:00102030;"
    assert stop_reply.RegisterPairs([(0, 8)]).encode(bytes(8)) == b"00:0000000000000000;"
    assert stop_reply.RegisterPairs([]).encode(b"") == b""


@pytest.mark.parametrize(
    ("status", "signal", "pid", "reply"),
    [
        (7, 0, None, b"W07"),
        (0, 0, 26, b"W00;process:1a"),
        (255, 0, None, b"Wff"),
        (0, 9, None, b"X09"),
        (0, 9, 26, b"X09;process:1a"),
    ],
)
def test_encode_exit(status: int, signal: int, pid: int | None, reply: bytes) -> None:
    assert stop_reply.encode_exit(status, signal, pid) == reply


@pytest.mark.parametrize(
    ("payload", "reply"),
    [
        (b"S05", StopReply("S", signal=5)),
        (b"T05", StopReply("T", signal=5)),
        (
            b"T0b06:0*;thread:p1.2;watch:7ff0;core:1;",
            StopReply(
                "T",
                signal=11,
                pairs={"06": "0*", "thread": "p1.2", "watch": "7ff0", "core": "1"},
                thread=ThreadSelector(1, 2),
            ),
        ),
        (b"W2a", StopReply("W", status=42)),
        (b"W2a;process:10", StopReply("W", status=42, process=16)),
        (b"W7;process:10", StopReply("W", status=7, process=16)),  # GNU gdbserver 18.1 sends one digit here
        (b"X0f;process:10", StopReply("X", signal=15, process=16)),
        (b"w3;p1.2", StopReply("w", status=3, thread=ThreadSelector(1, 2))),
        (b"N", StopReply("N")),
    ],
)
def test_parse_stop_reply(payload: bytes, reply: StopReply) -> None:
    assert stop_reply.parse(payload) == reply


@pytest.mark.parametrize("payload", [b"", b"OK", b"E01", b"T", b"Tzz", b"N1", b"w", b"w1", b"S"])
def test_no_stop_reply(payload: bytes) -> None:
    with pytest.raises(MalformedPacket):
        stop_reply.parse(payload)


@pytest.mark.parametrize("prefix", [b"", b":", b";"])
def test_features(prefix: bytes) -> None:
    expected = {"multiprocess": True, "vfork-events": False, "xmlRegisters": "i386,arm", "a": "b=c"}
    found = features.parse(prefix + b"multiprocess+;vfork-events-;xmlRegisters=i386,arm;;maybe?;word;a=b=c;")
    assert found == expected


def test_no_features() -> None:
    assert features.parse(b"") == {}


def test_encode_features() -> None:
    assert features.encode({"PacketSize": "20000", "swbreak": True, "x": False}) == b"PacketSize=20000;swbreak+;x-"
