"""What a program prints, as the user of GDB sees it, and what the server does when GDB goes away."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.support.gdb import expect, printed
from tests.support.processes import is_gone, status, wait_until
from tests.support.programs import compile_program

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.gdb import Gdb
    from tests.support.server import Server

pytestmark = pytest.mark.beyond_gnu("it has neither --stdio nor --on-disconnect")


def test_output_appears_in_gdb_between_its_own_lines(gdb: Gdb, serve: Callable[..., Server]) -> None:
    program = compile_program("prints")
    server = serve(program, options=("--stdio=client",))
    out = gdb.remote(server.address, "break half_way", "continue", "next", "continue", program=program)
    expect(
        out,
        r"^first out\nfirst error\n\nBreakpoint 1, half_way \(\)",
        r"^\(gdb\) continue$(\n.*)*\nno more input\n\[Inferior 1 \(process \d+\) exited with code 05\]",
    )
    assert server.wait() == 0
    assert server.output.text == ""


def test_output_of_a_call_from_gdb(gdb: Gdb, serve: Callable[..., Server]) -> None:
    program = compile_program("prints")
    server = serve(program, options=("--stdio=client",))
    out = gdb.remote(
        server.address, "break half_way", "continue", 'print (int) puts("called")', "kill", program=program
    )
    assert re.fullmatch(r"called\n\$1 = \d+", printed(out, 'print (int) puts("called")'))


def test_output_while_the_program_runs_and_the_interrupt(gdb: Gdb, serve: Callable[..., Server]) -> None:
    server = serve("/bin/sh", "-c", "echo begun; exec sleep 1000", options=("--stdio=client",))
    with gdb.talk() as conversation:
        conversation.run(f"target remote {server.address}")
        conversation.send("continue")
        conversation.wait_for("begun")
        wait_until(lambda: status(server.debuggee, "Name") == "sleep", "sleep runs")
        conversation.interrupt()
        conversation.wait_for("received signal SIGINT")
        conversation.run("kill")


def test_in_non_stop_output_is_the_servers(gdb: Gdb, serve: Callable[..., Server]) -> None:
    """An `O` packet there would be taken for the reply to whatever GDB has just asked."""
    program = compile_program("prints")
    server = serve(program, options=("--stdio=client",))
    out = gdb(
        "set non-stop on", f"target remote {server.address}", "break half_way", "continue", "continue", program=program
    )
    expect(out, r"Breakpoint 1, half_way", r"exited with code 05")
    assert "first out" not in out
    assert server.wait() == 0
    assert server.output.text == "first out\nfirst error\nno more input\n"


def test_files_of_a_program_run_again(gdb: Gdb, serve: Callable[..., Server], tmp_path: Path) -> None:
    program = compile_program("prints")
    (tmp_path / "in").write_text("a line\n")
    server = serve(
        options=("--multi", f"--stdin={tmp_path}/in", f"--stdout={tmp_path}/out", f"--stderr={tmp_path}/out")
    )
    out = gdb.remote(server.address, f"set remote exec-file {program}", "run", "run", program=program, extended=True)
    assert len(re.findall("exited with code 05", out)) == 2
    assert sorted((tmp_path / "out").read_text().splitlines()) == [
        "first error", "first out", "no more input", "read a line",
    ]  # fmt: skip


@pytest.mark.parametrize("policy", ["detach", "kill"])
def test_gdb_dies(gdb: Gdb, serve: Callable[..., Server], policy: str) -> None:
    program = compile_program("threads")
    server = serve(program, "2000", options=(f"--on-disconnect={policy}",))
    with gdb.talk(program) as conversation:
        conversation.run(f"target remote {server.address}", "break ready", "continue", "break work if number == 9")
        conversation.send("continue")
        wait_until(lambda: status(server.debuggee, "State")[:1] == "S", "it runs")
        conversation.kill()
    if policy == "detach":
        server.output.wait_for("joined")
    assert server.wait() == 0
    assert is_gone(server.debuggee)
