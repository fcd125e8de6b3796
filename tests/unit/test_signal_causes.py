"""The causes of faults, from siginfo as the kernel lays it out (sigaction(2)), in the words of lldb-server 23.1."""

from __future__ import annotations

import signal
import struct

import pytest

from debugserver.linux.signal_causes import describe, has_cause


def siginfo(number: int, code: int, address: int = 0, bounds: tuple[int, int] = (0, 0)) -> bytes:
    return struct.pack("<4iQQQQ", number, 0, code, 0, address, 0, *bounds).ljust(128, b"\0")


@pytest.mark.parametrize(
    ("info", "words"),
    [
        (siginfo(signal.SIGSEGV, 1, 0x1234), "address not mapped to object (fault address=0x1234)"),
        (siginfo(signal.SIGSEGV, 2, 1 << 47), "invalid permissions for mapped object (fault address=0x800000000000)"),
        (siginfo(signal.SIGSEGV, 4, 0x1234), "failed protection key checks (fault address=0x1234)"),
        (siginfo(signal.SIGSEGV, 10, 0x1234), "control protection fault"),
        (
            siginfo(signal.SIGSEGV, 3, 0x1234, (0x1000, 0x1100)),
            "upper bound violation (fault address=0x1234, lower bound=0x1000, upper bound=0x1100)",
        ),
        (
            siginfo(signal.SIGSEGV, 3, 0xFFF, (0x1000, 0x1100)),
            "lower bound violation (fault address=0xfff, lower bound=0x1000, upper bound=0x1100)",
        ),
        (siginfo(signal.SIGBUS, 1, 1), "illegal alignment (fault address=0x1)"),
        (siginfo(signal.SIGBUS, 2, 0x1234), "illegal address (fault address=0x1234)"),
        (siginfo(signal.SIGBUS, 3, 0x1234), "hardware error (fault address=0x1234)"),
        (siginfo(signal.SIGFPE, 1, 0x401000), "integer divide by zero"),
        (siginfo(signal.SIGILL, 2, 0x401000), "illegal operand"),
        (siginfo(signal.SIGSEGV, 0x80), "sent by kernel (SI_KERNEL)"),
        (siginfo(signal.SIGSEGV, 0, 0x1234), "sent by kill, sigsend or raise"),
        (siginfo(signal.SIGBUS, -1), "sent by sigqueue"),
        (siginfo(signal.SIGFPE, -2), "sent by timer expiration"),
        (siginfo(signal.SIGILL, -6), "sent by tkill system call"),
        (siginfo(signal.SIGILL, -60), "sent by glibc async name lookup completion"),
        (siginfo(signal.SIGSEGV, 15), ""),
        (siginfo(signal.SIGSEGV, -61), ""),
        (siginfo(signal.SIGUSR1, 0), ""),
    ],
)
def test_causes(info: bytes, words: str) -> None:
    assert describe(info) == words


def test_only_faults_have_one() -> None:
    assert [number for number in range(1, 65) if has_cause(number)] == sorted(
        [signal.SIGILL, signal.SIGFPE, signal.SIGSEGV, signal.SIGBUS]
    )
