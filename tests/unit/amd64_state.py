"""The registers that data/amd64_state.S sets, and banks that hold them: recorded from a CPU, or built by hand.

`python -m tests.unit.amd64_state` records data/amd64_state.txt anew; it needs a CPU with AVX-512.
"""

from __future__ import annotations

import ctypes
import os
import struct
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

DATA = Path(__file__).parent / "data"
SOURCE = DATA / "amd64_state.S"
RECORDING = DATA / "amd64_state.txt"

NT_PRSTATUS, NT_FPREGSET, NT_X86_XSTATE = 1, 2, 0x202
LONGEST_BANK = 16384
CLEARED = frozenset({"fs_base", "gs_base"})

_INTEGERS = "rax rbx rcx rdx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15".split()
_PI = bytes.fromhex("35c26821a2da0fc90040")
_STACK = (  # st0 to st4: 1, pi, 0, infinity, the smallest denormal
    bytes.fromhex("0000000000000080ff3f"),
    _PI,
    bytes(10),
    bytes.fromhex("0000000000000080ff7f"),
    b"\x01" + bytes(9),
)
_CONTROL = {
    "fctrl": 0x027B,
    "fstat": 0x9884,  # busy, top of stack 3, error summary, zero divide
    "ftag": 0b10_10_01_00_00_11_11_11,  # denormal, infinity: special; zero; pi, 1: valid; three are empty
    "fop": 0x035,  # D8 35: fdivs of a rip-relative operand, without the five bits that all have
}


def _row(number: int) -> bytes:
    return bytes((7 * number + byte) & 255 for byte in range(64))


def _expected() -> dict[str, bytes]:
    values = {name: (0x1111111111111101 + i).to_bytes(8, "little") for i, name in enumerate(_INTEGERS)}
    values |= {"eflags": struct.pack("<I", 0x602), "orig_rax": b"\xff" * 8}
    values |= {"cs": struct.pack("<I", 0x33), "ss": struct.pack("<I", 0x2B)}
    values |= {name: bytes(4) for name in ("ds", "es", "fs", "gs")}
    values |= {name: bytes(8) for name in CLEARED}
    values |= {f"st{i}": value for i, value in enumerate(_STACK)}
    values |= {f"st{i}": bytes(10) for i in range(5, 8)}
    values |= {name: struct.pack("<I", value) for name, value in _CONTROL.items()}
    values |= {"mxcsr": struct.pack("<I", 0x9F80)}
    values |= {f"xmm{i}": _row(i)[:16] for i in range(32)}
    values |= {f"ymm{i}h": _row(i)[16:32] for i in range(32)}
    values |= {f"zmm{i}h": _row(i)[32:] for i in range(32)}
    values |= {f"k{i}": (0x0102030405060708 * (i + 1)).to_bytes(8, "little") for i in range(8)}
    return values | {"pkru": struct.pack("<I", 0x55555554)}


EXPECTED = _expected()
"""What the program sets, by name, and what the kernel and the ABI say of the rest; but for addresses in the program.

No program sets pkru: it is what Linux gives to every process where the CPU has it.
"""


class Recording(NamedTuple):
    """The banks at the program's int3, and the addresses that the x87 pointers and rip must show."""

    banks: dict[int, bytes]
    addresses: dict[str, int]

    def expected(self) -> dict[str, bytes]:
        """All registers of the program."""
        instruction, operand = self.addresses["last_x87"], self.addresses["zero"]
        pointers = {
            "fioff": instruction & 0xFFFFFFFF,
            "fiseg": instruction >> 32 & 0xFFFF,
            "fooff": operand & 0xFFFFFFFF,
            "foseg": operand >> 32 & 0xFFFF,
        }
        values = {name: struct.pack("<I", value) for name, value in pointers.items()}
        return EXPECTED | values | {"rip": struct.pack("<Q", self.addresses["stopped"])}


def load() -> Recording:
    """The recording in data/amd64_state.txt."""
    lines = [line.split("#")[0].split() for line in RECORDING.read_text().splitlines()]
    rows = [(kind, name, value) for kind, name, value in (line for line in lines if line)]
    return Recording(
        {int(name, 16): bytes.fromhex(value) for kind, name, value in rows if kind == "bank"},
        {name: int(value, 16) for kind, name, value in rows if kind == "address"},
    )


class Layout(NamedTuple):
    """An XSAVE area: XCR0, size, and offsets of the components behind the legacy region, in bytes."""

    xcr0: int
    size: int
    avx: int = 0
    opmask: int = 0
    zmm_hi256: int = 0
    hi16_zmm: int = 0
    pkru: int = 0


LAYOUTS = {
    # Offsets that CPUID(0xD) gives on these CPUs; the order and the sizes of components are in Intel SDM vol. 1, 13.5.
    "Intel AVX": Layout(0x7, 832, 576),
    "Intel MPX": Layout(0x1F, 1088, 576),
    "Intel AVX-512": Layout(0xE7, 2688, 576, 1088, 1152, 1664),
    "Intel AVX-512, MPX, PKRU": Layout(0x2FF, 2696, 576, 1088, 1152, 1664, 2688),
    "Intel PKRU without AVX-512": Layout(0x207, 2696, 576, pkru=2688),
    "Intel AMX": Layout(0x602E7, 11008, 576, 1088, 1152, 1664, 2688),
    "AMD AVX-512": Layout(0xE7, 2432, 576, 832, 896, 1408),
    "AMD AVX-512, PKRU": Layout(0x2E7, 2440, 576, 832, 896, 1408, 2432),
    "AMD PKRU without AVX-512": Layout(0x207, 840, 576, pkru=832),
}


def built_area(layout: Layout) -> bytes:
    """An area that holds EXPECTED, put together by hand: no such CPU was at hand, but for "AMD AVX-512"."""
    area = bytearray(layout.size)
    pieces = {f"xmm{i}": 160 + 16 * i for i in range(16)} | {f"st{i}": 32 + 16 * i for i in range(8)} | {"mxcsr": 24}
    pieces |= {f"ymm{i}h": layout.avx + 16 * i for i in range(16)}
    if layout.opmask:
        pieces |= {f"k{i}": layout.opmask + 8 * i for i in range(8)}
        pieces |= {f"zmm{i}h": layout.zmm_hi256 + 32 * i for i in range(16)}
        pieces |= {f"xmm{i}": layout.hi16_zmm + 64 * (i - 16) for i in range(16, 32)}
        pieces |= {f"ymm{i}h": layout.hi16_zmm + 64 * (i - 16) + 16 for i in range(16, 32)}
        pieces |= {f"zmm{i}h": layout.hi16_zmm + 64 * (i - 16) + 32 for i in range(16, 32)}
    if layout.pkru:
        pieces |= {"pkru": layout.pkru}
    for name, offset in pieces.items():
        area[offset : offset + len(EXPECTED[name])] = EXPECTED[name]
    # The x87 control words (SDM vol. 1, table 10-2), of tags one bit a register that is used: R3 to R7.
    pointers = load().addresses
    struct.pack_into("<HHBxHQQ", area, 0, 0x027B, 0x9884, 0b11111000, 0x35, pointers["last_x87"], pointers["zero"])
    struct.pack_into("<Q", area, 464, layout.xcr0)
    struct.pack_into("<Q", area, 512, layout.xcr0)
    return bytes(area)


def build(folder: Path) -> Path:
    """Assemble the program; linked high, so that the x87 pointers have upper halves."""
    program = folder / "amd64_state"
    options = ["-nostdlib", "-static", "-Wl,-Ttext-segment=0x123400000000"]
    subprocess.run(["gcc", *options, "-o", program, SOURCE], check=True, timeout=60)
    return program


def has_avx512() -> bool:
    """Whether this machine can run the program."""
    return " avx512bw " in Path("/proc/cpuinfo").read_text()


class StoppedProgram:
    """The program, stopped at its int3 and traced by this thread."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._ptrace = ctypes.CDLL(None, use_errno=True).ptrace
        self._ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_ulong, ctypes.c_void_p]
        self._ptrace.restype = ctypes.c_long

    def read(self, bank: int) -> bytes:
        """PTRACE_GETREGSET."""
        buffer = bytearray(LONGEST_BANK)
        return bytes(buffer[: self._transfer(0x4204, bank, buffer)])

    def write(self, bank: int, data: bytes | bytearray) -> None:
        """PTRACE_SETREGSET."""
        self._transfer(0x4205, bank, bytearray(data))

    def _transfer(self, request: int, bank: int, buffer: bytearray) -> int:
        storage = (ctypes.c_char * len(buffer)).from_buffer(buffer)
        iovec = (ctypes.c_ulong * 2)(ctypes.addressof(storage), len(buffer))
        if self._ptrace(request, self._pid, bank, ctypes.addressof(iovec)) < 0:
            raise OSError(ctypes.get_errno(), f"register set {bank:#x}")
        return iovec[1]


@contextmanager
def stopped(program: Path) -> Iterator[StoppedProgram]:
    """Run it up to its int3. Its own alarm ends every wait."""
    with subprocess.Popen([program], stdin=subprocess.DEVNULL) as process:
        try:
            _, status = os.waitpid(process.pid, os.WUNTRACED)
            assert status == 0x057F, f"wait status {status:#x} instead of a SIGTRAP stop"
            yield StoppedProgram(process.pid)
        finally:
            process.kill()


def _addresses(program: Path) -> dict[str, int]:
    output = subprocess.run(["nm", program], check=True, timeout=60, capture_output=True, text=True).stdout
    symbols = {name: int(address, 16) for address, _, name in map(str.split, output.splitlines())}
    return {name: symbols[name] for name in ("last_x87", "zero", "stopped")}


def record(folder: Path) -> Recording:
    """A recording from this machine."""
    program = build(folder)
    with stopped(program) as process:
        banks = {number: process.read(number) for number in (NT_PRSTATUS, NT_FPREGSET, NT_X86_XSTATE)}
    return Recording(banks, _addresses(program))


def _text(recording: Recording) -> str:
    model = next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name"))
    head = [
        "# The register banks of amd64_state.S at its int3, as PTRACE_GETREGSET gave them (type and content in hex),",
        "# and the addresses of its symbols. Made by `python -m tests.unit.amd64_state`",
        f"# on a CPU of {model.split(':')[1].strip()}, Linux {os.uname().release.split('-')[0]}.",
    ]
    banks = [f"bank {number:x} {data.hex()}" for number, data in recording.banks.items()]
    return "\n".join([*head, *banks, *(f"address {n} {a:x}" for n, a in recording.addresses.items())]) + "\n"


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as directory:
        RECORDING.write_text(_text(record(Path(directory))))
