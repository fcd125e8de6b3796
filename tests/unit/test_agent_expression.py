"""Agent expressions: each instruction by the manual, C's arithmetic, malformed programs, printf."""

from __future__ import annotations

import pytest

from debugserver.errors import ExpressionError, MalformedPacket, MemoryFault
from debugserver.rsp import agent_compiler
from debugserver.rsp.agent_expression import MOST_BYTES, PointOptions, parse, parse_options
from tests.support.agent_expressions import BEYOND_GNU, EXAMPLES, MINUS_ONE, OPCODES, FakeState, assemble, printf

STATE = FakeState(
    (0, 0xFFFF_FFFF_FFFF_FFFE, 7), bytes.fromhex("fe ff ff ff ff ff ff ff 01 02 03 04 05 06 07 88") + b"text\0"
)


def printed(code: bytes, state: FakeState = STATE) -> bytes:
    """What a command prints."""
    pieces: list[bytes] = []
    agent_compiler.command(code, pieces.append)(state)
    return b"".join(pieces)


def value(text: str, state: FakeState = STATE) -> int:
    return agent_compiler.condition(assemble(f"{text} end"), lambda printed: None)(state)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *EXAMPLES,
        *BEYOND_GNU,
        ("reg 1 bit_not", 1),
        ("reg 1 const8 2 add const8 0 equal", 1),
        (f"{MINUS_ONE} reg 1 const8 1 add equal", 1),
        ("reg 1 ext 64", 2**64 - 2),
        ("reg 1 zero_ext 8", 254),
        ("reg 1 zero_ext 0", 0),
        ("reg 1 zero_ext 64", 2**64 - 2),
        ("const16 0x1000 ref8", 0xFE),
        ("const16 0x1000 ref16", 0xFFFE),
        ("const16 0x1008 ref32", 0x04030201),
        ("const16 0x1008 ref64", 0x8807060504030201),
        ("const16 0x1008 ref64 const8 56 rsh_signed", 2**64 - 0x78),
        ("reg 2", 7),
        ("const8 9 reg 2 if_goto over pop const8 5 over:", 9),
    ],
)
def test_instructions(text: str, expected: int) -> None:
    assert value(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        *(f"const8 7 const8 0 {kind}_{sign}" for kind in ("div", "rem") for sign in ("signed", "unsigned")),
        "reg 3",
        "const8 4 float",
        "const8 4 ref_float",
        "const8 4 ref_double",
        "const8 4 ref_long_double",
        "const8 4 l_to_d",
        "const8 4 d_to_l",
        "const8 4 trace16 1",
        "again: goto again",
        "const8 1 again: dup if_goto again",
    ],
)
def test_what_has_no_value(text: str) -> None:
    with pytest.raises(ExpressionError):
        value(text)


@pytest.mark.parametrize("text", ["const8 0 ref8", "const16 0x1014 ref64", "const8 0 ref64 pop const8 1"])
def test_memory_that_is_not_there(text: str) -> None:
    with pytest.raises(MemoryFault):
        value(text)


def test_what_is_not_reached_is_not_evaluated() -> None:
    assert value("const8 1 const8 1 if_goto over pop const8 0 ref8 over:") == 1
    assert value("const8 1 reg 2 if_goto over const8 0 ref8 pop over:") == 1


def test_many_alternatives_in_a_row_stay_small() -> None:
    """Each of them doubles the number of ways."""
    tests = " ".join(
        f"reg 0 if_goto a{'b' * n} const8 1 goto c{'b' * n} a{'b' * n}: const8 2 c{'b' * n}: add" for n in range(60)
    )
    assert value(f"const8 0 {tests}") == 60


@pytest.mark.parametrize(
    "code",
    [
        b"",
        assemble("const8 1"),
        assemble("add end"),
        assemble("const8 1 add end"),
        assemble("const8 1 swap end"),
        assemble("const8 1 const8 2 rot end"),
        assemble("const8 1 pick 1 end"),
        assemble("const8 1 if_goto 1 end"),
        assemble("goto 100"),
        assemble("const8 1 const8 1 if_goto over const8 2 over: end"),
        assemble("again: const8 1 goto again"),
        assemble(f"{'const8 1 ' * 101} end"),
        assemble("const16 1 end")[:2],
        b"\x00\x27",
        b"\x31\x27",
        b"\x35\x27",
        b"\xff",
        assemble("const8 1 end") + b"\x00",
        assemble("const8 1 const8 0 const8 0") + b"\x34\x01\x00\x02%d",
        assemble("const8 1 const8 0 const8 0") + b"\x34\x01\x00\x03%d\0",
        assemble("const8 0 const8 0") + b"\x34\x00\x00\x00\x27",
        assemble("const8 1 const8 0") + printf("%d", 1) + b"\x27",
        bytes([OPCODES["goto"], 0, 3]) * (MOST_BYTES // 3 + 1),
    ],
)
def test_malformed_programs(code: bytes) -> None:
    with pytest.raises(MalformedPacket):
        parse(code)


def test_a_condition_leaves_a_value() -> None:
    for code in (assemble("end"), assemble("const8 1 if_goto over const8 1 end over: end")):
        parse(code)
        with pytest.raises(MalformedPacket):
            agent_compiler.condition(code, lambda printed: None)


@pytest.mark.parametrize(
    ("form", "arguments", "expected"),
    [
        ("plain", (), b"plain"),
        (r"a\tb\n\"\\\a\e", (), b'a\tb\n"\\\a\x1b'),
        ("100%%", (), b"100%"),
        ("%d %i", (5, 2**64 - 5), b"5 -5"),
        ("%d", (2**32 + 7,), b"7"),
        ("%d", (0x80000000,), b"-2147483648"),
        ("%u", (2**64 - 1,), b"4294967295"),
        ("%hd", (0xFFFF8000,), b"-32768"),
        ("%ld %lu", (2**64 - 1, 2**64 - 1), b"-1 18446744073709551615"),
        ("%lld %zd", (2**63, 2**63), b"-9223372036854775808 -9223372036854775808"),
        ("%td %tu %tx", (2**64 - 3, 2**40, 2**40), b"-3 1099511627776 10000000000"),
        ("%x %X %#x %#X", (0xABC, 0xABC, 0xABC, 0xABC), b"abc ABC 0xabc 0XABC"),
        ("%#x %#o %o", (0, 8, 8), b"0 010 10"),
        ("[%5d] [%-5d] [%05d]", (42, 42, 2**64 - 42), b"[   42] [42   ] [-0042]"),
        ("[%.4d] [%8.4d] [%-8.4dx]", (42, 42, 42), b"[0042] [    0042] [0042    x]"),
        ("[%08.3d] [%.0d]", (42, 0), b"[     042] []"),
        ("%+d % d", (3, 3), b"+3  3"),
        ("[%#010x]", (255,), b"[0x000000ff]"),
        ("%c%c", (65, 0), b"A\0"),
        ("[%3c] [%-3c]", (65, 65), b"[  A] [A  ]"),
        ("%s %s", (0x1010, 0), b"text (null)"),
        ("[%.2s] [%6s] [%-6s]", (0x1010, 0x1010, 0x1010), b"[te] [  text] [text  ]"),
        ("%p %p", (0x1010, 0), b"0x1010 (nil)"),
    ],
)
def test_printf(form: str, arguments: tuple[int, ...], expected: bytes) -> None:
    """GDB pushes the last argument first, then the channel, then the function."""
    pushes = "".join(f"const64 {argument} " for argument in reversed(arguments))
    code = assemble(f"{pushes} const8 0 const8 0") + printf(form, len(arguments)) + assemble("end")
    assert printed(code) == expected


def test_printing_twice() -> None:
    once = printf("x", 0)
    assert (
        printed(assemble("const8 0 const8 0") + once + assemble("const8 0 const8 0") + once + assemble("end")) == b"xx"
    )


@pytest.mark.parametrize(
    "form", ["%", "%5", "%f", "%ls", "%lc", "%hs", "%05s", "%+x", "%n", "%*d", "%y", r"\q", "\\", "%Lf"]
)
def test_formats_that_are_refused(form: str) -> None:
    code = assemble("const8 1 const8 0 const8 0") + printf(form, 1) + assemble("end")
    with pytest.raises(MalformedPacket):
        agent_compiler.command(code, lambda printed: None)


def test_a_format_needs_its_arguments() -> None:
    code = assemble("const8 1 const8 0 const8 0") + printf("%d %d", 1) + assemble("end")
    with pytest.raises(MalformedPacket):
        agent_compiler.command(code, lambda printed: None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", PointOptions()),
        (b";X3,220127", PointOptions((b"\x22\x01\x27",))),
        (b";X1,27X2,2827", PointOptions((b"\x27", b"\x28\x27"))),
        (b";X1,27;X2,2827", PointOptions((b"\x27", b"\x28\x27"))),
        (b";cmds:0,X1,27", PointOptions((), (b"\x27",))),
        (b";cmds:1,X1,27X2,2827", PointOptions((), (b"\x27", b"\x28\x27"), True)),
        (b";X1,27;cmds:1,X2,2827", PointOptions((b"\x27",), (b"\x28\x27",), True)),
    ],
)
def test_the_options_of_a_point(text: bytes, expected: PointOptions) -> None:
    assert parse_options(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        b";X",
        b";X1",
        b";X1,",
        b";X2,27",
        b";X1,2",
        b";X1,zz",
        b";Xz,27",
        b";Y1,27",
        b";X1,27Y",
        b";cmds:",
        b";cmds:0",
        b";cmds:0,",
        b";cmds:z,X1,27",
        b";cmds:0,27",
    ],
)
def test_malformed_options(text: bytes) -> None:
    with pytest.raises(MalformedPacket):
        parse_options(text)
