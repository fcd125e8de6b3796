"""The servers that are compared, each started as its users start it: ours, GNU gdbserver and lldb-server.

The binaries inside the packages gdb-for-pwndbg and lldb-for-pwndbg are run, not the commands that these install:
those are Python wrappers, which take longer to start than the servers.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

ROOT = Path(__file__).resolve().parents[1]
DEADLINE = 20.0  # seconds for a server to end


class Peer(NamedTuple):
    """A kind of server."""

    name: str
    title: str
    command: tuple[str, ...]
    dialect: str  # client.c: what is negotiated with it
    tree_of_ours: Path | None = None  # where the sources are, if it is our server

    @property
    def is_lldb(self) -> bool:
        """Whether it has lldb-server's command line."""
        return self.dialect == "lldb"


class Server(NamedTuple):
    """A server that listens."""

    process: subprocess.Popen[bytes]
    port: int
    seconds: float
    """From exec until it listened."""


def _vendored(package: str, program: str) -> str:
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        sys.exit(f"The package {package} is not installed: type ./check --setup")
    return str(Path(found.origin).parent / "_vendor" / "bin" / program)


def ours(tree: Path = ROOT, name: str = "ours") -> Peer:
    """Our server from the sources in `tree`."""
    return Peer(name, "debugserver" if name == "ours" else name, (sys.executable, "-m", "debugserver"), "gdb", tree)


def gdbserver() -> Peer:
    """GNU gdbserver."""
    return Peer("gdbserver", "GNU gdbserver 18.1", (_vendored("gdb_for_pwndbg", "gdbserver"),), "gdb")


def lldb_server() -> Peer:
    """LLDB's."""
    return Peer("lldb-server", "lldb-server 23.1", (_vendored("lldb_for_pwndbg", "lldb-server"), "gdbserver"), "lldb")


PEERS: dict[str, Callable[[], Peer]] = {"ours": ours, "gdbserver": gdbserver, "lldb-server": lldb_server}
"""In the order of the table; ours is the first."""


@contextmanager
def serving(peer: Peer, program: Sequence[str]) -> Iterator[Server]:
    """A server that has started `program`, or that waits to be told what to attach to if there is none.

    It is ended at the end; the programs see to it that they go with it.
    """
    begin = time.perf_counter()
    process, output = (_start_lldb_server if peer.is_lldb else _start)(peer, program)
    with output:
        try:
            yield Server(process, _port(output), time.perf_counter() - begin)
        finally:
            _end(process)


def _start(peer: Peer, program: Sequence[str]) -> tuple[subprocess.Popen[bytes], IO[bytes]]:
    where = [":0", *program] if program else ["--multi", ":0"]
    environment = dict(os.environ)
    if peer.tree_of_ours:
        environment |= {"PYTHONPATH": str(peer.tree_of_ours / "src"), "PYTHONDONTWRITEBYTECODE": ""}
    process = subprocess.Popen(
        [*peer.command, *where],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment,
    )
    assert process.stderr is not None
    return process, process.stderr


def _start_lldb_server(peer: Peer, program: Sequence[str]) -> tuple[subprocess.Popen[bytes], IO[bytes]]:
    read, write = os.pipe()
    process = subprocess.Popen(
        [*peer.command, "--pipe", str(write), "localhost:0", *(["--", *program] if program else [])],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=[write],
    )
    os.close(write)
    return process, os.fdopen(read, "rb")


def _port(output: IO[bytes]) -> int:
    """From gdbserver's line, or lldb-server's port and NUL, which is all that it writes."""
    text = b""
    while chunk := os.read(output.fileno(), 4096):
        text += chunk
        if match := re.search(rb"^Listening on port (\d+)\n|^(\d+)\0", text, re.MULTILINE):
            return int(match[1] or match[2])
    raise RuntimeError(f"no port: {text.decode(errors='replace')}")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(DEADLINE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(DEADLINE)
