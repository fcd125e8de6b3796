"""i386 under Linux, as a 64-bit tracer sees it: registers, target description and register banks, as GNU gdbserver has
them.

NT_PRSTATUS is the tracer's own user_regs_struct, of x86-64. Knows no process. Source: user_desc in asm/ldt.h, and
ptrace_get_thread_area in the kernel's arch/x86/kernel/tls.c.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from debugserver.arch import x86_roles, xsave
from debugserver.arch.architecture import Architecture, Feature, Register, arrange
from debugserver.arch.banks import NT_PRSTATUS, BankCodec, PlainSection
from debugserver.arch.description import vector
from debugserver.arch.system_calls import SystemCalls
from debugserver.arch.user_regs import COMPATIBILITY_SEGMENT, DATA_SEGMENT, OFFSETS
from debugserver.arch.x86_instructions import X86Instructions
from debugserver.arch.x86_registers import (
    AVX512_COMPONENTS,
    BREAKPOINT,
    OPMASK_RUN,
    PKEYS,
    Extension,
    avx,
    core,
    enabled,
    extension_sections,
    legacy_sections,
    numbered,
    row,
    sse,
)
from debugserver.arch.x86_types import V2UI128
from debugserver.arch.xsave import Run, StateLayout

if TYPE_CHECKING:
    from debugserver.arch.architecture import ReadRegister

NT_PRXFPREG = 0x46E62B7F
"""The FXSAVE image of a 32-bit process; its NT_FPREGSET is of an older format."""
NT_386_TLS = 0x200
"""Three struct user_desc: the thread's descriptors in the global table."""

_INTEGERS = ("eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi")
_SEGMENTS = ("cs", "ss", "ds", "es", "fs", "gs")
_GENERAL = (*_INTEGERS, "eip", "eflags", *_SEGMENTS)
_DESCRIPTORS = numbered("i386_tls_gdt_{}", 3)
_POINTERS = {"ebp": "data_ptr", "esp": "data_ptr"}
_VECTORS = 8

_CORE = core(
    [Register(name, 32, _POINTERS.get(name, "int32")) for name in _INTEGERS],
    Register("eip", 32, "code_ptr"),
    _SEGMENTS,
)
_LINUX = Feature(
    "org.gnu.gdb.i386.linux",
    vector("i386_tls_gdt_reg", "uint32", 4),
    (Register("orig_eax", 32, "int"), *row(_DESCRIPTORS, 128, "i386_tls_gdt_reg", "system")),
)
_BASE = (_CORE, sse(_VECTORS), _LINUX)
_AVX512 = Extension(
    AVX512_COMPONENTS,
    Feature(
        "org.gnu.gdb.i386.avx512",
        V2UI128,
        (*row(numbered("k{}", 8), 64, "uint64"), *row(numbered("zmm{}h", _VECTORS), 256, "v2ui128")),
    ),
    (OPMASK_RUN, Run(xsave.ZMM_HI256, 0, 32, 32, _VECTORS)),
)
_INSTRUCTIONS = X86Instructions(
    32,
    OFFSETS["eflags"],
    OFFSETS["orig_rax"],
    {OFFSETS["cs"]: COMPATIBILITY_SEGMENT} | {OFFSETS[name]: DATA_SEGMENT for name in ("ss", "ds", "es")},
)
_EXTENSIONS = (avx(_VECTORS), _AVX512, PKEYS)


_SYSTEM_CALLS = SystemCalls(
    instruction=b"\xcd\x80",
    bits=32,
    number=OFFSETS["rax"],
    arguments=tuple(OFFSETS[name] for name in ("rbx", "rcx", "rdx", "rsi", "rdi", "rbp")),
    counter=OFFSETS["rip"],
    restart=OFFSETS["orig_rax"],
    map_memory=192,
    unmap_memory=91,
)


class SignedSection(PlainSection):
    """Registers of four bytes in slots of eight. The kernel tells an error number by the sign of the whole slot."""

    def write(self, bank: bytearray, data: bytes) -> None:
        super().write(bank, data)
        for place in self.places:
            bank[place.stop : place.stop + 4] = _sign(bank[place])

    def write_one(self, bank: bytearray, index: int, value: bytes) -> None:
        super().write_one(bank, index, value)
        end = self.places[index].stop
        bank[end : end + 4] = _sign(value)


def _sign(value: bytes | bytearray) -> bytes:
    return b"\xff" * 4 if value[-1] & 0x80 else bytes(4)


@lru_cache
def architecture(xcr0: int, xsave_size: int) -> Architecture:
    """The CPU of a 32-bit process whose NT_X86_XSTATE bank has this XCR0 (`xsave.xcr0_of`) and size in bytes.

    XCR0 0 is a CPU without XSAVE, whose floating point state is NT_PRXFPREG.
    """
    layout = StateLayout(xcr0, xsave_size, NT_PRXFPREG)
    extensions = enabled(_EXTENSIONS, layout)
    general = [_slot(name) for name in _GENERAL]
    system_call = _slot("orig_eax")
    features = arrange([*_BASE, *(extension.feature for extension in extensions)])
    names = [register.name for feature in features for register in feature.registers]
    return Architecture(
        name="i386",
        osabi="GNU/Linux",
        features=features,
        assumed=_BASE,
        pointer_size=4,
        pc="eip",
        sp="esp",
        general=(*_GENERAL, "orig_eax"),
        breakpoint=BREAKPOINT,
        thread_pointer=_thread_pointer,
        instructions=_INSTRUCTIONS,
        system_calls=_SYSTEM_CALLS,
        roles=x86_roles.i386_roles(names),
        views=x86_roles.views(names),
        codec=BankCodec(
            [
                SignedSection(NT_PRSTATUS, general[:1]),
                PlainSection(NT_PRSTATUS, general[1:]),
                *legacy_sections(layout, _VECTORS),
                SignedSection(NT_PRSTATUS, [system_call]),
                PlainSection(NT_386_TLS, [slice(start, start + 16) for start in (0, 16, 32)]),
                *extension_sections(extensions, layout),
            ],
            [*general, system_call],
        ),
    )


def _slot(name: str) -> slice:
    """Where in user_regs_struct of x86-64 a register is."""
    start = OFFSETS.get(name) or OFFSETS[name.replace("e", "r", 1)]
    return slice(start, start + 4)


def _thread_pointer(read: ReadRegister) -> int:
    """The base of the descriptor that gs selects; 0: none of the thread's own."""
    selected = read("gs") >> 3
    for name in _DESCRIPTORS:
        descriptor = read(name)
        if descriptor & 0xFFFFFFFF == selected:
            return descriptor >> 32 & 0xFFFFFFFF
    return 0
