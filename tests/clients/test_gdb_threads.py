"""Programs with threads, as a user of GDB sees them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.support.gdb import expect, printed
from tests.support.programs import compile_library, compile_program

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.gdb import Gdb
    from tests.support.server import Server


def test_threads_with_names_and_frames(debug: Callable[..., str]) -> None:
    out = debug(
        "threads",
        "break ready",
        "continue",
        "info threads",
        "thread name leader",
        "thread find counter-2",
        "thread apply all print own_number",
        "thread apply 2 bt",
        "thread 3",
        "print own_number",
        "delete",
        "set var done = 1",
        "continue",
    )
    threads = printed(out, "info threads")
    assert len(re.findall(r"^[* ] \d+ ", threads, re.MULTILINE)) == 5
    for name in ("threads", *(f"counter-{i}" for i in range(4))):
        assert f'"{name}"' in threads
    numbers = re.findall(r"= (-?\d)$", printed(out, "thread apply all print own_number"), re.MULTILINE)
    assert sorted(numbers) == ["-1", "0", "1", "2", "3"]
    expect(
        out,
        r"Thread 4 has target name 'counter-2'",
        r"^Thread 2 .*:\n(.*\n)+.* counting \(",
        r"= 1$",
        r"exited normally",
    )


def test_breakpoint_in_every_thread_with_a_condition(debug: Callable[..., str]) -> None:
    out = debug(
        "threads",
        "break work if number == 2 && turns[2] == 3",
        "continue",
        "print own_number",
        "info threads",
        "continue",
        arguments=("20",),
    )
    expect(out, r"hit Breakpoint 1, work \(number=2\)", r"= 2$", r"exited normally")
    assert re.search(r"^\* \d+ .* work \(number=2\)", printed(out, "info threads"), re.MULTILINE)


def test_breakpoint_for_one_thread(debug: Callable[..., str]) -> None:
    out = debug(
        "threads",
        "break ready",
        "continue",
        "thread find counter-1",
        "break work thread 3",
        "continue",
        "print own_number",
        "continue",
        "print own_number",
        "delete",
        "set var done = 1",
        "continue",
    )
    expect(out, r"Thread 3 has target name", r"= 1$", r"= 1$", r"exited normally")


def test_scheduler_locking(debug: Callable[..., str]) -> None:
    turns = "print turns[1] + turns[2] + turns[3]"
    out = debug(
        "threads",
        "break work if number == 0",
        "continue",
        "set scheduler-locking on",
        f'eval "set var $before = %d", {turns.removeprefix("print ")}',
        "continue",
        "next",
        "next",
        "step",
        "continue",
        "print own_number",
        f"print $before == {turns.removeprefix('print ')}",
        "set scheduler-locking off",
        "delete",
        "break work if number == 0 && turns[1] + turns[2] + turns[3] > $before",
        "continue",
        "print turns[1] + turns[2] + turns[3] > $before",
        "delete",
        "set var done = 1",
        "continue",
    )
    expect(out, r"= 0$", r"= 1$", r"= 1$", r"exited normally")


def test_step_while_others_pass_the_breakpoint(debug: Callable[..., str]) -> None:
    out = debug(
        "threads",
        "set breakpoint always-inserted on",
        "break work if number == 1",
        "break counting thread 1",
        "continue",
        *(("next", "print own_number") * 8),
        "delete",
        "continue",
        arguments=("30",),
    )
    assert re.findall(r"\$\d+ = (-?\d)", out) == ["1"] * 8
    expect(out, r"exited normally")


def test_watchpoint_in_threads(debug: Callable[..., str]) -> None:
    out = debug(
        "threads",
        "watch turns[3]",
        "continue",
        "print own_number",
        "continue",
        "print own_number",
        "delete",
        "continue",
        arguments=("20",),
    )
    expect(out, r"New value = 1", r"= 3$", r"New value = 2", r"= 3$", r"exited normally")


def test_calls_in_threads_that_sleep_in_system_calls(debug: Callable[..., str]) -> None:
    """The calls that the kernel restarts by itself, and by its restart block, end as if nobody had come between."""
    out = debug(
        "sleeps",
        "break asleep",
        "continue",
        "set scheduler-locking on",
        "thread apply 2 3 -q print call(10)",
        "thread apply 2 3 -q print call(20)",
        "set scheduler-locking off",
        "print calls",
        "continue",
    )
    expect(out, r"= 11$", r"= 11$", r"= 21$", r"= 21$", r"= 4$", r"exited normally")


def test_200_threads_each_stop_at_a_breakpoint(gdb: Gdb, serve: Callable[..., Server]) -> None:
    program = compile_program("many_threads")
    server = serve(program)
    out = gdb.remote(
        server.address,
        "break finished",
        "break visit",
        "ignore 2 199",
        "continue",
        "info breakpoints",
        "delete 2",
        "continue",
        "print visits",
        "continue",
        program=program,
    )
    expect(out, r"Breakpoint 2, visit", r"hit 200 times", r"hit Breakpoint 1, finished", r"= 200", r"exited normally")


def test_200_stops_that_gdb_sees(gdb: Gdb, serve: Callable[..., Server]) -> None:
    program = compile_program("many_threads")
    out = gdb.remote(
        serve(program).address, "break visit", *["continue"] * 201, "info breakpoints", "kill", program=program
    )
    expect(out, r"breakpoint already hit 200 times")
    expect(out, r"exited normally")


def test_threads_exit_while_another_is_stepped(debug: Callable[..., str]) -> None:
    out = debug("leaving_threads", "break walk", "continue", "delete", *["next"] * 60, "print steps", "continue")
    expect(out, r"walk \(\)", r"= (29|30)$", r"exited with code 05")


def test_leader_exits_first(debug: Callable[..., str]) -> None:
    out = debug(
        "leaving_threads",
        "break walk",
        "continue",
        "info threads",
        "bt",
        "info proc exe",
        "info auxv",
        "next",
        "next",
        "print steps",
        "watch steps",
        "continue",
        "delete",
        "continue",
        arguments=("leader",),
    )
    expect(out, r"hit Breakpoint 1, walk", r"#0 +walk", r"AT_ENTRY", r"= 1$", r"New value = 2", r"exited with code 07")


def test_thread_local_variables(debug: Callable[..., str]) -> None:
    library = str(compile_library("tls_library"))
    out = debug(
        "tls",
        "break stopped",
        "continue",
        "up",
        "print own_number",
        "print library_number",
        "print (int)errno",
        "thread 1",
        "print own_number",
        "print library_number",
        "print (int)errno",
        "print *(int *)((int *(*)(void))__errno_location)()",
        "info sharedlibrary",
        "kill",
        flags=(library,),
    )
    values = [int(value) for value in re.findall(r"^\$\d+ = (\d+)", out, re.MULTILINE)]
    assert values == [20, 102, 7, 11, 101, 5, 5]
    assert library in printed(out, "info sharedlibrary")


def test_interrupt_and_continue(gdb: Gdb, serve: Callable[..., Server]) -> None:
    program = compile_program("threads")
    server = serve(program)
    with gdb.talk(program) as conversation:
        conversation.run(f"target remote {server.address}")
        conversation.send("continue")
        server.output.wait_for("ready")
        conversation.interrupt()
        conversation.wait_for(r"SIGINT")
        out = conversation.run("info threads", "set var done = 1")
        assert len(re.findall(r'"counter-\d"', out)) == 4
        conversation.send("continue")
        conversation.wait_for(r"exited normally")
    assert server.output.text == "ready\njoined\n"


def test_hardware_breakpoint_and_watchpoint_in_new_threads(debug: Callable[..., str]) -> None:
    """Set before the threads exist."""
    out = debug(
        "many_threads",
        "tbreak main",
        "continue",
        "hbreak visit",
        "continue",
        "ignore 2 28",
        "continue",
        "info breakpoints",
        "delete",
        "watch visits if visits >= 198",
        "continue",
        "continue",
        "continue",
        "delete",
        "continue",
    )
    expect(out, r"hit (Hardware assisted )?[Bb]reakpoint 2.*visit", r"already hit 30 times")
    expect(out, *(rf"^New value = {visits}$" for visits in (198, 199, 200)), r"exited normally")


def test_next_over_a_join_while_threads_come_and_go(debug: Callable[..., str]) -> None:
    out = debug(
        "many_threads",
        "break main",
        "continue",
        "delete",
        *["next"] * 60,
        "tbreak finished",
        "continue",
        "print visits",
    )
    assert out.count("pthread_create(") >= 15
    expect(out, r"breakpoint 2, finished|breakpoint \d, finished", r"= 200$")
