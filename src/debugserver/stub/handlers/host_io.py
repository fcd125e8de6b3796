"""Files of the target's system: vFile. Flags, modes, errors and struct stat travel in GDB's File-I/O formats.

Source: GDB manual, "Host I/O Packets" and "File-I/O: Protocol-specific Representation of Datatypes".
"""

from __future__ import annotations

import errno
import os
import stat
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING

from debugserver.errors import MalformedPacket
from debugserver.rsp import fields
from debugserver.rsp.framing import escape
from debugserver.stub.limits import PACKET_SIZE
from debugserver.stub.registry import packet
from debugserver.target.capabilities import HostFiles

if TYPE_CHECKING:
    from debugserver.stub.registry import Reply
    from debugserver.stub.session import Session
    from debugserver.target.model import FileStatus

_Operation = Callable[[HostFiles, bytes], bytes]

_LONGEST_READ = PACKET_SIZE // 2 - 32
"""So that the reply fits even with every byte escaped."""

_ACCESS_MODES = (os.O_RDONLY, os.O_WRONLY, os.O_RDWR)
_OPEN_FLAGS = {0x8: os.O_APPEND, 0x200: os.O_CREAT, 0x400: os.O_TRUNC, 0x800: os.O_EXCL}
_PERMISSIONS = 0o777
_FILE_TYPES = {stat.S_IFREG: 0o100000, stat.S_IFDIR: 0o040000, stat.S_IFCHR: 0o020000}
"""Host's -> protocol's; it has no other types."""

_STAT = struct.Struct(">7I3Q3I")


def _host_io(name: str) -> Callable[[_Operation], _Operation]:
    """Enter an operation, `(files, args) -> reply`. Its errors are `F-1,errno`, never `Enn`."""

    def enter(operation: _Operation) -> _Operation:
        def handler(session: Session, files: HostFiles, args: bytes) -> Reply:
            try:
                return operation(files, args)
            except OSError as error:
                return fields.file_error(error.errno or errno.EIO)
            except MalformedPacket as error:
                return fields.file_error(error.number)

        handler.__doc__ = operation.__doc__
        packet(f"vFile:{name}", needs=HostFiles)(handler)
        return operation

    return enter


def _result(number: int) -> bytes:
    return b"F%x" % number


def _attachment(data: bytes) -> bytes:
    return b"F%x;" % len(data) + escape(data)


def _path(field: bytes) -> str:
    path = fields.text(field)
    if "\0" in path:
        raise MalformedPacket("no file name has a NUL")
    return path


@_host_io("setfs")
def select_filesystem(files: HostFiles, args: bytes) -> bytes:
    """See files as a process does; 0: as the server does."""
    files.select_filesystem(fields.number(args))
    return _result(0)


@_host_io("open")
def open_file(files: HostFiles, args: bytes) -> bytes:
    """Open a file: `path,flags,mode`."""
    path, _, rest = args.partition(b",")
    flags, mode = fields.numbers(rest, b",", 2)
    return _result(files.open(_path(path), _host_flags(flags), _host_permissions(mode)))


def _host_flags(flags: int) -> int:
    access = flags & 3
    known = sum(_OPEN_FLAGS)
    if access >= len(_ACCESS_MODES) or flags & ~(known | 3):
        raise MalformedPacket(f"unknown flags {flags:#x}")
    return _ACCESS_MODES[access] | sum(host for bit, host in _OPEN_FLAGS.items() if flags & bit)


def _host_permissions(mode: int) -> int:
    """`open` makes regular files only, so the type says nothing."""
    if mode & ~(_PERMISSIONS | _FILE_TYPES[stat.S_IFREG] | _FILE_TYPES[stat.S_IFDIR]):
        raise MalformedPacket(f"unknown mode {mode:#o}")
    return mode & _PERMISSIONS


@_host_io("close")
def close_file(files: HostFiles, args: bytes) -> bytes:
    """Close a descriptor."""
    files.close(fields.number(args))
    return _result(0)


@_host_io("pread")
def read_file(files: HostFiles, args: bytes) -> bytes:
    """Read part of a file: `descriptor,count,offset`."""
    descriptor, count, offset = fields.numbers(args, b",", 3)
    return _attachment(files.read(descriptor, min(count, _LONGEST_READ), _file_offset(offset)))


def _file_offset(offset: int) -> int:
    if offset >> 63:
        raise MalformedPacket("an offset has 63 bits")
    return offset


@_host_io("pwrite")
def write_file(files: HostFiles, args: bytes) -> bytes:
    """Write part of a file: `descriptor,offset,data`."""
    descriptor, _, rest = args.partition(b",")
    offset, separator, data = rest.partition(b",")
    if not separator:
        raise MalformedPacket("descriptor, offset and data are needed")
    return _result(files.write(fields.number(descriptor), _file_offset(fields.number(offset)), data))


@_host_io("fstat")
def file_status(files: HostFiles, args: bytes) -> bytes:
    """Tell the status of a descriptor, as struct stat."""
    return _attachment(_struct_stat(files.status(fields.number(args))))


@_host_io("stat")
def path_status(files: HostFiles, args: bytes) -> bytes:
    """Tell the status of a path, as struct stat."""
    return _attachment(_struct_stat(files.path_status(_path(args), follow=True)))


@_host_io("lstat")
def link_status(files: HostFiles, args: bytes) -> bytes:
    """Tell the status of a path without following a link at its end, as struct stat."""
    return _attachment(_struct_stat(files.path_status(_path(args), follow=False)))


def _struct_stat(status: FileStatus) -> bytes:
    """The protocol's struct stat, 64 bytes, big-endian; numbers too large for it lose their upper bits."""
    mode = _FILE_TYPES.get(stat.S_IFMT(status.mode), 0) | status.mode & _PERMISSIONS
    words = (status.device, status.inode, mode, status.links, status.uid, status.gid, status.rdev)
    sizes = (status.size, status.block_size, status.blocks)
    times = (status.atime, status.mtime, status.ctime)
    return _STAT.pack(*map(_low_word, words), *sizes, *map(_low_word, times))


def _low_word(value: int) -> int:
    return value & 0xFFFFFFFF


@_host_io("readlink")
def read_link(files: HostFiles, args: bytes) -> bytes:
    """Read a symbolic link."""
    return _attachment(files.read_link(_path(args)).encode(errors="surrogateescape"))


@_host_io("unlink")
def unlink_file(files: HostFiles, args: bytes) -> bytes:
    """Remove a file."""
    files.unlink(_path(args))
    return _result(0)
