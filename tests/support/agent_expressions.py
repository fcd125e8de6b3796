"""Agent expressions by the names of their instructions, and a plain interpreter of them, straight from the manual.

Source: GDB manual, "The GDB Agent Expression Mechanism". Knows nothing of our parser and compiler.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from debugserver.errors import ExpressionError, MemoryFault

MASK = (1 << 64) - 1

OPCODES = {
    "float": 0x01, "add": 0x02, "sub": 0x03, "mul": 0x04, "div_signed": 0x05, "div_unsigned": 0x06,
    "rem_signed": 0x07, "rem_unsigned": 0x08, "lsh": 0x09, "rsh_signed": 0x0A, "rsh_unsigned": 0x0B, "trace": 0x0C,
    "trace_quick": 0x0D, "log_not": 0x0E, "bit_and": 0x0F, "bit_or": 0x10, "bit_xor": 0x11, "bit_not": 0x12,
    "equal": 0x13, "less_signed": 0x14, "less_unsigned": 0x15, "ext": 0x16, "ref8": 0x17, "ref16": 0x18,
    "ref32": 0x19, "ref64": 0x1A, "ref_float": 0x1B, "ref_double": 0x1C, "ref_long_double": 0x1D, "l_to_d": 0x1E,
    "d_to_l": 0x1F, "if_goto": 0x20, "goto": 0x21, "const8": 0x22, "const16": 0x23, "const32": 0x24,
    "const64": 0x25, "reg": 0x26, "end": 0x27, "dup": 0x28, "pop": 0x29, "zero_ext": 0x2A, "swap": 0x2B,
    "getv": 0x2C, "setv": 0x2D, "tracev": 0x2E, "tracenz": 0x2F, "trace16": 0x30, "pick": 0x32, "rot": 0x33,
    "printf": 0x34,
}  # fmt: skip
SIZES = {
    "trace_quick": 1, "ext": 1, "if_goto": 2, "goto": 2, "const8": 1, "const16": 2, "const32": 4, "const64": 8,
    "reg": 2, "zero_ext": 1, "getv": 2, "setv": 2, "tracev": 2, "trace16": 2, "pick": 1,
}  # fmt: skip
_NAMES = {number: name for name, number in OPCODES.items()}

MINUS_ONE = "const8 0 bit_not"
MINUS_SEVEN = "const8 7 const8 0 swap sub"
LOWEST = "const64 0x8000000000000000"

EXAMPLES = [
    ("const8 200", 200),
    ("const16 0xfedc", 0xFEDC),
    ("const32 0xfedcba98", 0xFEDCBA98),
    ("const64 0xfedcba9876543210", 0xFEDCBA9876543210),
    ("const8 5 const8 7 add", 12),
    (f"{MINUS_ONE} const8 3 add", 2),
    ("const8 5 const8 7 sub", 2**64 - 2),
    (f"{MINUS_SEVEN} const8 3 mul", 2**64 - 21),
    (f"{MINUS_ONE} {MINUS_ONE} mul", 1),
    ("const64 0x123456789abcdef1 dup mul", 0x123456789ABCDEF1**2 % 2**64),
    (f"{MINUS_SEVEN} const8 2 div_signed", 2**64 - 3),
    (f"const8 7 {MINUS_ONE} const8 1 sub div_signed", 2**64 - 3),
    (f"{MINUS_SEVEN} const8 2 div_unsigned", (2**64 - 7) // 2),
    (f"{MINUS_SEVEN} const8 2 rem_signed", 2**64 - 1),
    (f"const8 7 {MINUS_ONE} const8 1 sub rem_signed", 1),
    (f"{MINUS_SEVEN} const8 10 rem_unsigned", 9),
    ("const8 1 const8 63 lsh", 2**63),
    ("const8 3 const8 63 lsh", 2**63),
    ("const8 1 const8 65 lsh", 2),
    (f"{MINUS_SEVEN} const8 1 rsh_signed", 2**64 - 4),
    (f"{MINUS_SEVEN} const8 1 rsh_unsigned", (2**64 - 7) >> 1),
    (f"{MINUS_SEVEN} const8 64 rsh_unsigned", 2**64 - 7),
    ("const8 5 log_not", 0),
    ("const8 0 log_not", 1),
    (f"{MINUS_ONE} const8 1 add log_not", 1),
    (f"{MINUS_ONE} const8 1 add log_not log_not", 0),
    ("const8 12 const8 10 bit_and", 8),
    ("const8 12 const8 10 bit_or", 14),
    ("const8 12 const8 10 bit_xor", 6),
    ("const8 12 bit_not", 2**64 - 13),
    ("const8 3 const8 3 equal", 1),
    (f"{MINUS_ONE} const8 1 less_signed", 1),
    (f"{MINUS_ONE} const8 1 less_unsigned", 0),
    (f"{LOWEST} const8 0 less_signed", 1),
    ("const8 2 const8 1 less_signed", 0),
    ("const8 1 const8 2 less_unsigned", 1),
    ("const8 0x80 ext 8", 2**64 - 128),
    ("const16 0x17f ext 8", 127),
    ("const32 0x80000000 ext 32", 2**64 - 2**31),
    ("const8 5 ext 0", 0),
    ("const8 1 const8 2 dup sub sub", 1),
    ("const8 1 const8 2 pop", 1),
    ("const8 1 const8 9 swap sub", 8),
    ("const8 1 const8 2 const8 3 rot pop pop", 3),
    ("const8 1 const8 2 const8 3 rot pop", 1),
    ("const8 1 const8 2 const8 3 rot", 2),
    ("const8 4 const8 5 const8 6 pick 0", 6),
    ("const8 4 const8 5 const8 6 pick 2", 4),
    ("getv 7", 0),
    ("const8 4 setv 7", 4),
    ("const8 4 tracev 7", 4),
    ("const8 4 const8 1 const8 2 trace", 4),
    ("const8 4 const8 1 const8 2 tracenz", 4),
    ("const8 4 trace_quick 8", 4),
    ("const8 4 goto over over:", 4),
    ("const8 9 const8 1 if_goto over pop const8 5 over:", 9),
    ("const8 9 const8 0 if_goto over pop const8 5 over:", 5),
    ("const8 0 const8 5 again: swap const8 2 add swap const8 1 sub dup if_goto again pop", 10),
]
"""Programs, less their `end`, and the value that they leave, by the manual and by C's arithmetic on x86-64."""

BEYOND_GNU = [
    (f"{LOWEST} {MINUS_ONE} div_signed", 2**63),
    (f"{LOWEST} {MINUS_ONE} rem_signed", 0),
    ("const64 0x1000000000 ext 37", 2**64 - 2**36),
]
"""GNU gdbserver takes 37 bits for 5, and divides the lowest number by -1 as the CPU does, which is its end."""


def assemble(text: str) -> bytes:
    """`const8 5 dup mul end`: instructions with their operands, numbers in any base. `name:` is a place to jump to."""
    places: dict[str, int] = {}
    for _ in range(2):
        code = bytearray()
        words = iter(text.split())
        for word in words:
            if word.endswith(":"):
                places[word[:-1]] = len(code)
                continue
            code.append(OPCODES[word])
            if size := SIZES.get(word, 0):
                operand = next(words)
                code += (places.get(operand, 0) if operand.isalpha() else int(operand, 0)).to_bytes(size, "big")
    return bytes(code)


def printf(form: str, arguments: int) -> bytes:
    """The instruction `printf`; function and channel are on the stack already."""
    text = form.encode() + b"\0"
    return bytes([OPCODES["printf"], arguments]) + len(text).to_bytes(2, "big") + text


def point(place: bytes, *conditions: bytes, commands: tuple[bytes, ...] = (), persist: int = 0) -> bytes:
    """A Z packet as GDB writes it."""
    written = place
    if conditions:
        written += b";" + b"".join(map(_written, conditions))
    if commands:
        written += b";cmds:%x," % persist + b"".join(map(_written, commands))
    return written


def _written(code: bytes) -> bytes:
    return b"X%x,%b" % (len(code), code.hex().encode())


class FakeState(NamedTuple):
    """A thread's registers, and memory from address 0x1000 on, little-endian."""

    registers: tuple[int, ...] = ()
    memory: bytes = b""

    def register(self, number: int) -> int:
        if number >= len(self.registers):
            raise ExpressionError(f"no register {number}")
        return self.registers[number]

    def load(self, address: int, size: int) -> int:
        data = self.memory[address - 0x1000 : address - 0x1000 + size] if address >= 0x1000 else b""
        if len(data) < size:
            raise MemoryFault(address)
        return int.from_bytes(data, "little")

    def string(self, address: int) -> bytes:
        start = address - 0x1000
        end = self.memory.find(b"\0", max(start, 0))
        if start < 0 or end < 0:
            raise MemoryFault(address)
        return self.memory[start:end]


def interpret(code: bytes, state: FakeState) -> int:
    """Run a program that prints nothing, one instruction after the other."""
    stack: list[int] = []
    at = 0
    for _ in range(100_000):
        name = _NAMES[code[at]]
        size = SIZES.get(name, 0)
        operand = int.from_bytes(code[at + 1 : at + 1 + size], "big")
        at += 1 + size
        if name == "end":
            return stack[-1]
        if name == "goto" or (name == "if_goto" and stack.pop()):
            at = operand
        elif name != "if_goto":
            _execute(name, operand, stack, state)
    raise ExpressionError("no end")


def signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _divide(a: int, b: int) -> tuple[int, int]:
    """As in C: towards zero."""
    if not b:
        raise ExpressionError("division by zero")
    whole = abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
    return whole, a - whole * b


_BINARY: dict[str, Callable[[int, int], int]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div_signed": lambda a, b: _divide(signed(a), signed(b))[0],
    "div_unsigned": lambda a, b: _divide(a, b)[0],
    "rem_signed": lambda a, b: _divide(signed(a), signed(b))[1],
    "rem_unsigned": lambda a, b: _divide(a, b)[1],
    "lsh": lambda a, b: a << b % 64,
    "rsh_signed": lambda a, b: signed(a) >> b % 64,
    "rsh_unsigned": lambda a, b: a >> b % 64,
    "bit_and": lambda a, b: a & b,
    "bit_or": lambda a, b: a | b,
    "bit_xor": lambda a, b: a ^ b,
    "equal": lambda a, b: a == b,
    "less_signed": lambda a, b: signed(a) < signed(b),
    "less_unsigned": lambda a, b: a < b,
}
_SIZES = {"ref8": 1, "ref16": 2, "ref32": 4, "ref64": 8}


def _execute(name: str, operand: int, stack: list[int], state: FakeState) -> None:  # noqa: C901 - one line for each
    if name in _BINARY:
        b, a = stack.pop(), stack.pop()
        stack.append(int(_BINARY[name](a, b)) & MASK)
    elif name in _SIZES:
        stack.append(state.load(stack.pop(), _SIZES[name]))
    elif name.startswith("const"):
        stack.append(operand)
    elif name == "log_not":
        stack.append(int(not stack.pop()))
    elif name == "bit_not":
        stack.append(~stack.pop() & MASK)
    elif name == "ext" and operand < 64:
        low = stack.pop() % (1 << operand)
        stack.append((low - (1 << operand) if operand and low >> operand - 1 else low) & MASK)
    elif name == "zero_ext" and operand < 64:
        stack.append(stack.pop() % (1 << operand))
    elif name == "reg":
        stack.append(state.register(operand))
    elif name == "dup":
        stack.append(stack[-1])
    elif name == "pop":
        stack.pop()
    elif name == "swap":
        stack[-2:] = stack[:-3:-1]
    elif name == "rot":
        stack[-3:] = [stack[-1], stack[-3], stack[-2]]
    elif name == "pick":
        stack.append(stack[-1 - operand])
    elif name == "getv":
        stack.append(0)
    elif name in ("trace", "tracenz"):
        del stack[-2:]
    elif name in ("float", "ref_float", "ref_double", "ref_long_double", "l_to_d", "d_to_l", "trace16"):
        raise ExpressionError("no floating point")
