"""Files as a process in another root sees them, and descriptors that only their own session may use."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from debugserver.linux.host_files import LinuxHostFiles, resolve
from debugserver.linux.procfs import Procfs
from tests.support.processes import DEADLINE
from tests.support.programs import compile_program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def files() -> Iterator[LinuxHostFiles]:
    files = LinuxHostFiles(Procfs())
    yield files
    files.close_all()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root directory with links that mean something else outside of it."""
    root = tmp_path / "root"
    (root / "usr/lib").mkdir(parents=True)
    (root / "usr/lib/real").write_text("inside")
    (root / "etc").mkdir()
    (root / "lib").symlink_to("/usr/lib")
    (root / "relative").symlink_to("usr/../usr/lib/real")
    (root / "usr/up").symlink_to("../../../../lib/real")
    (root / "chain").symlink_to("/lib/../../relative")
    (root / "loop").symlink_to("/loop")
    (root / "dangling").symlink_to("/nowhere/file")
    (root / "etc/passwd").symlink_to("/absent")
    return root


@pytest.mark.parametrize(
    ("path", "inside"),
    [
        ("/usr/lib/real", "/usr/lib/real"),
        ("usr//lib/./real", "/usr/lib/real"),
        ("/lib/real", "/usr/lib/real"),
        ("/relative", "/usr/lib/real"),
        ("/usr/up", "/usr/lib/real"),
        ("/chain", "/usr/lib/real"),
        ("/../../usr", "/usr"),
        ("/", ""),
        ("/dangling", "/nowhere/file"),
        ("/etc/passwd", "/absent"),
        ("/nowhere/file", "/nowhere/file"),
    ],
)
def test_links_stay_inside(root: Path, path: str, inside: str) -> None:
    assert resolve(str(root), path, follow=True) == f"{root}{inside}"


@pytest.mark.parametrize(
    ("path", "inside"),
    [
        ("/relative", "/relative"),
        ("/lib/real", "/usr/lib/real"),
        ("/lib", "/lib"),
        ("/lib/", "/lib"),
        ("/loop", "/loop"),
    ],
)
def test_a_link_at_the_end_may_be_meant_itself(root: Path, path: str, inside: str) -> None:
    assert resolve(str(root), path, follow=False) == f"{root}{inside}"


def test_links_that_loop(root: Path) -> None:
    with pytest.raises(OSError) as failure:
        resolve(str(root), "/loop", follow=True)
    assert failure.value.errno == errno.ELOOP


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may change its root directory")


@contextmanager
def ready(*command: str | Path) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == b"ready\n"
            yield process
        finally:
            process.kill()


@pytest.fixture
def confined(root: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process in that root, whose program lies there, too."""
    shutil.copy(compile_program("waits", "-static"), root / "waits")
    with ready("unshare", "--root", root, "/waits") as process:
        yield process


@needs_root
def test_a_process_in_another_root(files: LinuxHostFiles, confined: subprocess.Popen[bytes], root: Path) -> None:
    files.select_filesystem(confined.pid)
    descriptor = files.open("/lib/real", os.O_RDONLY, 0)
    assert files.read(descriptor, 100, 0) == b"inside"
    assert files.path_status("/chain", follow=True).size == 6
    assert files.path_status("/chain", follow=False).inode == (root / "chain").lstat().st_ino
    assert files.read_link("/lib") == "/usr/lib"
    files.unlink("/relative")
    assert not os.path.lexists(root / "relative")
    assert (root / "usr/lib/real").exists()
    with pytest.raises(FileNotFoundError):
        files.open("/etc/passwd", os.O_RDONLY, 0)
    files.select_filesystem(0)
    assert files.path_status("/etc/passwd", follow=True).inode == os.stat("/etc/passwd").st_ino


@needs_root
def test_a_root_outlives_its_process(files: LinuxHostFiles, confined: subprocess.Popen[bytes]) -> None:
    files.select_filesystem(confined.pid)
    confined.kill()
    confined.wait(DEADLINE)
    assert files.read(files.open("/lib/real", os.O_RDONLY, 0), 100, 0) == b"inside"


@needs_root
def test_the_program_as_its_process_sees_it(confined: subprocess.Popen[bytes]) -> None:
    assert Procfs().exe(confined.pid) == "/waits"


CHANGES_ROOT = "import os, sys; os.chroot(sys.argv[1]); print('ready', flush=True); sys.stdin.read()"


@needs_root
def test_a_daemon_that_changes_its_root(files: LinuxHostFiles, root: Path) -> None:
    """What a debugger asks for, its program and libraries, it has from outside."""
    with ready(sys.executable, "-c", CHANGES_ROOT, root) as process:
        files.select_filesystem(process.pid)
        program = Procfs().exe(process.pid)
        assert program == os.path.realpath(sys.executable)
        assert files.path_status(program, follow=True).inode == os.stat(sys.executable).st_ino


def test_a_process_that_sees_what_we_see(files: LinuxHostFiles) -> None:
    files.select_filesystem(os.getpid())
    assert files.read_link("/proc/self/exe") == os.readlink("/proc/self/exe")


def test_a_process_that_is_not_there_changes_nothing(files: LinuxHostFiles, root: Path) -> None:
    with pytest.raises(OSError):
        files.select_filesystem(1 << 22)
    assert files.path_status(str(root), follow=True).inode == root.stat().st_ino


def test_writing_and_status(files: LinuxHostFiles, tmp_path: Path) -> None:
    path = tmp_path / "new"
    descriptor = files.open(str(path), os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o640)
    assert files.write(descriptor, 4, b"data") == 4
    assert files.read(descriptor, 100, 2) == b"\0\0data"
    status, expected = files.status(descriptor), path.stat()
    assert (status.mode, status.size, status.inode, status.mtime) == (
        expected.st_mode,
        8,
        expected.st_ino,
        int(expected.st_mtime),
    )
    assert status == files.path_status(str(path), follow=True)
    assert not os.get_inheritable(descriptor)


def test_only_descriptors_of_this_session(files: LinuxHostFiles, tmp_path: Path) -> None:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        for use in (
            lambda: files.read(descriptor, 1, 0),
            lambda: files.write(descriptor, 0, b"x"),
            lambda: files.status(descriptor),
            lambda: files.close(descriptor),
        ):
            with pytest.raises(OSError) as failure:
                use()
            assert failure.value.errno == errno.EBADF
    finally:
        os.close(descriptor)


def test_the_end_of_a_session_closes_everything(files: LinuxHostFiles, tmp_path: Path) -> None:
    before = set(os.listdir("/proc/self/fd"))
    first = files.open(str(tmp_path), os.O_RDONLY, 0)
    files.open(str(tmp_path), os.O_RDONLY, 0)
    files.close(first)
    files.close_all()
    assert set(os.listdir("/proc/self/fd")) == before


def test_a_fifo_without_a_writer_does_not_block(files: LinuxHostFiles, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    descriptor = files.open(str(tmp_path / "fifo"), os.O_RDONLY, 0)
    with pytest.raises(OSError) as failure:
        files.read(descriptor, 1, 0)
    assert failure.value.errno == errno.ESPIPE


def test_an_empty_path(files: LinuxHostFiles) -> None:
    with pytest.raises(FileNotFoundError):
        files.path_status("", follow=True)
