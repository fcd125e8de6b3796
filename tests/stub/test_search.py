"""qSearch:memory and qCRC on the fake target, checked against plain Python."""

from __future__ import annotations

import random

import pytest

from debugserver.stub.handlers import search
from debugserver.testing.fake_target import FakeTarget
from tests.support.packets import ask, connect, frame, take, transcript

START = 0x1000


@pytest.fixture
def target(monkeypatch: pytest.MonkeyPatch) -> FakeTarget:
    """Memory that is read 16 bytes at a time."""
    monkeypatch.setattr(search, "_CHUNK", 16)
    fake = FakeTarget()
    fake.add_process(10)
    fake.memory[START] = bytearray(b"0123456789abcdef" * 4 + b"needle" + bytes(26))
    return fake


def find(target: FakeTarget, address: int, length: int, pattern: bytes) -> bytes | None:
    escaped = pattern.replace(b"}", b"}]").replace(b"#", b"}\x03").replace(b"$", b"}\x04")
    return ask(connect(target), b"qSearch:memory:%x;%x;" % (address, length) + escaped)


@pytest.mark.parametrize("offset", range(40))
@pytest.mark.parametrize("pattern", [b"#", b"$;,", b"long enough to span three chunks"])
def test_matches_wherever_chunks_end(target: FakeTarget, offset: int, pattern: bytes) -> None:
    content = target.memory[START]
    content[offset : offset + len(pattern)] = pattern
    assert find(target, START, len(content), pattern) == b"1,%x" % (START + offset)
    assert find(target, START + offset, len(pattern), pattern) == b"1,%x" % (START + offset)
    assert find(target, START, offset + len(pattern) - 1, pattern) == b"0"


def test_repeated_beginnings(target: FakeTarget) -> None:
    target.memory[START] = bytearray(b"a" * 50 + b"ab" + bytes(12))
    assert find(target, START, 64, b"aaab") == b"1,%x" % (START + 48)


def test_first_match_wins(target: FakeTarget) -> None:
    assert find(target, START, 64, b"def0") == b"1,%x" % (START + 13)


@pytest.mark.parametrize("length", [0x61, 1 << 63, (1 << 64) - 1])
def test_search_ends_at_unreadable_memory(target: FakeTarget, length: int) -> None:
    assert find(target, START, length, b"needle") == b"1,%x" % (START + 64)
    assert find(target, START, length, b"absent") == b"E01"
    assert find(target, START - 1, length, b"needle") == b"E01"


@pytest.mark.parametrize(
    "args", [b"", b"1000", b"1000;10", b"1000;10;", b";10;a", b"1000;;a", b"zz;10;a", b"1000,10;a", b"1000;-1;a"]
)
def test_malformed_searches(target: FakeTarget, args: bytes) -> None:
    assert ask(connect(target), b"qSearch:memory:" + args) == b"E22"


def crc(data: bytes) -> int:
    """As the definition has it: x^32 + x^26 + ..., most significant bit first."""
    remainder = 0xFFFFFFFF
    for byte in data:
        remainder ^= byte << 24
        for _ in range(8):
            remainder = (remainder << 1 ^ (0x04C11DB7 if remainder >> 31 else 0)) & 0xFFFFFFFF
    return remainder


def test_reference_against_a_published_value() -> None:
    """CRC-32/MPEG-2 is this polynomial, order and start; its check value is for the nine digits."""
    assert crc(b"123456789") == 0x0376E6E7


@pytest.mark.parametrize("length", [0, 1, 15, 16, 17, 31, 96])
def test_checksums(target: FakeTarget, length: int) -> None:
    content = random.Random(length).randbytes(96)
    target.memory[START] = bytearray(content)
    assert ask(connect(target), b"qCRC:%x,%x" % (START, length)) == b"C%08x" % crc(content[:length])


def test_checksum_errors(target: FakeTarget) -> None:
    transcript(
        connect(target),
        [
            (b"qCRC:1000,61", b"E01"),
            (b"qCRC:1000,ffffffffffffffff", b"E01"),
            (b"qCRC:1000", b"E22"),
            (b"qCRC:1000,10,1", b"E22"),
            (b"qCRC:", b"E22"),
            (b"qCRC:x,1", b"E22"),
        ],
    )


def test_long_work_yields_and_later_packets_wait(target: FakeTarget) -> None:
    stub = connect(target)
    stub.receive_data(frame(b"qCRC:1000,60") + frame(b"qC"))
    turns = 0
    while stub.busy:
        assert not take(stub).packets
        stub.work()
        turns += 1
    assert turns == 96 // 16 + 1
    assert take(stub).packets == [b"C%08x" % crc(bytes(target.memory[START])), b"QCpa.a"]
