"""What siginfo says of the cause of a fault, in LLDB's words. Sources: the kernel's
include/uapi/asm-generic/siginfo.h; lldb-server for the words, where it has any.
"""

from __future__ import annotations

import signal
import struct

_AT = "(fault address={address:#x})"
_SENT = {
    -60: "sent by glibc async name lookup completion",
    -7: "sent by execve() killing subsidiary threads",
    -6: "sent by tkill system call",
    -5: "sent by queued SIGIO",
    -4: "sent by AIO completion",
    -3: "sent by real time mesq state change",
    -2: "sent by timer expiration",
    -1: "sent by sigqueue",
    0: "sent by kill, sigsend or raise",
    0x80: "sent by kernel (SI_KERNEL)",
}
"""si_code -> words, of every signal: nothing at an address is the cause."""
_CAUSES: dict[int, dict[int, str]] = {
    signal.SIGILL: {
        1: "illegal opcode",
        2: "illegal operand",
        3: "illegal addressing mode",
        4: "illegal trap",
        5: "privileged opcode",
        6: "privileged register",
        7: "coprocessor error",
        8: "internal stack error",
    },
    signal.SIGFPE: {
        1: "integer divide by zero",
        2: "integer overflow",
        3: "floating point divide by zero",
        4: "floating point overflow",
        5: "floating point underflow",
        6: "floating point inexact result",
        7: "floating point invalid operation",
        8: "subscript out of range",
    },
    signal.SIGSEGV: {
        1: f"address not mapped to object {_AT}",
        2: f"invalid permissions for mapped object {_AT}",
        3: "{side} bound violation (fault address={address:#x}, lower bound={lower:#x}, upper bound={upper:#x})",
        4: f"failed protection key checks {_AT}",
        8: "async tag check fault",
        9: f"sync tag check fault {_AT}",
        10: "control protection fault",
    },
    signal.SIGBUS: {
        1: f"illegal alignment {_AT}",
        2: f"illegal address {_AT}",
        3: f"hardware error {_AT}",
        4: f"hardware memory error consumed on a machine check {_AT}",
        5: f"hardware memory error detected in process but not consumed {_AT}",
    },
}
"""Signal -> si_code -> words, with what else of siginfo is told in braces."""
_INFO = struct.Struct("=3i4xQ8xQQ")
"""si_signo, si_errno, si_code, si_addr, si_lower and si_upper."""


def has_cause(number: int) -> bool:
    """Whether a signal may tell of a fault."""
    return number in _CAUSES


def describe(siginfo: bytes | bytearray) -> str:
    """What caused the signal that this siginfo is of; empty if nothing is known of it."""
    number, _, code, address, lower, upper = _INFO.unpack_from(siginfo)
    causes = _CAUSES.get(number)
    if causes is None:
        return ""
    side = "lower" if address < lower else "upper"
    return {**_SENT, **causes}.get(code, "").format(address=address, lower=lower, upper=upper, side=side)
