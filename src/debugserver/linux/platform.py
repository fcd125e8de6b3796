"""This system as a target that debugs nothing itself, LLDB's platform: files, programs, debug servers, a shell.

Knows no protocol; what a debug server is started with is said by whoever makes one of these.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import socket
from typing import TYPE_CHECKING, Any, TypeVar, cast

from debugserver.errors import LaunchFailed, NoSuchProcess, TargetError
from debugserver.linux.host_files import LinuxHostFiles
from debugserver.linux.host_system import LinuxHostSystem
from debugserver.linux.launch import NOWHERE, spawn
from debugserver.linux.procfs import Procfs
from debugserver.target import capabilities as abilities
from debugserver.target.model import CommandResult, ServerAddress, ThreadId
from debugserver.target.target import Target

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from subprocess import Popen

    from debugserver.arch.architecture import Architecture
    from debugserver.target.model import LaunchSettings

Capability = TypeVar("Capability")

_LOOK_AGAIN = 0.005
"""Seconds until a command is looked after again."""
_MOST_OUTPUT = 1 << 18
"""Bytes of a command's output that are kept."""
_PIECE = 1 << 16
_END_DEADLINE = 2000
"""Milliseconds that a process has to end in order."""
_ACCEPT_TIMEOUT = 60
"""Seconds that a debug server waits for its client."""


class LinuxPlatform(Target):
    """One client's view of this system. Its processes are the programs that were started here: nobody traces them."""

    def __init__(self, settings: LaunchSettings, servers: LinuxDebugServers, *, allow_shell: bool) -> None:
        """`settings`: what programs are started with unless a client says otherwise. ConfigurationError."""
        procfs = Procfs()
        procfs.require_own()
        self._children = servers.children
        self._capabilities: dict[type[Any], Any] = {
            abilities.DebugServers: servers,
            abilities.HostFiles: LinuxHostFiles(procfs),
            abilities.HostShell: LinuxShell(allow_shell),
            abilities.HostSystem: LinuxHostSystem(procfs),
            abilities.Launch: FreeLaunch(settings, self._children),
            abilities.WorkingDirectory: LinuxWorkingDirectory(),
        }

    def capability(self, kind: type[Capability]) -> Capability | None:
        return cast("Capability | None", self._capabilities.get(kind))

    def processes(self) -> Sequence[int]:
        return self._children.programs()

    def threads(self, pid: int) -> Sequence[ThreadId]:
        return [ThreadId(pid, pid)]

    def architecture(self, pid: int) -> Architecture:
        raise TargetError(f"process {pid} is not being debugged")


class Children:
    """The processes that were started here and have not ended."""

    def __init__(self) -> None:
        self._programs: dict[int, bool] = {}
        """pid -> whether it is a program of the client's, and not a server."""

    def add(self, pid: int, *, program: bool) -> None:
        """A new one."""
        self._programs[pid] = program

    def programs(self) -> list[int]:
        """The client's programs, oldest first."""
        self._collect()
        return [pid for pid, is_program in self._programs.items() if is_program]

    def end(self, pid: int) -> None:
        """NoSuchProcess if it is none, or has ended."""
        self._collect()
        if pid not in self._programs:
            raise NoSuchProcess(f"process {pid} was not started here, or has ended")
        os.kill(pid, signal.SIGTERM)
        descriptor = os.pidfd_open(pid)
        ended = select.poll()
        ended.register(descriptor, select.POLLIN)
        if not ended.poll(_END_DEADLINE):
            os.kill(pid, signal.SIGKILL)
        os.close(descriptor)
        os.waitpid(pid, 0)
        del self._programs[pid]

    def _collect(self) -> None:
        for pid in tuple(self._programs):
            if os.waitpid(pid, os.WNOHANG)[0]:
                del self._programs[pid]


class FreeLaunch(abilities.Launch):
    """Starts programs that nobody debugs; their streams are the files that the client names, otherwise nowhere."""

    def __init__(self, settings: LaunchSettings, children: Children) -> None:
        self._settings = settings
        self._children = children

    def launch_settings(self) -> LaunchSettings:
        return self._settings.copy()

    def launch(self, settings: LaunchSettings) -> ThreadId:
        spawned = spawn(settings, NOWHERE)
        spawned.release()
        if failure := spawned.failure():
            os.waitpid(spawned.pid, 0)
            raise LaunchFailed(f"cannot execute {settings.program}: {failure.strerror}", number=failure.errno)
        self._children.add(spawned.pid, program=True)
        return ThreadId(spawned.pid, spawned.pid)


class LinuxWorkingDirectory(abilities.WorkingDirectory):
    """That of this process, which serves one client."""

    def change_directory(self, path: str) -> None:
        try:
            os.chdir(path)
        except (OSError, ValueError) as error:
            raise TargetError(f"{path}: {error}", getattr(error, "errno", None)) from None


class LinuxDebugServers(abilities.DebugServers):
    """Starts `command gdbserver` for each program. One that nobody connects to ends after a minute."""

    def __init__(
        self, command: Sequence[str], host: str, ports: Iterable[int], offset: int = 0, program: Sequence[str] = ()
    ) -> None:
        """`host`: the address to listen at, empty for Unix sockets; `ports` that may be listened on, 0 for any;
        `offset`: what clients are told is higher by so much; `program`: what a server that waits has, if there is to be
        one. TargetError."""
        self.children = Children()
        self._command = command
        self._host = host
        self._ports = tuple(ports)
        self._offset = offset
        self._sockets = 0
        self._waiting = self._start(self._ports, program) if program else None

    def start_server(self, port: int) -> ServerAddress:
        return self._start((port,) if port else self._ports, ())

    def waiting_server(self) -> ServerAddress | None:
        waiting, self._waiting = self._waiting, None
        return waiting

    def kill_spawned(self, pid: int) -> None:
        self.children.end(pid)

    def _start(self, ports: Sequence[int], program: Sequence[str]) -> ServerAddress:
        if not self._host:
            return self._start_at_unix_socket(program)
        with self._listen(ports) as listener:
            listener.set_inheritable(True)
            pid = self._spawn([f"--fd={listener.fileno()}"], program)
            return ServerAddress(pid, listener.getsockname()[1] + self._offset)

    def _start_at_unix_socket(self, program: Sequence[str]) -> ServerAddress:
        """The server itself listens, as the file is its own, and says so."""
        import tempfile

        self._sockets += 1
        path = os.path.join(tempfile.gettempdir(), f"debugserver-{os.getpid()}-{self._sockets}")
        reader, writer = os.pipe()
        with open(reader, "rb") as listening:
            os.set_inheritable(writer, True)
            pid = self._spawn([f"--pipe={writer}", f"unix://{path}"], program)
            os.close(writer)
            if not listening.read(1):
                raise TargetError("the debug server does not start")
        return ServerAddress(pid, 0, path)

    def _spawn(self, where: Sequence[str], program: Sequence[str]) -> int:
        line = [*self._command, "gdbserver", *where, f"--accept-timeout={_ACCEPT_TIMEOUT}", "--", *program]
        pid = os.posix_spawn(line[0], line, os.environ, setsigdef=(signal.SIGPIPE, signal.SIGXFSZ))
        self.children.add(pid, program=False)
        return pid

    def _listen(self, ports: Sequence[int]) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        for port in ports:
            listener = socket.socket(family, socket.SOCK_STREAM)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((self._host, port))
                listener.listen(1)
            except OSError as error:
                listener.close()
                if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                    raise TargetError(f"cannot listen at {self._host}: {error.strerror}", error.errno) from None
            else:
                return listener
        raise TargetError("every port for debug servers is taken", errno.EBUSY)


class LinuxShell(abilities.HostShell):
    """/bin/sh, if the user allows it."""

    def __init__(self, allowed: bool) -> None:
        self._allowed = allowed

    def run_command(self, command: str, directory: str, timeout: float | None) -> abilities.Running:
        if not self._allowed:
            raise TargetError("shell commands are not allowed here; start it with --allow-shell to allow them")
        import subprocess
        import time

        deadline = None if timeout is None else time.monotonic() + timeout
        try:
            process = subprocess.Popen(
                ["/bin/sh", "-c", command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=directory or None,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise TargetError(f"cannot run it: {error}", getattr(error, "errno", None)) from None
        output = bytearray()
        try:
            while not _has_ended(process, output):
                if deadline is not None and time.monotonic() >= deadline:
                    raise TargetError(f"it did not end within {timeout} s")
                yield _LOOK_AGAIN
        finally:
            _end(process)
        status = process.returncode
        return CommandResult(max(status, 0), max(-status, 0), bytes(output))


def _has_ended(process: Popen[bytes], output: bytearray) -> bool:
    """Also takes what it has printed meanwhile."""
    ended = process.poll() is not None
    if process.stdout is not None:
        os.set_blocking(process.stdout.fileno(), False)
        while piece := process.stdout.read(_PIECE):
            output += piece[: _MOST_OUTPUT - len(output)]
    return ended


def _end(process: Popen[bytes]) -> None:
    """With all that it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdout is not None:
        process.stdout.close()
