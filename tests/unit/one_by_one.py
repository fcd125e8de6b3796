"""Single instructions on the real CPU, many at a time: data/one_by_one.c runs each from a state of its own."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from debugserver.arch import amd64, i386, user_regs
from debugserver.arch.instructions import Instructions
from debugserver.errors import MemoryFault

if TYPE_CHECKING:
    import random

SOURCE = Path(__file__).parent / "data" / "one_by_one.c"

CODE = 0x13570000
SLOTS = {64: 0x200000000000, 32: 0xB4560000}
"""Where code is, and by the bits of its mode moved code, more than 2 GiB away."""
WINDOW = 512
DATA = 0x20001000 - WINDOW
CONSTANT = 0x20003000 - WINDOW
"""Where data is, and data that is only read. Nothing is mapped behind them."""
_CONSTANTS = bytes((37 * i + 11) & 0xFF if i % 8 < 5 else 0 for i in range(WINDOW))

TRAPPED = 5
"""SIGTRAP: the instruction was completed."""
RESUME_FLAG = 1 << 16
"""In eflags: set after a fault."""

_SELECTORS = {64: 0x33, 32: 0x23}
_GENERAL = {
    64: "rax rbx rcx rdx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15".split(),
    32: "rax rbx rcx rdx rsi rdi rbp rsp".split(),
}
_OFTEN_ADDRESSES = {"rbx": 0.8, "rbp": 0.9, "rsp": 0.9, "rdi": 0.8, "r9": 0.8}
_SPECIAL = (0, 1, -1, 0x7F, 0x80, 0x7FFF, 0x8000, 0x7FFFFFFF, 0x80000000, (1 << 63) - 1, 1 << 63)
_STATUS_AND_DIRECTION = 0xCD5
_ALWAYS_SET = 0x202

_CASE = struct.Struct(f"216s672s{WINDOW}s16sQQ")
"""struct test_case."""
_VECTORS = slice(160, 416)
"""xmm0 to xmm15 in an XSAVE area (SDM vol. 1, 13.4.2)."""


def instructions(bits: int) -> Instructions:
    """What is under test."""
    make = amd64.architecture if bits == 64 else i386.architecture
    found = make(0, 0).instructions
    assert isinstance(found, Instructions)
    return found


class State:
    """Registers and memory: a MemoryAccess to what can be reached, with the protections that hold there."""

    def __init__(self, registers: bytes | bytearray, vectors: bytes, data: bytes | bytearray) -> None:
        """`vectors`: x87, SSE and AVX registers, as in an XSAVE area."""
        self.registers = bytearray(registers)
        self.vectors = vectors
        self.data = bytearray(data)

    def __getitem__(self, name: str) -> int:
        offset = user_regs.OFFSETS[name]
        return int.from_bytes(self.registers[offset : offset + 8], "little")

    def __setitem__(self, name: str, value: int) -> None:
        offset = user_regs.OFFSETS[name]
        self.registers[offset : offset + 8] = value.to_bytes(8, "little")

    def differences(self, other: State) -> dict[str, tuple[str, str]]:
        """What is not the same, but for vectors."""
        registers = {
            name: (hex(self[name]), hex(other[name])) for name in user_regs.OFFSETS if self[name] != other[name]
        }
        return registers | ({} if self.data == other.data else {"data": (self.data.hex(), other.data.hex())})

    def copy(self) -> State:
        """Another one like this."""
        return State(self.registers, self.vectors, self.data)

    def read(self, address: int, length: int) -> bytes:
        for start, content in ((DATA, self.data), (CONSTANT, _CONSTANTS)):
            if start <= address and address + length <= start + WINDOW:
                return bytes(content[address - start : address - start + length])
        raise MemoryFault(address)

    def write(self, address: int, data: bytes) -> None:
        if not DATA <= address <= DATA + WINDOW - len(data):
            raise MemoryFault(address)
        self.data[address - DATA : address - DATA + len(data)] = data


class Result(NamedTuple):
    """What has become of a state, and the signal that ended the instruction."""

    state: State
    signal: int


def random_state(chance: random.Random, bits: int, *, aligned: bool = False) -> State:
    """Of code that starts at CODE; registers hold numbers or where data is.

    In one half of them addresses are aligned, and what lies there could be addresses too. `aligned`: so is all else."""
    tidy = aligned or chance.random() < 0.5
    vectors = bytearray(672)
    vectors[_VECTORS] = chance.randbytes(256)
    data = bytearray(chance.randbytes(WINDOW))
    if tidy:
        data[5::8] = data[6::8] = data[7::8] = bytes(WINDOW // 8)
    state = State(bytes(user_regs.USER_REGS_SIZE), bytes(vectors), data)
    for name in _GENERAL[bits]:
        is_address = chance.random() < _OFTEN_ADDRESSES.get(name, 0)
        value = _random_address(chance) if is_address else _random_number(chance, name)
        step = 16 if aligned or (tidy and is_address) else 1
        state[name] = value // step * step & (1 << bits) - 1
    state["rip"], state["cs"], state["orig_rax"] = CODE, _SELECTORS[bits], (1 << 64) - 1
    state["ss"] = state["ds"] = state["es"] = 0x2B
    state["eflags"] = chance.getrandbits(12) & _STATUS_AND_DIRECTION | _ALWAYS_SET
    state["fs_base"], state["gs_base"] = DATA + 0x80, DATA + 0x40
    return state


def _random_address(chance: random.Random) -> int:
    return chance.choice((DATA, DATA, DATA, CONSTANT)) + chance.randrange(128, WINDOW + 8)


def _random_number(chance: random.Random, name: str) -> int:
    if name == "rcx" and chance.random() < 0.8:
        return chance.randrange(-16, 16)
    return chance.choice(_SPECIAL) if chance.random() < 0.3 else chance.getrandbits(64)


def build(folder: Path) -> Path:
    """Compile the program, position-independent: it stays out of the way of 32-bit code."""
    program = folder / "one_by_one"
    options = ["-O1", "-static-pie", "-fno-stack-protector"]
    subprocess.run(["gcc", *options, "-o", program, SOURCE], check=True, timeout=60)
    return program


def run(program: Path, cases: list[tuple[State, int, bytes]]) -> list[Result]:
    """Of each: the state before, where code goes, and the code."""
    if not cases:
        return []
    file = program.with_suffix(".cases")
    file.write_bytes(
        b"".join(
            _CASE.pack(state.registers, state.vectors, state.data, code, address, 0) for state, address, code in cases
        )
    )
    with file.open("r+b") as descriptor:
        subprocess.run([program], stdin=descriptor, check=True, timeout=60)
    return [
        Result(State(registers, vectors, data), signal)
        for registers, vectors, data, _, _, signal in _CASE.iter_unpack(file.read_bytes())
    ]
