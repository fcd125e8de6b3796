"""Why an attach or a launch was refused: in a /proc made up for the case, and once for real."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from debugserver.linux import ptrace
from debugserver.linux.diagnosis import explain_attach, explain_launch
from debugserver.target.model import LaunchSettings, ProcessExit
from tests.support.processes import DEADLINE
from tests.support.server import SOURCE

if TYPE_CHECKING:
    from pathlib import Path

    from debugserver.errors import AttachRefused, LaunchFailed

PID = 4711
PR_SET_DUMPABLE = 4
# Nobody but root can give files away, so the owner of the made-up /proc is whoever runs the test.
USER_ID = os.getuid() or 1000
USER = "\t".join([str(USER_ID)] * 4)
needs_root = pytest.mark.skipif(os.getuid() != 0, reason="needs root to give a directory away")
OURSELVES = {
    "Name": "python3",
    "Tgid": "100",
    "Uid": USER,
    "CapPrm": "0" * 16,
    "CapEff": "0" * 16,
    "Seccomp": "0",
}
ORDINARY = {
    "Name": "daemon",
    "State": "S (sleeping)",
    "Tgid": str(PID),
    "PPid": "1",
    "TracerPid": "0",
    "Uid": USER,
    "VmSize": "1234 kB",
    "CapPrm": "0" * 16,
}
ROOT = {"Uid": "0\t0\t0\t0", "CapPrm": "000001ffffffffff", "CapEff": "000001ffffffffff"}
CONTAINER_ROOT = {"Uid": "0\t0\t0\t0", "CapPrm": "00000000a80425fb", "CapEff": "00000000a80425fb"}  # Docker's default


class FakeProc:
    """A /proc as one process sees it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.process("self", OURSELVES)

    def process(self, pid: int | str, *status: dict[str, str]) -> None:
        directory = self.root / str(pid)
        (directory / "ns").mkdir(parents=True, exist_ok=True)
        fields = {key: value for part in status for key, value in part.items()}
        (directory / "status").write_text("".join(f"{key}:\t{value}\n" for key, value in fields.items()))
        if os.getuid() == 0:
            owner = int(fields.get("Uid", "0").split()[0])
            for path in (directory, directory / "status"):
                os.chown(path, owner, owner)

    def user_namespace(self, pid: int | str, number: int) -> None:
        (self.root / str(pid) / "ns" / "user").symlink_to(f"user:[{number}]")

    def yama(self, scope: int) -> None:
        directory = self.root / "sys/kernel/yama"
        directory.mkdir(parents=True)
        (directory / "ptrace_scope").write_text(f"{scope}\n")

    def explain(self, number: int = errno.EPERM, pid: int = PID) -> AttachRefused:
        return explain_attach(pid, OSError(number, os.strerror(number)), str(self.root))


@pytest.fixture
def proc(tmp_path: Path) -> FakeProc:
    return FakeProc(tmp_path)


def assert_says(refusal: AttachRefused, cause: str, remedy: str) -> None:
    assert cause in refusal.cause
    assert remedy in refusal.remedy


def test_no_such_process(proc: FakeProc) -> None:
    refusal = proc.explain(errno.ESRCH)
    assert_says(refusal, f"Cannot attach to process {PID}: there is no such process", "ps -e")
    assert refusal.number == errno.ESRCH


@pytest.mark.parametrize(
    ("status", "cause", "remedy"),
    [
        ({"State": "Z (zombie)", "PPid": "42"}, "zombie", "process 42"),
        ({"TracerPid": "99"}, "traced by process 99 (gdb): TracerPid", "kill 99"),
        ({"Tgid": "4000"}, "thread of process 4000", "attach to 4000"),
        ({"Tgid": "100"}, "debugserver itself", "second debugserver"),
        ({"Uid": "0\t0\t0\t0"}, f"uid 0, debugserver runs as uid {USER_ID} without CAP_SYS_PTRACE", "sudo -u '#0'"),
        ({"CapPrm": "0000000000003000"}, "capabilities that debugserver lacks (CapPrm 0x3000", "root"),
    ],
)
def test_what_its_status_shows(proc: FakeProc, status: dict[str, str], cause: str, remedy: str) -> None:
    proc.process(PID, ORDINARY, status)
    proc.process(99, {"Name": "gdb"})
    assert_says(proc.explain(), cause, remedy)


def test_kernel_thread(proc: FakeProc) -> None:
    proc.process(PID, {key: value for key, value in ORDINARY.items() if key != "VmSize"})
    assert_says(proc.explain(), "kernel thread", "run a program")


@pytest.mark.parametrize(
    ("scope", "cause", "remedy"),
    [
        (1, "ptrace_scope is 1", "sudo sysctl kernel.yama.ptrace_scope=0"),
        (2, "ptrace_scope is 2", "sudo sysctl kernel.yama.ptrace_scope=0"),
        (3, "ptrace_scope is 3", "boot"),
    ],
)
def test_yama(proc: FakeProc, scope: int, cause: str, remedy: str) -> None:
    proc.process(PID, ORDINARY)
    proc.yama(scope)
    assert_says(proc.explain(), cause, remedy)


def test_yama_does_not_keep_the_capable_out(proc: FakeProc) -> None:
    proc.process("self", OURSELVES, ROOT)
    proc.process(PID, ORDINARY)
    proc.yama(1)
    assert "ptrace_scope" not in proc.explain().cause


def test_another_user_namespace(proc: FakeProc) -> None:
    proc.process(PID, ORDINARY)
    proc.user_namespace("self", 1)
    proc.user_namespace(PID, 2)
    assert_says(proc.explain(), "another user namespace", "in the same container")


@pytest.mark.parametrize(("its", "explained"), [("0 1000 1", True), ("0 0 4294967295", False)])
def test_a_user_namespace_that_only_its_map_tells(proc: FakeProc, its: str, explained: bool) -> None:
    """user_namespaces(7): a line is start inside, start outside, length."""
    proc.process("self", OURSELVES)
    proc.process(PID, ORDINARY)
    proc.user_namespace("self", 1)
    (proc.root / "self/uid_map").write_text("         0          0 4294967295\n")
    (proc.root / str(PID) / "uid_map").write_text(f"{its}\n")
    assert ("another user namespace" in proc.explain().cause) is explained


@needs_root
def test_not_dumpable(proc: FakeProc) -> None:
    proc.process(PID, ORDINARY)
    os.chown(proc.root / str(PID) / "status", 0, 0)
    assert_says(proc.explain(), "not dumpable", "root")


@needs_root
def test_root_in_a_container(proc: FakeProc) -> None:
    proc.process("self", OURSELVES, CONTAINER_ROOT)
    proc.process(PID, ORDINARY, {"Uid": CONTAINER_ROOT["Uid"]})
    assert_says(proc.explain(), "root without CAP_SYS_PTRACE", "--cap-add=SYS_PTRACE")


@needs_root
@pytest.mark.parametrize("process", [{"Uid": USER}, {"Uid": ROOT["Uid"], "CapPrm": ROOT["CapPrm"]}])
def test_root_in_a_container_is_not_told_to_become_root(proc: FakeProc, process: dict[str, str]) -> None:
    proc.process("self", OURSELVES, CONTAINER_ROOT)
    proc.process(PID, ORDINARY, process)
    refusal = proc.explain()
    assert "--cap-add=SYS_PTRACE" in refusal.remedy
    assert "as root" not in refusal.remedy


def test_seccomp(proc: FakeProc) -> None:
    proc.process("self", OURSELVES, {"Seccomp": "2"})
    proc.process(PID, ORDINARY)
    assert_says(proc.explain(), "seccomp", "seccomp=unconfined")


def test_init(proc: FakeProc) -> None:
    proc.process("self", OURSELVES, ROOT)
    proc.process(1, ORDINARY, {"Tgid": "1", "Uid": ROOT["Uid"]})
    assert_says(proc.explain(pid=1), "init", "another process")


def test_what_nobody_foresaw_is_the_systems_own_message(proc: FakeProc) -> None:
    proc.process("self", OURSELVES, ROOT)
    proc.process(PID, ORDINARY)
    assert proc.explain(errno.EIO).cause == f"Cannot attach to process {PID}: Input/output error"


def attach_as_nobody(pid: int) -> str:
    """What is said of it."""
    script = f"""
import sys; sys.path.insert(0, {str(SOURCE)!r})
from debugserver.linux import diagnosis, ptrace
import os; os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)
try:
    ptrace.seize({pid}, 0)
except OSError as error:
    print(diagnosis.explain_attach({pid}, error))
"""
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=DEADLINE, check=True
    ).stdout


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to become another user")
def test_another_user_for_real() -> None:
    """A process of nobody tries to attach to one of root."""
    said = attach_as_nobody(os.getpid())
    assert "it belongs to uid 0, debugserver runs as uid 65534 without CAP_SYS_PTRACE" in said


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to become another user")
def test_not_dumpable_for_real() -> None:
    """A process of nobody tries to attach to another one of nobody, which has asked not to be dumped (prctl(2))."""
    script = f"""
import ctypes, os, sys
os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)
ctypes.CDLL(None).prctl({PR_SET_DUMPABLE}, 0)
print(flush=True); sys.stdin.read()
"""
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        said = attach_as_nobody(process.pid)
    assert "it is not dumpable" in said
    assert said.endswith("run debugserver as root\n")


@pytest.mark.parametrize("pid", [0, -5, (1 << 32) + 1, (1 << 64) + 1])
def test_what_is_no_pid_is_no_process(pid: int) -> None:
    """The kernel looks at 32 bits of it, and finds init."""
    with pytest.raises(ProcessLookupError):
        ptrace.seize(pid, 0)


def failed(program: str | Path, end: ProcessExit | None, failure: OSError | None = None) -> LaunchFailed:
    settings = LaunchSettings()
    settings.program = str(program)
    return explain_launch(settings, end, failure)


def assert_failed(failure: LaunchFailed, outcome: str, explanation: str) -> None:
    """GDB's words come last."""
    assert outcome in failure.outcome
    assert explanation in str(failure)
    assert str(failure).endswith(f". {failure.outcome}.")


NOT_FOUND = ProcessExit(PID, 127)
NOT_EXECUTABLE = ProcessExit(PID, 126)


def test_missing_program(tmp_path: Path) -> None:
    failure = failed(tmp_path / "missing", NOT_FOUND)
    assert failure.outcome == "During startup program exited with code 127"
    assert "missing: No such file or directory" in failure.cause
    assert failure.number == errno.ENOENT


def test_program_missing_in_path() -> None:
    assert_failed(failed("no-such-program-anywhere", NOT_FOUND), "code 127", "in PATH; give its path")


def test_directory(tmp_path: Path) -> None:
    failure = failed(tmp_path, NOT_EXECUTABLE)
    assert_failed(failure, "code 126", "is a directory")
    assert failure.number == errno.EACCES


def test_not_executable(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("#!/bin/sh\n")
    assert_failed(failed(file, NOT_EXECUTABLE), "code 126", f"chmod +x {file}")


def executable(path: Path, contents: bytes) -> Path:
    path.write_bytes(contents)
    path.chmod(0o755)
    return path


def elf(machine: int, interpreter: bytes) -> bytes:
    """A 64-bit little-endian program of one segment, PT_INTERP (elf(5))."""
    header = b"\x7fELF\2\1\1".ljust(16, b"\0") + (2).to_bytes(2, "little") + machine.to_bytes(2, "little")
    header = header.ljust(32, b"\0") + (64).to_bytes(8, "little")
    header = header.ljust(54, b"\0") + (56).to_bytes(2, "little") + (1).to_bytes(2, "little")
    segment = (3).to_bytes(4, "little") + bytes(4) + (120).to_bytes(8, "little")
    return header.ljust(64, b"\0") + segment.ljust(56, b"\0") + interpreter + b"\0"


OTHER_MACHINE = 22  # EM_S390
THIS_MACHINE = {"x86_64": 62, "aarch64": 183}.get(os.uname().machine, 0)


@pytest.mark.parametrize(
    ("contents", "remedy"),
    [
        (b"#!/nowhere/sh -e\n", "'/nowhere/sh', is not there"),
        (b"echo\n", "neither an ELF program nor a script"),
        (elf(OTHER_MACHINE, b"/bin/sh"), "for another CPU"),
        (elf(THIS_MACHINE, b"/nowhere/ld.so"), "/nowhere/ld.so, is not there"),
    ],
)
def test_no_executable_format(tmp_path: Path, contents: bytes, remedy: str) -> None:
    assert_failed(failed(executable(tmp_path / "program", contents), NOT_FOUND), "code 127", remedy)


def test_failed_exec_of_an_innocent_program() -> None:
    failure = failed("/bin/sh", NOT_FOUND, OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)))
    assert_failed(failure, "code 127", "cannot execute /bin/sh: execve failed: Cannot allocate memory")
    assert failure.number == errno.ENOMEM


def test_a_wrapper_that_ends_is_reported_in_gdbs_words() -> None:
    assert failed("/bin/sh", ProcessExit(PID, 0)).outcome == "During startup program exited normally"
    segmentation_fault = failed("/bin/sh", ProcessExit(PID, 0, 11)).outcome
    assert segmentation_fault == "During startup program terminated with signal SIGSEGV, Segmentation fault"


@pytest.mark.parametrize("directory", ["/none", "/etc/passwd"])
def test_a_directory_that_cannot_be_entered(directory: str) -> None:
    settings = LaunchSettings()
    settings.program = "/bin/sh"
    settings.directory = directory
    failure = explain_launch(settings, ProcessExit(1, 127), OSError(errno.ENOENT, "No such file or directory"))
    assert str(failure).startswith(f"{directory} is no directory that can be entered")
