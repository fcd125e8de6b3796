"""A file system made of dictionaries, for tests of host I/O. Knows no packets."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable

from debugserver.target.capabilities import HostFiles
from debugserver.target.model import FileStatus


class FakeFiles(HostFiles):
    """Files that exist only here: `contents` maps a path to its bytes, `links` one to what it points at."""

    def __init__(self) -> None:
        self.contents: dict[str, bytearray] = {}
        self.links: dict[str, str] = {}
        self.modes: dict[str, int] = {}
        """What was made a directory or changed, and with which mode."""
        self.directories: dict[str, list[tuple[str, bool]]] = {}
        """Path -> what `entries` says."""
        self.filesystem = 0
        self._open: dict[int, str] = {}

    def select_filesystem(self, pid: int) -> None:
        self.filesystem = pid

    def open(self, path: str, flags: int, mode: int) -> int:
        if flags & os.O_CREAT:
            self.contents.setdefault(path, bytearray())
        self._content(path)
        descriptor = max(self._open, default=2) + 1
        self._open[descriptor] = path
        return descriptor

    def close(self, descriptor: int) -> None:
        self._path(descriptor)
        del self._open[descriptor]

    def close_all(self) -> None:
        self._open.clear()
        self.filesystem = 0

    def read(self, descriptor: int, length: int, offset: int) -> bytes:
        return bytes(self._content(self._path(descriptor))[offset : offset + length])

    def write(self, descriptor: int, offset: int, data: bytes) -> int:
        content = self._content(self._path(descriptor))
        content.extend(bytes(max(0, offset - len(content))))
        content[offset : offset + len(data)] = data
        return len(data)

    def status(self, descriptor: int) -> FileStatus:
        return self.path_status(self._path(descriptor), follow=True)

    def path_status(self, path: str, follow: bool) -> FileStatus:
        size = len(self._content(path))
        return FileStatus(1, 2, 0o100644, 1, 3, 4, 0, size, 512, (size + 511) // 512, 5, 6, 7)

    def unlink(self, path: str) -> None:
        self._content(path)
        del self.contents[path]

    def read_link(self, path: str) -> str:
        if path not in self.links:
            raise OSError(errno.EINVAL, "not a link")
        return self.links[path]

    def link(self, target: str, path: str) -> None:
        self.links[path] = target

    def make_directory(self, path: str, mode: int) -> None:
        self.modes[path] = mode

    def change_mode(self, path: str, mode: int) -> None:
        self._content(path)
        self.modes[path] = mode

    def entries(self, path: str) -> Iterable[tuple[str, bool]]:
        if path not in self.directories:
            raise OSError(errno.ENOENT, "no such directory")
        return self.directories[path]

    def _path(self, descriptor: int) -> str:
        if descriptor not in self._open:
            raise OSError(errno.EBADF, "not open")
        return self._open[descriptor]

    def _content(self, path: str) -> bytearray:
        if path not in self.contents:
            raise OSError(errno.ENOENT, "no such file")
        return self.contents[path]
