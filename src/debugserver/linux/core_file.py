"""The format of ELF core files for x86, 64 and 32 bits: headers and notes. Knows no process and writes no file.

Sources: elf(5), core(5); struct elf_prstatus, elf_prpsinfo and fill_files_note in the kernel's include/linux/elfcore.h,
linux/elfcore-compat.h and fs/binfmt_elf.c.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from debugserver.arch.banks import NT_FPREGSET, NT_PRSTATUS
from debugserver.arch.user_regs import OFFSETS, USER_REGS_SIZE
from debugserver.arch.xsave import NT_X86_XSTATE

NT_PRPSINFO, NT_AUXV, NT_FILE, NT_SIGINFO, NT_PRXFPREG = 3, 6, 0x46494C45, 0x53494749, 0x46E62B7F
PAGE = 4096
MOST_SEGMENTS = 0xFFFE
"""More need another format (PN_XNUM)."""

_ET_CORE, _PT_LOAD, _PT_NOTE = 4, 1, 4
_PERMISSIONS = {"r": 4, "w": 2, "x": 1}
_STATES = "RSDTZW"
"""The numbers of pr_state."""

_I386_REGS = "rbx rcx rdx rsi rdi rbp rax ds es fs gs orig_rax rip cs eflags rsp ss".split()
"""struct user_regs_struct of 32 bits, by the names of 64."""


class Note(NamedTuple):
    """One note of a core file."""

    owner: bytes
    type: int
    data: bytes


class Segment(NamedTuple):
    """A mapping, and how much of it the file has from its start on; sizes in bytes."""

    start: int
    size: int
    permissions: str
    stored: int


class MappedFile(NamedTuple):
    """A mapping of a file; `offset` in bytes."""

    start: int
    end: int
    offset: int
    path: bytes


class ThreadState(NamedTuple):
    """What NT_PRSTATUS says of a thread besides its registers. Signals as bit masks."""

    tid: int
    parent: int
    group: int
    session: int
    signal: int
    pending: int
    blocked: int


class ProcessState(NamedTuple):
    """What NT_PRPSINFO says of a process."""

    pid: int
    parent: int
    group: int
    session: int
    state: str
    nice: int
    flags: int
    uid: int
    gid: int
    name: bytes
    arguments: bytes


class CoreFormat(NamedTuple):
    """One of the two classes of core files."""

    pointer_size: int
    machine: int
    header: struct.Struct
    segment: struct.Struct
    status: struct.Struct
    process: struct.Struct
    word: str
    float_sets: tuple[tuple[bytes, int], ...]
    """Owner and type of the notes that are ptrace's register sets as they are."""

    def registers(self, general: bytes | bytearray) -> bytes:
        """pr_reg, from struct user_regs_struct of 64 bits."""
        if self.pointer_size == 8:
            return bytes(general[:USER_REGS_SIZE])
        return b"".join(bytes(general[OFFSETS[name] : OFFSETS[name] + 4]) for name in _I386_REGS)

    def thread_status(self, thread: ThreadState, general: bytes | bytearray) -> Note:
        """NT_PRSTATUS. Times are not told."""
        head = self.status.pack(
            thread.signal,
            0,
            0,
            thread.signal,
            thread.pending & self._mask,
            thread.blocked & self._mask,
            thread.tid,
            thread.parent,
            thread.group,
            thread.session,
        )
        floating_point_is_valid = struct.pack("<i" if self.pointer_size == 4 else "<i4x", 1)
        return Note(b"CORE", NT_PRSTATUS, head + self.registers(general) + floating_point_is_valid)

    @property
    def _mask(self) -> int:
        return (1 << 8 * self.pointer_size) - 1

    def process_info(self, process: ProcessState) -> Note:
        """NT_PRPSINFO."""
        state = max(_STATES.find(process.state), 0)
        data = self.process.pack(
            state,
            ord(process.state),
            process.state == "Z",
            process.nice & 0xFF,
            process.flags & self._mask,
            *(min(each, 0xFFFF if self.pointer_size == 4 else 0xFFFF_FFFF) for each in (process.uid, process.gid)),
            process.pid,
            process.parent,
            process.group,
            process.session,
            process.name[:15],
            process.arguments[:79],
        )
        return Note(b"CORE", NT_PRPSINFO, data)

    def files(self, files: Sequence[MappedFile]) -> Note:
        """NT_FILE: which file is mapped where; offsets in pages."""
        head = struct.pack(f"<2{self.word}", len(files), PAGE)
        places = b"".join(struct.pack(f"<3{self.word}", f.start, f.end, f.offset // PAGE) for f in files)
        return Note(b"CORE", NT_FILE, head + places + b"".join(file.path + b"\0" for file in files))

    def layout(self, notes: Iterable[Note], segments: Sequence[Segment]) -> tuple[bytes, list[int]]:
        """All that comes before the memory, and where in the file each segment's is to be."""
        encoded = b"".join(map(_encode, notes))
        headers_end = self.header.size + self.segment.size * (1 + len(segments))
        position = _whole_pages(headers_end + len(encoded))
        table = [self._segment_header(_PT_NOTE, 0, headers_end, 0, len(encoded), 0, 4)]
        offsets = []
        for each in segments:
            flags = sum(_PERMISSIONS[letter] for letter in each.permissions)
            table.append(self._segment_header(_PT_LOAD, flags, position, each.start, each.stored, each.size, PAGE))
            offsets.append(position)
            position += _whole_pages(each.stored)
        return b"".join([self._header(len(table)), *table, encoded]), offsets

    def _header(self, segments: int) -> bytes:
        ident = b"\x7fELF" + bytes([2 if self.pointer_size == 8 else 1, 1, 1])
        sizes = (self.header.size, self.segment.size, segments, 0, 0, 0)
        return self.header.pack(ident, _ET_CORE, self.machine, 1, 0, self.header.size, 0, 0, *sizes)

    def _segment_header(
        self, kind: int, flags: int, offset: int, address: int, stored: int, size: int, align: int
    ) -> bytes:
        if self.pointer_size == 8:
            return self.segment.pack(kind, flags, offset, address, 0, stored, size, align)
        return self.segment.pack(kind, offset, address, 0, stored, size, flags, align)


def _encode(note: Note) -> bytes:
    name = note.owner + b"\0"
    return b"".join((
        struct.pack("<3I", len(name), len(note.data), note.type),
        name,
        bytes(-len(name) % 4),
        note.data,
        bytes(-len(note.data) % 4),
    ))  # fmt: skip


def _whole_pages(size: int) -> int:
    return -(-size // PAGE) * PAGE


FORMATS = {
    8: CoreFormat(
        8,
        62,
        struct.Struct("<16s2HI3QI6H"),
        struct.Struct("<2I6Q"),
        struct.Struct("<3ih2x2Q4i64x"),
        struct.Struct("<4B4xQ2I4i16s80s"),
        "Q",
        ((b"CORE", NT_FPREGSET), (b"LINUX", NT_X86_XSTATE)),
    ),
    4: CoreFormat(
        4,
        3,
        struct.Struct("<16s2HI3II6H"),
        struct.Struct("<8I"),
        struct.Struct("<3ih2x2I4i32x"),
        struct.Struct("<4BI2H4i16s80s"),
        "I",
        ((b"CORE", NT_FPREGSET), (b"LINUX", NT_PRXFPREG), (b"LINUX", NT_X86_XSTATE)),
    ),
}
"""Bytes of a pointer -> the format."""
