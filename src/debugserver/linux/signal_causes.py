"""What siginfo says of the cause of a fault, in words. Source: the kernel's include/uapi/asm-generic/siginfo.h."""

from __future__ import annotations

import signal
import struct
import sys

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
        1: "address not mapped to object",
        2: "invalid permissions for mapped object",
        3: "failed address bound checks",
        4: "failed protection key checks",
    },
    signal.SIGBUS: {
        1: "invalid address alignment",
        2: "non-existent physical address",
        3: "object specific hardware error",
        4: "hardware memory error consumed on a machine check",
        5: "hardware memory error detected in process but not consumed",
    },
}
"""Signal -> si_code -> words."""
_OF_ADDRESSES = frozenset({signal.SIGSEGV, signal.SIGBUS})
_HEAD = struct.Struct("=3i")
_ADDRESS_OFFSET = 16


def has_cause(number: int) -> bool:
    """Whether a signal may tell of a fault."""
    return number in _CAUSES


def describe(siginfo: bytes | bytearray) -> str:
    """What caused the signal that this siginfo is of; empty if nothing is known of it."""
    number, _, code = _HEAD.unpack_from(siginfo)
    cause = _CAUSES.get(number, {}).get(code, "")
    if not cause or number not in _OF_ADDRESSES:
        return cause
    address = int.from_bytes(siginfo[_ADDRESS_OFFSET : _ADDRESS_OFFSET + 8], sys.byteorder)
    return f"{cause} (fault address={address:#x})"
