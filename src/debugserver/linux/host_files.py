"""Files of this system, as the server or as a process in a container of its own sees them.

A process's view is reached through /proc/PID/root; symbolic links are followed here, since an absolute one means that
process's root and the kernel would take it for ours. Knows no protocol. Source: proc(5), path_resolution(7).
"""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING

from debugserver.errors import TargetError
from debugserver.target.capabilities import HostFiles
from debugserver.target.model import FileStatus

if TYPE_CHECKING:
    from debugserver.linux.procfs import Procfs

_MOST_LINKS = 40
"""As the kernel has it."""

# Opening a FIFO must not wait for its other end, and a terminal must not become ours.
_ALWAYS = os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY


class LinuxHostFiles(HostFiles):
    """Descriptors are the server's own, but only those that were opened here can be used."""

    def __init__(self, procfs: Procfs) -> None:
        self._procfs = procfs
        self._descriptors: set[int] = set()
        self._root = -1
        """The root directory of the selected process, or -1: the server's own."""

    def select_filesystem(self, pid: int) -> None:
        root = -1 if pid == 0 else self._open_root(pid)
        self._leave_root()
        self._root = root

    def _open_root(self, pid: int) -> int:
        """Kept open, so that it stays what it is when the process ends; -1 if the process, or at least what it was
        loaded from, sees what we see."""
        try:
            return self._procfs.through_live_thread(pid, self._open_task_root)
        except TargetError as error:
            raise OSError(error.number, str(error)) from None

    def _open_task_root(self, task: str) -> int:
        try:
            namespace = os.stat(self._procfs.path(f"{task}/ns/mnt"))
            root = os.open(self._procfs.path(f"{task}/root"), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise TargetError(f"{task}: {error.strerror}", error.errno) from None
        if not self._is_ours(task, namespace, os.fstat(root)):
            return root
        os.close(root)
        return -1

    def _is_ours(self, task: str, namespace: os.stat_result, root: os.stat_result) -> bool:
        if not os.path.samestat(namespace, os.stat(self._procfs.path("self/ns/mnt"))):
            return False
        return os.path.samestat(root, os.stat("/")) or self._procfs.left_its_files(task)

    def _leave_root(self) -> None:
        if self._root >= 0:
            os.close(self._root)
        self._root = -1

    def _path(self, path: str, follow: bool = True) -> str:
        """A path for system calls of ours."""
        if self._root < 0 or not path:
            return path
        return resolve(f"/proc/self/fd/{self._root}", path, follow)

    def open(self, path: str, flags: int, mode: int) -> int:
        exclusive = flags & os.O_CREAT and flags & os.O_EXCL
        descriptor = os.open(self._path(path, follow=not exclusive), flags | _ALWAYS, mode)
        self._descriptors.add(descriptor)
        return descriptor

    def close(self, descriptor: int) -> None:
        os.close(self._own(descriptor))
        self._descriptors.discard(descriptor)

    def _own(self, descriptor: int) -> int:
        if descriptor not in self._descriptors:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return descriptor

    def close_all(self) -> None:
        for descriptor in self._descriptors:
            os.close(descriptor)
        self._descriptors.clear()
        self._leave_root()

    def read(self, descriptor: int, length: int, offset: int) -> bytes:
        return os.pread(self._own(descriptor), length, offset)

    def write(self, descriptor: int, offset: int, data: bytes) -> int:
        return os.pwrite(self._own(descriptor), data, offset)

    def status(self, descriptor: int) -> FileStatus:
        return _status(os.fstat(self._own(descriptor)))

    def path_status(self, path: str, follow: bool) -> FileStatus:
        return _status(os.stat(self._path(path, follow), follow_symlinks=follow))

    def unlink(self, path: str) -> None:
        os.unlink(self._path(path, follow=False))

    def read_link(self, path: str) -> str:
        return os.readlink(self._path(path, follow=False))

    def link(self, target: str, path: str) -> None:
        os.symlink(target, self._path(path, follow=False))

    def make_directory(self, path: str, mode: int) -> None:
        os.mkdir(self._path(path), mode)

    def change_mode(self, path: str, mode: int) -> None:
        os.chmod(self._path(path), mode)

    def entries(self, path: str) -> Iterator[tuple[str, bool]]:
        with os.scandir(self._path(path) or ".") as found:
            for entry in found:
                yield entry.name, entry.is_dir()


def _status(found: os.stat_result) -> FileStatus:
    return FileStatus(
        device=found.st_dev,
        inode=found.st_ino,
        mode=found.st_mode,
        links=found.st_nlink,
        uid=found.st_uid,
        gid=found.st_gid,
        rdev=found.st_rdev,
        size=found.st_size,
        block_size=found.st_blksize,
        blocks=found.st_blocks,
        atime=int(found.st_atime),
        mtime=int(found.st_mtime),
        ctime=int(found.st_ctime),
    )


def resolve(root: str, path: str, follow: bool) -> str:
    """The path, from `root` on, of what `path` means to a process whose root directory is `root`: without symbolic
    links, but for one at its very end unless `follow`. What does not exist stays as it is. OSError (ELOOP)."""
    done: list[str] = []
    todo = deque(path.split("/"))
    links = 0
    while todo:
        name = todo.popleft()
        if name in ("", "."):
            continue
        if name == "..":
            del done[-1:]
            continue
        at_end = not any(todo)
        target = _link_target("/".join((root, *done, name))) if follow or not at_end else None
        if target is None:
            done.append(name)
            continue
        links += 1
        if links > _MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        if target.startswith("/"):
            done.clear()
        todo.extendleft(reversed(target.split("/")))
    return "/".join((root, *done))


def _link_target(path: str) -> str | None:
    """Where a symbolic link leads; None for anything else, also for what is not there."""
    try:
        return os.readlink(path)
    except OSError:
        return None
