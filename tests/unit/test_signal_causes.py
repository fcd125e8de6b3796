"""The causes of faults in words, from siginfo as the kernel lays it out (sigaction(2))."""

from __future__ import annotations

import signal
import struct

import pytest

from debugserver.linux.signal_causes import describe, has_cause


def siginfo(number: int, code: int, address: int = 0) -> bytes:
    return struct.pack("<4iQ", number, 0, code, 0, address).ljust(128, b"\0")


@pytest.mark.parametrize(
    ("info", "words"),
    [
        (siginfo(signal.SIGSEGV, 1, 0x1234), "address not mapped to object (fault address=0x1234)"),
        (siginfo(signal.SIGSEGV, 2, 1 << 47), "invalid permissions for mapped object (fault address=0x800000000000)"),
        (siginfo(signal.SIGBUS, 1, 1), "invalid address alignment (fault address=0x1)"),
        (siginfo(signal.SIGFPE, 1, 0x401000), "integer divide by zero"),
        (siginfo(signal.SIGILL, 2, 0x401000), "illegal operand"),
        (siginfo(signal.SIGSEGV, 0), ""),
        (siginfo(signal.SIGSEGV, 128), ""),
        (siginfo(signal.SIGUSR1, 1), ""),
    ],
)
def test_causes(info: bytes, words: str) -> None:
    assert describe(info) == words


def test_only_faults_have_one() -> None:
    assert [number for number in range(1, 65) if has_cause(number)] == sorted(
        [signal.SIGILL, signal.SIGFPE, signal.SIGSEGV, signal.SIGBUS]
    )
