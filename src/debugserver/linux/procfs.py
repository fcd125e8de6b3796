"""/proc: what the kernel says about processes and threads. Knows nothing of ptrace or of what is being debugged.

Source: proc(5). A process is read through one of its live threads: with a zombie leader /proc/PID/maps is empty and
/proc/PID/auxv cannot be read.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import TypeVar

from debugserver.errors import ConfigurationError, NoSuchProcess, TargetError
from debugserver.target.model import Region

_CHUNK = 1 << 16
_SMALL_CHUNK = 4096
_STATE, _PROCESS_GROUP, _SESSION, _FLAGS, _NICE, _PENDING, _CORE = 0, 2, 3, 6, 16, 28, 36
"""Fields 3, 5, 6, 9, 19, 31 and 39 of /proc/PID/stat, counted from the third."""
_EXITING = 0x4
"""PF_EXITING, of the flags (linux/sched.h)."""
_KILLED = 1 << 8
"""SIGKILL, of the thread's own pending signals."""

_Answer = TypeVar("_Answer")


class Procfs:
    """One mounted /proc. Everything raises NoSuchProcess for what is gone, TargetError for what is forbidden."""

    def __init__(self, root: str = "/proc") -> None:
        self._root = root

    def require_own(self) -> None:
        """ConfigurationError unless it shows us by our own pid: else pids mean other processes there (proc(5))."""
        try:
            shown = os.readlink(f"{self._root}/self")
        except OSError:
            shown = ""
        if shown != str(os.getpid()):
            raise ConfigurationError(
                f"{self._root} does not show debugserver as process {os.getpid()}: it is not mounted, or it belongs to "
                "another PID namespace.",
                "Give debugserver the right one: unshare --mount-proc debugserver ...",
            )

    def processes(self) -> list[int]:
        """The pids of all processes, in ascending order."""
        return self._numbers(self._root)

    def tasks(self, pid: int) -> list[int]:
        """The tids of a process, in ascending order; the leader stays among them as a zombie."""
        return self._numbers(f"{self._root}/{pid}/task")

    def status(self, pid: int, tid: int | None = None) -> dict[str, str]:
        """/proc/PID/status, or that of one thread: key -> text."""
        lines = self.read(f"{_task(pid, tid)}/status").decode(errors="replace").splitlines()
        return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}

    def state(self, pid: int, tid: int | None = None) -> str:
        """One letter: R, S, D, T (stopped), t (tracing stop), Z (zombie), X (dead) ..."""
        return self._stat(pid, tid)[_STATE]

    def is_ending(self, pid: int, tid: int) -> bool:
        """Whether a thread has ended, or has been told to and cannot but do so."""
        try:
            fields = self._stat(pid, tid)
        except NoSuchProcess:
            return True
        return fields[_STATE] in "ZX" or bool(int(fields[_FLAGS]) & _EXITING or int(fields[_PENDING]) & _KILLED)

    def thread_group(self, tid: int) -> int:
        """The pid of the process that a thread belongs to; 0 if it is gone."""
        try:
            return int(self.status(tid)["Tgid"])
        except NoSuchProcess:
            return 0

    def tracer(self, pid: int, tid: int) -> int:
        """The pid of the process that traces a thread; 0: none, or the thread is gone."""
        try:
            return int(self.status(pid, tid)["TracerPid"])
        except NoSuchProcess:
            return 0

    def in_system_call(self, pid: int, tid: int) -> bool:
        """Whether a thread sleeps in a system call."""
        try:
            return self.read(f"{_task(pid, tid)}/syscall")[:1].isdigit()
        except TargetError:
            return False

    def core(self, pid: int, tid: int | None = None) -> int:
        """The CPU that a thread last ran on."""
        return int(self._stat(pid, tid)[_CORE])

    def process_group(self, pid: int) -> int:
        """The process group, by its leader's pid."""
        return int(self._stat(pid, None)[_PROCESS_GROUP])

    def session(self, pid: int) -> int:
        """The session, by its leader's pid."""
        return int(self._stat(pid, None)[_SESSION])

    def nice(self, pid: int) -> int:
        """-20 to 19."""
        return int(self._stat(pid, None)[_NICE])

    def flags(self, pid: int) -> int:
        """PF_... of linux/sched.h."""
        return int(self._stat(pid, None)[_FLAGS])

    def descriptors(self, pid: int) -> list[int]:
        """The open file descriptors, in ascending order."""
        return self._numbers(f"{self._root}/{pid}/fd")

    def comm(self, pid: int, tid: int | None = None) -> str:
        """The name of a thread, 15 bytes at most."""
        return os.fsdecode(self.read(f"{_task(pid, tid)}/comm").removesuffix(b"\n"))

    def comm_and_core(self, pid: int, tid: int) -> tuple[str, int]:
        """The name of a thread, and the CPU that it last ran on: from one file, since there may be thousands."""
        head, _, rest = self._read_at_once(f"{_task(pid, tid)}/stat").rpartition(b")")
        return os.fsdecode(head.partition(b"(")[2]), int(rest.split(maxsplit=_CORE + 1)[_CORE])

    def command_line(self, pid: int) -> list[str]:
        """The arguments of a process; none for a kernel thread or a zombie."""
        data = self.read(f"{pid}/cmdline").removesuffix(b"\0")
        return [os.fsdecode(argument) for argument in data.split(b"\0")] if data else []

    def maps(self, pid: int) -> bytes:
        """/proc/PID/maps."""
        return self.through_live_thread(pid, lambda task: self.read(f"{task}/maps"))

    def regions(self, pid: int) -> list[Region]:
        """/proc/PID/maps, taken apart."""
        return [_region(*line.split(maxsplit=5)) for line in os.fsdecode(self.maps(pid)).splitlines()]

    def smaps(self, pid: int) -> bytes:
        """/proc/PID/smaps: maps, and what each mapping consists of."""
        return self.through_live_thread(pid, lambda task: self.read(f"{task}/smaps"))

    def auxv(self, pid: int) -> bytes:
        """/proc/PID/auxv."""
        return self.through_live_thread(pid, lambda task: self.read(f"{task}/auxv"))

    def exe(self, pid: int) -> str:
        """The path of the program as the process itself sees it, with ` (deleted)` after it when that file is gone."""
        return self.through_live_thread(pid, self._exe)

    def _exe(self, task: str) -> str:
        path, root = self.link(f"{task}/exe"), self._root_of(task)
        return path.removeprefix(root) if path.startswith(f"{root}/") else path

    def left_its_files(self, task: str) -> bool:
        """Whether the program lies outside of its process's root, as that of a daemon does which calls chroot(2)."""
        return not self.link(f"{task}/exe").startswith(f"{self._root_of(task)}/")

    def _root_of(self, task: str) -> str:
        """The root directory as the kernel tells it, seen from that of the mount namespace, without a slash at its
        end."""
        return self.link(f"{task}/root").rstrip("/")

    def through_live_thread(self, pid: int, ask: Callable[[str], _Answer]) -> _Answer:
        """The first answer that is not empty, from the tasks' directories (relative to the root) in turn."""
        error: TargetError = NoSuchProcess(f"process {pid} is gone")
        for tid in self._leader_first(pid):
            try:
                if answer := ask(_task(pid, tid)):
                    return answer
            except TargetError as failure:
                error = failure
        raise error

    def _leader_first(self, pid: int) -> Iterator[int]:
        yield pid
        yield from (tid for tid in self.tasks(pid) if tid != pid)

    def _read_at_once(self, path: str) -> bytes:
        """A file that the kernel makes whole, relative to the root."""
        try:
            descriptor = os.open(f"{self._root}/{path}", os.O_RDONLY | os.O_CLOEXEC)
            try:
                return os.read(descriptor, _SMALL_CHUNK)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise _target_error(path, error) from None

    def read(self, path: str) -> bytes:
        """A file, relative to the root."""
        try:
            descriptor = os.open(f"{self._root}/{path}", os.O_RDONLY | os.O_CLOEXEC)
            try:
                return b"".join(iter(lambda: os.read(descriptor, _CHUNK), b""))
            finally:
                os.close(descriptor)
        except OSError as error:
            raise _target_error(path, error) from None

    def link(self, path: str) -> str:
        """Where a symbolic link leads, relative to the root."""
        try:
            return os.readlink(f"{self._root}/{path}")
        except OSError as error:
            raise _target_error(path, error) from None

    def path(self, path: str) -> str:
        """The absolute path of something below the root."""
        return f"{self._root}/{path}"

    def _stat(self, pid: int, tid: int | None) -> list[str]:
        """The fields after the name, which may itself contain blanks and parentheses: the third is the first."""
        return self._read_at_once(f"{_task(pid, tid)}/stat").rpartition(b")")[2].decode().split()

    def _numbers(self, directory: str) -> list[int]:
        try:
            return sorted(int(name) for name in os.listdir(directory) if name.isdecimal())
        except OSError as error:
            raise _target_error(directory, error) from None


def unless_hidden(read: Callable[[int], _Answer], pid: int) -> _Answer | None:
    """What is known of a process, if it may be known (PR_SET_DUMPABLE in prctl(2)). NoSuchProcess."""
    try:
        return read(pid)
    except NoSuchProcess:
        raise
    except TargetError:
        return None


def _region(addresses: str, permissions: str, offset: str, device: str, inode: str, name: str = "") -> Region:
    start, end = (int(address, 16) for address in addresses.split("-"))
    return Region(start, end, permissions[:3].replace("-", ""), name)


def _task(pid: int, tid: int | None) -> str:
    """The directory of a thread, of the leader by default: cheaper than /proc/PID, which sums up all threads."""
    return f"{pid}/task/{pid if tid is None else tid}"


def _target_error(path: str, error: OSError) -> TargetError:
    """ENOENT and ESRCH both say that the process is gone."""
    if isinstance(error, (FileNotFoundError, ProcessLookupError)):
        return NoSuchProcess(f"{path}: no such process or thread")
    return TargetError(f"{path}: {error.strerror}", error.errno)
