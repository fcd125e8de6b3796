"""GDB on processes in other namespaces, with nothing but the server to ask for files (sysroot `target:`)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.containers import NAMESPACES
from tests.support.gdb import expect, printed

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.containers import Container, Image
    from tests.support.gdb import Gdb
    from tests.support.server import Server


BEYOND_GNU = {"chroot": pytest.mark.beyond_gnu("GNU gdbserver tells root directories by their mount namespace")}
KINDS = [pytest.param(kind, marks=BEYOND_GNU.get(kind, ())) for kind in NAMESPACES]


def attached(gdb: Gdb, serve: Callable[..., Server], container: Container, *commands: str) -> str:
    """The transcript of a session that ends with the server."""
    server = serve(container.pid, options=("--once", "--attach"))
    out = gdb("set sysroot target:", f"target remote {server.address}", *commands)
    assert server.wait() == 0
    return out


@pytest.mark.parametrize("kind", KINDS)
def test_attach(
    gdb: Gdb, serve: Callable[..., Server], contain: Callable[..., Container], image: Image, tmp_path: Path, kind: str
) -> None:
    container = contain(kind)
    out = attached(
        gdb,
        serve,
        container,
        "info files",
        "info sharedlibrary",
        "info threads",
        "print edition",
        "break library_add",
        "continue",
        "backtrace 2",
        "print calls_here > 100",
        "print own_number",
        "info proc mappings",
        f"remote get /proc/{container.pid}/root/etc/passwd {tmp_path}/passwd",
        "detach",
    )
    expect(printed(out, "info files"), rf"target:{container.program}', file type elf64-x86-64")
    expect(printed(out, "info sharedlibrary"), rf"Yes +target:{image.library}")
    expect(printed(out, "info threads"), rf"Thread {container.pid}\.{container.pid} ", rf"Thread {container.pid}\.\d+ ")
    edition = "the container" if container.has_own_root else "the host"
    expect(printed(out, "print edition"), f'"of {edition}"')
    expect(out, r"hit Breakpoint 1, library_add \(n=2\) at", r"#1 .* counting \(", r"= 1$", r"= 20$")
    expect(printed(out, "info proc mappings"), f"r-xp .*{container.program}", f"{image.library}")
    expect(out, r"detached\]")
    seen = image.root if container.has_own_root else Path("/")
    assert (tmp_path / "passwd").read_bytes() == (seen / "etc/passwd").read_bytes()
    container.assert_unharmed()


def test_a_pipe_into_a_container(gdb: Gdb, server_line: str, contain: Callable[..., Container]) -> None:
    """As by `docker exec -i`: the server starts beside the process, and needs no port."""
    container = contain("pid")
    inside = f"nsenter --target {container.pid} --pid --mount"
    out = gdb(
        "set sysroot target:",
        f"target remote | {inside} {server_line} --once --attach - 1",
        *("info threads", "break library_add", "continue", "detach"),
    )
    expect(out, r'Thread 1\.1 "contained"', r"hit Breakpoint 1, library_add", r"detached\]")
    container.assert_unharmed()


def test_a_core_of_a_container(
    gdb: Gdb, serve: Callable[..., Server], contain: Callable[..., Container], image: Image, tmp_path: Path
) -> None:
    container = contain("all")
    core = tmp_path / "core"
    out = attached(gdb, serve, container, "break library_add", "continue", f"gcore {core}", "delete", "detach")
    expect(out, r"hit Breakpoint 1", r"Saved corefile", r"detached\]")
    out = gdb(
        f"set sysroot {image.root}",
        f"core-file {core}",
        "info threads",
        "print edition",
        "backtrace 2",
        program=image.root / "bin/contained",
    )
    expect(out, r"Thread 0x", r'"of the container"', r"#0 .*library_add \(n=2\)", r"#1 .*counting \(")
    container.assert_unharmed()


@pytest.mark.beyond_gnu("GNU gdbserver does not find the way from one mount namespace to the next")
def test_attach_and_leave_again_and_again(
    gdb: Gdb, multi_server: Server, contain: Callable[..., Container], image: Image
) -> None:
    """From one container to the next under one server: files are those of the process at hand."""
    inside, outside, static = contain("all"), contain("pid"), contain("mount", "waits")
    out = gdb(
        "set sysroot target:",
        f"target extended-remote {multi_server.address}",
        *(f"attach {inside.pid}", "print edition", "detach", "file"),
        *(f"attach {outside.pid}", "output edition", "detach", "file"),
        *(f"attach {static.pid}", "info sharedlibrary", "frame function main", "detach", "file"),
    )
    expect(out, r'= .* "of the container"', r"detached\]", r'"of the host"', r"detached\]")
    expect(out, r"No shared libraries", r"main \(\) at .*waits.c", r"detached\]")
    for container in (inside, outside, static):
        container.assert_unharmed()
