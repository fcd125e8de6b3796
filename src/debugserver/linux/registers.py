"""The registers of a stopped thread, read once. What a client writes goes to the kernel at once, which may refuse it;
what the engine itself moves is written back before the thread runs. Layouts are the architecture's."""

from __future__ import annotations

import errno
import struct
from typing import TYPE_CHECKING, NamedTuple

from debugserver.arch import amd64, user_regs, xsave
from debugserver.arch.banks import NT_PRSTATUS
from debugserver.errors import NoSuchThread, TargetError
from debugserver.linux import ptrace
from debugserver.target.capabilities import Registers, RegisterState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from debugserver.arch.architecture import Architecture, RegisterCodec
    from debugserver.linux.table import ProcessTable
    from debugserver.linux.threads import LinuxThread
    from debugserver.target.model import ThreadId

_PC = slice(user_regs.RIP_OFFSET, user_regs.RIP_OFFSET + 8)
_SP = slice(user_regs.RSP_OFFSET, user_regs.RSP_OFFSET + 8)
_CS = slice(user_regs.CS_OFFSET, user_regs.CS_OFFSET + 8)
_SYSTEM_CALL_SLOT = slice(user_regs.ORIG_RAX_OFFSET, user_regs.ORIG_RAX_OFFSET + 8)
_SYSTEM_CALL = slice(user_regs.ORIG_RAX_OFFSET, user_regs.ORIG_RAX_OFFSET + 4)
"""The number is an int to the kernel, and all that a 32-bit process has."""
_POINTER = struct.Struct("<Q")
_SYSTEM_CALL_NUMBER = struct.Struct("<i")
_NO_SYSTEM_CALL = b"\xff" * 8


def bank(thread: LinuxThread, kind: int) -> bytearray:
    """One register set of a thread in a ptrace-stop, to look at."""
    found = thread.banks.get(kind)
    if found is None:
        if kind == NT_PRSTATUS:
            found = ptrace.read_general_registers(thread.tid)
        else:
            found = ptrace.read_register_set(thread.tid, kind)
        thread.banks[kind] = found
    return found


def flush(thread: LinuxThread) -> None:
    """Write back what was changed; what was read is no longer true once the thread runs."""
    if thread.dirty_banks:
        for kind in thread.dirty_banks:
            _write_bank(thread, kind)
        thread.dirty_banks.clear()
    thread.banks.clear()


def _write_bank(thread: LinuxThread, kind: int) -> None:
    if kind == NT_PRSTATUS:
        ptrace.write_general_registers(thread.tid, thread.banks[kind])
    else:
        ptrace.write_register_set(thread.tid, kind, thread.banks[kind])


def read_pc(thread: LinuxThread) -> int:
    """The program counter."""
    general = thread.banks.get(NT_PRSTATUS) or bank(thread, NT_PRSTATUS)
    pc: int = _POINTER.unpack_from(general, user_regs.RIP_OFFSET)[0]
    return pc


def read_sp(thread: LinuxThread) -> int:
    """The stack pointer."""
    return int.from_bytes(bank(thread, NT_PRSTATUS)[_SP], "little")


def read_system_call(thread: LinuxThread) -> int:
    """The number of the system call that the thread is in; negative: none."""
    number: int = _SYSTEM_CALL_NUMBER.unpack_from(bank(thread, NT_PRSTATUS), user_regs.ORIG_RAX_OFFSET)[0]
    return number


def read_number(thread: LinuxThread, codec: RegisterCodec, number: int) -> int:
    """A register by its number, unsigned."""
    place = codec.general_place(number)
    if place is not None:
        return int.from_bytes(bank(thread, NT_PRSTATUS)[place], "little")
    kind = codec.bank(number)
    return int.from_bytes(codec.read(number, {kind: bank(thread, kind)}), "little")


def read_thread_pointer(thread: LinuxThread) -> bytes:
    """Where the thread's control block is; as a pointer lies in memory, all zeros where it has none."""
    architecture, codec = _layout(thread)
    if architecture.thread_pointer is None:
        return bytes(architecture.pointer_size)

    def read(name: str) -> int:
        return read_number(thread, codec, architecture.by_name[name].number)

    return architecture.thread_pointer(read).to_bytes(architecture.pointer_size, "little")


def write_pc(thread: LinuxThread, value: int) -> None:
    """Move the program counter of a thread that is in no system call."""
    general = thread.banks.get(NT_PRSTATUS) or bank(thread, NT_PRSTATUS)
    _POINTER.pack_into(general, user_regs.RIP_OFFSET, value)
    thread.dirty_banks.add(NT_PRSTATUS)


def find_architecture(thread: LinuxThread) -> Architecture:
    """What the registers of a thread in a ptrace-stop are."""
    make = amd64.architecture
    if int.from_bytes(bank(thread, NT_PRSTATUS)[_CS], "little") == user_regs.COMPATIBILITY_SEGMENT:
        from debugserver.arch.i386 import architecture as make
    try:
        state = bank(thread, xsave.NT_X86_XSTATE)
    except TargetError as error:
        if error.number not in (errno.ENODEV, errno.EINVAL, errno.EIO):
            raise
        return make(0, 0)
    return make(xsave.xcr0_of(bytes(state)), len(state))


def _layout(thread: LinuxThread) -> tuple[Architecture, RegisterCodec]:
    architecture = thread.process.architecture
    if architecture is None or architecture.codec is None:
        raise TargetError("the registers of this process are not known yet")
    return architecture, architecture.codec


class SavedState(NamedTuple):
    """Where a thread stood: its register sets, and the signal that stopped it."""

    banks: dict[int, bytes]
    stop_signal: int
    siginfo: bytes


class LinuxRegisters(Registers, RegisterState):
    """The Registers of traced threads, and keeping them for later."""

    def __init__(self, table: ProcessTable) -> None:
        self._table = table

    def read_registers(self, thread: ThreadId) -> bytes:
        stopped, codec = self._access(thread)
        return codec.read_file({kind: bank(stopped, kind) for kind in codec.banks})

    def write_registers(self, thread: ThreadId, data: bytes) -> None:
        stopped, codec = self._access(thread)
        before = _copies(stopped, codec.banks)
        codec.write_file(data, {kind: stopped.banks[kind] for kind in codec.banks})
        _end_system_call(stopped, before)
        _take_over(stopped, before, "a register")

    def read_register(self, thread: ThreadId, number: int) -> bytes:
        stopped, codec = self._access(thread)
        kind = codec.bank(number)
        return codec.read(number, {kind: bank(stopped, kind)})

    def write_register(self, thread: ThreadId, number: int, value: bytes) -> None:
        stopped, codec = self._access(thread)
        kind = codec.bank(number)
        before = _copies(stopped, (kind,))
        codec.write(number, value, {kind: stopped.banks[kind]})
        if kind == NT_PRSTATUS:
            _end_system_call(stopped, before)
        _take_over(stopped, before, _layout(stopped)[0].registers[number].name)

    def read_several(self, thread: ThreadId, numbers: Sequence[int]) -> bytes:
        stopped = self._table.stopped_thread(thread)
        architecture = stopped.process.architecture
        if architecture is not None and architecture.codec is not None and numbers is architecture.general:
            return architecture.codec.read_general(bank(stopped, NT_PRSTATUS))
        return super().read_several(thread, numbers)

    def save_state(self, thread: ThreadId) -> SavedState:
        stopped, codec = self._access(thread)
        banks = {kind: bytes(bank(stopped, kind)) for kind in codec.banks}
        siginfo = bytes(ptrace.read_siginfo(stopped.tid)) if stopped.signal_stop else b""
        if read_system_call(stopped) >= 0:
            bank(stopped, NT_PRSTATUS)[_SYSTEM_CALL_SLOT] = _NO_SYSTEM_CALL
            stopped.dirty_banks.add(NT_PRSTATUS)
        return SavedState(banks, stopped.stop_signal, siginfo)

    def restore_state(self, thread: ThreadId, state: object) -> None:
        if not isinstance(state, SavedState):
            raise TargetError("this is no state of a thread")
        stopped, _ = self._access(thread)
        before = _copies(stopped, state.banks)
        stopped.banks.update((kind, bytearray(data)) for kind, data in state.banks.items())
        _take_over(stopped, before, "a register")
        if state.siginfo and stopped.signal_stop:
            ptrace.write_siginfo(stopped.tid, bytearray(state.siginfo))
            stopped.stop_signal = state.stop_signal

    def _access(self, thread: ThreadId) -> tuple[LinuxThread, RegisterCodec]:
        stopped = self._table.stopped_thread(thread)
        return stopped, _layout(stopped)[1]


def _copies(thread: LinuxThread, kinds: Iterable[int]) -> dict[int, bytes]:
    return {kind: bytes(bank(thread, kind)) for kind in kinds}


def _take_over(thread: LinuxThread, before: Mapping[int, bytes], what: str) -> None:
    """Write what a client changed, while it waits for the answer: the kernel refuses some values, and of others takes
    only a part, which is read anew. If one is refused nothing is changed."""
    changed = [kind for kind, data in before.items() if thread.banks[kind] != data]
    try:
        for kind in changed:
            _write_bank(thread, kind)
    except TargetError as error:
        thread.banks.update((kind, bytearray(before[kind])) for kind in changed)
        # Of several registers some may have been taken.
        thread.dirty_banks.update(changed)
        if isinstance(error, NoSuchThread):
            raise
        raise TargetError(f"the system refuses this value of {what}", error.number) from None
    if NT_PRSTATUS in changed and thread.banks[NT_PRSTATUS][_PC] != before[NT_PRSTATUS][_PC]:
        # A thread that was moved by a client hits a breakpoint anew where it comes back to it.
        thread.passed = None
    for kind in changed:
        del thread.banks[kind]
    thread.dirty_banks.difference_update(changed)


def _end_system_call(thread: LinuxThread, before: Mapping[int, bytes]) -> None:
    """A client that moves the pc means to go on there: the kernel must not restart an interrupted system call, which
    moves it back.

    It does so only while orig_rax is not negative. A client that sets orig_rax itself knows what it wants.
    """
    old, general = before[NT_PRSTATUS], thread.banks[NT_PRSTATUS]
    if general[_PC] != old[_PC] and general[_SYSTEM_CALL] == old[_SYSTEM_CALL]:
        general[_SYSTEM_CALL_SLOT] = _NO_SYSTEM_CALL
