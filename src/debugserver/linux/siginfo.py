"""siginfo_t as a 32-bit process has it, from and to the tracer's own of 64 bits. Knows no process.

Source: siginfo_layout, copy_siginfo_to_external32 and post_copy_siginfo_from_user32 in the kernel's kernel/signal.c.
"""

from __future__ import annotations

import signal

SIZE = 128

_SI_TIMER, _SI_SIGIO = -2, -5
_SI_USER, _SI_KERNEL = 0, 128

_Fields = tuple[slice, ...]


def _fields(*places: tuple[int, int]) -> _Fields:
    """Of (offset, size) of 64 bits. Of 32 bits each takes four bytes, one after the other behind the head."""
    return tuple(slice(offset, offset + size) for offset, size in places)


_HEAD = 12
"""si_signo, si_errno, si_code: the same in both."""
_SENDER = _fields((16, 4), (20, 4))
_TIMER = _QUEUED = _fields((16, 4), (20, 4), (24, 8))
_CHILD = _fields((16, 4), (20, 4), (24, 4), (32, 8), (40, 8))
_FAULT = _fields((16, 8), (24, 4), (32, 8), (40, 8))
"""si_addr; si_addr_lsb or si_trapno; si_lower or si_pkey; si_upper."""
_POLL = _fields((16, 8), (24, 4))
_SYSTEM_CALL = _fields((16, 8), (24, 4), (28, 4))

_OF_KERNEL: dict[int, _Fields] = {
    signal.SIGILL: _FAULT,
    signal.SIGFPE: _FAULT,
    signal.SIGSEGV: _FAULT,
    signal.SIGBUS: _FAULT,
    signal.SIGTRAP: _FAULT,
    signal.SIGCHLD: _CHILD,
    signal.SIGPOLL: _POLL,
    signal.SIGSYS: _SYSTEM_CALL,
}
"""What the kernel tells by a code of the signal's own; with any other signal, that a descriptor is ready (F_SETSIG)."""
_OF_CODE = {_SI_TIMER: _TIMER, _SI_SIGIO: _POLL}


def _layout(data: bytes) -> _Fields:
    number, code = (int.from_bytes(data[start : start + 4], "little", signed=True) for start in (0, 8))
    if _SI_USER < code < _SI_KERNEL:
        return _OF_KERNEL.get(number, _POLL)
    return _SENDER if code >= _SI_USER else _OF_CODE.get(code, _QUEUED)


def narrow(data: bytes) -> bytes:
    """The 32-bit form of what PTRACE_GETSIGINFO gives."""
    words = b"".join(data[place][:4] for place in _layout(data))
    return (data[:_HEAD] + words).ljust(SIZE, b"\0")


def widen(data: bytes) -> bytes:
    """What PTRACE_SETSIGINFO takes, from the 32-bit form."""
    wide = bytearray(SIZE)
    wide[:_HEAD] = data[:_HEAD]
    for index, place in enumerate(_layout(data)):
        start = _HEAD + 4 * index
        wide[place] = data[start : start + 4].ljust(place.stop - place.start, b"\0")
    return bytes(wide)
