"""What is done in a fast way does the same as the slow one: stepping over breakpoints, and through ranges."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from debugserver.rsp import stop_reply
from tests.live.running import Running, running
from tests.live.session import SIGTRAP, SIGUSR1, STATIC, Session, name, pc_of, states, symbols, thread_of
from tests.support.processes import send_to_thread, text_segment, wait_until
from tests.support.programs import compile_program
from tests.support.server import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from debugserver.rsp.stop_reply import StopReply

FALSE = ";X3,220027"
"""const8 0, end."""
SIGALRM = 14
MOST = 64
ENDBR = b"\xf3\x0f\x1e\xfa"
"""What `mixed` begins with."""
R11 = 11
LEFT_OVER = (0, 2, 3, 8, 9, 10)
"""rax, rcx, rdx, r8 to r10."""
GENERAL = 17
"""Registers that a trace compares: rax to r15, and rip. r11 is not: a system call leaves the flags there, and with them
whether it was stepped."""
SAMPLES = 40


def server_command(directory: Path, *, decodes: bool) -> list[str]:
    """A server that knows instructions, or one that does not, which steps everything in its own place."""
    code = "import sys; from debugserver.cli import main; sys.exit(main())"
    if not decodes:
        directory.mkdir(exist_ok=True)
        (directory / "iced_x86.py").write_text("raise ImportError")
        code = f"import sys; sys.path.insert(0, {str(directory)!r}); {code}"
    return [sys.executable, "-c", code]


@pytest.fixture(params=["with a decoder", "without"])
def serve(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Server]]:
    command = server_command(tmp_path, decodes=request.param == "with a decoder")
    with ExitStack() as servers:

        def start(*program: str | int | Path, options: tuple[str, ...] = ()) -> Server:
            return servers.enter_context(Server(command, *options, "localhost:0", *program))

        yield start


def instructions(program: Path) -> list[int]:
    """The addresses of the instructions of `mixed` and `inner`."""
    command = ["objdump", "-d", "--no-show-raw-insn", str(program)]
    listing = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout
    start, end = symbols(program)["mixed"], symbols(program)["work"]
    addresses = [int(found, 16) for found in re.findall(r"^ +([0-9a-f]+):", listing, re.MULTILINE)]
    return [address for address in addresses if start <= address < end]


def all_turn(program: Running, threads: int, times: int = 20) -> None:
    """Every thread comes round."""
    before = program.read("turns", 8, MOST)
    wait_until(
        lambda: all(now >= then + times for now, then in zip(program.read("turns", 8, threads), before, strict=False)),
        "every thread turns",
    )


def go_quietly(session: Session) -> None:
    """Continue; what a thread met before it was said what passes is told first."""
    action = ""
    while True:
        session.client.resume(f"vCont;{action}c".encode())
        try:
            stop = session.client.wait_stop(0.2)
        except TimeoutError:
            return
        assert stop.signal == SIGALRM, stop
        action = f"C{SIGALRM:x}:{name(thread_of(stop))};"


def is_untouched(program: Running) -> None:
    """Nobody would know that it was ever debugged."""
    in_memory, in_file = text_segment(program.pid, program.program)
    assert in_memory == in_file
    assert "t" not in states(program.pid)
    assert program.read("wrong", 8) == (0,)


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("period", [0, 2000])
def test_false_conditions_at_every_instruction(connect: Callable[..., Session], threads: int, period: int) -> None:
    with running("mixed_code", threads, period) as program:
        session = connect(program.program, attach=program.pid)
        session.expect_ok(f"QPassSignals:{SIGALRM:x}")
        for address in instructions(program.program):
            session.expect_ok(f"Z0,{address:x},1{FALSE}")
        before = sum(program.read("turns", 8, MOST))
        go_quietly(session)
        # Not all of them: with a breakpoint at every instruction, who holds the others up gets ahead of them.
        wait_until(lambda: sum(program.read("turns", 8, MOST)) >= before + 2, "they come round")
        alarms = program.read("alarms", 8)
        if period:
            wait_until(lambda: program.read("alarms", 8) > alarms, "signals pass")
        session.interrupt()
        session.expect_ok(f"D;{program.pid:x}")
        all_turn(program, threads)
        is_untouched(program)
        assert program.end() == 0


Trace = list[tuple[int, list[str]]]
"""The pc and the registers, after each step."""


def values(stop: StopReply) -> list[str]:
    return [stop.pairs[f"{number:02x}"] for number in range(GENERAL) if number != R11]


def come_round(session: Session, stop: StopReply) -> StopReply:
    """The thread's next entry into `mixed`, with the same argument as before; its breakpoint is out."""
    session.insert("mixed")
    again = session.go()
    session.remove("mixed")
    assert pc_of(again) == session.symbols["mixed"]
    assert thread_of(again) == thread_of(stop)
    return the_same(session)


def the_same(session: Session) -> StopReply:
    """The stop at the entry, but for what the caller left in registers."""
    for number in LEFT_OVER:
        session.set_register(number, 0)
    return stop_reply.parse(session.ask("?").encode())


def trace(session: Session, stop: StopReply) -> Trace:
    """From the entry to the return, step by step. A repeated string instruction counts once, as it does in a range."""
    found = [(pc_of(stop), values(stop))]
    while session.symbols["mixed"] <= pc_of(stop) < session.symbols["work"]:
        stop = session.step(thread_of(stop))
        assert stop.signal == SIGTRAP, stop
        found.append((pc_of(stop), values(stop)))
    return found


def test_computed_steps_are_those_of_the_cpu(tmp_path: Path) -> None:
    """The same program from the same place, step by step, with every register."""
    program = compile_program("mixed_code", *STATIC)
    traces = []
    for decodes in (True, False):
        with (
            Server(server_command(tmp_path / str(decodes), decodes=decodes), "localhost:0", program, 1) as server,
            Session(server, program) as session,
        ):
            session.insert("mixed")
            session.go()
            session.remove("mixed")
            pid = session.pid.to_bytes(8, "little").hex()  # in rax, after getpid
            steps = trace(session, the_same(session))
            traces.append([(pc, ["pid" if value == pid else value for value in held]) for pc, held in steps])
    computed, stepped = traces
    assert len(computed) > 60
    for ours, cpus in zip(computed, stepped, strict=True):
        assert ours == cpus, hex(ours[0])


@pytest.mark.parametrize("to_process", [True, False], ids=["process", "thread"])
def test_a_signal_that_waits_comes_before_a_step(connect: Callable[..., Session], to_process: bool) -> None:
    """Where the instruction could be computed, too."""
    session = connect(compile_program("mixed_code", *STATIC), 1)
    session.insert("mixed")
    stop = session.go()
    session.remove("mixed")
    if to_process:
        os.kill(session.pid, signal.SIGUSR1)
    else:
        send_to_thread(*thread_of(stop), signal.SIGUSR1)
    signalled = session.step(thread_of(stop))
    assert (signalled.signal, pc_of(signalled)) == (SIGUSR1, pc_of(stop))
    stepped = session.step(thread_of(stop))
    assert (stepped.signal, pc_of(stepped)) == (SIGTRAP, pc_of(stop) + len(ENDBR))


def expected_stop(steps: Trace, start: int, low: int, high: int) -> tuple[int, list[str]] | None:
    """Where a thread comes out of the range [low, high) that it steps through from `start` on."""
    return next(((pc, held) for pc, held in steps[start + 1 :] if not low <= pc < high), None)


def test_a_range_ends_where_single_steps_end(connect: Callable[..., Session]) -> None:
    choice = random.Random(1)
    with running("mixed_code", 1) as program:
        program.write("fixed", 1)
        all_turn(program, 1, 2)
        session = connect(program.program, attach=program.pid)
        session.insert("mixed")
        stop = session.go()
        session.remove("mixed")
        steps = trace(session, the_same(session))
        assert len(steps) > 60
        bounds = sorted({pc for pc, _ in steps[:-1]})
        for _ in range(SAMPLES):
            start = choice.randrange(len(steps) - 1)
            pc = steps[start][0]
            low, high = (
                choice.choice([a for a in bounds if a <= pc]),
                choice.choice([b for b in bounds if b > pc] or [pc + 1]),
            )
            stop = come_round(session, stop)
            for _ in range(start):
                stop = session.step(thread_of(stop))
            assert (pc_of(stop), values(stop)) == steps[start]
            stop = session.go(f"r{low:x},{high:x}:{name(thread_of(stop))}")
            assert stop.signal == SIGTRAP
            assert "swbreak" not in stop.pairs
            assert (pc_of(stop), values(stop)) == expected_stop(steps, start, low, high), (start, hex(low), hex(high))
        session.expect_ok(f"D;{program.pid:x}")
        all_turn(program, 1)
        is_untouched(program)
        assert program.end() == 0


def through_the_loop(session: Session) -> int:
    """A thread comes to the loop and runs through it as a range: the signals that came meanwhile."""
    low, high = session.symbols["mixed_loop"], session.symbols["mixed_after_loop"]
    session.insert("mixed_loop")
    stop = session.go()
    while stop.signal == SIGALRM:
        stop = session.go(f"C{SIGALRM:x}:{name(thread_of(stop))};c")
    session.remove("mixed_loop")
    chosen, alarms = thread_of(stop), 0
    for _ in range(100):
        action = f"r{low:x},{high:x}:{name(chosen)};c"
        stop = session.go(action)
        while stop.signal == SIGALRM:
            alarms += 1
            given = f"C{SIGALRM:x}:{name(thread_of(stop))};" if thread_of(stop) != chosen else ""
            stop = session.go(given + action)
        assert (thread_of(stop), stop.signal) == (chosen, SIGTRAP)
        if pc_of(stop) == high:
            break
    return alarms


@pytest.mark.parametrize("period", [0, 1000])
def test_a_range_among_threads_that_run_the_same_code(connect: Callable[..., Session], period: int) -> None:
    """Signals stop the thread within the range, and it goes on from there."""
    with running("mixed_code", 6, period) as program:
        session = connect(program.program, attach=program.pid)
        rounds = (through_the_loop(session) for _ in range(200))
        if period:
            assert any(rounds)
        else:
            assert next(rounds) == 0
        session.expect_ok(f"D;{program.pid:x}")
        all_turn(program, 6)
        is_untouched(program)
        assert program.end() == 0
