"""What GDB learns of a process through objects and files: libraries, auxv, mappings, cores."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pexpect import EOF

from tests.support.gdb import expect, printed
from tests.support.programs import compile_library, compile_program

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.gdb import Gdb
    from tests.support.server import Server


def test_everything_through_the_target(gdb: Gdb, serve: Callable[..., Server]) -> None:
    """GDB is told neither the program nor where libraries are."""
    library = compile_library("tls_library")
    server = serve(compile_program("tls", str(library)))
    out = gdb(
        "set sysroot target:",
        f"target remote {server.address}",
        "info files",
        "break library_add",
        "continue",
        "finish",
        "info sharedlibrary",
        "info symbol library_add",
        "continue",
        "bt",
    )
    expect(out, r"Reading .*/tls from remote target", r"`target:.*/tls', file type elf64-x86-64")
    expect(out, r"hit Breakpoint 1.*, library_add \(n=1\)|Breakpoint 1, library_add \(n=1\)", r"= 101$")
    libraries = printed(out, "info sharedlibrary")
    assert f"target:{library}" in libraries
    assert "target:" in next(line for line in libraries.splitlines() if "libc.so" in line)
    expect(
        out,
        r"library_add in section \.text of target:",
        r"library_add \(n=2\)",
        r"other \(",
        r"start_thread|clone|libc",
    )


def test_auxv_and_process_information(gdb: Gdb, serve: Callable[..., Server]) -> None:
    program = compile_program("steps")
    server = serve(program, "first", "second")
    out = gdb.remote(
        server.address,
        "tbreak main",
        "continue",
        "info auxv",
        "info proc",
        "info proc mappings",
        "info proc status",
        "info inferiors",
        "info sharedlibrary",
        "print $_inferior_pid",
        program=program,
    )
    auxv = printed(out, "info auxv")
    expect(auxv, r"AT_SYSINFO_EHDR", r"AT_PAGESZ .* 4096", r"AT_PHENT .* 56", r"AT_EXECFN .*/steps", r"AT_NULL")
    expect(
        printed(out, "info proc"),
        rf"process {server.debuggee}",
        r"cmdline = '.*steps first second'",
        r"cwd = ",
        r"exe = ",
    )
    mappings = printed(out, "info proc mappings")
    expect(mappings, r"0x[0-9a-f]+ +0x[0-9a-f]+ +0x1000 +0x0 .*/steps", r"libc\.so\.6", r"\[stack\]")
    expect(printed(out, "info proc status"), r"Name:\tsteps", r"TracerPid:\t\d+")
    assert f"process {server.debuggee}" in printed(out, "info inferiors")
    expect(printed(out, "info sharedlibrary"), r"ld-linux", r"libc\.so\.6")


def test_operating_system_tables(debug: Callable[..., str]) -> None:
    out = debug("threads", "break ready", "continue", "info os processes", "info os threads", "kill")
    expect(printed(out, "info os processes"), r"^pid +user +command +cores", r"^\d+ +\w+ +.*threads")
    assert len(re.findall(r"^\d+ +threads|counter-\d", printed(out, "info os threads"), re.MULTILINE)) >= 5


def test_gcore_and_read_back(gdb: Gdb, serve: Callable[..., Server], tmp_path: Path) -> None:
    program = compile_program("threads")
    core = tmp_path / "core"
    live = gdb.remote(
        serve(program).address,
        "break ready",
        "continue",
        "set var turns[0] = 12345",
        f"gcore {core}",
        "print $rsp",
        "info threads",
        "kill",
        program=program,
    )
    expect(live, r"Saved corefile")
    dead = gdb(f"core-file {core}", "print turns[0]", "print $rsp", "info threads", "bt", "info auxv", program=program)
    expect(dead, r"= 12345$", r"#0 +ready \(\)", r"main \(argc=1", r"AT_EXECFN")
    assert printed(dead, "print $rsp").split("=")[1] == printed(live, "print $rsp").split("=")[1]
    assert dead.count("LWP") >= 5


def test_stdio_connection(gdb: Gdb, server_line: str) -> None:
    program = compile_program("steps")
    out = gdb(
        f"target remote | {server_line} - {program}",
        "break count",
        "continue",
        "bt",
        "delete",
        "continue",
        program=program,
    )
    expect(out, r"Breakpoint 1, count", r"#1 .* main", r"exited with code 07")
    expect(out, r"^3 6 120 15 1$")


def test_monitor_commands(gdb: Gdb, serve: Callable[..., Server]) -> None:
    program = compile_program("steps")
    out = gdb.remote(serve(program).address, "monitor help", "monitor nonsense", "monitor exit", program=program)
    expect(
        out,
        r"The following monitor commands are supported:",
        r"Quit GDBserver",
        r"[Uu]nknown|[Ii]nvalid monitor command",
    )


def test_remote_files(gdb: Gdb, serve: Callable[..., Server], tmp_path: Path) -> None:
    program = compile_program("steps")
    here, there, back = tmp_path / "here", tmp_path / "there", tmp_path / "back"
    here.write_bytes(bytes(range(256)) * 600)
    out = gdb.remote(
        serve(program).address,
        f"remote put {here} {there}",
        f"remote get {there} {back}",
        f"remote delete {there}",
        f"remote get {tmp_path}/missing {back}",
        program=program,
    )
    expect(printed(out, f"remote get {tmp_path}/missing {back}"), r"^Remote I/O error: No such file or directory$")
    assert out.count("error") == 1
    assert back.read_bytes() == here.read_bytes()
    assert not there.exists()


def test_libraries_loaded_and_unloaded_while_running(debug: Callable[..., str]) -> None:
    library = str(compile_library("tls_library"))
    out = debug(
        "loads",
        "set stop-on-solib-events 0",
        "tbreak opened",
        "continue",
        "info sharedlibrary",
        "break library_add",
        "continue",
        "up",
        "tbreak closed",
        "continue",
        "info sharedlibrary",
        "continue",
        arguments=(library,),
    )
    first, second = (part.partition("\n(gdb) ")[0] for part in out.split("(gdb) info sharedlibrary\n")[1:])
    assert library in first
    assert library not in second
    expect(out, r"library_add \(n=5\)", r"main \(", r"exited with code 0151|exited normally")


def test_tui_on_and_off(gdb: Gdb, serve: Callable[..., Server]) -> None:
    program = compile_program("steps")
    terminal = gdb.on_terminal(program)
    try:
        for command in (f"target remote {serve(program).address}", "break add", "continue"):
            terminal.expect_exact("(gdb) ")
            terminal.sendline(command)
        terminal.expect(r"Breakpoint 1, add \(a=1, b=2\)")
        terminal.sendline("tui enable")
        terminal.expect(r"steps\.c.*int sum")
        terminal.sendline("next")
        terminal.sendline("tui disable")
        terminal.sendline("print sum * 1000")
        terminal.expect(r"= 3000")
        terminal.sendline("kill")
        terminal.sendline("quit")
        terminal.expect(EOF)
    finally:
        terminal.close(force=True)
