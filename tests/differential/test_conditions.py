"""Conditions and commands of breakpoints: the same packets, the same hits."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.agent_expressions import EXAMPLES, assemble, point, printf
from tests.support.differential import Side, stop
from tests.support.programs import compile_program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Both = Callable[..., None]

PROGRAM = compile_program("conditions", "-no-pie")
FALSE = "const8 0"
TRUE = "const8 1"
NUMBER = "reg 5 ext 32"
"""The first argument of `visit`, as long as it has just begun."""
BOTH = (
    f"{NUMBER} const16 200 less_signed if_goto no {NUMBER} const8 7 rem_signed if_goto no"
    " const8 1 goto over no: const8 0 over:"
)
EITHER = (
    f"{NUMBER} const16 600 swap less_signed if_goto yes {NUMBER} const16 500 equal if_goto yes"
    " const8 0 goto over yes: const8 1 over:"
)
"""As GDB writes && and ||."""
END = assemble("end")
PRINT_NUMBER = assemble(f"{NUMBER} const8 0 const8 0") + printf(r"visit %d\n", 1) + END


@pytest.fixture
def visiting(both: Both) -> Both:
    """The program is about to call `visit` a thousand times, and then `finished`, where it stops."""

    def run(scenario: Callable[[Side], Iterator[object]], *arguments: str) -> None:
        def begun(side: Side) -> Iterator[object]:
            side.run_to("main")
            yield side.ask(side.named(b"Z0,{finished},1"))
            yield from scenario(side)

        both(begun, "localhost:0", PROGRAM, *arguments)

    return run


def insert(
    side: Side, *conditions: str, kind: str = "Z0", at: str = "{visit}", commands: tuple[bytes, ...] = ()
) -> bytes:
    codes = [assemble(re.sub(r"{(\w+)}", lambda m: hex(side.symbol(m[1])), text) + " end") for text in conditions]
    return side.ask(point(side.named(f"{kind},{at},1".encode()), *codes, commands=commands))


def run(side: Side, packet: bytes = b"vCont;c") -> tuple[Any, bytes]:
    """Where it stopped, and in which visit."""
    reply = stop(side, side.ask(side.named(packet)))
    return reply, side.ask(side.named(b"m{visits},4"))


@pytest.mark.parametrize(
    "condition",
    [
        f"{NUMBER} const16 300 equal",
        f"{NUMBER} const16 998 swap less_signed",
        "reg 5 zero_ext 32 const16 400 swap less_unsigned",
        "const32 {visits} ref32 ext 32 const16 499 swap less_signed",
        "reg 4 ref32 const16 750 equal",
        "reg 4 const8 4 add ref8 ext 8 const8 3 equal",
        "reg 4 const8 6 add ref16 ext 16 const8 10 add const8 0 equal",
        "reg 3 const8 5 add ref8 const8 57 equal",
        "const8 0",
        "const8 1 const8 1 sub",
        "reg 16 const32 {visit} sub log_not",
        BOTH,
        EITHER,
    ],
)
@pytest.mark.parametrize("kind", ["Z0", "Z1"])
def test_conditions(visiting: Both, condition: str, kind: str) -> None:
    def scenario(side: Side) -> Iterator[object]:
        yield insert(side, condition, kind=kind)
        yield run(side)
        yield run(side)

    visiting(scenario)


def test_arithmetic(visiting: Both) -> None:
    """One hit for each of them, since each has the value that it is compared with."""

    def scenario(side: Side) -> Iterator[object]:
        insert(side)
        run(side)
        for text, value in EXAMPLES:
            side.ask(side.named(b"z0,{visit},1"))
            side.ask(b"vCont;s")
            insert(side, f"{text} const64 {value} equal")
            yield text, run(side)

    visiting(scenario)


@pytest.mark.parametrize(
    "condition",
    [
        "const8 0 ref8",
        "const8 0 ref64",
        "const64 0xfffffffffffffffc ref32",
        f"const8 1 {NUMBER} div_signed",
        f"const8 1 {NUMBER} div_unsigned",
        f"const8 1 {NUMBER} rem_signed",
        f"const8 1 {NUMBER} rem_unsigned",
        "const8 4 float",
        "const8 4 ref_double",
        "const8 4 l_to_d",
        "const8 4 trace16 1",
        "const8 4 const8 4 const8 4 trace",
        "getv 5",
        "const8 1 setv 5",
        "const8 1 trace_quick 4",
    ],
)
def test_what_cannot_be_evaluated_stops(visiting: Both, condition: str) -> None:
    def scenario(side: Side) -> Iterator[object]:
        yield insert(side, condition)
        yield run(side)

    visiting(scenario)


def test_several_conditions(visiting: Both) -> None:
    def scenario(side: Side) -> Iterator[object]:
        yield insert(side, FALSE, f"{NUMBER} const8 9 equal", f"{NUMBER} const8 6 equal")
        yield run(side)
        yield side.ask(side.named(b"z0,{visit},1"))
        yield run(side, b"vCont;s")
        yield insert(side, FALSE, f"{NUMBER} const8 9 equal", f"{NUMBER} const8 6 equal")
        yield run(side)

    visiting(scenario)


def test_conditions_are_replaced(visiting: Both) -> None:
    def scenario(side: Side) -> Iterator[object]:
        yield insert(side, f"{NUMBER} const8 9 equal")
        yield insert(side, f"{NUMBER} const8 5 equal")
        yield run(side)
        yield insert(side, f"{NUMBER} const8 7 equal")
        yield run(side)
        yield insert(side)
        yield run(side)
        yield insert(side, FALSE)
        yield run(side)

    visiting(scenario)


def test_conditions_go_with_their_breakpoint(visiting: Both) -> None:
    def scenario(side: Side) -> Iterator[object]:
        yield insert(side, FALSE)
        yield side.ask(side.named(b"z0,{visit},1"))
        yield insert(side)
        yield run(side)

    visiting(scenario)


def test_commands(visiting: Both) -> None:
    def scenario(side: Side) -> Iterator[object]:
        yield insert(side, commands=(PRINT_NUMBER,))
        yield run(side)
        yield side.output.wait_for("(visit \\d+\n)+visit 999\n")[0]

    visiting(scenario)


def test_printed_arguments(visiting: Both) -> None:
    form = r"%d %u %x %#o|%5ld|%-5ld|%05d|%c|%s|%.2s|%%\t"
    arguments = [3, 5, 255, 8, 7, 7, 42, 65, "{text}", "{text}"]
    pushes = " ".join(f"const64 {argument}" for argument in reversed(arguments))

    def scenario(side: Side) -> Iterator[object]:
        code = assemble(pushes.replace("{text}", hex(side.symbol("text"))) + " const8 0 const8 0")
        yield insert(side, commands=(code + printf(form, len(arguments)) + END,))
        yield run(side)
        yield side.output.wait_for("%\t")[0]

    visiting(scenario)


def instructions(side: Side, count: int) -> list[int]:
    """The addresses of the first instructions of `visit`, at whose beginning the program then stands again."""
    run_to_visit(side)
    addresses = [pc(side)]
    for _ in range(count - 1):
        side.ask(side.named(b"vCont;s:p{pid}.{tid0}"))
        addresses.append(pc(side))
    run_to_visit(side)
    return addresses


def run_to_visit(side: Side) -> None:
    insert(side)
    run(side)
    side.ask(side.named(b"z0,{visit},1"))


def pc(side: Side) -> int:
    file = side.ask(b"g").decode()
    return int.from_bytes(bytes.fromhex(file[16 * 16 : 17 * 16]), "little")


@pytest.mark.parametrize("kind", ["Z0", "Z1"])
@pytest.mark.parametrize("condition", [FALSE, TRUE])
def test_a_step_onto_a_breakpoint(visiting: Both, condition: str, kind: str) -> None:
    """A client that steps is told of every step, and judges by itself."""

    def scenario(side: Side) -> Iterator[object]:
        _, second, _ = instructions(side, 3)
        yield insert(side, condition, kind=kind, at=f"{second:x}")
        yield run(side, b"vCont;s:p{pid}.{tid0}")
        yield pc(side)

    visiting(scenario)


def test_a_step_from_a_breakpoint_with_a_false_condition(visiting: Both) -> None:
    def scenario(side: Side) -> Iterator[object]:
        first, *_ = instructions(side, 3)
        yield insert(side, FALSE, at=f"{first:x}")
        yield run(side, b"vCont;s:p{pid}.{tid0}")
        yield pc(side)

    visiting(scenario)


@pytest.mark.parametrize("kind", ["Z0", "Z1"])
@pytest.mark.parametrize("condition", [FALSE, TRUE])
def test_a_range_step_over_a_breakpoint(visiting: Both, condition: str, kind: str) -> None:
    """GNU gdbserver stops before the breakpoint instruction, we in it: only we say that it was hit."""

    def scenario(side: Side) -> Iterator[object]:
        first, _, third, fourth = instructions(side, 4)
        yield insert(side, condition, kind=kind, at=f"{third:x}")
        yield run(side, b"vCont;r%x,%x:p{pid}.{tid0}" % (first, fourth))[0][:2]
        yield pc(side)

    visiting(scenario)


def test_commands_where_a_step_ends(visiting: Both) -> None:
    """They are run there and then, and not again when the program goes on."""

    def scenario(side: Side) -> Iterator[object]:
        _, second, _ = instructions(side, 3)
        yield insert(side, at=f"{second:x}", commands=(PRINT_NUMBER,))
        yield run(side, b"vCont;s:p{pid}.{tid0}")
        yield side.output.wait_for("visit 1\n")[0]
        yield run(side)
        yield side.output.wait_for("visit 999\n")[0]
        yield side.output.text

    visiting(scenario)
