"""The only door to ptrace(2) and its kin. OSError becomes TargetError here; ESRCH means that the thread is gone.

A caller must be the thread that attached. Knows no state of any thread: what may be called when is the caller's
business.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import struct
import sys

from debugserver.errors import MemoryFault, NoSuchThread, TargetError

libc = ctypes.CDLL(None, use_errno=True)
_get_errno, _set_errno = ctypes.get_errno, ctypes.set_errno

_CONT = 7
_SINGLESTEP = 9
_SYSCALL = 24
_GETREGS = 12
_SETREGS = 13
_DETACH = 17
_PEEKUSER = 3
_POKEUSER = 6
_PEEKDATA = 2
_POKEDATA = 5
_GETEVENTMSG = 0x4201
_GETSIGINFO = 0x4202
_SETSIGINFO = 0x4203
_GETREGSET = 0x4204
_SETREGSET = 0x4205
_SEIZE = 0x4206
_INTERRUPT = 0x4207
_LISTEN = 0x4208
_PEEKSIGINFO = 0x4209
_GETSIGMASK = 0x420A
_SETSIGMASK = 0x420B
_GET_SYSCALL_INFO = 0x420E
_GET_RSEQ_CONFIGURATION = 0x420F
_RSEQ_CONFIGURATION_SIZE = 24
_PEEKSIGINFO_SHARED = 1
_HIGHEST_TID = (1 << 31) - 1

OPTION_SYSCALL_GOOD = 1 << 0
OPTION_FORK = 1 << 1
OPTION_VFORK = 1 << 2
OPTION_CLONE = 1 << 3
OPTION_EXEC = 1 << 4
OPTION_VFORK_DONE = 1 << 5
OPTION_EXITKILL = 1 << 20

EVENT_FORK = 1
EVENT_VFORK = 2
EVENT_CLONE = 3
EVENT_EXEC = 4
EVENT_VFORK_DONE = 5
EVENT_STOP = 128

_MACHINE = os.uname().machine
_TKILL = {"x86_64": 200, "aarch64": 130}.get(_MACHINE, -1)
_KCMP = {"x86_64": 312, "aarch64": 272}.get(_MACHINE, -1)
_KCMP_VM = 1

_SYSCALL_INFO_ENTRY = 1

SIGINFO_SIZE = 128
_SIGNAL_SET_SIZE = 8
ALL_SIGNALS = (1 << 64) - 1
_SIGNAL_CODE = struct.Struct("i")
GENERAL_REGISTERS_SIZE = 27 * 8
"""struct user_regs_struct of x86-64 (sys/user.h)."""
_DEBUG_REGISTERS_OFFSET = 848
"""offsetof(struct user, u_debugreg) on x86-64."""
_LARGEST_REGISTER_SET = 16384

for _transfer in (libc.process_vm_readv, libc.process_vm_writev):
    _transfer.restype = ctypes.c_ssize_t
    _transfer.argtypes = (
        ctypes.c_int,
        ctypes.c_void_p,
        ctypes.c_ulong,
        ctypes.c_void_p,
        ctypes.c_ulong,
        ctypes.c_ulong,
    )

_ptrace = libc.ptrace
_ptrace.restype = ctypes.c_long
_ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)

_answer = bytearray(_LARGEST_REGISTER_SET)
"""Where the kernel puts what it is asked for: of one place, the address has to be found only once."""
_pinned = ctypes.c_char.from_buffer(_answer)
"""While this exists, the bytes cannot move."""
_ANSWER = ctypes.addressof(_pinned)
_ANSWER_POINTER = ctypes.c_void_p(_ANSWER)


class _IoVector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


_here, _there = _IoVector(_ANSWER, 0), _IoVector(0, 0)
_HERE, _THERE = ctypes.addressof(_here), ctypes.addressof(_there)
"""What process_vm_readv and process_vm_writev move: between `_answer` and the thread's memory."""


class _PeekSiginfo(ctypes.Structure):
    _fields_ = (("offset", ctypes.c_uint64), ("flags", ctypes.c_uint32), ("count", ctypes.c_int32))


_peeked = _PeekSiginfo(0, 0, 8)
_PEEKED = ctypes.c_void_p(ctypes.addressof(_peeked))
_firsts = _PeekSiginfo(0, 0, 1), _PeekSiginfo(0, _PEEKSIGINFO_SHARED, 1)
_FIRSTS = tuple(ctypes.c_void_p(ctypes.addressof(first)) for first in _firsts)
"""The first signal of the thread's own, and of all threads'."""

_quick_ptrace = ctypes.PyDLL(None).ptrace
"""Keeps the interpreter's lock and does not look at errno, which a call takes a third of its time for."""
_quick_ptrace.restype = ctypes.c_long
_quick_ptrace.argtypes = _ptrace.argtypes
_bare_ptrace = ctypes.PyDLL(None)["ptrace"]
"""For what every stop takes: the same with no types declared, which a call takes another third of its time for. Numbers
go as C ints; an address has to be None or a pointer object."""


def _call(request: int, tid: int, address: int, data: int) -> int:
    """A request whose -1 always means failure: made again, it fails again, and says why. What every stop takes does
    the same without this function."""
    result: int = _quick_ptrace(request, tid, address, data)
    return _peek(request, tid, address, data) if result == -1 else result


def _peek(request: int, tid: int, address: int, data: int) -> int:
    """A request whose -1 may be an answer."""
    result: int = _ptrace(request, tid, address, data)
    if result == -1 and (number := _get_errno()):
        _set_errno(0)
        raise _error(number, request, tid)
    return result


def _error(number: int, request: int, tid: int) -> TargetError:
    if number == errno.ESRCH:
        return NoSuchThread(f"thread {tid} is gone, or runs")
    return TargetError(f"ptrace request {request:#x} on thread {tid}: {os.strerror(number)}", number)


def seize(tid: int, options: int) -> None:
    """PTRACE_SEIZE: attach without stopping. Raises the bare OSError, for a diagnosis."""
    if not 0 < tid <= _HIGHEST_TID:
        # The kernel would take the lower 32 bits for it.
        raise OSError(errno.ESRCH, os.strerror(errno.ESRCH))
    if _ptrace(_SEIZE, tid, 0, options) == -1:
        number = ctypes.get_errno()
        ctypes.set_errno(0)
        raise OSError(number, os.strerror(number))


def interrupt(tid: int) -> None:
    """PTRACE_INTERRUPT: a running thread will report EVENT_STOP, unless another stop comes first."""
    if _bare_ptrace(_INTERRUPT, tid, None, None) == -1:
        _peek(_INTERRUPT, tid, 0, 0)


def listen(tid: int) -> None:
    """PTRACE_LISTEN: a thread in group-stop stays in it and reports its end."""
    _call(_LISTEN, tid, 0, 0)


def resume(tid: int, signal_number: int = 0) -> None:
    """PTRACE_CONT, delivering a signal unless it is 0."""
    if _bare_ptrace(_CONT, tid, None, signal_number) == -1:
        _peek(_CONT, tid, 0, signal_number)


def step(tid: int, signal_number: int = 0) -> None:
    """PTRACE_SINGLESTEP, delivering a signal unless it is 0."""
    if _bare_ptrace(_SINGLESTEP, tid, None, signal_number) == -1:
        _peek(_SINGLESTEP, tid, 0, signal_number)


def resume_to_system_call(tid: int, signal_number: int = 0) -> None:
    """PTRACE_SYSCALL: as `resume`, up to the next entry of or return from a system call."""
    _call(_SYSCALL, tid, 0, signal_number)


def enters_system_call(tid: int) -> bool:
    """PTRACE_GET_SYSCALL_INFO: whether a thread in a syscall-stop is on its way in."""
    data = bytearray(88)
    _call(_GET_SYSCALL_INFO, tid, len(data), _address(data))
    return data[0] == _SYSCALL_INFO_ENTRY


def detach(tid: int, signal_number: int) -> None:
    """PTRACE_DETACH, delivering a signal unless it is 0."""
    _call(_DETACH, tid, 0, signal_number)


def event_message(tid: int) -> int:
    """PTRACE_GETEVENTMSG: the new tid of a clone, the former tid of an exec."""
    message = ctypes.c_ulong()
    _call(_GETEVENTMSG, tid, 0, ctypes.addressof(message))
    return message.value


def read_general_registers(tid: int) -> bytearray:
    """PTRACE_GETREGS: struct user_regs_struct."""
    if _bare_ptrace(_GETREGS, tid, None, _ANSWER_POINTER) == -1:
        _peek(_GETREGS, tid, 0, _ANSWER)
    return _answer[:GENERAL_REGISTERS_SIZE]


def write_general_registers(tid: int, data: bytearray) -> None:
    """PTRACE_SETREGS."""
    _answer[:GENERAL_REGISTERS_SIZE] = data
    if _bare_ptrace(_SETREGS, tid, None, _ANSWER_POINTER) == -1:
        _peek(_SETREGS, tid, 0, _ANSWER)


def read_register_set(tid: int, kind: int) -> bytearray:
    """PTRACE_GETREGSET: the register set of an ELF note type, as long as the kernel makes it."""
    vector = _IoVector(_ANSWER, _LARGEST_REGISTER_SET)
    _call(_GETREGSET, tid, kind, ctypes.addressof(vector))
    return _answer[: vector.length]


def write_register_set(tid: int, kind: int, data: bytearray) -> None:
    """PTRACE_SETREGSET."""
    vector = _IoVector(_address(data), len(data))
    _call(_SETREGSET, tid, kind, ctypes.addressof(vector))


def read_debug_register(tid: int, index: int) -> int:
    """PTRACE_PEEKUSER of u_debugreg[index]."""
    return _peek(_PEEKUSER, tid, _DEBUG_REGISTERS_OFFSET + 8 * index, 0) & 0xFFFF_FFFF_FFFF_FFFF


def write_debug_register(tid: int, index: int, value: int) -> None:
    """PTRACE_POKEUSER of u_debugreg[index]."""
    _call(_POKEUSER, tid, _DEBUG_REGISTERS_OFFSET + 8 * index, value)


def read_word(tid: int, address: int) -> int:
    """PTRACE_PEEKDATA: eight bytes of memory."""
    return _peek(_PEEKDATA, tid, address, 0) & 0xFFFF_FFFF_FFFF_FFFF


def write_word(tid: int, address: int, value: int) -> None:
    """PTRACE_POKEDATA: eight bytes of memory."""
    _call(_POKEDATA, tid, address, value)


def read_siginfo(tid: int) -> bytearray:
    """PTRACE_GETSIGINFO: of the signal that stopped the thread."""
    data = bytearray(SIGINFO_SIZE)
    _call(_GETSIGINFO, tid, 0, _address(data))
    return data


def restartable_sequences(tid: int) -> int:
    """PTRACE_GET_RSEQ_CONFIGURATION: the address of the thread's struct rseq; 0: it has none, or the kernel does not
    say."""
    try:
        _call(_GET_RSEQ_CONFIGURATION, tid, _RSEQ_CONFIGURATION_SIZE, _ANSWER)
    except TargetError:
        return 0
    return int.from_bytes(_answer[:8], sys.byteorder)


def signal_code(tid: int) -> int:
    """si_code of the siginfo of the signal that stopped the thread (PTRACE_GETSIGINFO)."""
    if _bare_ptrace(_GETSIGINFO, tid, None, _ANSWER_POINTER) == -1:
        _peek(_GETSIGINFO, tid, 0, _ANSWER)
    code: int = _SIGNAL_CODE.unpack_from(_answer, 8)[0]
    return code


def write_siginfo(tid: int, data: bytearray) -> None:
    """PTRACE_SETSIGINFO."""
    _call(_SETSIGINFO, tid, 0, _address(data))


def read_signal_mask(tid: int) -> int:
    """PTRACE_GETSIGMASK: the signals that are blocked, a bit each, SIGHUP's the lowest."""
    data = bytearray(_SIGNAL_SET_SIZE)
    _call(_GETSIGMASK, tid, len(data), _address(data))
    return int.from_bytes(data, sys.byteorder)


def write_signal_mask(tid: int, mask: int) -> None:
    """PTRACE_SETSIGMASK. SIGKILL and SIGSTOP cannot be blocked."""
    data = bytearray(mask.to_bytes(_SIGNAL_SET_SIZE, sys.byteorder))
    _call(_SETSIGMASK, tid, len(data), _address(data))


def has_pending_signals(tid: int) -> bool:
    """PTRACE_PEEKSIGINFO: whether any signal waits for a stopped thread, or for its process; blocked ones too."""
    own, shared = _FIRSTS
    if not (
        _bare_ptrace(_PEEKSIGINFO, tid, own, _ANSWER_POINTER)
        or _bare_ptrace(_PEEKSIGINFO, tid, shared, _ANSWER_POINTER)
    ):
        return False
    return _peek_signals(tid, own) > 0 or _peek_signals(tid, shared) > 0


def has_pending_trap(tid: int) -> bool:
    """PTRACE_PEEKSIGINFO: whether a stopped thread's own queue holds a SIGTRAP of the kernel's making (si_code > 0)."""
    _peeked.offset = 0
    while count := _peek_signals(tid, _PEEKED):
        for start in range(0, count * SIGINFO_SIZE, SIGINFO_SIZE):
            number, _, code = struct.unpack_from("<3i", _answer, start)
            if number == signal.SIGTRAP and code > 0:
                return True
        _peeked.offset += count
    return False


def _peek_signals(tid: int, which: ctypes.c_void_p) -> int:
    """How many siginfos there are now in `_answer`."""
    count: int = _bare_ptrace(_PEEKSIGINFO, tid, which, _ANSWER_POINTER)
    return count if count >= 0 else _peek(_PEEKSIGINFO, tid, which.value or 0, _ANSWER)


def read_user(tid: int, address: int, length: int) -> bytes:
    """process_vm_readv(2): as the thread itself could read it. MemoryFault unless all of it can be."""
    _here.length = _there.length = length
    _there.base = address
    if libc.process_vm_readv(tid, _HERE, 1, _THERE, 1, 0) != length:
        ctypes.set_errno(0)
        raise MemoryFault(address)
    return bytes(_answer[:length])


def write_user(tid: int, address: int, data: bytes) -> None:
    """process_vm_writev(2): as the thread itself could write it. MemoryFault unless all of it can be; only within a
    page is nothing written then."""
    _answer[: len(data)] = data
    _here.length = _there.length = len(data)
    _there.base = address
    if libc.process_vm_writev(tid, _HERE, 1, _THERE, 1, 0) != len(data):
        ctypes.set_errno(0)
        raise MemoryFault(address)


def send_signal(tid: int, signal_number: int) -> None:
    """tkill(2), by number: C libraries have no function for it. A traced tid is not reused. NoSuchThread."""
    if libc.syscall(_TKILL, tid, signal_number) == -1:
        number = ctypes.get_errno()
        ctypes.set_errno(0)
        raise _error(number, 0, tid)


def share_memory(pid: int, other: int) -> bool:
    """kcmp(2): whether two processes have one address space. A kernel without it says no."""
    result: int = libc.syscall(_KCMP, pid, other, _KCMP_VM, 0, 0)
    ctypes.set_errno(0)
    return result == 0


def kill(pid: int) -> None:
    """SIGKILL to a whole process; one that is gone already is no error."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _address(data: bytearray) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(data))
