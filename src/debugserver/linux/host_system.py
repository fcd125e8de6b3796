"""This system: what it is, who runs on it, and what its programs are. Made of /proc and of files alone."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from debugserver.errors import TargetError
from debugserver.linux import elf_file
from debugserver.target.capabilities import HostSystem
from debugserver.target.model import HostDescription, ModuleDetails, ProcessDetails

if TYPE_CHECKING:
    from debugserver.linux.procfs import Procfs

_RELEASE_FILES = ("/etc/os-release", "/usr/lib/os-release")
_POINTER_SIZE = 8 if sys.maxsize > 1 << 32 else 4
_NARROW = ("i386", "arm-")
"""Triples of programs with pointers of four bytes."""
_TRAPS_BEFORE = ("aarch64", "arm")
"""CPUs that stop before a watched access."""


class LinuxHostSystem(HostSystem):
    """Processes are all that /proc shows."""

    def __init__(self, procfs: Procfs) -> None:
        self._procfs = procfs

    def describe_host(self) -> HostDescription:
        system = os.uname()
        version = re.match(r"\d+(\.\d+)*", system.release)
        return HostDescription(
            triple=elf_file.linux_triple(system.machine),
            pointer_size=_POINTER_SIZE,
            byteorder=sys.byteorder,
            traps_after=not system.machine.startswith(_TRAPS_BEFORE),
            distribution=_distribution(),
            version=version[0] if version else "",
            release=system.release,
            kernel=system.version,
            name=system.nodename,
        )

    def process_details(self, pid: int) -> ProcessDetails:
        status = self._procfs.status(pid)
        uid, effective_uid, *_ = map(int, status["Uid"].split())
        gid, effective_gid, *_ = map(int, status["Gid"].split())
        triple = elf_file.triple(self._procfs.path(f"{pid}/exe"))
        return ProcessDetails(
            pid=pid,
            parent=int(status["PPid"]),
            uid=uid,
            gid=gid,
            effective_uid=effective_uid,
            effective_gid=effective_gid,
            program=self._program(pid),
            arguments=tuple(self._procfs.command_line(pid)),
            triple=triple,
            pointer_size=4 if triple.startswith(_NARROW) else _POINTER_SIZE,
        )

    def _program(self, pid: int) -> str:
        """Empty for a kernel thread, and where we may not look."""
        try:
            return self._procfs.exe(pid).removesuffix(" (deleted)")
        except TargetError:
            return ""

    def running_processes(self, all_users: bool = True) -> Iterator[ProcessDetails]:
        user = os.getuid()
        for pid in self._procfs.processes():
            try:
                if not self._is_attachable(pid):
                    continue
                details = self.process_details(pid)
                if all_users or user in (0, details.uid):
                    yield details
            except TargetError:
                # It has ended meanwhile.
                continue

    def _is_attachable(self, pid: int) -> bool:
        return pid != os.getpid() and self._procfs.state(pid) not in "ZX" and not self._procfs.tracer(pid, pid)

    def named(self, name: str) -> list[int]:
        return [pid for pid in self._procfs.processes() if self._is_named(pid, name) and self._may_be_attached(pid)]

    def _is_named(self, pid: int, name: str) -> bool:
        program = self._program(pid)
        return name in (program, os.path.basename(program))

    def _may_be_attached(self, pid: int) -> bool:
        try:
            return self._is_attachable(pid)
        except TargetError:
            return False

    def working_directory(self) -> str:
        return os.getcwd()

    def user_name(self, uid: int) -> str | None:
        import pwd

        try:
            return pwd.getpwuid(uid).pw_name
        except (KeyError, OverflowError):
            return None

    def group_name(self, gid: int) -> str | None:
        import grp

        try:
            return grp.getgrgid(gid).gr_name
        except (KeyError, OverflowError):
            return None

    def module_details(self, path: str) -> ModuleDetails:
        path = os.path.realpath(path)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except (OSError, ValueError) as error:
            raise TargetError(f"{path}: {error}", getattr(error, "errno", None)) from None
        try:
            header = elf_file.read_header(descriptor)
            build_id = elf_file.build_id(descriptor, header)
            return ModuleDetails(path, header.triple, build_id, os.fstat(descriptor).st_size)
        except OSError as error:
            raise TargetError(f"{path}: {error.strerror}", error.errno) from None
        finally:
            os.close(descriptor)


def _distribution() -> str:
    """ID of os-release(5); empty where there is no such file."""
    for path in _RELEASE_FILES:
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                found = re.search(r"^ID=[\"']?([^\"'\n]*)", file.read(), re.MULTILINE)
        except OSError:
            continue
        return found[1] if found else ""
    return ""
