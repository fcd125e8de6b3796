"""What is told of this system, against what the system's own tools say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from debugserver.errors import NoSuchProcess, TargetError
from debugserver.linux.host_system import LinuxHostSystem
from debugserver.linux.procfs import Procfs
from tests.support.programs import compile_program

HOST = LinuxHostSystem(Procfs())


def test_the_host_is_what_uname_says() -> None:
    host = HOST.describe_host()
    assert host.triple == f"{os.uname().machine}-pc-linux-gnu"
    assert (host.release, host.kernel, host.name) == (os.uname().release, os.uname().version, os.uname().nodename)
    assert host.release.startswith(host.version)
    assert f"ID={host.distribution}\n" in Path("/etc/os-release").read_text()


def test_our_own_process() -> None:
    details = HOST.process_details(os.getpid())
    assert details.pid == os.getpid()
    assert details.parent == os.getppid()
    assert (details.uid, details.gid) == (os.getuid(), os.getgid())
    assert (details.effective_uid, details.effective_gid) == (os.geteuid(), os.getegid())
    assert details.program == os.path.realpath(sys.executable)
    assert details.triple == f"{os.uname().machine}-pc-linux-gnu"


def test_processes_that_can_be_attached_to() -> None:
    program = compile_program("sleeps")
    with subprocess.Popen([program], stdout=subprocess.DEVNULL) as process:
        try:
            found = {each.pid: each for each in HOST.running_processes()}
            assert found[process.pid].arguments == (str(program),)
            assert found[process.pid].program == str(program)
            assert os.getpid() not in found
        finally:
            process.kill()


def test_a_process_that_has_ended() -> None:
    process = subprocess.Popen(["true"])
    process.wait(20)
    with pytest.raises(NoSuchProcess):
        HOST.process_details(process.pid)


def test_names_of_ids() -> None:
    assert (HOST.user_name(0), HOST.group_name(0)) == ("root", "root")
    assert HOST.user_name(4_294_967_000) is None
    assert HOST.user_name(1 << 40) is None
    assert HOST.group_name(1 << 40) is None


def test_modules(tmp_path: Path) -> None:
    program = compile_program("steps")
    (tmp_path / "link").symlink_to(program)
    module = HOST.module_details(str(tmp_path / "link"))
    assert module.path == str(program)
    assert module.size == program.stat().st_size
    assert module.build_id
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(TargetError):
            HOST.module_details(str(path))
