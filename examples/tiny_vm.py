"""A small virtual machine that the real GDB can debug: `PYTHONPATH=src python3 examples/tiny_vm.py :1234`.

Four registers, 64 KiB of memory, instructions of four bytes: opcode, register, 16-bit operand. GDB has to know the
processor to know which register is the program counter; every GDB knows i386, so the machine keeps its pc and sp where
that has them, and adds registers of its own.
"""

from __future__ import annotations

import signal
import struct
import sys
from enum import IntEnum

from debugserver.arch.architecture import Architecture, Feature, Register, arrange
from debugserver.server.serve import serve
from debugserver.target.model import Event, ProcessExit
from debugserver.target.simple import PID, SingleThreadTarget

POINTERS = {"esp": "data_ptr", "ebp": "data_ptr", "eip": "code_ptr"}
INTEGERS = "eax ecx edx ebx esp ebp esi edi eip eflags cs ss ds es fs gs".split()
FLOATS = [f"st{number}" for number in range(8)]
FLOAT_CONTROL = "fctrl fstat ftag fiseg fioff foseg fooff fop".split()
CORE = Feature(
    "org.gnu.gdb.i386.core",
    "",
    (
        *(Register(name, 32, POINTERS.get(name, "int32")) for name in INTEGERS),
        *(Register(name, 80, "i387_ext") for name in FLOATS),
        *(Register(name, 32, "int", group="float") for name in FLOAT_CONTROL),
    ),
)
OWN = Feature("org.example.tiny-vm", "", tuple(Register(f"r{number}", 32, "uint32") for number in range(4)))
ARCHITECTURE = Architecture(
    name="i386",
    features=arrange([CORE, OWN]),
    pointer_size=4,
    pc="eip",
    sp="esp",
    general=("esp", "eip", "r0", "r1", "r2", "r3"),
    breakpoint=b"\xcc",
)
PC, SP, R0 = (ARCHITECTURE.by_name[name].number for name in ("eip", "esp", "r0"))
MEMORY_SIZE = 0x10000


class Op(IntEnum):
    """What an instruction's first byte means; r is its register, n its operand."""

    SET = 1  # r = n
    ADD = 2  # r += n
    STORE = 3  # memory[n] = r
    JUMP = 4  # pc = n
    LOOP = 5  # pc = n while r is 0
    CALL = 6  # push the next pc; pc = n
    RETURN = 7  # pop pc
    EXIT = 8  # with status r


INSTRUCTION = struct.Struct("<BBH")
WORD = struct.Struct("<I")


class TinyVm(SingleThreadTarget):
    """Runs a program from address 0; the stack grows down from the end of memory."""

    def __init__(self, program: bytes) -> None:
        self.memory = bytearray(program.ljust(MEMORY_SIZE, b"\0"))
        self.values = [0] * len(ARCHITECTURE.registers)
        self.values[SP] = MEMORY_SIZE
        super().__init__(ARCHITECTURE)

    def get_register(self, number: int) -> int:
        return self.values[number]

    def set_register(self, number: int, value: int) -> None:
        self.values[number] = value

    def load(self, address: int, length: int) -> bytes:
        return bytes(self.memory[address : address + length])

    def store(self, address: int, data: bytes) -> bool:
        fits = address + len(data) <= MEMORY_SIZE
        if fits:
            self.memory[address : address + len(data)] = data
        return fits

    def step(self) -> Event | None:
        try:
            opcode, register, operand = INSTRUCTION.unpack_from(self.memory, self.pc)
            return self.execute(opcode, R0 + register % 4, operand)
        except struct.error:
            return self.stop(signal.SIGSEGV)

    def execute(self, opcode: int, r: int, n: int) -> Event | None:
        values = self.values
        following = values[PC] + INSTRUCTION.size
        match opcode:
            case Op.SET:
                values[r] = n
            case Op.ADD:
                values[r] = (values[r] + n) & 0xFFFFFFFF
            case Op.STORE:
                WORD.pack_into(self.memory, n, values[r])
            case Op.JUMP:
                following = n
            case Op.LOOP:
                following = following if values[r] else n
            case Op.CALL:
                WORD.pack_into(self.memory, (values[SP] - 4) & 0xFFFFFFFF, following)
                values[SP], following = values[SP] - 4, n
            case Op.RETURN:
                (following,) = WORD.unpack_from(self.memory, values[SP])
                values[SP] += 4
            case Op.EXIT:
                return ProcessExit(PID, values[r] & 0xFF)
            case _:
                return self.stop(signal.SIGILL)
        values[PC] = following
        return None


COUNTER, FUNCTION = 0x2000, 0x14
PROGRAM = b"".join(
    INSTRUCTION.pack(*instruction)
    for instruction in (
        (Op.SET, 0, 0),
        (Op.CALL, 0, FUNCTION),
        (Op.STORE, 0, COUNTER),
        (Op.LOOP, 1, 0x04),  # for ever, unless a debugger sets r1
        (Op.EXIT, 0, 0),
        (Op.ADD, 0, 1),  # FUNCTION
        (Op.RETURN, 0, 0),
    )
)

if __name__ == "__main__":
    serve(TinyVm(PROGRAM), sys.argv[1] if sys.argv[1:] else "2345")
