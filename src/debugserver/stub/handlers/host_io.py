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

from debugserver.errors import MalformedPacket, TargetError
from debugserver.rsp import fields
from debugserver.rsp.framing import escape
from debugserver.stub.limits import PACKET_SIZE
from debugserver.stub.registry import packet
from debugserver.target.capabilities import HostFiles

if TYPE_CHECKING:
    from debugserver.stub.registry import Reply, Work
    from debugserver.stub.session import Session
    from debugserver.target.model import FileStatus

_Operation = Callable[[HostFiles, bytes], bytes]

_LONGEST_READ = PACKET_SIZE // 2 - 32
"""So that the reply fits even with every byte escaped."""

_ACCESS_MODES = (os.O_RDONLY, os.O_WRONLY, os.O_RDWR)
_OPEN_FLAGS = {
    0x8: os.O_APPEND,
    0x200: os.O_CREAT,
    0x400: os.O_TRUNC,
    0x800: os.O_EXCL,
    0x1000_0000: os.O_NONBLOCK,
    0x2000_0000: os.O_NOFOLLOW,
    0x4000_0000: os.O_CLOEXEC,
}
"""GDB's, and from 28 bits on LLDB's."""
_PERMISSIONS = 0o777
_ALL_PERMISSIONS = 0o7777
_DIRECTORY_MODE = 0o770
"""Of a directory for which a client asks for no mode: lldb-server's."""
_DIGEST_PIECE = 1 << 20
"""Bytes that are digested at once: a few milliseconds' work."""
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


@_host_io("symlink")
def make_link(files: HostFiles, args: bytes) -> bytes:
    """Make a symbolic link: `where it leads,path`."""
    target, separator, path = args.partition(b",")
    if not separator:
        raise MalformedPacket("where it leads and a path are needed")
    files.link(_path(target), _path(path))
    return _result(0)


@_host_io("mode")
def file_mode(files: HostFiles, args: bytes) -> bytes:
    """Tell the permissions of a file."""
    return _result(stat.S_IMODE(files.path_status(_path(args), follow=True).mode))


@packet("vFile:size", needs=HostFiles)
def file_size(session: Session, files: HostFiles, args: bytes) -> Reply:
    """Tell the size of a file; errors are `Enn`, as LLDB takes every other for a size."""
    try:
        return b"F%016x" % files.path_status(_path(args), follow=True).size
    except OSError as error:
        raise TargetError(error.strerror or str(error), error.errno or errno.EIO) from None


@packet("vFile:exists", needs=HostFiles)
def file_exists(session: Session, files: HostFiles, args: bytes) -> Reply:
    """Say whether there is such a file, of whatever kind."""
    try:
        files.path_status(_path(args), follow=True)
    except OSError:
        return b"F,0"
    return b"F,1"


@packet("vFile:MD5", needs=HostFiles)
def file_digest(session: Session, files: HostFiles, args: bytes) -> Reply:
    """Tell the MD5 digest of a file, or `x`; as LLDB compares it, each half with its last byte first."""
    return _digest(files, _path(args))


def _digest(files: HostFiles, path: str) -> Work:
    import hashlib

    digest = hashlib.md5(usedforsecurity=False)
    try:
        descriptor = files.open(path, os.O_RDONLY, 0)
    except OSError:
        return b"F,x"
    position = 0
    try:
        while piece := files.read(descriptor, _DIGEST_PIECE, position):
            digest.update(piece)
            position += len(piece)
            yield None
    except OSError:
        return b"F,x"
    finally:
        files.close(descriptor)
    raw = digest.digest()
    return b"F," + fields.hex_bytes(raw[7::-1] + raw[:7:-1])


@packet("qPlatform_mkdir", needs=HostFiles)
def make_directory(session: Session, files: HostFiles, args: bytes) -> Reply:
    """Make a directory: `mode,path`. The reply has the error's number, 0 for none."""
    return _platform_call(args, lambda mode, path: files.make_directory(path, mode or _DIRECTORY_MODE))


@packet("qPlatform_chmod", needs=HostFiles)
def change_mode(session: Session, files: HostFiles, args: bytes) -> Reply:
    """Change the permissions of a file: `mode,path`. The reply has the error's number, 0 for none."""
    return _platform_call(args, lambda mode, path: files.change_mode(path, mode))


def _platform_call(args: bytes, call: Callable[[int, str], None]) -> bytes:
    mode, separator, path = args.partition(b",")
    if not separator:
        raise MalformedPacket("a mode and a path are needed")
    try:
        call(fields.number(mode) & _ALL_PERMISSIONS, _path(path))
    except OSError as error:
        return _result(error.errno or errno.EIO)
    return _result(0)


@packet("qPathComplete", needs=HostFiles)
def complete_path(session: Session, files: HostFiles, args: bytes) -> Reply:
    """Complete a path, to directories only (1) or to any file (0): `0|1,path`."""
    only_directories, separator, encoded = args.partition(b",")
    if not separator or only_directories not in (b"0", b"1"):
        raise MalformedPacket("0 or 1 and a path are needed")
    directory, slash, start = _path(encoded).rpartition("/")
    try:
        entries = sorted(files.entries(directory + slash))
    except OSError:
        entries = []
    found = [
        directory + slash + name + ("/" if is_directory else "")
        for name, is_directory in entries
        if name.startswith(start) and (is_directory or only_directories == b"0")
    ]
    return b"M" + b",".join(map(fields.hex_text, found))
