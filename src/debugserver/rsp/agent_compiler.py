"""Agent expressions as Python functions: a checked program is translated once, and runs as fast as Python can.

A program without loops becomes nested `if`s, every way through it its own straight line, on which the stack exists only
here, in the translator. One with loops, or with too many ways, becomes one function a block and a loop that calls them.

Values are congruent to the machine's modulo 2**64 and not always reduced: the translator knows between which bounds
each one lies, and reduces where it matters. Arithmetic is that of C on x86-64, as in GNU gdbserver.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple, Protocol

from debugserver.errors import ExpressionError, MalformedPacket
from debugserver.rsp.agent_expression import Instruction, Program, parse, parse_condition
from debugserver.rsp.agent_printf import parse_format

_MASK = (1 << 64) - 1
_SIGN = 1 << 63
_MOST_BITS = 200
"""A value that may be longer is reduced."""
_MOST_NESTED = 16
"""The translator's limits, beyond which a program is run block by block: ways within ways,"""
_MOST_COPIES = 4
"""and how often an instruction is translated on average, since it lies on several ways."""
_MOST_STEPS = 100_000
"""Instructions that one run of a program with loops may take."""
_CACHED = 256
"""GDB takes its breakpoints out and puts them back at every stop."""


class State(Protocol):
    """What a program sees of the stopped thread. All may raise TargetError."""

    def register(self, number: int, /) -> int:
        """A register's value, unsigned."""

    def load(self, address: int, size: int, /) -> int:
        """An unsigned integer in memory, in the byte order of the target."""

    def string(self, address: int, /) -> bytes:
        """What lies at an address, up to its zero."""


Write = Callable[[bytes], object]


class _Function(Protocol):
    def __call__(self, state: State, write: Write) -> int: ...


def condition(code: bytes, write: Write) -> Callable[[State], int]:
    """The function of a program that leaves a value: not 0 is true. MalformedPacket; what it raises are TargetErrors.
    `write` takes what it prints."""
    return partial(_condition(code), write=write)


def command(code: bytes, write: Write) -> Callable[[State], object]:
    """The function of a program that is run for what it prints."""
    return partial(_command(code), write=write)


@lru_cache(_CACHED)
def _condition(code: bytes) -> _Function:
    return _translate(parse_condition(code))


@lru_cache(_CACHED)
def _command(code: bytes) -> _Function:
    return _translate(parse(code))


def _translate(program: Program) -> _Function:
    try:
        return _Ways(program).function()
    except _NotStraight:
        return _Blocks(program).function()


class _NotStraight(Exception):
    """The program has loops, or too many ways."""


class _Value(NamedTuple):
    """A Python expression, which is a name or a number, and the bounds of its value."""

    text: str
    low: int
    high: int

    @property
    def unsigned(self) -> str:
        """The expression of the value as an unsigned number of 64 bits."""
        if self.low == self.high:
            return str(self.low & _MASK)
        return self.text if self.low >= 0 and self.high <= _MASK else f"({self.text} & {_MASK})"

    @property
    def is_signed(self) -> bool:
        """Whether it is what it stands for as a signed number."""
        return self.low >= -_SIGN and self.high < _SIGN

    @property
    def signed(self) -> str:
        """The expression of the value as a signed number of 64 bits."""
        if self.low == self.high:
            return str(((self.low & _MASK) ^ _SIGN) - _SIGN)
        return self.text if self.is_signed else f"(({self.unsigned} ^ {_SIGN}) - {_SIGN})"

    @property
    def truth(self) -> str:
        """An expression that is true unless the value is 0."""
        return self.text if self.low > -_MASK - 1 and self.high <= _MASK else self.unsigned

    @property
    def bits(self) -> int:
        """How many hold it, beside a sign."""
        return max(self.low.bit_length(), self.high.bit_length())


def _constant(number: int) -> _Value:
    return _Value(str(number), number, number)


_TRUTH = (0, 1)
_UNSIGNED = (0, _MASK)
_SIGNED = (-_SIGN, _SIGN - 1)

_Bounds = tuple[int, int]
_Expression = tuple[str, _Bounds]


def _add(a: _Value, b: _Value) -> _Expression:
    return f"{a.text} + {b.text}", (a.low + b.low, a.high + b.high)


def _subtract(a: _Value, b: _Value) -> _Expression:
    return f"{a.text} - {b.text}", (a.low - b.high, a.high - b.low)


def _multiply(a: _Value, b: _Value) -> _Expression:
    corners = [x * y for x in (a.low, a.high) for y in (b.low, b.high)]
    return f"{a.text} * {b.text}", (min(corners), max(corners))


def _shift_left(a: _Value, b: _Value) -> _Expression:
    return f"({a.text} << ({b.text} & 63)) & {_MASK}", _UNSIGNED


def _shift_right_signed(a: _Value, b: _Value) -> _Expression:
    return f"{a.signed} >> ({b.text} & 63)", _SIGNED


def _shift_right(a: _Value, b: _Value) -> _Expression:
    return f"{a.unsigned} >> ({b.text} & 63)", _UNSIGNED


def _bitwise(a: _Value, b: _Value) -> _Bounds:
    top = 1 << max(a.bits, b.bits)
    return (0 if min(a.low, b.low) >= 0 else -top, top - 1)


def _and(a: _Value, b: _Value) -> _Expression:
    highest = [value.high for value in (a, b) if value.low >= 0]
    return f"{a.text} & {b.text}", (0, min(highest)) if highest else _bitwise(a, b)


def _or(a: _Value, b: _Value) -> _Expression:
    return f"{a.text} | {b.text}", _bitwise(a, b)


def _xor(a: _Value, b: _Value) -> _Expression:
    return f"{a.text} ^ {b.text}", _bitwise(a, b)


def _not(a: _Value) -> _Expression:
    return f"-1 - {a.text}", (-1 - a.high, -1 - a.low)


def _is_zero(a: _Value) -> _Expression:
    return f"not {a.truth}", (int(a.low == a.high == 0), int(a.low <= 0 <= a.high or not a.is_signed))


def _equal(a: _Value, b: _Value) -> _Expression:
    if a.is_signed and b.is_signed:
        return f"{a.text} == {b.text}", _TRUTH
    return f"{a.unsigned} == {b.unsigned}", _TRUTH


def _less_signed(a: _Value, b: _Value) -> _Expression:
    return f"{a.signed} < {b.signed}", _TRUTH


def _less_unsigned(a: _Value, b: _Value) -> _Expression:
    return f"{a.unsigned} < {b.unsigned}", _TRUTH


def _divide_signed(a: _Value, b: _Value) -> _Expression:
    return f"quotient({a.signed}, {b.signed})", (-_SIGN, _SIGN)


def _divide_unsigned(a: _Value, b: _Value) -> _Expression:
    return f"quotient({a.unsigned}, {b.unsigned})", _UNSIGNED


def _remainder_signed(a: _Value, b: _Value) -> _Expression:
    return f"remainder({a.signed}, {b.signed})", _SIGNED


def _remainder_unsigned(a: _Value, b: _Value) -> _Expression:
    return f"remainder({a.unsigned}, {b.unsigned})", _UNSIGNED


def _load(size: int) -> Callable[[_Value], _Expression]:
    return lambda a: (f"load({a.unsigned}, {size})", (0, (1 << 8 * size) - 1))


def quotient(a: int, b: int) -> int:
    """a / b towards zero, as in C. ExpressionError."""
    return (a - remainder(a, b)) // b


def remainder(a: int, b: int) -> int:
    """a % b with the sign of `a`, as in C. ExpressionError."""
    if not b:
        raise ExpressionError("division by zero")
    rest = abs(a) % abs(b)
    return -rest if a < 0 else rest


_OPERATIONS: dict[str, Callable[..., _Expression]] = {
    "add": _add,
    "sub": _subtract,
    "mul": _multiply,
    "div_signed": _divide_signed,
    "div_unsigned": _divide_unsigned,
    "rem_signed": _remainder_signed,
    "rem_unsigned": _remainder_unsigned,
    "lsh": _shift_left,
    "rsh_signed": _shift_right_signed,
    "rsh_unsigned": _shift_right,
    "log_not": _is_zero,
    "bit_and": _and,
    "bit_or": _or,
    "bit_xor": _xor,
    "bit_not": _not,
    "equal": _equal,
    "less_signed": _less_signed,
    "less_unsigned": _less_unsigned,
    "ref8": _load(1),
    "ref16": _load(2),
    "ref32": _load(4),
    "ref64": _load(8),
}
"""What takes all its values off the stack and puts one there."""

_UNSUPPORTED = frozenset({"float", "ref_float", "ref_double", "ref_long_double", "l_to_d", "d_to_l", "trace16"})
"""GDB makes none of them; GNU gdbserver fails at them, too."""
_NOTHING = frozenset({"trace_quick", "setv", "tracev"})
"""They record something in a trace, and there is none."""
_CONSTANTS = frozenset({"const8", "const16", "const32", "const64"})
_SHUFFLES: dict[str, Callable[[list[_Value]], Sequence[_Value]]] = {
    "dup": lambda stack: (stack.pop(),) * 2,
    "pop": lambda stack: (stack.pop(), ())[1],
    "swap": lambda stack: (stack.pop(), stack.pop()),
    "rot": lambda stack: _rotate(stack.pop(), stack.pop(), stack.pop()),
    "trace": lambda stack: (stack.pop(), stack.pop(), ())[2],
    "tracenz": lambda stack: (stack.pop(), stack.pop(), ())[2],
}
"""What moves values: takes some off the stack, and returns what comes there."""


def _rotate(c: _Value, b: _Value, a: _Value) -> Sequence[_Value]:
    return c, a, b


class _Text:
    """Python source in the making, and what its names stand for."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._count = 0
        self._names: dict[str, object] = {
            "ExpressionError": ExpressionError,
            "quotient": quotient,
            "remainder": remainder,
        }

    def line(self, depth: int, text: str) -> None:
        """One line, `depth` levels in."""
        self._lines.append(" " * depth + text)

    def name(self, prefix: str) -> str:
        """A name that is not taken."""
        self._count += 1
        return f"{prefix}{self._count}"

    def define(self, value: object) -> str:
        """A name for something that exists."""
        name = self.name("given")
        self._names[name] = value
        return name

    def head(self, name: str, parameters: Sequence[str] = ()) -> None:
        """The beginning of a function; its body is one level in."""
        self.line(0, f"def {name}({', '.join(('state', 'write', *parameters))}):")
        self.line(1, "load = state.load")

    def compile(self) -> dict[str, Any]:
        """The functions by their names."""
        exec(compile("\n".join(self._lines), "<agent expression>", "exec"), self._names)
        return self._names

    def translate(self, instruction: Instruction, stack: list[_Value], depth: int) -> bool:
        """An instruction that does not jump. False: it never gets past it."""
        name, operand, *_ = instruction
        if name in _UNSUPPORTED:
            self.line(depth, f"raise ExpressionError('no support for {name}')")
            return False
        if name in _OPERATIONS:
            values = [stack.pop() for _ in range(instruction.pops)]
            stack.append(self._value(depth, *_OPERATIONS[name](*reversed(values))))
        elif name in _SHUFFLES:
            stack.extend(_SHUFFLES[name](stack))
        elif name == "printf":
            self._printf(instruction, stack, depth)
        elif name not in _NOTHING:
            stack.append(self._pushed(name, operand, stack, depth))
        return True

    def _pushed(self, name: str, operand: int, stack: list[_Value], depth: int) -> _Value:
        if name in _CONSTANTS:
            return _constant(operand)
        if name == "reg":
            return self._value(depth, f"state.register({operand})", _UNSIGNED)
        if name == "pick":
            return stack[-1 - operand]
        if name == "getv":
            return _constant(0)
        return self._extended(name, operand, stack.pop(), depth)

    def _extended(self, name: str, bits: int, value: _Value, depth: int) -> _Value:
        """`ext` and `zero_ext`: the lowest bits of a value."""
        if bits >= 64:
            return value
        if name == "zero_ext" or not bits:
            low, high = 0, (1 << bits) - 1
        else:
            low, high = -(1 << bits - 1), (1 << bits - 1) - 1
        if low <= value.low and value.high <= high:
            return value
        mask = (1 << bits) - 1
        rest = value.text if value.low >= 0 and value.high <= mask else f"({value.text} & {mask})"
        return self._value(depth, f"({rest} ^ {-low}) - {-low}" if low else rest, (low, high))

    def _value(self, depth: int, text: str, bounds: _Bounds) -> _Value:
        """A name for the value of an expression."""
        if bounds[0] == bounds[1]:
            return _constant(bounds[0])
        value = _Value(self.name("t"), *bounds)
        if value.bits > _MOST_BITS:
            text, value = f"({text}) & {_MASK}", _Value(value.text, *_UNSIGNED)
        self.line(depth, f"{value.text} = {text}")
        return value

    def _printf(self, instruction: Instruction, stack: list[_Value], depth: int) -> None:
        form = parse_format(instruction.text)
        if len(form.directives) != instruction.operand:
            raise MalformedPacket("the format does not go with its arguments")
        del stack[-2:]
        arguments = [stack.pop().text for _ in range(instruction.operand)]
        self.line(depth, f"write({self.define(form.render)}([{', '.join(arguments)}], state.string))")


class _Ways:
    """A program without loops: one function, in which every way to an end is written out."""

    def __init__(self, program: Program) -> None:
        self._instructions = program.instructions
        self._copies = _MOST_COPIES * len(program.instructions)
        self._text = _Text()
        self._text.head("run")
        self._write(0, [], 1)

    def function(self) -> _Function:
        """The whole program."""
        function: _Function = self._text.compile()["run"]
        return function

    def _write(self, offset: int, stack: list[_Value], depth: int) -> None:
        while True:
            self._copies -= 1
            if self._copies < 0 or depth > _MOST_NESTED:
                raise _NotStraight
            instruction = self._instructions[offset]
            if instruction.name == "end":
                self._text.line(depth, f"return {stack[-1].unsigned if stack else 0}")
                return
            if instruction.name in ("goto", "if_goto"):
                offset = self._jump(offset, instruction, stack, depth)
            elif self._text.translate(instruction, stack, depth):
                offset = instruction.following
            else:
                return

    def _jump(self, offset: int, instruction: Instruction, stack: list[_Value], depth: int) -> int:
        """Where this way goes on."""
        if instruction.operand <= offset:
            raise _NotStraight
        if instruction.name == "goto":
            return instruction.operand
        test = stack.pop()
        if test.low == test.high:
            return instruction.operand if test.low & _MASK else instruction.following
        self._text.line(depth, f"if {test.truth}:")
        self._write(instruction.operand, list(stack), depth + 1)
        return instruction.following


class _Blocks:
    """Any program: a function for each of its blocks, and a loop that calls one after the other."""

    def __init__(self, program: Program) -> None:
        self._instructions = program.instructions
        self._starts = {0} | {
            successor
            for instruction in program.instructions.values()
            if instruction.name in ("goto", "if_goto")
            for successor in instruction.successors
        }
        self._text = _Text()
        for start in self._starts:
            self._write(start, program.heights[start])

    def function(self) -> _Function:
        """The whole program."""
        functions = self._text.compile()
        blocks = {start: functions[f"block{start}"] for start in self._starts}

        def run(state: State, write: Write) -> int:
            offset, steps = 0, 0
            stack: tuple[int, ...] = ()
            while offset >= 0:
                length, offset, stack = blocks[offset](state, write, *stack)
                steps += length
                if steps > _MOST_STEPS:
                    raise ExpressionError("the expression does not end")
            return stack[0]

        return run

    def _write(self, start: int, height: int) -> None:
        names = [f"s{number}" for number in range(height)]
        self._text.head(f"block{start}", names)
        stack = [_Value(name, *_UNSIGNED) for name in names]
        offset, length = start, 0
        while True:
            instruction = self._instructions[offset]
            length += 1
            offset = instruction.following
            following = self._following(instruction, stack)
            if following is None and not self._text.translate(instruction, stack, 1):
                return
            if following is None and offset in self._starts:
                following = str(offset)
            if following is not None:
                values = "".join(f"{value.unsigned}, " for value in stack)
                self._text.line(1, f"return {length}, {following}, ({values})")
                return

    def _following(self, instruction: Instruction, stack: list[_Value]) -> str | None:
        """The offset of the next block as an expression, if the block ends here; -1: the program does, and leaves one
        value."""
        if instruction.name == "end":
            stack[:] = stack[-1:] or [_constant(0)]
            return "-1"
        if instruction.name == "goto":
            return str(instruction.operand)
        if instruction.name == "if_goto":
            return f"{instruction.operand} if {stack.pop().truth} else {instruction.following}"
        return None
