"""Compiled agent expressions give what a plain interpreter gives; whatever comes in their place is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from debugserver.errors import ExpressionError, MalformedPacket, MemoryFault
from debugserver.rsp import agent_compiler, agent_printf, framing
from debugserver.rsp.agent_expression import OPCODES, parse_options
from debugserver.stub.settings import Settings
from debugserver.stub.stub import Stub
from debugserver.target.conditions import BreakpointProgram
from debugserver.testing.fake_target import FakeTarget
from tests.support.agent_expressions import FakeState, assemble, interpret, point

if TYPE_CHECKING:
    from collections.abc import Callable

NEEDS = {
    **dict.fromkeys(("add", "sub", "mul", "bit_and", "bit_or", "bit_xor", "equal", "less_signed", "less_unsigned"), 2),
    **dict.fromkeys(("lsh", "rsh_signed", "rsh_unsigned", "div_signed", "div_unsigned", "rem_signed"), 2),
    **dict.fromkeys(("rem_unsigned", "swap", "trace", "tracenz"), 2),
    **dict.fromkeys(("log_not", "bit_not", "ref8", "ref16", "ref32", "ref64", "dup", "pop"), 1),
    **dict.fromkeys(("ext", "zero_ext", "setv", "trace_quick"), 1),
    "rot": 3,
}
"""Instruction -> the values that it takes."""
GAINS = {"swap": 0, "rot": 0, "dup": 1, "pop": -1, "trace": -2, "tracenz": -2}
"""By how much the stack grows, where that is not one value for all that were taken."""

NUMBERS = st.one_of(
    st.sampled_from([0, 1, 2, 63, 64, 0x7F, 0x80, 0xFF, 2**31 - 1, 2**31, 2**32, 2**63 - 1, 2**63, 2**64 - 1, 0x1000]),
    st.integers(0, 2**64 - 1),
    st.integers(0x1000, 0x1020),
)
SIMPLE = st.one_of(
    st.sampled_from(sorted(NEEDS)).flatmap(
        lambda name: st.integers(0, 70).map(
            lambda n: f"{name} {n}" if name in ("ext", "zero_ext", "setv", "trace_quick") else name
        )
    ),
    NUMBERS.map(lambda number: f"const64 {number}"),
    st.integers(0, 255).map(lambda number: f"const8 {number}"),
    st.integers(0, 5).map(lambda number: f"reg {number}"),
    st.just("getv 1"),
    st.integers(0, 3).map(lambda number: f"pick {number}"),
)
ITEMS = st.recursive(
    st.lists(SIMPLE, max_size=8),
    lambda inner: st.lists(
        st.one_of(
            SIMPLE,
            st.tuples(st.just("if"), inner),
            st.tuples(st.just("else"), inner, inner),
            st.tuples(st.just("loop"), inner),
        ),
        max_size=6,
    ),
    max_leaves=12,
)
STATES = st.builds(FakeState, st.lists(NUMBERS, min_size=4, max_size=4).map(tuple), st.binary(min_size=24, max_size=24))


class Writer:
    """Makes a valid program out of items: what has too little on the stack gets constants first."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.places = 0

    def place(self) -> str:
        self.places += 1
        return "p" + "".join(chr(97 + int(digit)) for digit in str(self.places))

    def write(self, items: list[Any], height: int) -> int:
        """The height of the stack after them."""
        for item in items:
            height = self.simple(item, height) if isinstance(item, str) else self.nested(item, height)
        return height

    def simple(self, item: str, height: int) -> int:
        name, _, operand = item.partition(" ")
        needs = int(operand) + 1 if name == "pick" else NEEDS.get(name, 0)
        for _ in range(needs - height):
            self.words.append("const8 3")
        taken = NEEDS.get(name, 0)
        self.words.append(item)
        after = max(height, needs) + GAINS.get(name, 1 - taken)
        while after > 40:
            self.words.append("pop")
            after -= 1
        return after

    def nested(self, item: tuple[Any, ...], height: int) -> int:
        kind, *bodies = item
        if not height:
            self.words.append("const8 2")
            height = 1
        start, over = self.place(), self.place()
        if kind == "loop":
            self.words += ["const8 2", f"{start}:"]
            self.level(bodies[0], height + 1)
            self.words += ["const8 1", "sub", "dup", "const8 3", "bit_and", f"if_goto {start}", "pop"]
            return height
        self.words += [f"if_goto {start}"]
        self.level(bodies[0], height - 1)
        if kind == "else":
            self.words += [f"goto {over}", f"{start}:"]
            self.level(bodies[1], height - 1)
            self.words.append(f"{over}:")
        else:
            self.words.append(f"{start}:")
        return height - 1

    def level(self, body: list[Any], height: int) -> None:
        """The body, and what makes the stack as high as it was."""
        after = self.write(body, height)
        self.words += ["pop"] * (after - height) + ["const8 1"] * (height - after)


def outcome(run: Callable[[], int]) -> object:
    try:
        return int(run())
    except (ExpressionError, MemoryFault) as error:
        return type(error)


@settings(deadline=None)
@given(ITEMS, STATES)
def test_compiled_and_interpreted(items: list[Any], state: FakeState) -> None:
    writer = Writer()
    height = writer.write(items, 0)
    code = assemble(" ".join([*writer.words, "end" if height else "const8 9 end"]))
    compiled = agent_compiler.condition(code, lambda text: None)
    assert outcome(lambda: compiled(state)) == outcome(lambda: interpret(code, state))


BYTECODE = st.one_of(
    st.binary(max_size=60),
    st.lists(st.sampled_from([*OPCODES, 0, 0x31, 1, 2, 3, 4, 0xFF]), max_size=40).map(bytes),
    st.lists(SIMPLE, max_size=10).map(lambda words: assemble(" ".join(words)) + b"\x27"),
)


@settings(deadline=None)
@given(BYTECODE, STATES)
def test_any_bytes_are_refused_or_run(code: bytes, state: FakeState) -> None:
    for make in (agent_compiler.condition, agent_compiler.command):
        try:
            run = make(code, lambda text: None)
        except MalformedPacket:
            continue
        try:
            run(state)
        except (ExpressionError, MemoryFault):
            continue


@given(
    st.one_of(st.binary(max_size=40), st.text("%dxscplhz0123456789.-+# \\n", max_size=20).map(str.encode)),
    st.lists(NUMBERS, max_size=20),
)
def test_any_format_is_refused_or_printed(text: bytes, values: list[int]) -> None:
    try:
        form = agent_printf.parse_format(text)
    except MalformedPacket:
        return
    wanted = values[: len(form.directives)] + [7] * (len(form.directives) - len(values))
    assert isinstance(form.render(wanted, lambda address: b"string"), bytes)


POINTS = st.sampled_from([b"Z0,104,1", b"Z1,104,1", b"z0,104,1", b"Z2,104,4", b"Z0,104", b"Z0"])


@settings(deadline=None)
@given(
    st.one_of(
        st.builds(lambda place, rest: place + rest, POINTS, st.binary(max_size=30).map(lambda rest: b";" + rest)),
        st.builds(
            lambda place, conditions, commands: point(place, *conditions, commands=tuple(commands)),
            POINTS,
            st.lists(BYTECODE, max_size=3),
            st.lists(BYTECODE, max_size=2),
        ),
    )
)
@example(b"Z0,104,1;")
@example(b"Z0,104,1;cmds:1,")
def test_any_point_gets_one_reply(request: bytes) -> None:
    def fail(payload: bytes, error: Exception) -> None:
        raise AssertionError(payload) from error

    target = FakeTarget()
    target.memory[0x100] = bytearray(range(64))
    target.set_pc(target.add_process(1), 0x100)
    quiet = Settings()
    quiet.report_bug = fail
    quiet.print = lambda text: None
    stub = Stub(target, quiet)
    stub.session.acknowledge = False
    stub.receive_data(framing.encode_packet(framing.escape(request)))
    assert stub.data_to_send() in map(framing.encode_packet, (b"OK", b"E22"))
    for program in target.breakpoints.values():
        assert isinstance(program, BreakpointProgram)
        target.hits(target.threads(1)[0], 0x104)


@given(st.binary(max_size=40))
def test_any_options_are_refused_or_taken(text: bytes) -> None:
    try:
        parse_options(text)
    except MalformedPacket:
        return
