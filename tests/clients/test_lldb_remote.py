"""LLDB connects to a server that runs already (`gdb-remote`), and debugs programs of every kind through it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.live.running import running
from tests.support.gdb import expect
from tests.support.i386 import PROGRAM as I386
from tests.support.processes import is_stopped, status, thread_ids, wait_until
from tests.support.programs import compile_program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.live.running import Running
    from tests.support.lldb import Lldb
    from tests.support.server import Server

STEPS = compile_program("steps")


@pytest.fixture
def target() -> Iterator[Running]:
    """A process of our own; a server that is asked for later is gone before it."""
    with running("threads") as process:
        yield process


def test_with_a_file(lldb: Lldb, serve: Callable[..., Server]) -> None:
    address = serve(STEPS).address
    out = lldb(
        "breakpoint set -n add", f"gdb-remote {address}", "continue", "thread backtrace", "process kill", program=STEPS
    )
    expect(out, r"stop reason = breakpoint 1\.1", "frame #1: .*`main", "libc.so.6`")
    expect(out, rf"{STEPS}", r"ld-linux-x86-64\.so", r"libc\.so\.6", "exited with status = 9 ")


def test_without_a_file(lldb: Lldb, serve: Callable[..., Server]) -> None:
    """LLDB finds the program by its process, and its libraries by the loader's list."""
    out = lldb(
        f"gdb-remote {serve(STEPS).address}",
        "breakpoint set -n twice",
        "continue",
        "frame variable",
        "target modules list",
        "continue",
    )
    expect(out, r"stop reason = breakpoint 1\.1\n.*`twice\(n=3\)", r"\(int\) n = 3")
    expect(out, rf"{STEPS}", r"\[vdso\]", r"ld-linux-x86-64\.so", r"libc\.so\.6", "exited with status = 7 ")


def test_it_comes_to_an_attached_process_and_lets_it_go(
    lldb: Lldb, target: Running, serve: Callable[..., Server]
) -> None:
    server = serve(target.pid, options=("--attach",))
    out = lldb(
        f"gdb-remote {server.address}",
        "breakpoint set -n work",
        "continue",
        "expression -- turns[0] >= 0",
        "thread backtrace",
        "breakpoint delete -f",
        "process detach",
        program=target.program,
    )
    expect(out, r"stop reason = breakpoint 1\.1\n.*`work", r"\$0 = (true|1)", "frame #1: .*`counting", "detached")
    for tid in thread_ids(target.pid):
        assert status(target.pid, "TracerPid", tid) == "0"
    before = target.read("turns", 8, 4)
    wait_until(
        lambda: all(a > b for a, b in zip(target.read("turns", 8, 4), before, strict=True)), "all threads run on"
    )
    target.write("done", 1)
    target.output.wait_for("joined")


def test_it_comes_again(lldb: Lldb, target: Running, serve: Callable[..., Server]) -> None:
    """A client that goes leaves the process stopped, with nothing of its own in it."""
    server = serve(target.pid, options=("--attach",))
    for _ in range(2):
        with lldb.start(
            f"gdb-remote {server.address}",
            "breakpoint set -n work",
            "continue",
            "expression -- turns[0] - turns[0]",
            program=target.program,
        ) as session:
            session.wait_for(r"\(long\) \$0 = 0")
            assert "rwxp" in maps(target.pid)
            session.kill()
        wait_until(lambda: "rwxp" not in maps(target.pid), "LLDB's memory goes with it")
        assert is_stopped(target.pid)


def maps(pid: int) -> str:
    return Path(f"/proc/{pid}/maps").read_text()


@pytest.mark.parametrize(
    "flags", [("-no-pie",), ("-static",), ("-static-pie",), ("-pie",)], ids=["fixed", "static", "static-pie", "pie"]
)
def test_kinds_of_programs(lldb: Lldb, serve: Callable[..., Server], flags: tuple[str, ...]) -> None:
    program = compile_program("steps", *flags)
    out = lldb(
        f"gdb-remote {serve(program).address}",
        "breakpoint set -n factorial",
        "continue",
        "breakpoint disable",
        "expression -- twice(21)",
        "thread backtrace",
        "register read pc",
        "continue",
        program=program,
    )
    expect(
        out,
        r"stop reason = breakpoint 1\.1\n.*`factorial\(n=5\)",
        r"\$0 = 42",
        "frame #1: .*`main",
        "rip = .*factorial",
    )
    expect(out, "exited with status = 7 ")


def test_a_stripped_program(lldb: Lldb, serve: Callable[..., Server], tmp_path: Path) -> None:
    program = tmp_path / "steps"
    shutil.copy(STEPS, program)
    subprocess.run(["strip", program], check=True, timeout=20)
    out = lldb(
        f"gdb-remote {serve(program).address}",
        "breakpoint set -n qsort",
        "continue",
        "thread backtrace",
        "thread step-inst",
        "breakpoint disable",
        "continue",
        program=program,
    )
    expect(out, r"stop reason = breakpoint 1\.1\n.*`(__)?qsort", "frame #[1-9]: .*steps`", "instruction step")
    expect(out, "exited with status = 7 ")


def test_a_32_bit_program(lldb: Lldb, serve: Callable[..., Server]) -> None:
    out = lldb(
        f"gdb-remote {serve(I386).address}",
        "breakpoint set -n add",
        "continue",
        "register read eip eax ax al pc sp",
        "register write edx 0x11223344",
        "register read dx dh",
        "frame variable",
        "thread backtrace",
        "expression -- add(20, 22)",
        "thread step-inst",
        "memory region $sp",
        "breakpoint disable",
        "continue",
        program=I386,
    )
    expect(
        out, r"stop reason = breakpoint 1\.1\n.*`add\(a=1, b=2\)", "eip = 0x0", "al = 0x", "dx = 0x3344", "dh = 0x33"
    )
    expect(out, "frame #1: .*`main", r"\$0 = 42", "instruction step", r"rw.? \[stack\]", "exited with status = 3 ")


def test_a_client_that_detaches_and_leaves_it_stopped(
    lldb: Lldb, target: Running, serve: Callable[..., Server]
) -> None:
    server = serve(target.pid, options=("--attach",))
    out = lldb(f"gdb-remote {server.address}", "process detach --keep-stopped true")
    expect(out, "detached")
    wait_until(lambda: status(target.pid, "State")[:1] == "T", "it stands, and nobody holds it")
    assert status(target.pid, "TracerPid") == "0"
