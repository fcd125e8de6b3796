"""The registers that data/i386_state.S sets, and banks that hold them, built by hand for several CPUs."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path
from typing import NamedTuple

from tests.unit.amd64_state import LAYOUTS, NT_PRSTATUS, NT_X86_XSTATE, Layout, built_area, load

SOURCE = Path(__file__).parent / "data" / "i386_state.S"

NT_386_TLS, NT_PRXFPREG = 0x200, 0x46E62B7F

_INTEGERS = {name: 0x11111101 + i for i, name in enumerate("eax ecx edx ebx esp ebp esi edi".split())}
_SEGMENTS = {"cs": 0x23, "ss": 0x2B, "ds": 0x2B, "es": 0x2B, "fs": 0, "gs": 0x63}
_EFLAGS = 0x602
_EIP = 0x804911B
_DESCRIPTORS = [  # struct user_desc (asm/ldt.h); empty: LDT_empty
    struct.pack("<4I", 12, 0x12345678, 0xFFFFF, 0x51),
    struct.pack("<4I", 13, 0, 0, 0x28),
    struct.pack("<4I", 14, 0, 0, 0x28),
]
_USER_REGS = (  # struct user_regs_struct of x86-64 (sys/user.h)
    "r15 r14 r13 r12 ebp ebx r11 r10 r9 r8 eax ecx edx esi edi orig_eax "
    "eip cs eflags esp ss fs_base gs_base ds es fs gs"
).split()


def _user_regs() -> bytes:
    values = {**_INTEGERS, **_SEGMENTS, "eip": _EIP, "eflags": _EFLAGS, "orig_eax": (1 << 64) - 1}
    return struct.pack("<27Q", *(values.get(name, 0) for name in _USER_REGS))


class Recording(NamedTuple):
    """The banks at the program's int3, as the kernel gives them to a 64-bit tracer."""

    banks: dict[int, bytes]

    def expected(self) -> dict[str, bytes]:
        """All registers of the program. What has the same name on x86-64 has the same value."""
        values = load().expected()
        values |= {name: struct.pack("<I", value) for name, value in (_INTEGERS | _SEGMENTS).items()}
        values |= {"eip": struct.pack("<I", _EIP), "eflags": struct.pack("<I", _EFLAGS), "orig_eax": b"\xff" * 4}
        return values | {f"i386_tls_gdt_{i}": descriptor for i, descriptor in enumerate(_DESCRIPTORS)}


def built(layout: Layout) -> Recording:
    """On a CPU with this XSAVE area. Its x87 pointers are those of the 64-bit program."""
    banks = {NT_PRSTATUS: _user_regs(), NT_386_TLS: b"".join(_DESCRIPTORS), NT_X86_XSTATE: built_area(layout)}
    return Recording(banks)


def built_image() -> Recording:
    """On a CPU without XSAVE: the first 512 bytes of an XSAVE area are an FXSAVE image (SDM vol. 1, 13.4.1)."""
    banks = built(LAYOUTS["Intel AVX"]).banks
    return Recording({NT_PRXFPREG if n == NT_X86_XSTATE else n: data[:512] for n, data in banks.items()})


def build(folder: Path) -> Path:
    """Assemble the program."""
    program = folder / "i386_state"
    command = ["gcc", "-m32", "-nostdlib", "-static", "-no-pie", "-o", str(program), str(SOURCE)]
    subprocess.run(command, check=True, timeout=60)
    return program
