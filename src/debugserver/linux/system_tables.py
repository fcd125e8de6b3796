"""Tables about the whole system, which GDB shows with `info os`. Columns are named as by GNU gdbserver.

Made of /proc alone: what only other calls tell (System V objects) is not there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from debugserver.errors import TargetError
from debugserver.target.capabilities import OperatingSystem

if TYPE_CHECKING:
    from debugserver.linux.procfs import Procfs

Rows = Iterator[Mapping[str, str]]


class LinuxTables(OperatingSystem):
    """What ends, or may not be read, while a table is made is left out of it."""

    def __init__(self, procfs: Procfs) -> None:
        self._procfs = procfs
        self._tables: dict[str, tuple[str, Callable[[], Rows]]] = {
            "cpus": ("Listing of all cpus/cores on the system", self._cpus),
            "files": ("Listing of all file descriptors", lambda: self._of_each_process(self._files)),
            "modules": ("Listing of all loaded kernel modules", self._modules),
            "processes": ("Listing of all processes", lambda: self._of_each_process(self._process)),
            "procgroups": ("Listing of all process groups", self._process_groups),
            "threads": ("Listing of all threads", lambda: self._of_each_process(self._threads)),
        }

    def table_names(self) -> Mapping[str, str]:
        return {name: description for name, (description, _) in self._tables.items()}

    def table(self, name: str) -> Rows:
        return self._tables[name][1]()

    def _of_each_process(self, rows: Callable[[int], Rows]) -> Rows:
        for pid in self._procfs.processes():
            try:
                yield from rows(pid)
            except TargetError:
                continue

    def _process(self, pid: int) -> Rows:
        cores = sorted({self._procfs.core(pid, tid) for tid in self._procfs.tasks(pid)})
        yield {
            "pid": str(pid),
            "user": _user_name(self._procfs.status(pid)["Uid"]),
            "command": self._command(pid),
            "cores": ",".join(map(str, cores)),
        }

    def _command(self, pid: int) -> str:
        """The command line, or the bracketed name of what has none."""
        return " ".join(self._procfs.command_line(pid)) or f"[{self._procfs.comm(pid)}]"

    def _threads(self, pid: int) -> Rows:
        command = self._procfs.comm(pid)
        for tid in self._procfs.tasks(pid):
            core = self._procfs.core(pid, tid)
            yield {"pid": str(pid), "command": command, "tid": str(tid), "core": str(core)}

    def _process_groups(self) -> Rows:
        rows = [(int(row["pgid"]), int(row["pid"]), row) for row in self._of_each_process(self._group_member)]
        for _, _, row in sorted(rows, key=lambda each: each[:2]):
            yield row

    def _group_member(self, pid: int) -> Rows:
        group = self._procfs.process_group(pid)
        yield {
            "pgid": str(group),
            "leader command": self._procfs.comm(group),
            "pid": str(pid),
            "command line": self._command(pid),
        }

    def _files(self, pid: int) -> Rows:
        command = self._procfs.comm(pid)
        for descriptor in self._procfs.descriptors(pid):
            name = self._procfs.link(f"{pid}/fd/{descriptor}")
            yield {"pid": str(pid), "command": command, "file descriptor": str(descriptor), "name": name}

    def _cpus(self) -> Rows:
        for block in self._text("cpuinfo").split("\n\n"):
            pairs = (line.partition(":") for line in block.splitlines())
            row = {key.strip(): value.strip() for key, _, value in pairs}
            if row:
                yield row

    def _modules(self) -> Rows:
        columns = ("name", "size", "num uses", "dependencies", "status", "address")
        for line in self._text("modules").splitlines():
            yield dict(zip(columns, line.split(), strict=False))

    def _text(self, path: str) -> str:
        """A file of /proc; empty where this kernel has none, or hides it."""
        try:
            return self._procfs.read(path).decode(errors="replace")
        except TargetError:
            return ""


def _user_name(uids: str) -> str:
    """The name of the real user, or the number; `uids` as in /proc/PID/status."""
    import pwd

    uid = uids.split()[0]
    try:
        return pwd.getpwuid(int(uid)).pw_name
    except KeyError:
        return uid
