"""Core files of stopped processes, as the kernel would write them.

What of the memory is in them follows /proc/PID/coredump_filter and MADV_DONTDUMP. Sources: core(5); vma_dump_size in
the kernel's fs/coredump.c; proc(5), "smaps".
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from debugserver.arch.banks import NT_PRSTATUS
from debugserver.errors import MemoryFault, TargetError
from debugserver.linux import ptrace, registers
from debugserver.linux.core_file import (
    FORMATS,
    MOST_SEGMENTS,
    NT_AUXV,
    NT_SIGINFO,
    PAGE,
    MappedFile,
    Note,
    ProcessState,
    Segment,
    ThreadState,
)

if TYPE_CHECKING:
    from debugserver.linux.procfs import Procfs
    from debugserver.linux.threads import LinuxThread
    from debugserver.target.capabilities import Memory, SignalInfo

_CHUNK = 1 << 20
"""Bytes that are copied at once: a few milliseconds' work."""

_ANON_PRIVATE, _ANON_SHARED, _FILE_PRIVATE, _FILE_SHARED, _ELF_HEADERS, _HUGE_PRIVATE, _HUGE_SHARED = (
    1 << bit for bit in range(7)
)
"""Of coredump_filter."""
_DEFAULT_FILTER = _ANON_PRIVATE | _ANON_SHARED | _ELF_HEADERS | _HUGE_PRIVATE


class Mapping(NamedTuple):
    """One entry of /proc/PID/smaps. `anonymous`: pages that belong to no file, in kilobytes; `flags`: VmFlags."""

    start: int
    end: int
    permissions: str
    offset: int
    inode: int
    name: bytes
    anonymous: int
    flags: frozenset[bytes]


_ENTRY = re.compile(
    rb"^([0-9a-f]+)-([0-9a-f]+) (\S{4}) ([0-9a-f]+) \S+ (\d+) *([^\n]*)\n((?:[A-Z]\w+:[^\n]*\n)*)", re.MULTILINE
)
_ANONYMOUS = re.compile(rb"^Anonymous: +(\d+) kB", re.MULTILINE)
_FLAGS = re.compile(rb"^VmFlags:([^\n]*)", re.MULTILINE)


def parse_smaps(text: bytes) -> Iterator[Mapping]:
    """The entries of /proc/PID/smaps."""
    for start, end, permissions, offset, inode, name, details in _ENTRY.findall(text):
        anonymous, flags = _ANONYMOUS.search(details), _FLAGS.search(details)
        yield Mapping(
            int(start, 16),
            int(end, 16),
            permissions.decode(),
            int(offset, 16),
            int(inode),
            name,
            int(anonymous[1]) if anonymous else 0,
            frozenset(flags[1].split()) if flags else frozenset(),
        )


def stored_size(mapping: Mapping, wanted: int) -> int:
    """How much of a mapping the kernel would dump with this coredump_filter."""
    size = mapping.end - mapping.start
    shared = mapping.permissions[3] == "s"
    if mapping.name == b"[vdso]":
        return size
    if mapping.flags & {b"dd", b"io"} or mapping.name == b"[vsyscall]":
        return 0
    if b"ht" in mapping.flags:
        return size if wanted & (_HUGE_SHARED if shared else _HUGE_PRIVATE) else 0
    if shared:
        nameless = not mapping.inode or mapping.name.endswith(b" (deleted)")
        return size if wanted & (_ANON_SHARED if nameless else _FILE_SHARED) else 0
    if mapping.anonymous and wanted & _ANON_PRIVATE:
        return size
    if mapping.inode and wanted & _FILE_PRIVATE:
        return size
    is_elf_header = mapping.inode and mapping.offset == 0 and mapping.permissions[0] == "r"
    return PAGE if is_elf_header and wanted & _ELF_HEADERS else 0


class CoreDump:
    """One core file that is being written. Breakpoint instructions of ours are not in it."""

    def __init__(self, procfs: Procfs, memory: Memory, signals: SignalInfo, first: LinuxThread) -> None:
        """Of the process of `first`, a stopped thread. TargetError."""
        architecture = first.process.architecture
        if architecture is None:
            raise TargetError("the registers of this process are not known yet")
        self._procfs = procfs
        self._memory = memory
        self._signals = signals
        self._first = first
        self._process = first.process
        self._format = FORMATS[architecture.pointer_size]

    def write(self, descriptor: int) -> Iterator[None]:
        """To an empty file, in steps of a few milliseconds. OSError, TargetError."""
        pid = self._process.pid
        mappings = [each for each in parse_smaps(self._procfs.smaps(pid)) if each.name != b"[vsyscall]"]
        wanted = self._filter(pid)
        segments = [
            Segment(m.start, m.end - m.start, m.permissions[:3].replace("-", ""), stored_size(m, wanted))
            for m in mappings
        ]
        if len(segments) > MOST_SEGMENTS:
            raise TargetError(f"process {pid} has too many mappings", errno.EFBIG)
        head, offsets = self._format.layout(self._notes(mappings), segments)
        os.write(descriptor, head)
        end = len(head)
        for segment, offset in zip(segments, offsets, strict=True):
            yield from self._copy(segment, descriptor, offset)
            end = max(end, offset + segment.stored)
        os.truncate(descriptor, end)

    def _copy(self, segment: Segment, descriptor: int, offset: int) -> Iterator[None]:
        """What is zero, or cannot be read, stays a hole in the file."""
        position = 0
        while position < segment.stored:
            length = min(_CHUNK, segment.stored - position)
            try:
                data = self._memory.read_memory(self._process.pid, segment.start + position, length)
            except MemoryFault:
                data = b""
            if data.count(0) != len(data):
                os.pwrite(descriptor, data, offset + position)
            # Behind what could be read, the next page may be readable again.
            position += len(data) if len(data) == length else len(data) // PAGE * PAGE + PAGE
            yield

    def _filter(self, pid: int) -> int:
        try:
            return int(self._procfs.read(f"{pid}/coredump_filter"), 16)
        except (TargetError, ValueError):
            return _DEFAULT_FILTER

    def _notes(self, mappings: list[Mapping]) -> Iterator[Note]:
        yield self._thread_status(self._first)
        yield self._format.process_info(self._process_state())
        yield from self._siginfo(self._first)
        yield Note(b"CORE", NT_AUXV, self._procfs.auxv(self._process.pid))
        yield self._format.files([MappedFile(m.start, m.end, m.offset, m.name) for m in mappings if m.inode])
        yield from self._float_sets(self._first)
        for thread in self._process.threads.values():
            if thread is not self._first and thread.stopped:
                yield self._thread_status(thread)
                yield from self._siginfo(thread)
                yield from self._float_sets(thread)

    def _thread_status(self, thread: LinuxThread) -> Note:
        registers.flush(thread)
        status = self._procfs.status(thread.process.pid, thread.tid)
        state = ThreadState(
            tid=thread.tid,
            parent=int(status["PPid"]),
            group=self._procfs.process_group(thread.process.pid),
            session=self._procfs.session(thread.process.pid),
            signal=thread.last_stop.signal,
            pending=int(status["SigPnd"], 16),
            blocked=int(status["SigBlk"], 16),
        )
        return self._format.thread_status(state, registers.bank(thread, NT_PRSTATUS))

    def _siginfo(self, thread: LinuxThread) -> Iterator[Note]:
        try:
            yield Note(b"CORE", NT_SIGINFO, self._signals.read_siginfo(thread.id))
        except TargetError:
            # It did not stop with a signal.
            return

    def _process_state(self) -> ProcessState:
        pid = self._process.pid
        status = self._procfs.status(pid)
        return ProcessState(
            pid=pid,
            parent=int(status["PPid"]),
            group=self._procfs.process_group(pid),
            session=self._procfs.session(pid),
            state=self._procfs.state(pid).upper(),
            nice=self._procfs.nice(pid),
            flags=self._procfs.flags(pid),
            uid=int(status["Uid"].split()[0]),
            gid=int(status["Gid"].split()[0]),
            name=os.fsencode(self._procfs.comm(pid)),
            arguments=b" ".join(map(os.fsencode, self._procfs.command_line(pid))),
        )

    def _float_sets(self, thread: LinuxThread) -> Iterator[Note]:
        for owner, kind in self._format.float_sets:
            try:
                yield Note(owner, kind, bytes(ptrace.read_register_set(thread.tid, kind)))
            except TargetError:
                # This CPU has no such registers.
                continue
