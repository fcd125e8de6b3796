"""Reading /proc: a made-up one for what is rare, the real one for what is not."""

from __future__ import annotations

import errno
import os
import struct
import subprocess
from typing import TYPE_CHECKING

import pytest

from debugserver.errors import ConfigurationError, NoSuchProcess, TargetError
from debugserver.linux.procfs import Procfs
from debugserver.linux.system_tables import LinuxTables
from tests.support.processes import wait_until
from tests.support.programs import compile_program

if TYPE_CHECKING:
    from pathlib import Path

NOBODY = 1 << 22
"""Beyond the largest pid that Linux gives."""


def stat_line(pid: int, name: str, state: str, group: int, core: int) -> str:
    """proc(5): pid, name, state, ppid, pgrp ... processor is the 39th field."""
    fields = [str(pid), f"({name})", state, "1", str(group), *("0" for _ in range(6, 39)), str(core), "0", "0"]
    return " ".join(fields) + "\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Process 7, whose leader is a zombie, with a thread 9; and process 8, which has one thread."""
    for pid, tid, state in ((7, 7, "Z"), (7, 9, "t"), (8, 8, "S")):
        task = tmp_path / str(pid) / "task" / str(tid)
        task.mkdir(parents=True)
        (task / "stat").write_text(stat_line(tid, "a) R (b 1", state, 8, tid))
        (task / "comm").write_text("a) R (b 1\n")
        (task / "status").write_text(f"Name:\ta) R (b 1\nTgid:\t{pid}\nUid:\t0\t4294967294\t0\t0\n")
        (task / "maps").write_text("" if state == "Z" else f"maps of {tid}\n")
        if state != "Z":
            (task / "auxv").write_bytes(bytes(16))
            (task / "exe").symlink_to(f"/bin/program{tid}")
            (task / "root").symlink_to("/")
    (tmp_path / "7" / "cmdline").write_bytes(b"")
    (tmp_path / "8" / "cmdline").write_bytes(b"prog\0two words\0\0")
    for process in ("7", "8"):
        (tmp_path / process / "fd").mkdir()
    (tmp_path / "8" / "fd" / "10").symlink_to("/dev/null")
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nflags\t\t: a b\n\nprocessor\t: 1\n\n")
    (tmp_path / "self").mkdir()
    return tmp_path


@pytest.mark.parametrize("link", [None, "4194305"])
def test_a_proc_that_is_not_ours(tmp_path: Path, link: str | None) -> None:
    """proc(5): `self` leads to the process that asks, if this /proc shows it at all."""
    if link:
        (tmp_path / "self").symlink_to(link)
    with pytest.raises(ConfigurationError, match=f"does not show debugserver as process {os.getpid()}"):
        Procfs(str(tmp_path)).require_own()
    Procfs().require_own()


def test_a_name_with_parentheses_and_blanks(root: Path) -> None:
    procfs = Procfs(str(root))
    assert procfs.comm(7, 9) == "a) R (b 1"
    assert (procfs.state(7), procfs.state(7, 9), procfs.core(7, 9), procfs.process_group(7)) == ("Z", "t", 9, 8)
    assert procfs.status(7, 9)["Tgid"] == "7"


def test_a_zombie_leader_is_passed_over(root: Path) -> None:
    procfs = Procfs(str(root))
    assert procfs.tasks(7) == [7, 9]
    assert procfs.maps(7) == b"maps of 9\n"
    assert procfs.auxv(7) == bytes(16)
    assert procfs.exe(7) == "/bin/program9"


def test_what_is_not_there(root: Path) -> None:
    procfs = Procfs(str(root))
    for ask in (procfs.tasks, procfs.status, procfs.core, procfs.maps, procfs.auxv, procfs.exe, procfs.command_line):
        with pytest.raises(NoSuchProcess):
            ask(99)


def test_command_lines(root: Path) -> None:
    assert Procfs(str(root)).command_line(8) == ["prog", "two words", ""]
    assert Procfs(str(root)).command_line(7) == []


def test_tables(root: Path) -> None:
    tables = LinuxTables(Procfs(str(root)))
    root_name = "root"
    assert list(tables.table("processes")) == [
        {"pid": "7", "user": root_name, "command": "[a) R (b 1]", "cores": "7,9"},
        {"pid": "8", "user": root_name, "command": "prog two words ", "cores": "8"},
    ]
    assert [(row["pid"], row["tid"], row["core"]) for row in tables.table("threads")] == [
        ("7", "7", "7"),
        ("7", "9", "9"),
        ("8", "8", "8"),
    ]
    assert list(tables.table("files")) == [
        {"pid": "8", "command": "a) R (b 1", "file descriptor": "10", "name": "/dev/null"}
    ]
    assert [(row["pgid"], row["pid"]) for row in tables.table("procgroups")] == [("8", "7"), ("8", "8")]
    assert list(tables.table("cpus")) == [{"processor": "0", "flags": "a b"}, {"processor": "1"}]
    assert list(tables.table("modules")) == []
    assert set(tables.table_names()) == {"cpus", "files", "modules", "processes", "procgroups", "threads"}


def test_ourselves() -> None:
    procfs = Procfs()
    pid = os.getpid()
    assert procfs.state(pid) == "R"
    assert procfs.core(pid) in os.sched_getaffinity(0)
    assert procfs.process_group(pid) == os.getpgrp()
    assert procfs.exe(pid) == os.path.realpath("/proc/self/exe")
    auxv = dict(struct.iter_unpack("2Q", procfs.auxv(pid)))
    assert auxv[6] == os.sysconf("SC_PAGESIZE")
    assert procfs.link("self") == str(pid)
    assert pid in procfs.processes()


def test_a_process_whose_leader_has_exited() -> None:
    program = compile_program("leaderless")
    with subprocess.Popen([program], stdin=subprocess.PIPE) as process:
        try:
            procfs = Procfs()
            wait_until(lambda: procfs.state(process.pid) == "Z", "the leader ends")
            assert b"leaderless" in procfs.maps(process.pid)
            assert procfs.auxv(process.pid)
            assert procfs.exe(process.pid) == str(program)
        finally:
            process.kill()


def test_nobody() -> None:
    with pytest.raises(NoSuchProcess):
        Procfs().state(NOBODY)


def test_what_is_forbidden(root: Path) -> None:
    """A directory is as unreadable as a file of somebody else, also for root."""
    with pytest.raises(TargetError) as failure:
        Procfs(str(root)).read("self")
    assert failure.value.number == errno.EISDIR
    assert not isinstance(failure.value, NoSuchProcess)


def test_regions(tmp_path: Path) -> None:
    maps = (
        "00400000-00401000 r-xp 00000000 08:01 42 /bin/a program\n"
        "00601000-00602000 rw-p 00001000 08:01 42 /bin/gone (deleted)\n"
        "7f0000000000-7f0000001000 ---p 00000000 00:00 0\n"
        "7ffe00000000-7ffe00021000 rw-s 00000000 00:00 0                          [stack]\n"
    )
    (tmp_path / "7" / "task" / "7").mkdir(parents=True)
    (tmp_path / "7" / "task" / "7" / "maps").write_text(maps)
    assert Procfs(str(tmp_path)).regions(7) == [
        (0x400000, 0x401000, "rx", "/bin/a program"),
        (0x601000, 0x602000, "rw", "/bin/gone (deleted)"),
        (0x7F0000000000, 0x7F0000001000, "", ""),
        (0x7FFE00000000, 0x7FFE00021000, "rw", "[stack]"),
    ]
