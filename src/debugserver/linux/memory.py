"""The memory of a process through /proc/PID/mem, with our breakpoint instructions kept out of sight.

The descriptor belongs to one address space: an exec makes another one. proc(5), "mem".
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from debugserver.errors import MemoryFault, NoSuchProcess
from debugserver.linux import ptrace
from debugserver.target.capabilities import Memory

if TYPE_CHECKING:
    from debugserver.linux.table import ProcessTable

_TOP = 1 << 63
"""Offsets from here on are negative to the kernel; no user memory lies there."""


class MemoryFile:
    """An address space. One that its owner hides (PR_SET_DUMPABLE in prctl(2); a program that may be executed and not
    read) has no memory that can be read or written."""

    def __init__(self, tid: int) -> None:
        """Of the thread as it is now. NoSuchProcess."""
        self._tid = tid
        self._descriptor = -1
        try:
            self._descriptor = os.open(f"/proc/{tid}/mem", os.O_RDWR | os.O_CLOEXEC)
        except PermissionError:
            return
        except OSError as error:
            raise NoSuchProcess(f"/proc/{tid}/mem: {error.strerror}", error.errno) from None

    def close(self) -> None:
        """Give the descriptor back."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def read(self, address: int, length: int) -> bytes:
        """What is readable from `address` on, up to `length` bytes; MemoryFault if nothing is."""
        if address >= _TOP:
            raise MemoryFault(address)
        try:
            data = os.pread(self._descriptor, length, address)
        except OSError:
            raise MemoryFault(address) from None
        if not data and length:
            raise MemoryFault(address)
        return data

    def write(self, address: int, data: bytes) -> None:
        """Write all of it or raise MemoryFault at the first byte that cannot be written."""
        if address + len(data) > _TOP:
            raise MemoryFault(address)
        done = 0
        while done < len(data):
            done += self._write_some(address + done, data[done:])

    def _write_some(self, address: int, data: bytes) -> int:
        try:
            return os.pwrite(self._descriptor, data, address) or self._fault(address)
        except OSError as error:
            if error.errno in (errno.EPERM, errno.EACCES):
                return self._poke(address, data)
            raise MemoryFault(address) from None

    def _fault(self, address: int) -> int:
        raise MemoryFault(address)

    def _poke(self, address: int, data: bytes) -> int:
        """Where the kernel refuses forced writes through the file (proc_mem.force_override), PTRACE_POKEDATA is
        left."""
        start = address & ~7
        offset = address - start
        count = min(8 - offset, len(data))
        word = bytearray(ptrace.read_word(self._tid, start).to_bytes(8, "little"))
        word[offset : offset + count] = data[:count]
        ptrace.write_word(self._tid, start, int.from_bytes(word, "little"))
        return count


class LinuxMemory(Memory):
    """The Memory of traced processes."""

    def __init__(self, table: ProcessTable) -> None:
        self._table = table

    def read_memory(self, pid: int, address: int, length: int) -> bytes:
        return self._table.process(pid).read(address, length)

    def write_memory(self, pid: int, address: int, data: bytes) -> None:
        process = self._table.process(pid)
        process.memory.write(address, process.breakpoints.keep(address, data, process.memory))
