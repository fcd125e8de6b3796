"""Catchpoints and following: forks, execs, system calls and libraries as events, as a user of GDB asks for them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.support.gdb import expect, printed
from tests.support.programs import compile_library, compile_program

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize("way", ["fork", "vfork"])
def test_catch_fork(debug: Callable[..., str], way: str) -> None:
    out = debug("children", f"catch {way}", "break shared", "continue", "bt", "continue", "continue", arguments=(way,))
    expect(out, rf"Catchpoint 1 \({way}ed process \d+\)", rf"by_{way}", r"Breakpoint 2, shared", r"exited normally")


def test_follow_the_child(debug: Callable[..., str]) -> None:
    out = debug(
        "children",
        "set follow-fork-mode child",
        "break shared",
        "continue",
        "info inferiors",
        "bt",
        "continue",
        arguments=("fork",),
    )
    expect(out, r"hit Breakpoint 1.*, shared", r"^\* 2", r"by_fork", r"[Ii]nferior 2 .*exited normally")


def test_keep_parent_and_child(debug: Callable[..., str]) -> None:
    out = debug(
        "children",
        "set detach-on-fork off",
        "set schedule-multiple off",
        "break by_fork",
        "continue",
        "next",
        "info inferiors",
        "inferior 2",
        "break _exit",
        "continue",
        "print calls",
        "delete",
        "continue",
        "inferior 1",
        "continue",
        arguments=("fork",),
    )
    inferiors = printed(out, "info inferiors")
    assert inferiors.count("process ") == 2
    expect(
        out,
        r"Switching to inferior 2",
        r"= 1$",
        r"[Ii]nferior 2 .*exited",
        r"Switching to inferior 1",
        r"\(process \d+\) exited normally",
    )


@pytest.mark.parametrize("way", ["leader", "thread"])
def test_catch_exec(debug: Callable[..., str], way: str) -> None:
    arguments = (*(("thread",) if way == "thread" else ()), str(compile_program("steps")))
    out = debug(
        "executes",
        "catch exec",
        "continue",
        "info threads",
        "break twice",
        "continue",
        "delete",
        "continue",
        arguments=arguments,
    )
    expect(out, r"Catchpoint 1 \(exec'd .*/steps\)", r"^\* 1 ", r"twice \(n=3\)", r"exited with code 07")


def test_exec_as_a_new_inferior(debug: Callable[..., str]) -> None:
    out = debug(
        "executes",
        "set follow-exec-mode new",
        "catch exec",
        "continue",
        "info inferiors",
        "continue",
        arguments=(str(compile_program("steps")),),
    )
    expect(out, r"Catchpoint 1 \(exec'd", r"^\* 2 +process", r"exited with code 07")


def test_catch_system_calls(debug: Callable[..., str]) -> None:
    out = debug("steps", "break main", "continue", "catch syscall write", "continue", "continue", "bt -1", "continue")
    expect(out, r"Catchpoint 2 \(call to syscall write\)", r"Catchpoint 2 \(returned from syscall write\)")
    expect(out, r"main \(argc=1", r"exited with code 07")


def test_catch_every_system_call_in_threads(debug: Callable[..., str]) -> None:
    out = debug(
        "threads",
        "break ready",
        "continue",
        "catch syscall",
        *["continue"] * 10,
        "delete",
        "set var done = 1",
        "continue",
    )
    assert out.count("Catchpoint 2 (") == 11
    expect(out, r"exited normally")


def test_catch_load_and_unload(debug: Callable[..., str]) -> None:
    library = str(compile_library("tls_library"))
    out = debug(
        "loads",
        "tbreak main",
        "continue",
        "catch load tls_library",
        "catch unload tls_library",
        "continue",
        "continue",
        "continue",
        arguments=(library,),
    )
    expect(out, r"Catchpoint 2\n\s+Inferior loaded .*tls_library", r"Catchpoint 3\n\s+Inferior unloaded .*tls_library")
    expect(out, r"exited with code 0151")


def test_catch_signal(debug: Callable[..., str]) -> None:
    out = debug("signals", "handle SIGUSR1 nostop noprint", "catch signal SIGUSR2", "continue", "bt -1", "continue")
    expect(out, r"Catchpoint 1 \(signal SIGUSR2\)", r"main \(", r"exited with code 013")


def test_follow_the_child_of_a_vfork(debug: Callable[..., str]) -> None:
    out = debug(
        "children",
        "set follow-fork-mode child",
        "break shared",
        "continue",
        "info inferiors",
        "bt",
        "continue",
        "info inferiors",
        arguments=("vfork",),
    )
    expect(out, r"hit Breakpoint 1.*, shared", r"^\* 2", r"by_vfork", r"[Ii]nferior 2 .*exited normally")


@pytest.mark.parametrize("way", ["fork", "vfork"])
def test_both_run_when_every_process_is_resumed(debug: Callable[..., str], way: str) -> None:
    out = debug(
        "children",
        "set detach-on-fork off",
        "set schedule-multiple on",
        "break shared",
        "continue",
        "continue",
        "inferior 1",
        "continue",
        "continue",
        arguments=(way,),
    )
    expect(out, r"Thread 2\.1 .*hit Breakpoint|Thread 1\.1 .*hit Breakpoint")
    assert out.count("hit Breakpoint 1") == 2
    assert len(re.findall(r"[Ii]nferior [12] .*exited normally", out)) == 2


@pytest.mark.parametrize("way", ["fork", "vfork", "posix_spawn", "system"])
def test_a_child_let_go_by_a_parent_full_of_breakpoints(debug: Callable[..., str], way: str) -> None:
    """The child runs through all of them to its end, and its parent sees that it did."""
    out = debug(
        "children",
        "set breakpoint always-inserted on",
        *("break shared", "break _exit", "tbreak made"),
        *["continue"] * 2,
        "info breakpoints",
        "delete",
        "continue",
        arguments=(way,),
    )
    expect(out, r"Breakpoint 1, shared", r"made \(status=0\)", r"exited normally")
    assert out.count("already hit 1 time\n") == 1, "`shared`, by the parent alone"


def test_exec_in_the_same_inferior(debug: Callable[..., str]) -> None:
    out = debug(
        "executes",
        "set follow-exec-mode same",
        "tbreak execute",
        "continue",
        "set breakpoint pending on",
        "break twice",
        "continue",
        "info inferiors",
        "continue",
        arguments=(str(compile_program("steps")),),
    )
    expect(out, r"is executing new program: .*/steps", r"Breakpoint 2, twice", r"^\* 1 .*/steps", r"code 07")


def test_catch_system_calls_beside_a_child(debug: Callable[..., str]) -> None:
    out = debug(
        "children",
        "set detach-on-fork off",
        "set schedule-multiple on",
        "catch syscall write",
        "break shared",
        *["continue"] * 2,
        "delete 2",
        "inferior 1",
        *["continue"] * 3,
        arguments=("fork",),
    )
    expect(out, r"hit Breakpoint 2|Breakpoint 2, ", r"call to syscall write", r"returned from syscall write")
