"""Framing against the protocol's own description; expected packets are worked out by hand."""

from __future__ import annotations

import random
import time

import pytest

from debugserver.errors import MalformedPacket
from debugserver.rsp import framing
from debugserver.rsp.framing import Control, Frame, FrameReader, Notification


def server(*chunks: bytes, limit: int = 100, judge: bool = True) -> list[Frame]:
    reader = FrameReader(limit)
    reader.judge_checksums = judge
    return [frame for chunk in chunks for frame in reader.feed(chunk)]


def client(*chunks: bytes) -> list[Frame]:
    reader = FrameReader(100, decode_runs=True)
    return [frame for chunk in chunks for frame in reader.feed(chunk)]


def test_packet_of_the_manual() -> None:
    assert framing.encode_packet(b"qSupported") == b"$qSupported#37"
    assert server(b"$qSupported#37") == [b"qSupported"]


def test_empty_packet() -> None:
    assert framing.encode_packet(b"") == b"$#00"
    assert server(b"$#00") == [b""]


def test_split_packet() -> None:
    assert server(b"$", b"O", b"K", b"#", b"9", b"a") == [b"OK"]


def test_coalesced_packets() -> None:
    assert server(b"+$OK#9a+$#00-$g#67") == [Control.ACK, b"OK", Control.ACK, b"", Control.NACK, b"g"]


def test_end_of_one_packet_with_start_of_the_next() -> None:
    assert server(b"$OK#9", b"a$OK", b"#9a") == [b"OK", b"OK"]


def test_upper_case_checksum() -> None:
    assert server(b"$OK#9A") == [b"OK"]


@pytest.mark.parametrize("trailer", [b"9b", b"zz", b"-1", b" 9", b"9_", b"+9", b"0x"])
def test_bad_checksum(trailer: bytes) -> None:
    assert server(b"$OK#" + trailer + b"$OK#9a") == [Control.BAD_CHECKSUM, b"OK"]


@pytest.mark.parametrize("trailer", [b"9b", b"zz", b"  "])
def test_checksums_are_not_judged_without_acknowledgements(trailer: bytes) -> None:
    assert server(b"$OK#" + trailer, judge=False) == [b"OK"]


@pytest.mark.parametrize("start", [b"$", b"$x", b"$#", b"$x#", b"$x#0"])
def test_incomplete_packet_is_none(start: bytes) -> None:
    assert server(start, judge=False) == []


def test_interrupt_outside_a_packet() -> None:
    assert server(b"\x03$g#67\x03") == [Control.INTERRUPT, b"g", Control.INTERRUPT]


def test_interrupt_character_inside_a_packet_is_data() -> None:
    assert server(b"$X0,1:\x03#" + b"%02x" % (sum(b"X0,1:\x03") & 255)) == [b"X0,1:\x03"]


def test_garbage_before_a_packet_is_skipped() -> None:
    assert server(b"GET / HTTP/1.1\r\n#00\xff$g#67") == [b"g"]


def test_percent_is_garbage_to_a_server() -> None:
    assert server(b"%\x03$g#67") == [Control.INTERRUPT, b"g"]


@pytest.mark.parametrize("chunks", [(b"$m0,$g#67",), (b"$m0,", b"$g#67"), (b"$m0,$g", b"#67"), (b"$$$g#67",)])
@pytest.mark.parametrize("judge", [True, False])
def test_packet_start_in_a_packet_restarts_it(chunks: tuple[bytes, ...], judge: bool) -> None:
    assert server(*chunks, judge=judge) == [b"g"]


def test_escapes_are_removed() -> None:
    # 7d 03, 7d 04, 7d 5d, 7d 0a: the four bytes of the manual, each XOR 0x20.
    assert server(b"$}\x03}\x04}]}\n#a0", judge=False) == [b"#$}*"]


def test_unneeded_escape_is_removed() -> None:
    assert framing.unescape(b"}\x41") == b"a"


def test_escape_at_the_very_end_stays() -> None:
    assert server(b"$jGetSharedCacheInfo:{}#00", judge=False) == [b"jGetSharedCacheInfo:{}"]


def test_star_in_a_request_is_data() -> None:
    assert server(b"$0* #7a") == [b"0* "]


def test_longest_packet() -> None:
    assert server(b"$" + b"a" * 100 + b"#e4") == [b"a" * 100]


@pytest.mark.parametrize(
    "chunks",
    [
        (b"$" + b"a" * 101 + b"#45$g#67",),
        (b"$" + b"a" * 101, b"#45$g#67"),
        (b"$" + b"a" * 101, b"$p#70", b"$g#67"),
        (b"$", b"a" * 60, b"a" * 60, b"$" + b"a" * 500, b"#", b"4", b"5$g#67"),
        (b"$" + b"a" * 101 + b"$x#78$g#67",),
    ],
)
def test_too_long_packet_is_skipped_once(chunks: tuple[bytes, ...]) -> None:
    assert server(*chunks) == [Control.TOO_LONG, b"g"]


def test_memory_is_bounded() -> None:
    reader = FrameReader(1000)
    frames = [frame for _ in range(1000) for frame in reader.feed(b"$" + b"a" * 500)]
    assert frames == []
    frames = [frame for _ in range(1000) for frame in reader.feed(b"a" * 1000)]
    assert frames == [Control.TOO_LONG]
    assert len(reader._buffer) <= 1000


def test_garbage_is_not_kept() -> None:
    reader = FrameReader(1000)
    reader.feed(b"a" * 100_000)
    assert not reader._buffer


def test_small_pieces_take_linear_time() -> None:
    """A scan or a copy of what is there already, for each of 400,000 pieces, takes half a minute."""
    payload = b"a" * (4 << 20)
    packet = framing.encode_packet(payload)
    reader = FrameReader(8 << 20)
    start = time.process_time()
    frames = [frame for i in range(0, len(packet), 10) for frame in reader.feed(packet[i : i + 10])]
    assert frames == [payload]
    assert time.process_time() - start < 8


def test_many_restarts_take_linear_time() -> None:
    start = time.process_time()
    assert server(b"$" * 300_000 + b"g#67") == [b"g"]
    assert time.process_time() - start < 5


def test_client_sees_notifications() -> None:
    frames = client(b"%Stop:T05#99$OK#9a", b"%Sto", b"p:T05#99")
    assert frames == [b"Stop:T05", b"OK", b"Stop:T05"]
    assert [type(frame) for frame in frames] == [Notification, bytes, Notification]


def test_notification_is_encoded() -> None:
    assert framing.encode_notification(b"Stop:T05") == b"%%Stop:T05#%02x" % (sum(b"Stop:T05") & 0xFF)


def test_damaged_notification_is_dropped() -> None:
    assert client(b"%Stop:T05#00$OK#9a") == [b"OK"]


def test_client_expands_runs_before_escapes() -> None:
    # The manual: "0* " is "0000". In "}]* " the "]" is repeated, then unescaping eats one.
    assert client(framing.encode_packet(b"0* ")) == [b"0000"]
    assert client(framing.encode_packet(b"}]* ")) == [b"}]]]"]


@pytest.mark.parametrize("payload", [b"* ", b"0*", b"0*\x1f", b"0*\x7f"])
def test_bad_run(payload: bytes) -> None:
    with pytest.raises(MalformedPacket):
        framing.decode_runs(payload)
    assert client(framing.encode_packet(payload)) == [Control.BAD_CHECKSUM]


@pytest.mark.parametrize(
    ("plain", "encoded"),
    [
        (b"", b""),
        (b"000", b"000"),
        (b"0000", b"0* "),  # 3 repeats + 29 = a space
        (b"a0000b", b"a0* b"),
        (b"0" * 6, b'0*"'),  # 5 + 29
        (b"0" * 7, b'0*"0'),  # 6 repeats would be '#'
        (b"0" * 8, b'0*"00'),  # 7 repeats would be '$'
        (b"0" * 9, b"0*%"),
        (b"0" * 15, b"0**0"),  # 14 would be '+', 13 is '*'
        (b"0" * 17, b"0*,0"),  # 16 would be '-', 15 is ','
        (b"0" * 98, b"0*~"),  # 97, the most
        (b"0" * 99, b"0*~0"),
        (b"0" * 196, b"0*~0*~"),
        (b"\0\0\0\0", b"\0* "),
        (b"\0\0\0", b"\0\0\0"),
    ],
)
def test_runs(plain: bytes, encoded: bytes) -> None:
    assert framing.encode_runs(plain) == encoded
    assert framing.decode_runs(encoded) == plain


@pytest.mark.parametrize("size", [100, 2000, 100_000])
@pytest.mark.parametrize(
    ("data", "run"),
    [
        (bytes(range(1, 255)) * 500, b"\0" * 400),
        (bytes(range(1, 255)) * 500, b"\xff" * 400),
        (b"0123456789abcdef" * 10_000, b"0" * 400),
    ],
)
def test_long_runs_are_found_wherever_they_are(size: int, data: bytes, run: bytes) -> None:
    """And the reader gets the same back. Short payloads are searched for zeros alone."""
    plain = framing.escape(data[: size // 2] + run + data[: size // 2])
    shortened = framing.shorten(plain)
    assert framing.decode_runs(shortened) == plain
    assert len(shortened) < len(plain) - 250 or (size < 10_000 and run[:1] != b"0")


@pytest.mark.parametrize("size", [100, 2000, 1_000_000])
def test_what_has_no_runs_is_left_as_it_is(size: int) -> None:
    digits = random.Random(size).randbytes(size // 2).hex().encode()
    assert framing.decode_runs(framing.shorten(digits)) == digits
    assert framing.shorten(b"0123456789abcdef" * (size // 16)) == b"0123456789abcdef" * (size // 16)


def test_run_may_follow_a_count() -> None:
    # GDB's remote.c repeats the last byte that it has, which is also so after another run.
    assert framing.decode_runs(b"0* * ") == b"0" * 7


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 511, 512, 513, 65536])
@pytest.mark.parametrize("byte", [0, 1, 255])
def test_checksum(size: int, byte: int) -> None:
    assert framing.checksum(bytes([byte]) * size) == size * byte % 256
