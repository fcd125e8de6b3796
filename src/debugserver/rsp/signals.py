"""Signal numbers: GDB's own against those of Linux on x86 and ARM, and LLDB's names of those.

Source: GDB's include/gdb/signals.def, LLDB's LinuxSignals.cpp.
"""

from __future__ import annotations

from debugserver.errors import MalformedPacket

GDB_SIGNAL_UNKNOWN = 143

# The index is the host's number. 16 is SIGSTKFLT, the only signal here that GDB has no number for.
_CLASSIC = (
    0, 1, 2, 3, 4, 5, 6, 10, 8, 9, 30, 11, 31, 13, 14, 15,
    GDB_SIGNAL_UNKNOWN, 20, 19, 17, 18, 21, 22, 16, 24, 25, 26, 27, 28, 23, 32, 12,
)  # fmt: skip
_REALTIME_32 = 77
_REALTIME_33_TO_63 = range(45, 76)
_REALTIME_64 = 78

_CLASSIC_NAMES = (
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM",
    "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO",
    "PWR", "SYS", "32", "33",
)  # fmt: skip
_FIRST_REALTIME, _FIRST_COUNTED_DOWN, _LAST_REALTIME = 34, 50, 64

_TO_GDB = (*_CLASSIC, _REALTIME_32, *_REALTIME_33_TO_63, _REALTIME_64)
_GDB_SIGPOLL = 33
_FROM_GDB = {_GDB_SIGPOLL: 29, **{gdb: host for host, gdb in enumerate(_TO_GDB)}}


def to_gdb(host: int) -> int:
    """GDB's number for a host signal; GDB_SIGNAL_UNKNOWN if it has none. 0 stays 0."""
    return _TO_GDB[host] if 0 <= host < len(_TO_GDB) else GDB_SIGNAL_UNKNOWN


def native(number: int) -> int:
    """A client's number that is the host's already; MalformedPacket if the host has no such signal."""
    if number >= len(_TO_GDB):
        raise MalformedPacket(f"no host signal {number}")
    return number


def from_gdb(gdb: int) -> int:
    """The host's number for one of GDB's; MalformedPacket if the host has no such signal.

    GDB_SIGNAL_UNKNOWN is SIGSTKFLT: no other host signal is told to a client by that number.
    """
    try:
        return _FROM_GDB[gdb]
    except KeyError:
        raise MalformedPacket(f"no host signal for {gdb}") from None


def native_names() -> dict[int, str]:
    """Of all of the host's numbers."""
    names = {number: f"SIG{name}" for number, name in enumerate(_CLASSIC_NAMES, 1)}
    for number in range(_FIRST_REALTIME, _FIRST_COUNTED_DOWN):
        names[number] = f"SIGRTMIN+{number - _FIRST_REALTIME}".removesuffix("+0")
    for number in range(_FIRST_COUNTED_DOWN, _LAST_REALTIME + 1):
        names[number] = f"SIGRTMAX-{_LAST_REALTIME - number}".removesuffix("-0")
    return names
