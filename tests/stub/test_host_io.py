"""vFile on files that a test makes: formats both ways. Expected bytes are by the GDB manual's File-I/O tables."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from debugserver.stub.limits import PACKET_SIZE
from debugserver.target.model import FileStatus
from debugserver.testing.fake_files import FakeFiles
from debugserver.testing.fake_target import FakeTarget
from tests.support.packets import ask, connect, frame, transcript

if TYPE_CHECKING:
    from debugserver.stub.stub import Stub


class Files(FakeFiles):
    """Remembers how files were opened, and fails where it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: list[tuple[str, int, int]] = []
        self.failure: int | None = None
        self.found = FileStatus(*[0] * 13)

    def open(self, path: str, flags: int, mode: int) -> int:
        if self.failure is not None:
            raise OSError(self.failure, "as told")
        self.opened.append((path, flags, mode))
        return super().open(path, flags, mode)

    def path_status(self, path: str, follow: bool) -> FileStatus:
        self._content(path)
        return self.found


@pytest.fixture
def files() -> Files:
    files = Files()
    files.contents["/a,b"] = bytearray(b"content")
    return files


@pytest.fixture
def stub(files: Files) -> Stub:
    target = FakeTarget()
    target.files = files
    return connect(target)


PATH = b"/a,b".hex().encode()


@pytest.mark.parametrize(
    ("flags", "mode", "host_flags", "host_mode"),
    [
        (0x0, 0, os.O_RDONLY, 0),
        (0x1, 0, os.O_WRONLY, 0),
        (0x2, 0, os.O_RDWR, 0),
        (0xA, 0, os.O_RDWR | os.O_APPEND, 0),
        (0x601, 0o100644, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644),
        (0xE01, 0o777, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_EXCL, 0o777),
    ],
)
def test_open_translates_flags_and_modes(
    stub: Stub, files: Files, flags: int, mode: int, host_flags: int, host_mode: int
) -> None:
    assert ask(stub, b"vFile:open:%s,%x,%x" % (PATH, flags, mode)) == b"F3"
    assert files.opened == [("/a,b", host_flags, host_mode)]


@pytest.mark.parametrize(
    "args",
    [
        PATH, PATH + b",0", PATH + b",0,0,0", b"zz,0,0", b"2,0,0", b",,", PATH + b",3,0", PATH + b",4,0",
        PATH + b",1000,0", PATH + b",0,10000", PATH + b",0,1000", b"2f00,0,0", PATH + b",-1,0",
    ],
)  # fmt: skip
def test_open_refuses_what_it_does_not_know(stub: Stub, files: Files, args: bytes) -> None:
    assert ask(stub, b"vFile:open:" + args) == b"F-1,16"
    assert not files.opened


@pytest.mark.parametrize(
    ("number", "reply"),
    [
        (errno.EPERM, b"F-1,1"), (errno.ENOENT, b"F-1,2"), (errno.EACCES, b"F-1,d"), (errno.EEXIST, b"F-1,11"),
        (errno.EISDIR, b"F-1,15"), (errno.EMFILE, b"F-1,18"), (errno.EROFS, b"F-1,1e"),
        (errno.ENAMETOOLONG, b"F-1,5b"), (errno.ELOOP, b"F-1,270f"),
    ],
)  # fmt: skip
def test_errors_have_file_io_numbers_in_hex(stub: Stub, files: Files, number: int, reply: bytes) -> None:
    files.failure = number
    assert ask(stub, b"vFile:open:" + PATH + b",0,0") == reply


def test_reading(stub: Stub, files: Files) -> None:
    files.contents["/a,b"] = bytearray(b"a#$}*b")
    transcript(
        stub,
        [
            (b"vFile:open:" + PATH + b",0,0", b"F3"),
            (b"vFile:pread:3,100,0", b"F6;a}\x03}\x04}]}\nb"),
            (b"vFile:pread:3,1,5", b"F1;b"),
            (b"vFile:pread:3,1,6", b"F0;"),
            (b"vFile:pread:3,0,0", b"F0;"),
            (b"vFile:pread:3,1", b"F-1,16"),
            (b"vFile:pread:3,1,8000000000000000", b"F-1,16"),
            (b"vFile:pread:4,1,0", b"F-1,9"),
            (b"vFile:close:3", b"F0"),
            (b"vFile:close:3", b"F-1,9"),
            (b"vFile:pread:3,1,0", b"F-1,9"),
        ],
    )


def test_a_read_fits_into_a_packet_with_every_byte_escaped(stub: Stub, files: Files) -> None:
    files.contents["/a,b"] = bytearray(b"}" * (2 * PACKET_SIZE))
    ask(stub, b"vFile:open:" + PATH + b",0,0")
    stub.receive_data(frame(b"vFile:pread:3,ffffffff,0"))
    assert PACKET_SIZE // 2 < len(stub.data_to_send()) <= PACKET_SIZE


def test_writing(stub: Stub, files: Files) -> None:
    transcript(
        stub,
        [
            (b"vFile:open:" + PATH + b",1,0", b"F3"),
            (b"vFile:pwrite:3,4,a,b}\x03c", b"F5"),
            (b"vFile:pwrite:3,0,", b"F0"),
            (b"vFile:pwrite:3,0", b"F-1,16"),
            (b"vFile:pwrite:3", b"F-1,16"),
            (b"vFile:pwrite:x,0,a", b"F-1,16"),
        ],
    )
    assert files.contents["/a,b"] == b"conta,b#c"


STATUS = FileStatus(0xFE01, 0x123456789, 0o100755, 2, 1000, 0xFFFFFFFE, 0, 0x1122334455, 4096, 8, 5, 6, 0x1FFFFFFFF)
STRUCT_STAT = bytes.fromhex(
    "0000fe01 23456789 000081ed 00000002 000003e8 fffffffe 00000000"
    "0000001122334455 0000000000001000 0000000000000008 00000005 00000006 ffffffff"
)


def test_struct_stat(stub: Stub, files: Files) -> None:
    files.found = STATUS
    escaped = STRUCT_STAT.replace(b"#", b"}\x03")
    transcript(
        stub,
        [
            (b"vFile:open:" + PATH + b",0,0", b"F3"),
            (b"vFile:fstat:3", b"F40;" + escaped),
            (b"vFile:stat:" + PATH, b"F40;" + escaped),
            (b"vFile:lstat:" + PATH, b"F40;" + escaped),
            (b"vFile:fstat:4", b"F-1,9"),
            (b"vFile:stat:2f6e", b"F-1,2"),
            (b"vFile:stat:", b"F-1,2"),
            (b"vFile:fstat:", b"F-1,16"),
        ],
    )


@pytest.mark.parametrize(
    ("mode", "wire"),
    [(0o100644, 0o100644), (0o040755, 0o040755), (0o020620, 0o020620), (0o120777, 0o777), (0o104711, 0o100711)],
)
def test_modes_on_the_wire(stub: Stub, files: Files, mode: int, wire: int) -> None:
    """The protocol has regular files, directories and devices, and no bits above rwxrwxrwx."""
    files.found = STATUS._replace(mode=mode, inode=0)
    reply = ask(stub, b"vFile:stat:" + PATH)
    assert reply is not None
    assert reply[4 + 8 : 4 + 12] == wire.to_bytes(4, "big")


def test_links_unlinking_and_filesystems(stub: Stub, files: Files) -> None:
    files.links["/l"] = "/to#"
    transcript(
        stub,
        [
            (b"vFile:readlink:2f6c", b"F4;/to}\x03"),
            (b"vFile:readlink:" + PATH, b"F-1,16"),
            (b"vFile:unlink:" + PATH, b"F0"),
            (b"vFile:unlink:" + PATH, b"F-1,2"),
            (b"vFile:setfs:1f", b"F0"),
            (b"vFile:setfs:", b"F-1,16"),
            (b"vFile:setfs:-1", b"F-1,16"),
        ],
    )
    assert files.filesystem == 0x1F


def test_other_operations_are_unknown(stub: Stub) -> None:
    transcript(stub, [(b"vFile:rename:2f,2f", b""), (b"vFile:", b""), (b"vFile", b"")])


def test_what_a_session_left_open_is_closed(stub: Stub, files: Files) -> None:
    transcript(stub, [(b"vFile:open:" + PATH + b",0,0", b"F3"), (b"vFile:setfs:5", b"F0")])
    stub.close()
    with pytest.raises(OSError, match="not open"):
        files.read(3, 1, 0)
    assert files.filesystem == 0
