"""The values that cross between a target and the stub: ids, actions, events, objects. No behaviour, no packets.

Signal numbers are the host's own; addresses and sizes are in bytes.
"""

from __future__ import annotations

import shlex
from enum import Enum
from typing import NamedTuple


class ThreadId(NamedTuple):
    """One thread of one process; both ids as the system gives them."""

    pid: int
    tid: int


class ActionKind(Enum):
    """What a resumed thread does."""

    CONTINUE = "continue"
    STEP = "step"
    RANGE_STEP = "range step"

    def __str__(self) -> str:
        return self.value


class Action(NamedTuple):
    """How to resume one thread. `signal` (0: none) is delivered first; a range step runs while start <= pc < end."""

    kind: ActionKind
    signal: int = 0
    start: int = 0
    end: int = 0


class StopReason(Enum):
    """Why a thread stopped."""

    # Asked for several times at each stop; Enum's own hashes the name, in Python.
    __hash__ = object.__hash__

    SIGNAL = "signal"
    START = "start"
    """Nothing has been run yet of the program; its signal is SIGTRAP."""
    ATTACHED = "attached"
    """It was running when the debug server attached to it; no signal."""
    STEP = "step"
    SOFTWARE_BREAKPOINT = "software breakpoint"
    HARDWARE_BREAKPOINT = "hardware breakpoint"
    WRITE_WATCHPOINT = "write watchpoint"
    READ_WATCHPOINT = "read watchpoint"
    ACCESS_WATCHPOINT = "access watchpoint"
    HALTED = "halted"
    """The stub asked for it."""
    EXEC = "exec"
    FORK = "fork"
    VFORK = "vfork"
    VFORK_DONE = "vfork done"
    CLONE = "clone"
    THREAD_CREATED = "thread created"
    SYSCALL_ENTRY = "system call entry"
    SYSCALL_RETURN = "system call return"


class Stop(NamedTuple):
    """A thread stopped. `address` is that of a breakpoint, or the watched data's; `path` the new program of an exec;
    `child` the new process of a fork, the new thread of a clone; `number` that of a system call, or of the hardware
    slot that was hit."""

    thread: ThreadId
    signal: int
    reason: StopReason
    address: int = 0
    path: str = ""
    child: ThreadId | None = None
    number: int = 0


class ThreadExit(NamedTuple):
    """A thread ended while its process lives on. `wanted`: somebody asked to be told of it."""

    thread: ThreadId
    status: int
    wanted: bool = False


class ProcessExit(NamedTuple):
    """A process ended: with an exit status, or killed by `signal` (then not 0)."""

    pid: int
    status: int
    signal: int = 0


Event = Stop | ThreadExit | ProcessExit


class WatchKind(Enum):
    """What a hardware slot watches for."""

    EXECUTE = "execute"
    WRITE = "write"
    READ = "read"
    ACCESS = "access"


class Region(NamedTuple):
    """A mapping from `start` up to `end`. `permissions` are those of the letters "rwx" that it has; `name` is the path
    of its file, or what the system calls it; empty if it has no name."""

    start: int
    end: int
    permissions: str
    name: str


class Library(NamedTuple):
    """A loaded shared object: `name` as the loader knows it, the addresses of its link map, load bias and dynamic
    section, and the address of its namespace's r_debug (lmid)."""

    name: str
    link_map: int
    load_bias: int
    dynamic: int
    namespace: int


class Libraries(NamedTuple):
    """The loader's list. `main_link_map` is the program's own link map, or 0."""

    main_link_map: int
    libraries: tuple[Library, ...]


class FileStatus(NamedTuple):
    """What stat(2) says of a file; times in seconds."""

    device: int
    inode: int
    mode: int
    links: int
    uid: int
    gid: int
    rdev: int
    size: int
    block_size: int
    blocks: int
    atime: int
    mtime: int
    ctime: int


class HostDescription(NamedTuple):
    """The system that processes run on. `triple` as LLVM writes it (x86_64-pc-linux-gnu); `traps_after`: whether a
    watchpoint stops its thread after the access, not before it."""

    triple: str
    pointer_size: int
    byteorder: str
    traps_after: bool
    distribution: str
    version: str
    """Numbers and dots."""
    release: str
    kernel: str
    name: str


class ProcessDetails(NamedTuple):
    """A process of the system, debugged or not. `program` is its file's path and `triple` what that was built for;
    both are empty where the system does not tell."""

    pid: int
    parent: int
    uid: int
    gid: int
    effective_uid: int
    effective_gid: int
    program: str
    arguments: tuple[str, ...]
    triple: str
    pointer_size: int = 8


class ServerAddress(NamedTuple):
    """Where a debug server listens: at a TCP port, or (then `port` is 0) a Unix socket."""

    pid: int
    port: int
    path: str = ""


class CommandResult(NamedTuple):
    """How a shell's command ended: with an exit status, or killed by `signal` (then not 0); and what it printed."""

    status: int
    signal: int
    output: bytes


class ModuleDetails(NamedTuple):
    """A program or shared object as a file. `build_id` is empty without one; `size` in bytes."""

    path: str
    triple: str
    build_id: bytes
    size: int


class LaunchSettings:
    """How to start a program. A session works on its own copy, so a client's wishes end with it."""

    __slots__ = (
        "arguments",
        "directory",
        "disable_randomization",
        "environment",
        "escape_arguments",
        "program",
        "startup_with_shell",
        "stderr",
        "stdin",
        "stdout",
        "wrapper",
    )

    def __init__(self) -> None:
        self.program = ""
        self.arguments: tuple[str, ...] = ()
        self.wrapper: tuple[str, ...] = ()
        self.environment: dict[str, str] = {}
        self.directory = ""
        self.disable_randomization = True
        self.startup_with_shell = True
        self.escape_arguments = True
        """Whether the shell is kept from expanding wildcards and variables in the arguments."""
        self.stdin = ""
        self.stdout = ""
        self.stderr = ""
        """Files that become the standard streams; empty: wherever the target lets them lead."""

    def argument_line(self) -> str:
        """The arguments as a shell would be given them."""
        arguments = map(shlex.quote, self.arguments) if self.escape_arguments else self.arguments
        return " ".join(arguments)

    def copy(self) -> LaunchSettings:
        """An independent copy."""
        other = LaunchSettings()
        other.program = self.program
        other.arguments = self.arguments
        other.wrapper = self.wrapper
        other.environment = dict(self.environment)
        other.directory = self.directory
        other.disable_randomization = self.disable_randomization
        other.startup_with_shell = self.startup_with_shell
        other.escape_arguments = self.escape_arguments
        other.stdin, other.stdout, other.stderr = self.stdin, self.stdout, self.stderr
        return other
