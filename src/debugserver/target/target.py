"""The target: what is debugged, and which capabilities it has. Knows no client and no protocol."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from debugserver.arch.architecture import Architecture
    from debugserver.target.model import ThreadId

Capability = TypeVar("Capability")


class TargetLog(Protocol):
    """Where a target tells what it does: `log("threads", "run %d", tid)`; the line is put together only if wanted."""

    def __call__(self, component: str, form: str, /, *values: object) -> None: ...


def log_nothing(component: str, form: str, /, *values: object) -> None:
    """Nobody wants to know."""


class Target(ABC):
    """A set of processes (inferiors), each with threads. An emulator has one of each."""

    def capability(self, kind: type[Capability]) -> Capability | None:
        """The object that has this ability, or None. Fixed for the target's life, process or not."""
        return self if isinstance(self, kind) else None

    @abstractmethod
    def processes(self) -> Sequence[int]:
        """The pids of the live inferiors, oldest first."""

    def has_process(self, pid: int | None = None) -> bool:
        """Whether there is this inferior; None: any."""
        processes = self.processes()
        return bool(processes) if pid is None else pid in processes

    def has_thread(self, thread: ThreadId) -> bool:
        """Whether there is this thread."""
        return self.has_process(thread.pid) and thread in self.threads(thread.pid)

    @abstractmethod
    def threads(self, pid: int) -> Sequence[ThreadId]:
        """Its live threads, oldest first. NoSuchProcess."""

    @abstractmethod
    def architecture(self, pid: int) -> Architecture:
        """What its registers are. NoSuchProcess."""

    def attached(self, pid: int) -> bool:
        """Whether the process existed before it was debugged. NoSuchProcess."""
        return True

    def left_running(self) -> bool:
        """Whether something that was started here, and let go, has not ended yet."""
        return False

    def close(self) -> None:  # noqa: B027 - most targets hold nothing
        """The server ends: let go of everything, and leave no trace."""
