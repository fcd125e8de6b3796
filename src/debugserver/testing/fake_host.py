"""A system made of dictionaries, for tests of what is told about it. Knows no packets."""

from __future__ import annotations

import errno
from collections.abc import Iterator

from debugserver.errors import NoSuchProcess, TargetError
from debugserver.target.capabilities import HostSystem
from debugserver.target.model import HostDescription, ModuleDetails, ProcessDetails


class FakeHost(HostSystem):
    """What has no underscore is the test's to set."""

    def __init__(self) -> None:
        self.description = HostDescription(
            "fake-unknown-linux-gnu", 4, "little", True, "debian", "6.1", "6.1-fake", "#1", "box"
        )
        self.processes: dict[int, ProcessDetails] = {}
        self.users = {0: "root"}
        self.groups = {0: "root"}
        self.modules: dict[str, ModuleDetails] = {}
        self.directory = "/work"
        self.all_users: bool | None = None
        """What the last `running_processes` was asked for."""

    def describe_host(self) -> HostDescription:
        return self.description

    def process_details(self, pid: int) -> ProcessDetails:
        if pid not in self.processes:
            raise NoSuchProcess(f"no process {pid}")
        return self.processes[pid]

    def running_processes(self, all_users: bool = True) -> Iterator[ProcessDetails]:
        self.all_users = all_users
        return iter(tuple(self.processes.values()))

    def named(self, name: str) -> list[int]:
        return [pid for pid, each in self.processes.items() if name in (each.program, each.program.rpartition("/")[2])]

    def working_directory(self) -> str:
        return self.directory

    def user_name(self, uid: int) -> str | None:
        return self.users.get(uid)

    def group_name(self, gid: int) -> str | None:
        return self.groups.get(gid)

    def module_details(self, path: str) -> ModuleDetails:
        if path not in self.modules:
            raise TargetError(f"{path} is not there", errno.ENOENT)
        return self.modules[path]
