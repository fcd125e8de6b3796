"""Processes in other namespaces: ids are the server's, paths the process's own. And a server in such a namespace."""

from __future__ import annotations

import os
import re
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from debugserver.testing.client import RspClient
from tests.live.session import PLAIN, SIGCHLD, SIGTRAP, live_threads, pc_of, symbols, thread_of
from tests.support.containers import NAMESPACES, PLAIN_USER, as_user, interpreter, require
from tests.support.processes import DEADLINE
from tests.support.programs import compile_library, compile_program
from tests.support.server import SOURCE, Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from debugserver.rsp.stop_reply import StopReply
    from tests.support.containers import Container, Image

KINDS = [(kind, os.getuid()) for kind in NAMESPACES] + [("all", PLAIN_USER)]


@contextmanager
def connected(
    *arguments: str | int | Path, prefix: tuple[str, ...] = (), uid: int | None = None
) -> Iterator[RspClient]:
    """A client of a server that runs as that user behind `prefix`, and ends with the session."""
    user = os.getuid() if uid is None else uid
    command = [*as_user(user), *prefix, interpreter(user), "-m", "debugserver", "--once"]
    with Server(command, *arguments) as server:
        with RspClient.connect(server.address, DEADLINE) as client:
            client.supported(PLAIN)
            client.start_no_ack_mode()
            yield client
        server.wait()


def hexadecimal(path: Path | str) -> bytes:
    return str(path).encode().hex().encode()


def start_of_file(client: RspClient, path: Path | str) -> bytes:
    """Its first page."""
    opened = client.request(b"vFile:open:%b,0,0" % hexadecimal(path))
    assert re.fullmatch(b"F[0-9a-f]+", opened), opened
    read = client.request(b"vFile:pread:%b,1000,0" % opened[1:])
    assert client.request(b"vFile:close:%b" % opened[1:]) == b"F0"
    return read.partition(b";")[2]


def loaded(client: RspClient, library: Path) -> tuple[int, int]:
    """(link map, load bias) of a library, by the path that the process loaded it from."""
    listing = client.transfer("libraries-svr4").decode()
    match = re.search(rf'name="{library}" lm="0x([0-9a-f]+)" l_addr="0x([0-9a-f]+)"', listing)
    assert match, listing
    return int(match[1], 16), int(match[2], 16)


def run_into(client: RspClient, address: int) -> StopReply:
    assert client.request(b"Z0,%x,1" % address) == b"OK"
    client.resume()
    stop = client.wait_stop()
    assert (stop.kind, stop.signal, pc_of(stop)) == ("T", SIGTRAP, address)
    return stop


@pytest.mark.parametrize(("kind", "uid"), KINDS)
def test_attach_from_outside(contain: Callable[..., Container], image: Image, kind: str, uid: int) -> None:
    container = contain(kind, uid=uid)
    pid = container.pid
    with connected("--attach", "localhost:0", pid, uid=uid) as client:
        assert client.transfer("exec-file", f"{pid:x}") == str(container.program).encode()
        assert client.request(b"vFile:setfs:%x" % pid) == b"F0"
        assert start_of_file(client, image.library) == container.library.read_bytes()[:4096]
        link_map, bias = loaded(client, image.library)
        stop = run_into(client, bias + symbols(container.library)["library_add"])
        thread = thread_of(stop)
        assert thread[0] == pid
        assert thread[1] in live_threads(pid) - {pid}
        place = client.request(b"qGetTLSAddr:p%x.%x,0,%x" % (*thread, link_map))
        assert int.from_bytes(client.read_memory(int(place, 16), 4), "little") > 100
        assert client.request(b"D;%x" % pid) == b"OK"
    container.assert_unharmed()


def test_attach_from_a_sidecar(contain: Callable[..., Container], image: Image) -> None:
    """A server with a root directory of its own, in the PID namespace of the container, where the process is the
    first."""
    container = contain("all")
    prefix = require("nsenter", "--target", str(container.pid), "--pid", "unshare", "--mount-proc")
    with connected("--attach", "localhost:0", 1, prefix=prefix) as client:
        assert client.transfer("exec-file", "1") == str(container.program).encode()
        assert client.request(b"vFile:setfs:1") == b"F0"
        assert start_of_file(client, image.library) == container.library.read_bytes()[:4096]
        _, bias = loaded(client, image.library)
        stop = run_into(client, bias + symbols(container.library)["library_add"])
        assert thread_of(stop)[0] == 1
        assert client.request(b"D;1") == b"OK"
    container.assert_unharmed()


def test_start_in_a_pid_namespace() -> None:
    """The server is the first process there, as in a container that is made for it."""
    program = compile_program("contained", str(compile_library("contained_library")))
    prefix = require("unshare", *NAMESPACES["pid"])
    with connected("localhost:0", program, prefix=prefix) as client:
        (thread,) = re.findall(rb"QCp([0-9a-f]+)", client.request(b"qC"))
        assert int(thread, 16) < 10
        assert client.transfer("exec-file", thread.decode()) == str(program).encode()
        client.resume()
        stop = client.wait_stop()
        assert (stop.kind, stop.status) == ("W", 0)


def refusal(*arguments: str | int | Path, prefix: tuple[str, ...] = (), uid: int | None = None) -> str:
    """What a server says that ends at once."""
    user = os.getuid() if uid is None else uid
    command = [*as_user(user), *prefix, interpreter(user), "-m", "debugserver", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    result = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=DEADLINE)
    assert result.returncode == 1, result
    return result.stderr


def test_a_proc_of_another_namespace() -> None:
    """Process ids would mean other processes there."""
    said = refusal("localhost:0", "/bin/true", prefix=require("unshare", "--pid", "--fork"))
    assert "/proc does not show debugserver as process 1" in said
    assert "unshare --mount-proc debugserver" in said


def test_a_user_namespace_of_somebody_else(contain: Callable[..., Container]) -> None:
    container = contain("user")
    said = refusal("--attach", "localhost:0", container.pid, uid=PLAIN_USER)
    assert f"Cannot attach to process {container.pid}: it lives in another user namespace" in said
    container.assert_unharmed()


ORPHAN = "orphan=$(sleep 0.1 >/dev/null & echo $!); while [ -d /proc/$orphan ]; do sleep 0.02; done; exit 7"


def test_the_first_process_of_a_namespace_inherits_orphans() -> None:
    """wait(2): somebody has to take a zombie in, and that is the server."""
    prefix = require("unshare", *NAMESPACES["pid"])
    with connected("localhost:0", "/bin/sh", "-c", ORPHAN, prefix=prefix) as client:
        client.resume()
        stop = client.wait_stop()
        while stop.signal == SIGCHLD:
            client.resume(b"vCont;C%x:p%x.%x;c" % (SIGCHLD, *thread_of(stop)))
            stop = client.wait_stop()
        assert (stop.kind, stop.status) == ("W", 7)
