"""Conditions and dprintf that the real GDB has evaluated on the server."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.support.gdb import expect, printed
from tests.support.programs import compile_program, line_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.support.gdb import Gdb
    from tests.support.server import Server

VISITING = line_of("conditions", "/* visiting */")
ON_THE_SERVER = "set breakpoint condition-evaluation target"

CONDITIONS: Sequence[tuple[str, Callable[[int], bool]]] = [
    ("number == 5", lambda n: n == 5),
    ("number > 5 && thing->small == -9", lambda n: n == 9),
    ("number == 14 || number == 12", lambda n: n in (12, 14)),
    ("!(number - 16)", lambda n: n == 16),
    ("thing->field == 21", lambda n: n % 32 == 21),
    ("thing->flag && number > 24", lambda n: False),
    ("(int) thing->color == 2 && number > 30", lambda n: n % 3 == 2 and n > 30),
    ("thing->name[5] == 52 && thing->name[6] == 50", lambda n: n == 42),
    ("-number == -45", lambda n: n == 45),
    ("number > 46 ? thing->byte == 49 : 0", lambda n: n == 49),
    ("twice == 100", lambda n: n == 50),
    ("thing->text && number > 55", lambda n: n % 10 == 0 and n > 55),
    ("*(char *) &thing->number == 63", lambda n: n == 63),
    ("visits == 70", lambda n: n == 70),
    ("sizeof (int) * number == 320", lambda n: n == 80),
    ("text[5] == 57", lambda n: n >= 90),
    ("number << 3 == 808", lambda n: n == 101),
    ("thing->sign == -3 && number > 105", lambda n: n % 16 == 13 and n > 105),
    ("~number == -124", lambda n: n == 123),
    ("thing->byte == 200 && thing->half > 60000", lambda n: n % 256 == 200),
    ("number / 7 == 33 && number % 7 == 2", lambda n: n == 233),
    ("(signed char) number == -5", lambda n: n % 256 == 251),
    ("((unsigned) number >> 4) == 20 && (number & 3) == 2", lambda n: n == 322),
    ("(number ^ 1) == 401 || (number | 8) == 0", lambda n: n == 400),
    ("thing->wide > 250000", lambda n: n * (n - 1) > 250000),
    ("(unsigned char) (number + 256) < (unsigned char) number", lambda n: False),
    ("thing->number * -3 < -2700", lambda n: n > 900),
    ("number > 990 && number != 991", lambda n: n > 991),
]
"""What GDB is given, and when it is true in the visit of that number. All of it can be said in bytecode; for
character constants, enumerators and floating point GDB has none, and evaluates the condition itself."""


@pytest.mark.parametrize("mode", ["off", "on"], ids=["all-stop", "non-stop"])
def test_conditions(gdb: Gdb, serve: Callable[..., Server], mode: str) -> None:
    """One packet resumes the program until the condition holds, however often it does not."""
    program = compile_program("conditions")
    commands, expected = [], []
    number = -1
    for text, holds in CONDITIONS:
        number = next((n for n in range(number + 1, 1000) if holds(n)), number)
        commands += [f"condition 2 {text}", "continue", "print number"] if any(map(holds, range(1000))) else []
        expected += [number] if any(map(holds, range(1000))) else []
    out = gdb(
        f"set non-stop {mode}",
        f"target remote {serve(program).address}",
        ON_THE_SERVER,
        "break main",
        "continue",
        f"break {VISITING} if number == -1",
        "set debug remote 1",
        *commands,
        program=program,
    )
    assert [int(found) for found in re.findall(r"^\$\d+ = (\d+)$", out, re.MULTILINE)] == expected
    assert out.count("Sending packet: $vCont") <= 2 * len(expected) + 2
    assert len(re.findall(r"Sending packet: \$Z0,[0-9a-f]+,1;X", out)) >= len(expected)


def test_a_condition_that_never_holds(debug: Callable[..., str]) -> None:
    out = debug(
        "conditions",
        ON_THE_SERVER,
        "break finished",
        "break visit if number == 1000",
        "set debug remote 1",
        "continue",
        "set debug remote 0",
        "info breakpoints",
        "print visits",
    )
    expect(out, r"Breakpoint 1, finished \(\)", r"stop only if number == 1000 \(target evals\)\n", r"\$1 = 1000")
    assert out.count("already hit") == 1
    assert out.count("Sending packet: $vCont;c") < 6


def test_registers(debug: Callable[..., str]) -> None:
    out = debug(
        "conditions",
        "break *visit if $rdi == 77 && $rip == $rip",
        "continue",
        "print $rdi",
        "condition 1 $rdi > 80 && $rsi != 0 && $rip != 0",
        "continue",
        "print $rdi",
    )
    expect(out, r"\$1 = 77", r"\$2 = 81")


def test_temporary_and_hardware_breakpoints(debug: Callable[..., str]) -> None:
    out = debug(
        "conditions",
        ON_THE_SERVER,
        "break main",
        "continue",
        "tbreak visit if number == 500",
        "continue",
        "hbreak visit if number == 600",
        "set debug remote 1",
        "continue",
        "set debug remote 0",
        "thbreak visit if number == 700",
        "delete 3",
        "continue",
        "print number",
    )
    expect(out, r"Temporary breakpoint 2, visit \(number=500", r"Breakpoint 3, visit \(number=600", r"\$1 = 700")
    assert out.count("Sending packet: $vCont;c") == 1


def test_a_condition_changes_while_the_breakpoint_is_in(debug: Callable[..., str]) -> None:
    out = debug(
        "conditions",
        "set breakpoint always-inserted on",
        ON_THE_SERVER,
        "break visit if number == 100",
        "continue",
        "condition 1 number == 200",
        "continue",
        "print number",
        "condition 1",
        "continue",
        "print number",
    )
    expect(out, r"visit \(number=100", r"\$1 = 200", r"\$2 = 201")


@pytest.mark.parametrize(
    ("condition", "error"),
    [
        ("number == 3 && *(int *) 16 == 7", "Cannot access memory at address 0x10"),
        ("number == 3 && 1 / (number - 3)", "Division by zero"),
        ("thing->next->number == 3", "Cannot access memory at address"),
    ],
)
def test_an_error_in_a_condition_stops(debug: Callable[..., str], condition: str, error: str) -> None:
    out = debug("conditions", ON_THE_SERVER, f"break visit if {condition}", "continue", "print number")
    expect(out, r"Error in testing (breakpoint )?condition", error, r"\$1 = [03]$")


def test_several_breakpoints_at_one_place(debug: Callable[..., str]) -> None:
    """They are one on the server, with as many conditions."""
    out = debug(
        "conditions",
        ON_THE_SERVER,
        "break visit if number == 30",
        "break visit if number == 20",
        "continue",
        "continue",
        "break visit",
        "continue",
    )
    expect(
        out, r"Breakpoint 2, visit \(number=20", r"Breakpoint 1, visit \(number=30", r"Breakpoint 3, visit \(number=31"
    )


def test_steps_past_conditions(debug: Callable[..., str]) -> None:
    """`next` over a call that meets a false condition, and `step` into one that stands there."""
    out = debug(
        "steps",
        "break main",
        "continue",
        "break add if a == 77",
        "break twice if n == 3",
        "next",
        "next",
        "finish",
        "next",
    )
    expect(
        out, r"^(\d+)\t.*second = ", r"Breakpoint 3, twice \(n=3\)", r"Value returned is .* = 6", r"^(\d+)\t.*third = "
    )


@pytest.mark.parametrize("mode", ["off", "on"], ids=["all-stop", "non-stop"])
def test_ten_threads(gdb: Gdb, serve: Callable[..., Server], mode: str) -> None:
    """Each of them comes by a thousand times, and stops once."""
    program = compile_program("conditions")
    out = gdb(
        f"set non-stop {mode}",
        f"target remote {serve(program, 10).address}",
        ON_THE_SERVER,
        "break finished",
        "break visit if number == 555",
        *["continue" if mode == "off" else "continue -a"] * 11,
        "print visits",
        program=program,
        deadline=50,
    )
    hits = re.findall(r'^Thread (\d+) "[^"]*" hit Breakpoint 2, visit \(number=555', out, re.MULTILINE)
    assert sorted(map(int, hits)) == list(range(2, 12))
    expect(out, r"hit Breakpoint 1, finished", r"\$1 = 10000")


def agent_dprintf(text: str, *arguments: str) -> tuple[str, str]:
    return "set dprintf-style agent", f'dprintf visit,{",".join([f""""{text}" """.strip(), *arguments])}'


def test_dprintf(gdb: Gdb, serve: Callable[..., Server]) -> None:
    program = compile_program("conditions")
    server = serve(program)
    out = gdb.remote(
        server.address,
        *agent_dprintf(r"<%d %s %ld %#x %c>\n", "number", "text", "thing->wide", "thing->byte", "text[0]"),
        "break finished",
        "set debug remote 1",
        "continue",
        program=program,
    )
    expect(out, r"Breakpoint 2, finished")
    assert out.count("Sending packet: $vCont;c") < 6
    text = server.output.wait_for("<999 .*>\n")[0] and server.output.text
    assert text.splitlines() == [
        f"<{n} turn {n} {n * (n - 1)} {n % 256:#x} t>".replace(" 0x0 ", " 0 ") for n in range(1000)
    ]


@pytest.mark.beyond_gnu("it prints whether the condition holds or not")
def test_dprintf_with_a_condition(gdb: Gdb, serve: Callable[..., Server]) -> None:
    program = compile_program("conditions")
    server = serve(program)
    out = gdb.remote(
        server.address,
        *agent_dprintf(r"%d\n", "number"),
        "condition 1 number % 250 == 1",
        "break finished",
        "continue",
        "info breakpoints",
        program=program,
    )
    expect(out, r"Breakpoint 2, finished", r"stop only if number % 250 == 1 \(target evals\)\n")
    server.output.wait_for("751\n")
    assert server.output.text == "1\n251\n501\n751\n"


def test_dprintf_that_fails_is_passed(gdb: Gdb, serve: Callable[..., Server]) -> None:
    program = compile_program("conditions")
    server = serve(program)
    out = gdb.remote(
        server.address,
        *agent_dprintf(r"%d\n", "thing->next->number"),
        "break visit if number == 3",
        "tbreak main",
        "delete 2",
        "continue",
        "break finished",
        "continue",
        program=program,
    )
    expect(out, r"Breakpoint 4, finished")
    assert not server.output.text


@pytest.mark.beyond_gnu("it prints on its own standard output only")
def test_dprintf_goes_where_the_program_prints(gdb: Gdb, serve: Callable[..., Server]) -> None:
    program = compile_program("conditions")
    server = serve(program, options=("--stdio=client",))
    out = gdb.remote(
        server.address,
        *agent_dprintf(r"visit %d\n", "number"),
        "break finished",
        "continue",
        program=program,
    )
    lines = printed(out, "continue").splitlines()
    assert [line for line in lines if line.startswith("visit")] == [f"visit {n}" for n in range(1000)]
    assert not server.output.text


def leave_dprintf(server: Server, gdb: Gdb, mode: str, *, extended: bool) -> None:
    """A GDB that has the program print its visits, sees it begin, and goes."""
    out = gdb(
        f"set non-stop {mode}",
        "set breakpoint always-inserted on",
        f"target {'extended-remote' if extended else 'remote'} {server.address}",
        *agent_dprintf(r"<%d>\n", "number"),
        "tbreak visiting",
        "continue",
        "detach",
        program=compile_program("visits"),
    )
    expect(out, r"hit Temporary breakpoint 2, visiting", r"\[Inferior 1 \(process \d+\) detached\]")
    server.log.wait_for("Persistent commands are present, leaving gdbserver attached to the process\n")
    server.log.wait_for(r"GDBserver will reopen the connection\.\n")
    server.output.wait_for(r"<\d{1,6}>\n", start=len(server.output.text))


@pytest.mark.beyond_gnu("it refuses whoever connects while the process runs")
@pytest.mark.parametrize("extended", [False, True], ids=["remote", "extended-remote"])
def test_dprintf_goes_on_without_gdb(gdb: Gdb, serve: Callable[..., Server], extended: bool) -> None:
    """Until a GDB that knows nothing of it has the process go on."""
    server = serve(compile_program("visits"))
    leave_dprintf(server, gdb, "off", extended=extended)
    out = gdb.remote(
        server.address,
        "print children > 0 && visits > 0",
        "x/i marked",
        "info threads",
        "break have_child",
        "continue",
        "print failures",
        "print done = 1",
        "delete",
        "continue",
        program=compile_program("visits"),
        extended=extended,
    )
    expect(
        out,
        r"^\$1 = 1$",
        r":\tnop",
        r"^..1 +Thread",
        r"^..2 +Thread",
        r"Breakpoint 1, have_child",
        r"^\$2 = 0$",
        r"exited with code 050",
    )


@pytest.mark.beyond_gnu("GDB finds no process after target remote")
def test_dprintf_goes_on_in_non_stop(gdb: Gdb, serve: Callable[..., Server]) -> None:
    """So does the process, when another GDB comes; and when it goes."""
    server = serve(compile_program("visits"), "alone")
    leave_dprintf(server, gdb, "on", extended=False)
    out = gdb(
        "set non-stop on",
        f"target remote {server.address}",
        "info threads",
        "detach",
        program=compile_program("visits"),
    )
    expect(out, r"^..1 +Thread .*\(running\)", r"^..2 +Thread .*\(running\)", r"process \d+\) detached")
    server.output.wait_for(r"<\d{1,6}>\n", start=len(server.output.text))


@pytest.mark.beyond_gnu("it refuses whoever connects while the process runs")
def test_a_gdb_that_comes_back_has_its_dprintf_in_hand(gdb: Gdb, serve: Callable[..., Server]) -> None:
    program = compile_program("visits")
    server = serve(program)
    with gdb.talk(program) as conversation:
        conversation.run("set breakpoint always-inserted on", f"target remote {server.address}")
        conversation.run(*agent_dprintf(r"<%d>\n", "number"), "tbreak have_child", "continue", "detach")
        for _ in range(3):
            server.output.wait_for(r"<\d{1,6}>\n", start=len(server.output.text))
            out = conversation.run(f"target remote {server.address}", "tbreak have_child", "continue", "detach")
            expect(out, r"Temporary breakpoint \d+, have_child", "detached")
        conversation.run(f"target remote {server.address}", "delete", "tbreak have_child", "continue")
        silent_from = len(server.output.text)
        expect(conversation.run("tbreak have_child", "continue"), r"Temporary breakpoint \d+, have_child")
        assert len(server.output.text) == silent_from
        expect(conversation.run("print done = 1", "continue"), r"exited with code 050")


@pytest.mark.parametrize("side", ["host", "target"])
def test_an_instruction_that_branches_to_itself(debug: Callable[..., str], side: str) -> None:
    """It is passed again and again, and signals come all the same."""
    out = debug(
        "branches",
        f"set breakpoint condition-evaluation {side}",
        "break loop if counter > 3",
        "continue",
        "print counter",
        "jump leave",
    )
    expect(out, r"Breakpoint 1, main", r"^\$1 = 5$", r"exited with code 05")
