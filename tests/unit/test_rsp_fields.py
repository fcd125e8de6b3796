"""Fields of packets; errors by PROTOCOL's table of numbers, file errors by GDB's fileio.h."""

from __future__ import annotations

import errno
import os

import pytest

from debugserver.errors import MalformedPacket
from debugserver.rsp import fields


@pytest.mark.parametrize(("text", "value"), [(b"0", 0), (b"1a", 26), (b"FFFFffffffffFFFF", 2**64 - 1), (b"0000", 0)])
def test_number(text: bytes, value: int) -> None:
    assert fields.number(text) == value
    assert fields.signed_number(text) == value


BAD_NUMBERS = [b"", b"0x1", b"0X1", b"+1", b" 1", b"1 ", b"1\n", b"1_0", b"g", b"1" * 17, b"\xff", b"--1", b"-"]


@pytest.mark.parametrize("text", BAD_NUMBERS)
def test_bad_number(text: bytes) -> None:
    for read in (fields.number, fields.signed_number):
        with pytest.raises(MalformedPacket) as caught:
            read(text)
        assert caught.value.number == errno.EINVAL


def test_only_signed_numbers_have_a_sign() -> None:
    assert fields.signed_number(b"-1f") == -31
    with pytest.raises(MalformedPacket):
        fields.number(b"-1")


def test_numbers() -> None:
    assert fields.numbers(b"1,a,ff", b",", 3) == [1, 10, 255]
    assert fields.address_and_length(b"7fff0000,40") == (0x7FFF0000, 64)
    assert fields.offset_and_length(b"0,ffb") == (0, 4091)


@pytest.mark.parametrize("text", [b"", b"1", b"1,", b",1", b"1,2,3", b"1;2", b"1,x"])
def test_bad_pair(text: bytes) -> None:
    for read in (fields.address_and_length, fields.offset_and_length):
        with pytest.raises(MalformedPacket):
            read(text)


def test_blob() -> None:
    assert fields.blob(b"") == b""
    assert fields.blob(b"00fF7d") == b"\x00\xff}"
    assert fields.hex_bytes(b"\x00\xff}") == b"00ff7d"


@pytest.mark.parametrize("text", [b"0", b"0g", b"00 00", b"0x00", b"xx", b"00\n"])
def test_bad_blob(text: bytes) -> None:
    with pytest.raises(MalformedPacket):
        fields.blob(text)


@pytest.mark.parametrize("name", [b"/bin/ls", "/tmp/\u00e9".encode(), b"/tmp/\xff\xfe"])
def test_text_is_what_the_system_takes_for_a_file_name(name: bytes) -> None:
    text = fields.text(name.hex().encode())
    assert os.fsencode(text) == name
    assert fields.hex_text(text) == name.hex().encode()


def test_hex_number() -> None:
    assert fields.hex_number(0) == b"0"
    assert fields.hex_number(0xDEAD) == b"dead"


@pytest.mark.parametrize(
    ("number", "reply"),
    [
        (errno.EPERM, b"E01"),
        (errno.ENOENT, b"E02"),
        (errno.EBADF, b"E09"),
        (errno.EACCES, b"E13"),
        (errno.EINVAL, b"E22"),
        (errno.ENOSPC, b"E28"),
        (errno.EROFS, b"E30"),
        (errno.ENAMETOOLONG, b"E91"),
        (errno.ESRCH, b"E99"),
        (errno.EIO, b"E99"),
        (0, b"E99"),
        (9999, b"E99"),
    ],
)
def test_error(number: int, reply: bytes) -> None:
    assert fields.error(number) == reply


@pytest.mark.parametrize(
    ("number", "reply"),
    [
        (errno.ENOENT, b"F-1,2"),
        (errno.EIO, b"F-1,5"),
        (errno.EINVAL, b"F-1,16"),
        (errno.ENOSYS, b"F-1,58"),
        (errno.ENAMETOOLONG, b"F-1,5b"),
        (errno.ELOOP, b"F-1,270f"),
    ],
)
def test_file_error(number: int, reply: bytes) -> None:
    assert fields.file_error(number) == reply


@pytest.mark.parametrize(
    ("offset", "length", "reply"),
    [
        (0, 100, b"la}\x03c}]e"),
        (0, 5, b"la}\x03c}]e"),
        (0, 4, b"ma}\x03c}]"),
        (1, 1, b"m}\x03"),
        (4, 1, b"le"),
        (5, 1, b"l"),
        (0, 0, b"m"),
        (0, 2**64 - 1, b"la}\x03c}]e"),
    ],
)
def test_transfer(offset: int, length: int, reply: bytes) -> None:
    assert fields.transfer(b"a#c}e", offset, length) == reply


def test_transfer_past_the_end() -> None:
    with pytest.raises(MalformedPacket) as caught:
        fields.transfer(b"abc", 4, 1)
    assert caught.value.number == errno.EINVAL
