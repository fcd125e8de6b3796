"""Agent expressions, the bytecode of conditions and commands: from bytes to a checked program.

Says what each instruction is and that a program holds together: every jump leads to an instruction, and the stack is as
high at an instruction on whichever way it is reached. What instructions do is `agent_compiler`'s business.
Source: GDB manual, "The GDB Agent Expression Mechanism".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from debugserver.errors import MalformedPacket
from debugserver.rsp import fields

MOST_BYTES = 1 << 13
"""The longest program."""
MOST_VALUES = 100
"""The highest stack; GNU gdbserver's."""


class Opcode(NamedTuple):
    """A kind of instruction: the bytes of its operand, how many values it takes off the stack and puts there."""

    name: str
    size: int
    pops: int
    pushes: int


OPCODES = {
    0x01: Opcode("float", 0, 0, 0),
    0x02: Opcode("add", 0, 2, 1),
    0x03: Opcode("sub", 0, 2, 1),
    0x04: Opcode("mul", 0, 2, 1),
    0x05: Opcode("div_signed", 0, 2, 1),
    0x06: Opcode("div_unsigned", 0, 2, 1),
    0x07: Opcode("rem_signed", 0, 2, 1),
    0x08: Opcode("rem_unsigned", 0, 2, 1),
    0x09: Opcode("lsh", 0, 2, 1),
    0x0A: Opcode("rsh_signed", 0, 2, 1),
    0x0B: Opcode("rsh_unsigned", 0, 2, 1),
    0x0C: Opcode("trace", 0, 2, 0),
    0x0D: Opcode("trace_quick", 1, 1, 1),
    0x0E: Opcode("log_not", 0, 1, 1),
    0x0F: Opcode("bit_and", 0, 2, 1),
    0x10: Opcode("bit_or", 0, 2, 1),
    0x11: Opcode("bit_xor", 0, 2, 1),
    0x12: Opcode("bit_not", 0, 1, 1),
    0x13: Opcode("equal", 0, 2, 1),
    0x14: Opcode("less_signed", 0, 2, 1),
    0x15: Opcode("less_unsigned", 0, 2, 1),
    0x16: Opcode("ext", 1, 1, 1),
    0x17: Opcode("ref8", 0, 1, 1),
    0x18: Opcode("ref16", 0, 1, 1),
    0x19: Opcode("ref32", 0, 1, 1),
    0x1A: Opcode("ref64", 0, 1, 1),
    0x1B: Opcode("ref_float", 0, 1, 1),
    0x1C: Opcode("ref_double", 0, 1, 1),
    0x1D: Opcode("ref_long_double", 0, 1, 1),
    0x1E: Opcode("l_to_d", 0, 1, 1),
    0x1F: Opcode("d_to_l", 0, 1, 1),
    0x20: Opcode("if_goto", 2, 1, 0),
    0x21: Opcode("goto", 2, 0, 0),
    0x22: Opcode("const8", 1, 0, 1),
    0x23: Opcode("const16", 2, 0, 1),
    0x24: Opcode("const32", 4, 0, 1),
    0x25: Opcode("const64", 8, 0, 1),
    0x26: Opcode("reg", 2, 0, 1),
    0x27: Opcode("end", 0, 0, 0),
    0x28: Opcode("dup", 0, 1, 2),
    0x29: Opcode("pop", 0, 1, 0),
    0x2A: Opcode("zero_ext", 1, 1, 1),
    0x2B: Opcode("swap", 0, 2, 2),
    0x2C: Opcode("getv", 2, 0, 1),
    0x2D: Opcode("setv", 2, 1, 1),
    0x2E: Opcode("tracev", 2, 0, 0),
    0x2F: Opcode("tracenz", 0, 2, 0),
    0x30: Opcode("trace16", 2, 1, 1),
    0x32: Opcode("pick", 1, 0, 1),
    0x33: Opcode("rot", 0, 3, 3),
    0x34: Opcode("printf", 3, 2, 0),
}
"""By their first byte. `pick` needs as many values as it reaches down, `printf` its arguments beside function and
channel."""

_JUMPS = frozenset({"goto", "if_goto"})
_NO_SUCCESSOR = frozenset({"goto", "end"})


class Instruction(NamedTuple):
    """One instruction. `operand` is unsigned, of `printf` the number of its arguments, whose format is `text`;
    `following` is the offset of what comes after it."""

    name: str
    operand: int
    text: bytes
    following: int
    pops: int
    pushes: int

    @property
    def successors(self) -> Iterable[int]:
        """The offsets at which the program may go on."""
        if self.name not in _NO_SUCCESSOR:
            yield self.following
        if self.name in _JUMPS:
            yield self.operand

    @property
    def needs(self) -> int:
        """How many values have to be on the stack."""
        return self.operand + 1 if self.name == "pick" else self.pops


class Program(NamedTuple):
    """A checked program: the instructions that can be reached, and the height of the stack before each, by offset.
    It begins at offset 0."""

    instructions: dict[int, Instruction]
    heights: dict[int, int]


class PointOptions(NamedTuple):
    """What follows the kind in `Z0` and `Z1`: the bytecode of conditions and commands, and whether these are to be run
    when no client is there, too."""

    conditions: tuple[bytes, ...] = ()
    commands: tuple[bytes, ...] = ()
    persistent: bool = False


def parse_options(text: bytes) -> PointOptions:
    """`;X len,bytecode ... ;cmds:persist,X len,bytecode ...`: either part may be missing."""
    conditions, marker, commands = text.partition(b";cmds:")
    persist, separator, rest = commands.partition(b",")
    if marker and (persist not in (b"0", b"1") or not (separator and rest)):
        raise MalformedPacket("cmds: without commands")
    return PointOptions(tuple(_expressions(conditions)), tuple(_expressions(rest)), persist == b"1")


def _expressions(text: bytes) -> Iterable[bytes]:
    """The bytes of `X len,hex` again and again; semicolons may stand between them."""
    while text := text.lstrip(b";"):
        length, separator, rest = text[1:].partition(b",")
        if text[:1] != b"X" or not separator:
            raise MalformedPacket("not an agent expression")
        end = 2 * fields.number(length)
        if len(rest) < end:
            raise MalformedPacket("an agent expression is cut off")
        yield fields.blob(rest[:end])
        text = rest[end:]


def parse(code: bytes) -> Program:
    """Check a program. MalformedPacket."""
    if len(code) > MOST_BYTES:
        raise MalformedPacket("an agent expression is too long")
    instructions = dict(_decode(code))
    heights: dict[int, int] = {}
    ahead = [(0, 0)]
    while ahead:
        offset, height = ahead.pop()
        if offset not in instructions:
            raise MalformedPacket(f"no instruction at {offset}")
        if offset in heights:
            if heights[offset] != height:
                raise MalformedPacket(f"the stack at {offset} differs from way to way")
            continue
        heights[offset] = height
        instruction = instructions[offset]
        after = height - instruction.pops + instruction.pushes
        if height < instruction.needs or after > MOST_VALUES:
            raise MalformedPacket(f"no place on the stack at {offset}")
        ahead += [(successor, after) for successor in instruction.successors]
    return Program({offset: instructions[offset] for offset in heights}, heights)


def parse_condition(code: bytes) -> Program:
    """Check a program that leaves a value, wherever it ends. MalformedPacket."""
    program = parse(code)
    for offset, instruction in program.instructions.items():
        if instruction.name == "end" and not program.heights[offset]:
            raise MalformedPacket(f"no value is left at {offset}")
    return program


def _decode(code: bytes) -> Iterable[tuple[int, Instruction]]:
    """Every instruction with its offset, one after the other."""
    offset = 0
    while offset < len(code):
        opcode = OPCODES.get(code[offset])
        if opcode is None:
            raise MalformedPacket(f"no agent opcode {code[offset]:#x}")
        operand = code[offset + 1 : offset + 1 + opcode.size]
        if len(operand) < opcode.size:
            raise MalformedPacket("the operand is cut off")
        instruction = _make(code, opcode, operand, offset + 1 + opcode.size)
        yield offset, instruction
        offset = instruction.following


def _make(code: bytes, opcode: Opcode, operand: bytes, following: int) -> Instruction:
    name, _, pops, pushes = opcode
    if name != "printf":
        return Instruction(name, int.from_bytes(operand), b"", following, pops, pushes)
    count, length = operand[0], int.from_bytes(operand[1:])
    text = code[following : following + length]
    if len(text) < length or text[-1:] != b"\0":
        raise MalformedPacket("the format is cut off")
    return Instruction(name, count, text[:-1], following + length, pops + count, pushes)
