"""A program that has said where its things are and waits, read through /proc/PID/mem: nothing is traced."""

from __future__ import annotations

import os
import subprocess
import threading
from typing import TYPE_CHECKING

from debugserver.arch import amd64
from debugserver.errors import MemoryFault
from debugserver.linux.procfs import Procfs
from debugserver.target.capabilities import Auxv, Memory, Registers
from debugserver.target.model import ThreadId
from debugserver.target.target import Target

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import TracebackType

    from debugserver.arch.architecture import Architecture

DEADLINE = 20.0
_ARCHITECTURE = amd64.architecture(0, 0)


class WaitingProcess(Target, Memory, Auxv, Registers):
    """Runs the program up to its line `ready`; `said` has the words of each line before. Ends it with the block."""

    def __init__(self, *command: str | Path) -> None:
        self._command = command
        self.said: list[list[str]] = []
        self.thread_pointers: dict[int, int] = {}

    def __enter__(self) -> WaitingProcess:
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.pid = self._process.pid
        timer = threading.Timer(DEADLINE, self._process.kill)
        timer.start()
        assert self._process.stdout
        for line in self._process.stdout:
            self.said.append(line.split())
            if self.said[-1] == ["ready"]:
                break
        timer.cancel()
        assert self.said, "the program said nothing"
        assert self.said.pop() == ["ready"], "the program ended early"
        self._memory = os.open(f"/proc/{self.pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._memory)
        self._process.kill()
        self._process.communicate(timeout=DEADLINE)

    def processes(self) -> Sequence[int]:
        return [self.pid]

    def threads(self, pid: int) -> Sequence[ThreadId]:
        return [ThreadId(pid, tid) for tid in Procfs().tasks(pid)]

    def architecture(self, pid: int) -> Architecture:
        return _ARCHITECTURE

    def read_memory(self, pid: int, address: int, length: int) -> bytes:
        try:
            return os.pread(self._memory, length, address)
        except (OSError, OverflowError):
            raise MemoryFault(address) from None

    def write_memory(self, pid: int, address: int, data: bytes) -> None:
        raise MemoryFault(address)

    def auxv(self, pid: int) -> bytes:
        return Procfs().auxv(pid)

    def read_register(self, thread: ThreadId, number: int) -> bytes:
        assert number == _ARCHITECTURE.by_name["fs_base"].number
        return self.thread_pointers[thread.tid].to_bytes(8, "little")

    def read_registers(self, thread: ThreadId) -> bytes:
        raise NotImplementedError

    def write_registers(self, thread: ThreadId, data: bytes) -> None:
        raise NotImplementedError

    def write_register(self, thread: ThreadId, number: int, value: bytes) -> None:
        raise NotImplementedError
