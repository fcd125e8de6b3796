"""What LLDB asks of a platform: files beyond GDB's, debug servers, commands. Formats are those of LLVM's documents and
of lldb-server 23's replies."""

from __future__ import annotations

import errno
import hashlib
import json
from typing import TYPE_CHECKING

import pytest

from debugserver.errors import NoSuchProcess, TargetError
from debugserver.target.capabilities import DebugServers, HostShell, Running, WorkingDirectory
from debugserver.target.model import CommandResult, ServerAddress
from debugserver.testing.fake_target import FakeTarget
from tests.support.packets import ask, connect, transcript, unescape

if TYPE_CHECKING:
    from debugserver.stub.stub import Stub


def hexed(text: str) -> bytes:
    return text.encode().hex().encode()


class Servers(DebugServers):
    def __init__(self) -> None:
        self.waiting: ServerAddress | None = None
        self.address = ServerAddress(17, 4711)
        self.asked: list[int] = []
        self.killed: list[int] = []

    def start_server(self, port: int) -> ServerAddress:
        self.asked.append(port)
        if port == 1:
            raise TargetError("every port for debug servers is taken", errno.EBUSY)
        return self.address

    def waiting_server(self) -> ServerAddress | None:
        return self.waiting

    def kill_spawned(self, pid: int) -> None:
        if pid != 17:
            raise NoSuchProcess("not started here")
        self.killed.append(pid)


class Shell(HostShell):
    def __init__(self) -> None:
        self.ran: list[tuple[str, str, float | None]] = []
        self.allowed = True

    def run_command(self, command: str, directory: str, timeout: float | None) -> Running:
        if not self.allowed:
            raise TargetError("shell commands are not allowed")
        self.ran.append((command, directory, timeout))
        yield None
        return CommandResult(3, 0, b"out#put\n")


class Directory(WorkingDirectory):
    def __init__(self) -> None:
        self.path = "/"

    def change_directory(self, path: str) -> None:
        if path == "/none":
            raise TargetError("no such directory", errno.ENOENT)
        self.path = path


class PlatformTarget(FakeTarget):
    def __init__(self) -> None:
        super().__init__()
        self.servers, self.shell, self.directory = Servers(), Shell(), Directory()

    def capability(self, kind: type) -> object | None:  # type: ignore[override]
        for part in (self.servers, self.shell, self.directory):
            if isinstance(part, kind):
                return part
        return super().capability(kind)


@pytest.fixture
def target() -> PlatformTarget:
    target = PlatformTarget()
    target.files.contents["/f"] = bytearray(b"content")
    return target


@pytest.fixture
def stub(target: PlatformTarget) -> Stub:
    return connect(target, b"xmlRegisters=i386")


FILE, NONE = hexed("/f"), hexed("/none")


def test_what_a_file_is(stub: Stub, target: PlatformTarget) -> None:
    transcript(
        stub,
        [
            (b"vFile:size:" + FILE, b"F0000000000000007"),
            (b"vFile:size:" + NONE, b"E02"),
            (b"vFile:size:zz", b"E22"),
            (b"vFile:exists:" + FILE, b"F,1"),
            (b"vFile:exists:" + NONE, b"F,0"),
            (b"vFile:mode:" + FILE, b"F1a4"),
            (b"vFile:mode:" + NONE, b"F-1,2"),
            (b"vFile:symlink:%b,%b" % (FILE, hexed("/l")), b"F0"),
            (b"vFile:symlink:" + FILE, b"F-1,16"),
        ],
    )
    assert target.files.links == {"/l": "/f"}


def test_opening_with_lldbs_flags(stub: Stub) -> None:
    """0x40000601 is what LLDB puts files with: close on exec, create, truncate, write."""
    transcript(stub, [(b"vFile:open:%b,40000601,000001ed" % hexed("/new"), b"F3"), (b"vFile:close:3", b"F0")])


@pytest.mark.parametrize("size", [0, 7, 3_000_000])
def test_digests_are_compared_in_halves_of_another_byte_order(stub: Stub, target: PlatformTarget, size: int) -> None:
    """lldb-server prints each half of the digest as a number that it read from memory."""
    content = bytes(range(256)) * (size // 256 + 1)
    target.files.contents["/f"] = bytearray(content[:size])
    digest = hashlib.md5(content[:size], usedforsecurity=False).digest()
    low, high = int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:], "little")
    transcript(stub, [(b"vFile:MD5:" + FILE, b"F,%016x%016x" % (low, high)), (b"vFile:MD5:" + NONE, b"F,x")])
    assert ask(stub, b"vFile:close:3") == b"F-1,9"


def test_directories_and_modes(stub: Stub, target: PlatformTarget) -> None:
    transcript(
        stub,
        [
            (b"qPlatform_mkdir:000001c0," + hexed("/d"), b"F0"),
            (b"qPlatform_mkdir:00000000," + hexed("/e"), b"F0"),
            (b"qPlatform_chmod:000001ed," + FILE, b"F0"),
            (b"qPlatform_chmod:000001ed," + NONE, b"F2"),
            (b"qPlatform_chmod:000001ed", b"E22"),
            (b"qPlatform_mkdir:x," + FILE, b"E22"),
        ],
    )
    assert target.files.modes == {"/d": 0o700, "/e": 0o770, "/f": 0o755}


def test_completing_paths(stub: Stub, target: PlatformTarget) -> None:
    target.files.directories = {"/": [("usr", True), ("us,er", False), ("bin", True)], "": [("x", False)]}
    transcript(
        stub,
        [
            (b"qPathComplete:0," + hexed("/us"), b"M%b,%b" % (hexed("/us,er"), hexed("/usr/"))),
            (b"qPathComplete:1," + hexed("/us"), b"M" + hexed("/usr/")),
            (b"qPathComplete:0,", b"M" + hexed("x")),
            (b"qPathComplete:0," + hexed("/none/x"), b"M"),
            (b"qPathComplete:2," + hexed("/"), b"E22"),
            (b"qPathComplete:0", b"E22"),
        ],
    )


def test_debug_servers(stub: Stub, target: PlatformTarget) -> None:
    transcript(
        stub,
        [
            (b"qLaunchGDBServer;host:vm;", b"pid:17;port:4711;"),
            (b"qLaunchGDBServer;", b"pid:17;port:4711;"),
            (b"qLaunchGDBServer;port:1;", b"E16"),
            (b"qLaunchGDBServer;port:x;", b"E22"),
            (b"qKillSpawnedProcess:17", b"OK"),
            (b"qKillSpawnedProcess:18", b"E01"),
            (b"qKillSpawnedProcess:x", b"E22"),
            (b"qQueryGDBServer", b"E02"),
        ],
    )
    assert target.servers.asked == [0, 0, 1]
    target.servers.address = ServerAddress(18, 0, "/tmp/s")
    assert ask(stub, b"qLaunchGDBServer;") == b"pid:18;port:0;socket_name:" + hexed("/tmp/s") + b";"


@pytest.mark.parametrize(
    ("address", "fact"),
    [(ServerAddress(1, 4711), {"port": 4711}), (ServerAddress(1, 0, "/s"), {"socket_name": "/s"})],
)
def test_a_debug_server_that_waits(
    stub: Stub, target: PlatformTarget, address: ServerAddress, fact: dict[str, object]
) -> None:
    target.servers.waiting = address
    reply = ask(stub, b"qQueryGDBServer")
    assert reply is not None
    assert json.loads(unescape(reply)) == [fact]


def test_shell_commands(stub: Stub, target: PlatformTarget) -> None:
    transcript(
        stub,
        [
            (b"qPlatform_shell:%b,ffffffff" % hexed("a b"), b"F,00000003,00000000,out}\x03put\n"),
            (b"qPlatform_shell:%b,0000000a,%b" % (hexed("c"), hexed("/d")), b"F,00000003,00000000,out}\x03put\n"),
            (b"qPlatform_shell:" + hexed("c"), b"E22"),
            (b"qPlatform_shell:,1", b"E22"),
            (b"qPlatform_shell:zz,1", b"E22"),
        ],
    )
    assert target.shell.ran == [("a b", "", None), ("c", "/d", 10)]


def test_a_refused_command_fails_with_a_sentence(stub: Stub, target: PlatformTarget) -> None:
    target.shell.allowed = False
    reply = ask(stub, b"qPlatform_shell:%b,ffffffff" % hexed("c"))
    assert reply == b"F,0000007e,00000000,debugserver: shell commands are not allowed\n"


def test_on_a_platform_the_directory_is_its_own(stub: Stub, target: PlatformTarget) -> None:
    transcript(stub, [(b"QSetWorkingDir:" + hexed("/d"), b"OK"), (b"QSetWorkingDir:" + NONE, b"E02")])
    assert target.directory.path == "/d"
    assert ask(stub, b"qGetWorkingDir") == hexed("/work")


def test_nobody_else_has_a_shell() -> None:
    transcript(connect(FakeTarget()), [(b"qPlatform_shell:61,1", b""), (b"qLaunchGDBServer;", b"")])
