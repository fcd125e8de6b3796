"""Which processes and threads are traced. The one place that finds them by id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from debugserver.errors import NoSuchProcess, NoSuchThread, NotStopped

if TYPE_CHECKING:
    from collections.abc import Collection

    from debugserver.linux.threads import LinuxProcess, LinuxThread
    from debugserver.target.model import ThreadId


class ProcessTable:
    """The traced processes; guests are traced but not seen by clients."""

    def __init__(self) -> None:
        self._processes: dict[int, LinuxProcess] = {}
        self._by_tid: dict[int, LinuxThread] = {}

    def all(self) -> Collection[LinuxProcess]:
        """Guests too."""
        return self._processes.values()

    def processes(self) -> list[LinuxProcess]:
        """Those that clients see, oldest first."""
        return [process for process in self._processes.values() if process.guest_of is None and process.announced]

    def has_process(self, pid: int | None = None) -> bool:
        """Whether clients see this one; None: any."""
        if pid is not None:
            process = self._processes.get(pid)
            return process is not None and process.guest_of is None and process.announced
        for process in self._processes.values():  # noqa: SIM110 - asked for every packet: a generator costs more
            if process.guest_of is None and process.announced:
                return True
        return False

    def rests(self) -> bool:
        """Whether no thread that clients see runs: not to them, nor for a purpose of our own."""
        for process in self._processes.values():
            if process.guest_of is None and process.announced:
                for thread in process.threads.values():
                    if thread.resumed or not thread.stopped:
                        return False
        return True

    def has_thread(self, thread: ThreadId) -> bool:
        """Whether clients see it."""
        found = self._by_tid.get(thread.tid)
        return found is not None and found.id == thread and found.announced and not found.process.is_hidden

    def process(self, pid: int) -> LinuxProcess:
        """NoSuchProcess unless clients see it."""
        process = self._processes.get(pid)
        if process is None or process.guest_of is not None or not process.announced:
            raise NoSuchProcess(f"process {pid} is not being debugged")
        return process

    def find_process(self, pid: int) -> LinuxProcess | None:
        """The traced process with this id, guests too."""
        return self._processes.get(pid)

    def thread(self, thread: ThreadId) -> LinuxThread:
        """NoSuchThread."""
        found = self._by_tid.get(thread.tid)
        if found is None or found.id != thread:
            raise NoSuchThread(f"thread {thread.tid} is gone")
        return found

    def stopped_thread(self, thread: ThreadId) -> LinuxThread:
        """NoSuchThread, NotStopped."""
        found = self._by_tid.get(thread.tid)
        if found is None or found.id != thread:
            raise NoSuchThread(f"thread {thread.tid} is gone")
        if found.resumed or not found.stopped:
            raise NotStopped(f"thread {thread.tid} is running")
        return found

    def find_tid(self, tid: int) -> LinuxThread | None:
        """The traced thread with this id, of whatever process."""
        return self._by_tid.get(tid)

    def sharers(self, process: LinuxProcess) -> list[LinuxProcess]:
        """The other processes with the same memory (vfork)."""
        return [other for other in self._processes.values() if other is not process and other.memory is process.memory]

    def add_process(self, process: LinuxProcess) -> None:
        """Enter a process that has no threads yet."""
        self._processes[process.pid] = process

    def add_thread(self, process: LinuxProcess, tid: int) -> LinuxThread:
        """Enter a thread."""
        thread = process.add_thread(tid)
        self._by_tid[tid] = thread
        return thread

    def remove_thread(self, thread: LinuxThread) -> None:
        """The thread is gone."""
        thread.process.threads.pop(thread.tid, None)
        if self._by_tid.get(thread.tid) is thread:
            del self._by_tid[thread.tid]

    def remove_process(self, process: LinuxProcess) -> None:
        """The process is gone, and all that we hold of it."""
        for thread in tuple(process.threads.values()):
            self.remove_thread(thread)
        self._processes.pop(process.pid, None)
        if not self.sharers(process):
            process.memory.close()
        process.at_end()
