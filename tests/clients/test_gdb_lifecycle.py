"""How programs start, run again, make children, become other programs and end under GDB."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.support.gdb import expect, printed
from tests.support.processes import is_gone
from tests.support.programs import compile_program, line_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.gdb import Gdb
    from tests.support.server import Server

WAYS = ("fork", "vfork", "posix_spawn", "popen", "system")


def test_exit_codes(debug: Callable[..., str]) -> None:
    out = debug("steps", "continue", "print $_exitcode", "info inferiors", "next", "print counter")
    expect(out, r"exited with code 07", r"= 7$", r"<null>", r"not being run", r"= 0$")


def test_server_ends_with_the_program(gdb: Gdb, serve: Callable[..., Server]) -> None:
    program = compile_program("steps")
    server = serve(program)
    expect(gdb.remote(server.address, "continue", program=program), r"exited with code 07")
    server.wait()
    expect(
        server.log.text,
        r"Process .*steps created; pid = \d+",
        r"Remote debugging from host",
        r"Child exited with status 7",
    )
    assert server.output.text == "3 6 120 15 1\n"


def test_kill_ends_program_and_server(gdb: Gdb, serve: Callable[..., Server]) -> None:
    program = compile_program("steps")
    server = serve(program)
    expect(gdb.remote(server.address, "break add", "continue", "kill", "info threads", program=program), r"No threads")
    server.wait()
    assert is_gone(server.debuggee)
    assert server.output.text == ""


def test_run_again_under_extended_remote(gdb: Gdb, multi_server: Server) -> None:
    program = compile_program("steps")
    out = gdb.remote(
        multi_server.address,
        f"set remote exec-file {program}",
        "break count",
        "run",
        "print counter",
        "set var counter = 50",
        "run one two",
        "print counter",
        "print argc",
        "print argv[2]",
        "up",
        "print argc",
        "continue",
        "print $_exitcode",
        "start",
        "kill",
        "info threads",
        "run",
        "continue",
        "monitor exit",
        program=program,
        extended=True,
    )
    expect(out, r"Breakpoint 1, count", r"= 0$", r"Breakpoint 1, count", r"= 0$", r"#1 .* main \(argc=3", r"= 3$")
    expect(out, r"= 3$", r"exited with code 011", r"= 9$", r"Temporary breakpoint 2, main", r"killed\]", r"No threads")
    expect(out, r"No threads", r"Breakpoint 1, count", r"exited with code")
    multi_server.wait()


def test_arguments_environment_and_directory(gdb: Gdb, multi_server: Server, tmp_path: Path) -> None:
    arguments = """'a b' "c\\"d" e\\ f '' '*' '$HOME' 'x;y'"""
    out = gdb.remote(
        multi_server.address,
        "set remote exec-file /usr/bin/env",
        "set environment GREETING=hello world",
        "unset environment LANG",
        f"set cwd {tmp_path}",
        f'run sh -c \'echo "$GREETING"; pwd; echo "${{LANG-unset}}"; printf "<%s>" "$@"; exit 3\' sh {arguments}',
        "print $_exitcode",
        "set startup-with-shell off",
        "run sh",
        "kill",
        program=None,
        extended=True,
    )
    expect(out, r"exited with code 03", r"= 3$")
    expect(multi_server.output.text, r"^hello world$", rf"^{tmp_path}$", r"^unset$")
    expect(multi_server.output.text, re.escape("""<a b><c"d><e f><><*><$HOME><x;y>"""))


def test_run_of_a_missing_program(gdb: Gdb, multi_server: Server) -> None:
    program = compile_program("steps")
    out = gdb.remote(
        multi_server.address,
        "set remote exec-file /nowhere/steps",
        "run",
        f"set remote exec-file {program}",
        "run",
        program=program,
        extended=True,
    )
    expect(
        out,
        r'Running "/nowhere/steps" on the remote target failed',
        # To a client that offers error-message+, which GDB 13 does not.
        *([r"No such file.*During startup program exited with code 127\.$"] if "failed: " in out else []),
        r"exited with code 07",
    )


def test_address_space_randomization(gdb: Gdb, multi_server: Server) -> None:
    program = compile_program("steps")
    once = "start", "print &counter", "print $sp"
    out = gdb.remote(
        multi_server.address,
        f"set remote exec-file {program}",
        *once,
        *once,
        "set disable-randomization off",
        *once,
        *once,
        "kill",
        program=program,
        extended=True,
    )
    stacks = re.findall(r"\(void \*\) (0x\w+)", out)
    assert stacks[0] == stacks[1]
    assert len(set(stacks[1:])) == 3


@pytest.mark.parametrize("way", WAYS)
def test_children_do_not_meet_our_breakpoints(gdb: Gdb, serve: Callable[..., Server], way: str) -> None:
    program = compile_program("children")
    server = serve(program, way)
    out = gdb.remote(
        server.address,
        "set breakpoint always-inserted on",
        "tbreak main",
        "continue",
        "break shared",
        "break execve",
        "break made",
        "continue",
        "bt",
        "continue",
        "print status",
        "continue",
        program=program,
    )
    expect(
        out, r"Breakpoint 2, shared", r"main \(argc=2", r"Breakpoint 4, made \(status=0\)", r"= 0$", r"exited normally"
    )
    server.wait()
    assert server.output.text == "child status 0\n"


@pytest.mark.parametrize("way", WAYS)
def test_next_over_making_a_child(debug: Callable[..., str], way: str) -> None:
    call = line_of("children", "int status = !strcmp")
    out = debug("children", f"break {call}", "continue", *["next"] * 6, "print status", "continue", arguments=(way,))
    expect(out, rf"Breakpoint 1, .*:{call}", r"= 0$", r"exited normally")


@pytest.mark.parametrize(
    "way",
    [pytest.param("vfork", marks=pytest.mark.beyond_gnu("its watchpoint kills the child")), "fork", "posix_spawn"],
)
def test_watch_while_making_a_child(debug: Callable[..., str], way: str) -> None:
    out = debug("children", "watch calls", "continue", "bt", "continue", "continue", arguments=(way,))
    expect(out, r"^New value = [12]$", r"shared \(\)", r" main \(", r"exited normally")


@pytest.mark.parametrize("arguments", [(), ("thread",)], ids=["leader", "thread"])
def test_exec_of_another_program(gdb: Gdb, serve: Callable[..., Server], arguments: tuple[str, ...]) -> None:
    server = serve(compile_program("executes"), *arguments, compile_program("steps"))
    out = gdb.remote(
        server.address,
        "break main",
        "continue",
        "continue",
        "info threads",
        "break twice",
        "continue",
        "bt",
        "print counter",
        "delete",
        "continue",
        program=compile_program("executes"),
    )
    expect(out, r"Breakpoint 1, main .*executes\.c", r"is executing new program: .*/steps")
    expect(out, r"Breakpoint 1, main .*steps\.c", r"Breakpoint 2, twice \(n=3\)", r"^#1 .* main .*steps\.c", r"= 0$")
    assert len(re.findall(r"^[* ] +\d+ ", printed(out, "info threads"), re.MULTILINE)) == 1
    expect(out, r"exited with code 07")
    server.wait()
    assert server.output.text == "3 6 120 15 1\n"
