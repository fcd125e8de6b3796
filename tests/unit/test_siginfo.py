"""siginfo_t of 32-bit processes. Both forms by hand, from struct siginfo and struct compat_siginfo of the kernel."""

from __future__ import annotations

import signal
import struct

import pytest

from debugserver.linux import siginfo

SI_USER, SI_KERNEL, SI_QUEUE, SI_TIMER, SI_SIGIO, SI_TKILL = 0, 128, -1, -2, -5, -6
SEGV_MAPERR, SEGV_BNDERR, SEGV_PKUERR, BUS_MCEERR_AR, TRAP_HWBKPT, CLD_EXITED, POLL_IN, SYS_SECCOMP = (
    1,
    3,
    4,
    4,
    4,
    1,
    1,
    1,
)
REALTIME = 40
EVENT_STOP = 5 | 128 << 8


def packed(layout: str, *values: int) -> bytes:
    return struct.pack(f"<{layout}", *values)


# (signal, si_code), and the fields behind the head: of 64 bits with paddings as the alignment has them, and of 32 bits.
FORMS = {
    "kill": ((signal.SIGUSR1, SI_USER), packed("iI", 4711, 1000), packed("iI", 4711, 1000)),
    "general protection": ((signal.SIGSEGV, SI_KERNEL), packed("iI", 0, 0), packed("iI", 0, 0)),
    "event stop": ((signal.SIGTRAP, EVENT_STOP), packed("iI", 4711, 1000), packed("iI", 4711, 1000)),
    "tkill": ((signal.SIGUSR1, SI_TKILL), packed("iIQ", 4711, 1000, 0), packed("iII", 4711, 1000, 0)),
    "queue": ((REALTIME, SI_QUEUE), packed("iIQ", 4711, 1000, 0xFFFFFFFE), packed("iII", 4711, 1000, 0xFFFFFFFE)),
    "timer": ((signal.SIGALRM, SI_TIMER), packed("iiQ", 3, 7, 0x12345678), packed("iiI", 3, 7, 0x12345678)),
    "child": (
        (signal.SIGCHLD, CLD_EXITED),
        packed("iIi4xqq", 4711, 1000, 3, 50, 60),
        packed("iIiii", 4711, 1000, 3, 50, 60),
    ),
    "fault": ((signal.SIGSEGV, SEGV_MAPERR), packed("Q", 0xFFFFD000), packed("I", 0xFFFFD000)),
    "hardware breakpoint": ((signal.SIGTRAP, TRAP_HWBKPT), packed("Q", 0x8049000), packed("I", 0x8049000)),
    "memory error": ((signal.SIGBUS, BUS_MCEERR_AR), packed("Qh", 0xFFFFD000, 12), packed("Ih", 0xFFFFD000, 12)),
    "bounds": (
        (signal.SIGSEGV, SEGV_BNDERR),
        packed("Q8xQQ", 0x1000, 0x2000, 0x3000),
        packed("I4xII", 0x1000, 0x2000, 0x3000),
    ),
    "protection key": ((signal.SIGSEGV, SEGV_PKUERR), packed("Q8xI", 0x1000, 9), packed("I4xI", 0x1000, 9)),
    "input": ((signal.SIGIO, POLL_IN), packed("qi", 0x41, 5), packed("ii", 0x41, 5)),
    "input, another signal": ((REALTIME, POLL_IN), packed("qi", 0x41, 5), packed("ii", 0x41, 5)),
    "input, queue full": ((signal.SIGIO, SI_SIGIO), packed("qi", 0x41, 5), packed("ii", 0x41, 5)),
    "seccomp": (
        (signal.SIGSYS, SYS_SECCOMP),
        packed("QiI", 0x8049019, 20, 0x40000003),
        packed("IiI", 0x8049019, 20, 0x40000003),
    ),
}


def forms(name: str) -> tuple[bytes, bytes]:
    (number, code), wide, narrow = FORMS[name]
    head = struct.pack("<3i", number, 11, code)
    return (head + bytes(4) + wide).ljust(128, b"\0"), (head + narrow).ljust(128, b"\0")


@pytest.mark.parametrize("name", FORMS)
def test_from_64_bits(name: str) -> None:
    wide, narrow = forms(name)
    assert siginfo.narrow(wide).hex() == narrow.hex()


@pytest.mark.parametrize("name", FORMS)
def test_from_32_bits(name: str) -> None:
    wide, narrow = forms(name)
    assert siginfo.widen(narrow).hex() == wide.hex()
