"""Why the system refused to attach or to start a program, and what the user can do. Reads /proc, changes nothing.

Sources: ptrace(2), "Ptrace access mode checking" and "/proc/sys/kernel/yama/ptrace_scope"; capabilities(7);
user_namespaces(7); elf(5).
"""

from __future__ import annotations

import errno
import os
import signal
import stat
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from debugserver.errors import AttachRefused, LaunchFailed

if TYPE_CHECKING:
    from debugserver.target.model import LaunchSettings, ProcessExit

_CAP_SYS_PTRACE = 19
_GIVE_CAPABILITY = "start the container of debugserver with --cap-add=SYS_PTRACE"
_SECCOMP_FILTER = "2"
_NOT_EXECUTABLE = 126
_NOT_FOUND = 127
"""Exit statuses of a shell that could not start a command."""


class Explanation(NamedTuple):
    """Why not, and what to do."""

    cause: str
    remedy: str = ""


class _Process:
    """One process as /proc shows it. What cannot be read is empty."""

    def __init__(self, root: str, pid: int | str) -> None:
        self.pid = pid
        self.path = f"{root}/{pid}"
        self.status = dict(_fields(_read(f"{self.path}/status")))

    @property
    def name(self) -> str:
        return self.status.get("Name", "?")

    @property
    def uid(self) -> int:
        """The real uid, which the access check compares."""
        return int(self.status.get("Uid", "-1").split()[0])

    @property
    def tracer(self) -> int:
        return int(self.status.get("TracerPid", "0"))

    @property
    def user_namespace(self) -> str:
        """As user:[INODE]."""
        try:
            return os.readlink(f"{self.path}/ns/user")
        except OSError:
            return ""

    @property
    def uid_map(self) -> str:
        """How uids of its user namespace are mapped; namespaces that have different ones are different."""
        return " ".join(_read(f"{self.path}/uid_map").split())


class _Case(NamedTuple):
    """What an attach was tried with."""

    root: str
    us: _Process
    process: _Process
    error: OSError

    @property
    def may_trace_all(self) -> bool:
        return bool(int(self.us.status.get("CapEff", "0"), 16) >> _CAP_SYS_PTRACE & 1)

    @property
    def as_root(self) -> str:
        """What to do so that debugserver may trace all: root is not enough in a container."""
        return "run debugserver as root" if self.us.uid else _GIVE_CAPABILITY


_Check = Callable[[_Case], Explanation | None]


def explain_attach(pid: int, error: OSError, root: str = "/proc") -> AttachRefused:
    """Why PTRACE_SEIZE failed on `pid` with this error; `root` is where /proc is."""
    case = _Case(root, _Process(root, "self"), _Process(root, pid), error)
    for check in _CHECKS:
        if explanation := check(case):
            break
    else:
        explanation = Explanation(error.strerror or str(error))
    return AttachRefused(f"Cannot attach to process {pid}: {explanation.cause}", explanation.remedy, error.errno)


def _missing(case: _Case) -> Explanation | None:
    if case.process.status:
        return None
    if case.error.errno == errno.ESRCH:
        return Explanation("there is no such process", "list the processes with ps -e; a container has its own pids")
    return Explanation(
        f"{case.error.strerror}; and {case.process.path} cannot be read",
        "run debugserver as the user who owns the process, or as root",
    )


def _ourselves(case: _Case) -> Explanation | None:
    if case.process.status.get("Tgid") != case.us.status.get("Tgid", "unknown"):
        return None
    return Explanation("that is debugserver itself", "start a second debugserver to debug this one")


def _zombie(case: _Case) -> Explanation | None:
    if not case.process.status.get("State", "").startswith(("Z", "X")):
        return None
    parent = case.process.status.get("PPid", "?")
    return Explanation(
        "it has ended and is a zombie", f"only its parent, process {parent}, can still learn its exit status"
    )


def _kernel_thread(case: _Case) -> Explanation | None:
    if "VmSize" in case.process.status:
        return None
    return Explanation("it is a kernel thread", "only processes that run a program can be debugged this way")


def _traced_already(case: _Case) -> Explanation | None:
    tracer = case.process.tracer
    if not tracer:
        return None
    name = _Process(case.root, tracer).name
    return Explanation(
        f"it is already being traced by process {tracer} ({name}): TracerPid in {case.process.path}/status",
        f"detach that debugger first, or end it: kill {tracer}",
    )


def _part_of_another(case: _Case) -> Explanation | None:
    leader = case.process.status.get("Tgid")
    if leader in (None, str(case.process.pid)):
        return None
    return Explanation(f"it is a thread of process {leader}", f"attach to {leader}")


def _init(case: _Case) -> Explanation | None:
    if str(case.process.pid) != "1":
        return None
    return Explanation(
        "it is init, the first process of this system or container, and the system protects it",
        "debug another process, or attach from outside of the container or virtual machine",
    )


def _another_user_namespace(case: _Case) -> Explanation | None:
    ours, its = case.us.user_namespace, case.process.user_namespace
    if not its:
        # Who may not trace a process may not ask for its namespace either.
        ours, its = case.us.uid_map, case.process.uid_map
    if not (ours and its) or ours == its:
        return None
    return Explanation(
        "it lives in another user namespace",
        "run debugserver in the same container, or outside of it as root or as the user who started it",
    )


def _another_user(case: _Case) -> Explanation | None:
    if case.may_trace_all or case.process.uid == case.us.uid:
        return None
    return Explanation(
        f"it belongs to uid {case.process.uid}, debugserver runs as uid {case.us.uid} without CAP_SYS_PTRACE",
        f"run debugserver as that user: sudo -u '#{case.process.uid}' debugserver ...; or {case.as_root}",
    )


def _yama(case: _Case) -> Explanation | None:
    scope = _read(f"{case.root}/sys/kernel/yama/ptrace_scope").strip()
    explanation = _YAMA.get(scope)
    if explanation is None or (scope != "3" and case.may_trace_all):
        return None
    return Explanation(explanation.cause, explanation.remedy.format(as_root=case.as_root))


_YAMA = {
    "1": Explanation(
        "kernel.yama.ptrace_scope is 1: only a process's own ancestors may trace it",
        "let debugserver start the program; or {as_root}; or allow it until the next boot: "
        "sudo sysctl kernel.yama.ptrace_scope=0",
    ),
    "2": Explanation(
        "kernel.yama.ptrace_scope is 2: only processes with CAP_SYS_PTRACE may trace",
        "{as_root}, or allow it until the next boot: sudo sysctl kernel.yama.ptrace_scope=0",
    ),
    "3": Explanation(
        "kernel.yama.ptrace_scope is 3: nobody may trace, and this cannot be changed until the next boot",
        "set kernel.yama.ptrace_scope=0 in /etc/sysctl.d and boot again",
    ),
}


def _not_dumpable(case: _Case) -> Explanation | None:
    """The kernel gives the files of a process that is not dumpable to root (proc(5))."""
    if case.may_trace_all:
        return None
    try:
        # Not the directory's own, which stays the user's: everybody may look into it.
        owner = os.stat(f"{case.process.path}/status").st_uid
    except OSError:
        return None
    if owner == case.process.uid:
        return None
    return Explanation(
        f"it is not dumpable (it gained privileges, or asked for it): {case.process.path} belongs to uid {owner}",
        case.as_root,
    )


def _more_capable(case: _Case) -> Explanation | None:
    if case.may_trace_all:
        return None
    ours = int(case.us.status.get("CapPrm", "0"), 16)
    its = int(case.process.status.get("CapPrm", "0"), 16)
    if not its & ~ours:
        return None
    return Explanation(f"it has capabilities that debugserver lacks (CapPrm {its:#x}, ours is {ours:#x})", case.as_root)


def _seccomp(case: _Case) -> Explanation | None:
    if case.us.status.get("Seccomp") != _SECCOMP_FILTER:
        return None
    return Explanation(
        "a seccomp filter is on debugserver: a container's may forbid ptrace",
        "start the container with --cap-add=SYS_PTRACE, if need be also --security-opt seccomp=unconfined",
    )


def _no_capability(case: _Case) -> Explanation | None:
    if case.us.uid != 0 or case.may_trace_all:
        return None
    return Explanation("debugserver is root without CAP_SYS_PTRACE, as in a container", _GIVE_CAPABILITY)


def _security_module(case: _Case) -> Explanation | None:
    label = _read(f"{case.process.path}/attr/current").strip("\0\n ")
    if not label or label == "unconfined":
        return None
    return Explanation(
        f"a security module may forbid it: the process is confined as {label!r}",
        "look for the denial in dmesg or the audit log",
    )


_CHECKS: tuple[_Check, ...] = (
    _missing,
    _ourselves,
    _zombie,
    _kernel_thread,
    _part_of_another,
    _traced_already,
    _another_user_namespace,
    _another_user,
    _not_dumpable,
    _yama,
    _more_capable,
    _no_capability,
    _init,
    _seccomp,
    _security_module,
)
"""The first that applies is the explanation: the certain ones stand before the likely ones."""


def explain_launch(settings: LaunchSettings, end: ProcessExit | None, failure: OSError | None = None) -> LaunchFailed:
    """Why a program did not start: how its process ended (None: nobody knows), and why its first exec failed, if so."""
    explanation = None if settings.wrapper else explain_program(settings.program)
    explanation = explanation or _explain_directory(settings.directory)
    cause, remedy = explanation or _from_end(settings.program, end, failure)
    status = end.status if end else 0
    number = failure.errno if failure else _NUMBERS.get(status)
    return LaunchFailed(cause, remedy, number, f"During startup program {_outcome(end)}")


def _explain_directory(directory: str) -> Explanation | None:
    """Why a program cannot be started there."""
    path = os.path.expanduser(directory)
    if not path or (os.access(path, os.X_OK) and os.path.isdir(path)):
        return None
    return Explanation(f"{directory} is no directory that can be entered", "choose another one")


_NUMBERS = {_NOT_FOUND: errno.ENOENT, _NOT_EXECUTABLE: errno.EACCES}


def _outcome(end: ProcessExit | None) -> str:
    """In GDB's words."""
    if end is None:
        return "vanished"
    if end.signal:
        return f"terminated with signal {signal.Signals(end.signal).name}, {signal.strsignal(end.signal)}"
    return f"exited with code {end.status}" if end.status else "exited normally"


def _from_end(program: str, end: ProcessExit | None, failure: OSError | None) -> Explanation:
    if failure is not None:
        return Explanation(f"cannot execute {program}: execve failed: {failure.strerror}")
    return _FROM_STATUS.get(
        end.status if end else 0, Explanation("the shell or the wrapper ended before it started the program")
    )


_FROM_STATUS = {
    _NOT_FOUND: Explanation("the shell did not find the program or its wrapper"),
    _NOT_EXECUTABLE: Explanation("the shell could not execute the program or its wrapper"),
}


def explain_program(program: str) -> Explanation | None:
    """What stands in the way of executing this file, as far as the file itself shows."""
    path = program if "/" in program else _find(program)
    if not path:
        return Explanation(f"there is no {program} in PATH", f"give its path, as in ./{program}")
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        return Explanation(f"{path}: {error.strerror}", "check the path")
    if stat.S_ISDIR(mode):
        return Explanation(f"{path} is a directory", "name a program")
    if not os.access(path, os.X_OK):
        return Explanation(f"{path} is not executable", f"chmod +x {path}")
    return _explain_contents(path)


def _find(program: str) -> str:
    for directory in os.get_exec_path():
        path = os.path.join(directory, program)
        if os.access(path, os.X_OK) and not os.path.isdir(path):
            return path
    return ""


def _explain_contents(path: str) -> Explanation | None:
    try:
        with open(path, "rb") as file:
            start = file.read(4096)
    except OSError:
        return None
    if start.startswith(b"#!"):
        return _explain_interpreter(path, start)
    if start.startswith(b"\x7fELF"):
        return _explain_machine(path, start)
    return Explanation(
        f"{path} is neither an ELF program nor a script with a #! line", "debug its interpreter: /bin/sh SCRIPT"
    )


def _explain_interpreter(path: str, start: bytes) -> Explanation | None:
    words = start[2:].split(b"\n")[0].split()
    interpreter = os.fsdecode(words[0]) if words else ""
    if os.path.exists(interpreter):
        return None
    return Explanation(
        f"the interpreter of {path}, {interpreter!r}, is not there", "install it, or correct the #! line"
    )


def _explain_machine(path: str, start: bytes) -> Explanation | None:
    """The machine and the dynamic loader that an ELF program asks for (elf(5))."""
    machine = os.uname().machine
    runnable = _ELF_MACHINES.get(machine)
    if runnable and int.from_bytes(start[18:20], "little") not in runnable:
        return Explanation(f"{path} is a program for another CPU than {machine}", "build it for this machine")
    loader = _loader(start)
    if loader and not os.path.exists(loader):
        return Explanation(
            f"the dynamic loader of {path}, {loader}, is not there", "install the C library that it needs"
        )
    return None


_ELF_MACHINES = {"x86_64": (62, 3), "aarch64": (183, 40)}
_PT_INTERP = 3


def _loader(start: bytes) -> str:
    """PT_INTERP of a 64-bit program; empty without one."""
    if start[4] != 2:
        return ""
    table, size, count = (int.from_bytes(start[a:b], "little") for a, b in ((32, 40), (54, 56), (56, 58)))
    for header in range(table, table + size * count, size or 1):
        if int.from_bytes(start[header : header + 4], "little") == _PT_INTERP:
            offset = int.from_bytes(start[header + 8 : header + 16], "little")
            return os.fsdecode(start[offset:].split(b"\0")[0])
    return ""


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _fields(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        key, _, value = line.partition(":")
        yield key, value.strip()
