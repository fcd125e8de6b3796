"""Any bytes, however they arrive, give the same frames; what is encoded comes back."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from debugserver.rsp import framing
from debugserver.rsp.framing import Control, Frame, FrameReader, Notification

LIMIT = 24

_piece = st.one_of(
    st.sampled_from(
        [b"$", b"#", b"#00", b"+", b"-", b"\x03", b"}", b"*", b"%", b"$#00", b"$OK#9a", b"%Stop#a6", b"0" * 30]
    ),
    st.binary(max_size=12).map(framing.escape).map(framing.encode_packet),
    st.binary(max_size=40),
    st.text(alphabet="$#%+-}* 0a\x03", max_size=30).map(str.encode),
)
streams = st.lists(_piece, max_size=12).map(b"".join)
roles = st.tuples(st.booleans(), st.booleans())


def feed(role: tuple[bool, bool], chunks: list[bytes]) -> list[tuple[type, Frame]]:
    reader = FrameReader(LIMIT, decode_runs=role[0])
    reader.judge_checksums = role[1]
    return [(type(frame), frame) for chunk in chunks for frame in reader.feed(chunk)]


def split(stream: bytes, cuts: list[int]) -> list[bytes]:
    ends = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    return [stream[start:end] for start, end in pairwise(ends)]


@given(roles, streams, st.lists(st.integers(0, 200), max_size=8))
def test_splits_change_nothing(role: tuple[bool, bool], stream: bytes, cuts: list[int]) -> None:
    whole = feed(role, [stream])
    assert feed(role, [stream[i : i + 1] for i in range(len(stream))]) == whole
    assert feed(role, split(stream, cuts)) == whole


@given(st.booleans(), st.lists(st.binary(max_size=LIMIT // 2), max_size=6))
def test_packets_come_back(client: bool, payloads: list[bytes]) -> None:
    stream = b"".join(framing.encode_packet(framing.escape(payload)) for payload in payloads)
    assert FrameReader(LIMIT, decode_runs=client).feed(stream) == payloads


@given(
    st.lists(
        st.sampled_from([b"0", b"f", b"#", b"}", b"\0", b"ab"]).flatmap(lambda c: st.integers(0, 120).map(c.__mul__))
    )
)
def test_replies_come_back(pieces: list[bytes]) -> None:
    payload = b"".join(pieces)
    encoded = framing.encode_runs(framing.escape(payload))
    stream = framing.encode_packet(encoded) + framing.encode_notification(encoded)
    assert FrameReader(1 << 16, decode_runs=True).feed(stream) == [payload, Notification(payload)]


@given(st.binary(max_size=600))
def test_escaped_data_has_no_special_bytes(data: bytes) -> None:
    escaped = framing.escape(data)
    assert not set(b"#$*") & set(escaped)
    assert framing.unescape(escaped) == data


@given(st.lists(st.tuples(st.sampled_from(b"0fx} "), st.integers(1, 210))))
def test_runs_come_back_and_never_lengthen(runs: list[tuple[int, int]]) -> None:
    payload = b"".join(bytes([byte]) * count for byte, count in runs)
    encoded = framing.encode_runs(payload)
    assert framing.decode_runs(encoded) == payload
    assert len(encoded) <= len(payload)
    counts = [encoded[i + 1] for i in range(len(encoded)) if encoded[i] == ord("*") and encoded[i - 1] in b"0fx} "]
    assert all(32 <= count <= 126 and count not in b"#$+-" for count in counts)


@given(st.binary(max_size=5000))
def test_checksum_is_the_sum(data: bytes) -> None:
    assert framing.checksum(data) == sum(data) % 256


@given(st.binary(min_size=1, max_size=LIMIT).filter(lambda data: not set(data) & set(b"#$}")), st.integers(0, 255))
def test_damage_is_noticed(payload: bytes, wrong: int) -> None:
    frames = FrameReader(LIMIT).feed(b"$%b#%02x" % (payload, wrong))
    assert frames == [payload if wrong == sum(payload) % 256 else Control.BAD_CHECKSUM]
