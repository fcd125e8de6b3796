"""How a program calls the kernel of Linux: the instruction, the registers, and the numbers of a few calls.

Places are in struct user_regs_struct of the tracer (NT_PRSTATUS). Source: syscall(2), "Architecture calling
conventions".
"""

from __future__ import annotations

from typing import NamedTuple


class SystemCalls(NamedTuple):
    """The calls of one kind of program. `bits` wide are its registers; slots are eight bytes."""

    instruction: bytes
    bits: int
    number: int
    """Where the number goes in, and the result comes out."""
    arguments: tuple[int, ...]
    counter: int
    """The program counter's."""
    restart: int
    """Where the kernel keeps the number of the call that it may restart; negative: none."""
    map_memory: int
    """mmap, or mmap2."""
    unmap_memory: int

    def place(self, general: bytes | bytearray, address: int, number: int, arguments: tuple[int, ...]) -> bytearray:
        """The registers of a thread that is to call, by the instruction at `address`."""
        placed = bytearray(general)
        values = {self.number: number, self.counter: address, self.restart: -1}
        for offset, value in (values | dict(zip(self.arguments, arguments, strict=False))).items():
            width = 64 if value >= 0 or offset == self.restart else self.bits
            placed[offset : offset + 8] = (value % (1 << width)).to_bytes(8, "little")
        return placed

    def result(self, general: bytes | bytearray) -> int:
        """What a call came to, as an unsigned number."""
        return int.from_bytes(general[self.number : self.number + self.bits // 8], "little")

    def program_counter(self, general: bytes | bytearray) -> int:
        """Where the thread is."""
        return int.from_bytes(general[self.counter : self.counter + 8], "little")
