"""A process to try single instructions in, of 64 and of 32 bits: data/scratch.S, traced, with a few areas of memory."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from debugserver.arch import amd64, i386
from debugserver.arch.xsave import NT_X86_XSTATE
from debugserver.errors import MemoryFault
from debugserver.linux import ptrace

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

    from debugserver.arch.instructions import Instructions

SOURCE = Path(__file__).parent / "data" / "scratch.S"

CODE = 0x10000000
DATA = 0x20000000
CONSTANT = 0x20002000
"""Where a page of code, one of data and one of read-only data are; behind each nothing is mapped."""
PAGE = 0x1000
SLOTS = {64: 0x200000000000, 32: 0xC0000000}
"""Where a page for moved code is, more than 2 GiB away from all others, by the bits of the mode."""

_SELECTORS = {64: {"cs": 0x33, "ss": 0x2B}, 32: {"cs": 0x23, "ss": 0x2B, "ds": 0x2B, "es": 0x2B}}
_GENERAL = {
    64: "rax rbx rcx rdx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15".split(),
    32: "rax rbx rcx rdx rsi rdi rbp rsp".split(),
}
_POINTERS = {"rbx": 0.8, "rbp": 0.9, "rsp": 0.9, "rdi": 0.8, "r9": 0.8}
"""How often these registers hold the address of data."""
_SMALL = {"rcx"}
"""Registers that tests use as an index."""
RESUME_FLAG = 1 << 16
"""In eflags: set after a fault."""
_STATUS = 0x8D5
_DIRECTION = 0x400
_VECTORS = slice(160, 416)
_IN_USE = 512
"""In an XSAVE area: xmm0 to xmm15, and XSTATE_BV (SDM vol. 1, 13.4)."""
_INTERRUPTS = 0x202
"""What is always set in eflags."""


def instructions(bits: int) -> Instructions:
    """What is under test."""
    make = amd64.architecture if bits == 64 else i386.architecture
    found = make(0, 0).instructions
    assert found is not None
    return found


class State:
    """Registers and data of the process: a MemoryAccess to what it can reach, with the protections that hold there."""

    def __init__(self, registers: bytearray, data: bytes, constant: bytes) -> None:
        self.registers = registers
        self._pages = {DATA: bytearray(data), CONSTANT: bytearray(constant)}

    def __getitem__(self, name: str) -> int:
        offset = amd64.OFFSETS[name]
        return int.from_bytes(self.registers[offset : offset + 8], "little")

    def __setitem__(self, name: str, value: int) -> None:
        offset = amd64.OFFSETS[name]
        self.registers[offset : offset + 8] = value.to_bytes(8, "little")

    def shown(self) -> dict[str, str]:
        """Everything, for comparisons."""
        return {name: hex(self[name]) for name in amd64.OFFSETS} | {"data": self.data.hex()}

    @property
    def data(self) -> bytes:
        """The page at DATA."""
        return bytes(self._pages[DATA])

    def copy(self) -> State:
        """Another one like this."""
        return State(bytearray(self.registers), self.data, bytes(self._pages[CONSTANT]))

    def read(self, address: int, length: int) -> bytes:
        page, offset = self._find(address, length)
        return bytes(page[offset : offset + length])

    def write(self, address: int, data: bytes) -> None:
        page, offset = self._find(address, len(data))
        if page is self._pages[CONSTANT]:
            raise MemoryFault(address)
        page[offset : offset + len(data)] = data

    def _find(self, address: int, length: int) -> tuple[bytearray, int]:
        for start, page in self._pages.items():
            if start <= address and address + length <= start + PAGE:
                return page, address - start
        raise MemoryFault(address)


class Scratch:
    """The process, stopped. All calls must come from the thread that started it."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._memory = os.open(f"/proc/{pid}/mem", os.O_RDWR | os.O_CLOEXEC)
        self._first = ptrace.read_general_registers(pid)
        self._first_area = ptrace.read_register_set(pid, NT_X86_XSTATE)

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self._memory)

    def state(self, chance: random.Random, bits: int) -> State:
        """A random one of code that starts at CODE; registers hold data, small numbers, or where data is.

        In one half of them addresses are aligned, and what lies there could be addresses too."""
        tidy = chance.random() < 0.5
        state = State(bytearray(self._first), _page(chance, tidy), _page(chance, tidy))
        for name in _GENERAL[bits]:
            state[name] = _value(chance, name, tidy) & (1 << bits) - 1
        for name, selector in _SELECTORS[bits].items():
            state[name] = selector
        state["eflags"] = chance.getrandbits(12) & (_STATUS | _DIRECTION) | _INTERRUPTS
        state["rip"] = CODE
        if bits == 64:
            state["fs_base"], state["gs_base"] = DATA + 0x800, DATA + 0x400
        return state

    def place(self, address: int, code: bytes) -> None:
        """Write code, also over read-only data."""
        assert os.pwrite(self._memory, code, address) == len(code)

    def vectors(self) -> bytes:
        """The first 832 bytes of NT_X86_XSTATE but for what the system keeps there: x87, SSE and AVX registers."""
        area = ptrace.read_register_set(self._pid, NT_X86_XSTATE)
        return bytes(area[: _VECTORS.stop] + area[576:832])

    def set_vectors(self, data: bytes) -> None:
        """xmm0 to xmm15, with all else as it was in the beginning."""
        area = bytearray(self._first_area)
        area[_VECTORS] = data
        area[_IN_USE] |= 0b10
        ptrace.write_register_set(self._pid, NT_X86_XSTATE, area)

    def step(self, state: State) -> tuple[State, int]:
        """The state after one step from this one, and the signal that stopped the process."""
        self.place(DATA, state.data)
        self.place(CONSTANT, state.read(CONSTANT, PAGE))
        ptrace.write_general_registers(self._pid, state.registers)
        ptrace.step(self._pid)
        _, status = os.waitpid(self._pid, 0)
        assert os.WIFSTOPPED(status), f"wait status {status:#x}"
        pages = (os.pread(self._memory, PAGE, page) for page in (DATA, CONSTANT))
        after = State(ptrace.read_general_registers(self._pid), *pages)
        return after, os.WSTOPSIG(status)


def _page(chance: random.Random, tidy: bool) -> bytes:
    page = bytearray(chance.randbytes(PAGE))
    if tidy:
        page[5::8] = page[6::8] = page[7::8] = bytes(PAGE // 8)
    return bytes(page)


def _value(chance: random.Random, name: str, tidy: bool) -> int:
    if chance.random() < _POINTERS.get(name, 0):
        address = chance.choice((DATA, DATA, DATA, CONSTANT)) + chance.randrange(PAGE - 8)
        return address & -16 if tidy else address
    if name in _SMALL and chance.random() < 0.8:
        return chance.randrange(-16, 16)
    shape = chance.random()
    if shape < 0.3:
        return chance.choice((0, 1, -1, 0x80, 0x7F, 0x8000, 0x7FFF, 0x80000000, 0x7FFFFFFF, 1 << 63, (1 << 63) - 1))
    return chance.getrandbits(64)


@contextmanager
def scratch(folder: Path) -> Iterator[Scratch]:
    """Build and start it, on one CPU with the caller: that makes steps ten times faster."""
    program = folder / "scratch"
    subprocess.run(["gcc", "-nostdlib", "-static", "-o", program, SOURCE], check=True, timeout=60)
    with _on_one_cpu(), subprocess.Popen([program], stdin=subprocess.DEVNULL) as process:
        try:
            _, status = os.waitpid(process.pid, os.WUNTRACED)
            assert status == signal.SIGTRAP << 8 | 0x7F, f"wait status {status:#x} instead of a SIGTRAP stop"
            started = Scratch(process.pid)
            try:
                yield started
            finally:
                started.close()
        finally:
            process.kill()


@contextmanager
def _on_one_cpu() -> Iterator[None]:
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {sorted(allowed)[os.getpid() % len(allowed)]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)
