"""Where core files of stopped processes go. What is in them is decided elsewhere, and loaded on first use."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator
from typing import TYPE_CHECKING

from debugserver.errors import TargetError
from debugserver.target.capabilities import CoreFiles

if TYPE_CHECKING:
    from debugserver.linux.procfs import Procfs
    from debugserver.linux.table import ProcessTable
    from debugserver.target.capabilities import Memory, SignalInfo
    from debugserver.target.model import ThreadId


class LinuxCoreFiles(CoreFiles):
    """New files that only we may read."""

    def __init__(self, procfs: Procfs, table: ProcessTable, memory: Memory, signals: SignalInfo) -> None:
        self._procfs = procfs
        self._table = table
        self._memory = memory
        self._signals = signals
        self._elsewhere: list[str] = []

    def write_core(self, thread: ThreadId, path: str) -> Generator[None, None, str]:
        from debugserver.linux.core_dump import CoreDump

        dump = CoreDump(self._procfs, self._memory, self._signals, self._table.stopped_thread(thread))
        descriptor, path = self._create(path)
        finished = False
        try:
            yield from dump.write(descriptor)
            finished = True
        except OSError as error:
            raise TargetError(f"cannot write {path}: {error.strerror}", error.errno) from None
        finally:
            os.close(descriptor)
            if not finished:
                os.unlink(path)
        return path

    def _create(self, path: str) -> tuple[int, str]:
        with contextlib.suppress(OSError, ValueError):
            return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), path
        import tempfile

        try:
            descriptor, path = tempfile.mkstemp(prefix="core.")
        except OSError as error:
            raise TargetError(f"cannot make a file: {error.strerror}", error.errno) from None
        self._elsewhere.append(path)
        return descriptor, path

    def forget_cores(self) -> None:
        while self._elsewhere:
            with contextlib.suppress(OSError):
                os.unlink(self._elsewhere.pop())
