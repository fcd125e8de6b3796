"""Processes in namespaces of their own, as a container has them: made with unshare(1)."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.processes import DEADLINE, Output, is_stopped, status, thread_ids, wait_until
from tests.support.programs import compile_library, compile_program
from tests.support.server import SOURCE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

PLAIN_USER = 65534

_PID = ("--pid", "--fork", "--kill-child", "--mount-proc")
_USER = ("--user", "--map-root-user")
NAMESPACES = {"mount": ("--mount",), "pid": _PID, "user": _USER, "all": (*_USER, *_PID), "chroot": ("--root", "/")}
"""Kind of container -> options of unshare(1), of which a second --root replaces the first."""

# pivot_root(2), 'pivot_root(".", ".")': the old root ends up on top of the new one and is taken off there.
_ENTER = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(function, *arguments):
    if function(*arguments):
        sys.exit(os.strerror(ctypes.get_errno()))
BIND_RECURSIVELY, PIVOT_ROOT, DETACH = 4096 | 16384, 155, 2
root = os.fsencode(sys.argv[1])
call(libc.mount, root, root, None, BIND_RECURSIVELY, None)
if os.getpid() == 1:
    call(libc.mount, b"proc", root + b"/proc", b"proc", 0, None)
os.chdir(root)
call(libc.syscall, PIVOT_ROOT, b".", b".")
call(libc.umount2, b".", DETACH)
os.chdir("/")
os.execv(sys.argv[2], sys.argv[2:])
"""


def as_user(uid: int) -> tuple[str, ...]:
    """What runs a command as that user; nothing if we are it."""
    if uid == os.getuid():
        return ()
    if os.getuid() != 0:
        pytest.skip("only root may become another user")
    return ("setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups")


def interpreter(uid: int) -> str:
    """A Python that the user may run, with our sources."""
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    for python in (sys.executable, "/usr/bin/python3"):
        # env(1) is executed first, as only setpriv(1) itself keeps the rights to find a file.
        command = [*as_user(uid), "env", python, "-c", "import debugserver.linux.target"]
        if subprocess.run(command, capture_output=True, env=environment, timeout=DEADLINE).returncode == 0:
            return python
    pytest.skip(f"user {uid} may run no Python, or not read {SOURCE}")


def require(*command: str) -> tuple[str, ...]:
    """The prefix of a command; the test is skipped unless it works here."""
    result = subprocess.run([*command, "true"], capture_output=True, text=True, timeout=DEADLINE)
    if result.returncode:
        pytest.skip(f"{' '.join(command)}: {result.stderr.strip()}")
    return command


class Image:
    """A root directory with programs in /bin. The library of `contained` is another file than the one outside that has
    the same path; `waits` is static."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.library = compile_library("contained_library")
        self.outside = {
            "contained": compile_program("contained", str(self.library)),
            "waits": compile_program("waits", "-static"),
        }
        (root / "proc").mkdir()
        (root / "etc").mkdir()
        (root / "etc/passwd").write_text("root:x:0:0::/:/bin/contained\n")
        for program in self.outside.values():
            self._copy(program, Path("/bin", program.name))
        for library in _libraries(self.outside["contained"]):
            self._copy(library, library)
        self._copy(compile_program("contained_library", "-shared", "-fPIC", "-DIN_CONTAINER"), self.library)

    def inside(self, path: Path) -> Path:
        """Where we see what has this path inside."""
        return self.root / path.relative_to("/")

    def _copy(self, source: Path, path: Path) -> None:
        copy = self.inside(path)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, copy)
        copy.chmod(0o755)


def _libraries(program: Path) -> list[Path]:
    listing = subprocess.run(["ldd", program], capture_output=True, text=True, check=True, timeout=DEADLINE).stdout
    return [Path(path) for path in re.findall(r"(/\S+)", listing)]


@contextmanager
def make_image() -> Iterator[Image]:
    """One that every user may read, unlike pytest's own directories."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        yield Image(Path(directory))


class Container:
    """A process that is ready, in namespaces of its own."""

    def __init__(self, image: Image, kind: str, name: str = "contained", uid: int | None = None) -> None:
        """`name` is the program's."""
        self._image = image
        self._kind = kind
        self.has_own_root = kind not in ("pid", "user")
        self.program = Path("/bin", name) if self.has_own_root else image.outside[name]
        """As the process sees it."""
        self.library = image.inside(image.library) if self.has_own_root else image.library
        """As we see it."""
        self._uid = os.getuid() if uid is None else uid
        unshare = require(*as_user(self._uid), "unshare", *NAMESPACES[kind])
        self._process = subprocess.Popen([*unshare, *self._command()], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        self.output = Output(self._process.stdout)

    def _command(self) -> list[str | Path]:
        if self._kind == "chroot":
            return ["--root", self._image.root, self.program]
        if self.has_own_root:
            return [interpreter(self._uid), "-c", _ENTER, self._image.root, self.program]
        return [self.program]

    def __enter__(self) -> Container:
        try:
            self.output.wait_for("ready")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """unshare(1) becomes the program, unless that is in another PID namespace: then it is its only child."""
        own = self._process.pid
        if "--fork" not in NAMESPACES[self._kind]:
            return own
        (child,) = (
            pid for pid in map(int, filter(str.isdecimal, os.listdir("/proc"))) if status(pid, "PPid") == str(own)
        )
        return child

    def end(self) -> int:
        """The exit code, once it has read the end of its input."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        return self._process.wait(DEADLINE)

    def close(self) -> None:
        """End it at once: a server may still hold it."""
        if self._process.poll() is None:
            with suppress(ProcessLookupError, ValueError):
                os.kill(self.pid, signal.SIGKILL)
            self._process.wait(DEADLINE)
        assert self._process.stdin is not None
        self._process.stdin.close()
        self.output.close()

    def assert_unharmed(self) -> None:
        """Nobody traces or stops it, and it runs to its end, with every call counted."""
        pid = self.pid
        for tid in thread_ids(pid):
            assert status(pid, "TracerPid", tid) == "0"
            wait_until(lambda tid=tid: not is_stopped(pid, tid), f"thread {tid} runs")  # type: ignore[misc]
        exit_code = self.end()
        assert exit_code == 0, exit_code
