"""Non-stop mode: one thread stops, and the others go on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.support.gdb import expect
from tests.support.processes import is_stopped, thread_ids, wait_until
from tests.support.programs import compile_program

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.gdb import Gdb
    from tests.support.server import Server


def test_one_thread_stops_and_steps_while_others_run(gdb: Gdb, serve: Callable[..., Server]) -> None:
    program = compile_program("threads")
    server = serve(program)
    with gdb.talk(program) as conversation:
        conversation.run("set non-stop on", f"target remote {server.address}", "break work if number == 2")
        conversation.send("continue -a &")
        report = conversation.wait_for(r"hit Breakpoint 1, work \(number=2\)")
        (number,) = re.findall(r"^Thread (\d+) .*hit", report, re.MULTILINE)
        running = "(running)"
        assert conversation.run("info threads").count(running) == 4
        out = conversation.run(f"thread {number}", "next", "next", "print own_number", "bt")
        expect(out, r"= 2$", r"counting \(")
        assert conversation.run("info threads").count(running) == 4
        conversation.send("interrupt -a")
        for _ in range(4):
            conversation.wait_for(r"^Thread \d+ .* stopped\.$")
        assert running not in conversation.run("info threads")
        wait_until(lambda: all(is_stopped(server.debuggee, tid) for tid in thread_ids(server.debuggee)), "all stop")
        conversation.run("delete", "set var done = 1")
        conversation.send("continue -a &")
        conversation.wait_for(r"exited normally")


def test_background_step_and_detach(gdb: Gdb, serve: Callable[..., Server]) -> None:
    program = compile_program("threads")
    server = serve(program, "500")
    with gdb.talk(program) as conversation:
        conversation.run("set non-stop on", f"target remote {server.address}", "break ready", "continue")
        out = conversation.run("info threads", "print turns[1]")
        assert len(re.findall(r"\(running\)", out)) == 4
        conversation.run("delete", "detach")
    server.output.wait_for("joined")
