"""x86-64 under Linux: registers, target description and register banks, as GNU gdbserver has them.

The description grows with what the CPU and the system have enabled (XCR0). Knows no process.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING

from debugserver.arch import x86_roles, xsave
from debugserver.arch.architecture import Architecture, Feature, Register, arrange
from debugserver.arch.banks import NT_PRSTATUS, BankCodec, PlainSection
from debugserver.arch.system_calls import SystemCalls
from debugserver.arch.user_regs import (
    CODE_SEGMENT,
    CS_OFFSET,
    EFLAGS_OFFSET,
    OFFSETS,
    ORIG_RAX_OFFSET,
    RAX_OFFSET,
    RIP_OFFSET,
)
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
from debugserver.arch.x86_types import V2UI128, VEC128
from debugserver.arch.xsave import Run, StateLayout

if TYPE_CHECKING:
    from debugserver.arch.architecture import ReadRegister

# fmt: off
_INTEGERS = (
    "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
)
# fmt: on
_SEGMENTS = ("cs", "ss", "ds", "es", "fs", "gs")
_GENERAL = (*_INTEGERS, "rip", "eflags", *_SEGMENTS)
_SYSTEM = ("orig_rax", "fs_base", "gs_base")
_POINTERS = {"rbp": "data_ptr", "rsp": "data_ptr"}
_VECTORS = 16

_CORE = core(
    [Register(name, 64, _POINTERS.get(name, "int64")) for name in _INTEGERS],
    Register("rip", 64, "code_ptr"),
    _SEGMENTS,
)
_SSE = sse(_VECTORS)
_LINUX = Feature("org.gnu.gdb.i386.linux", "", row(["orig_rax"], 64, "int"))
_SEGMENT_BASES = Feature("org.gnu.gdb.i386.segments", "", row(["fs_base", "gs_base"], 64, "int"))
_BASE = (_CORE, _SSE, _LINUX, _SEGMENT_BASES)
_AVX512 = Extension(
    AVX512_COMPONENTS,
    Feature(
        "org.gnu.gdb.i386.avx512",
        VEC128 + V2UI128,
        (
            *row(numbered("xmm{}", 32, first=16), 128, "vec128"),
            *row(numbered("ymm{}h", 32, first=16), 128, "uint128"),
            *row(numbered("k{}", 8), 64, "uint64"),
            *row(numbered("zmm{}h", 32), 256, "v2ui128"),
        ),
    ),
    (
        Run(xsave.HI16_ZMM, 0, 64, 16, 16),
        Run(xsave.HI16_ZMM, 16, 64, 16, 16),
        OPMASK_RUN,
        Run(xsave.ZMM_HI256, 0, 32, 32, 16),
        Run(xsave.HI16_ZMM, 32, 64, 32, 16),
    ),
)
_INSTRUCTIONS = X86Instructions(64, EFLAGS_OFFSET, ORIG_RAX_OFFSET, {CS_OFFSET: CODE_SEGMENT})
_EXTENSIONS = (avx(_VECTORS), _AVX512, PKEYS)


_SYSTEM_CALLS = SystemCalls(
    instruction=b"\x0f\x05",
    bits=64,
    number=RAX_OFFSET,
    arguments=tuple(OFFSETS[name] for name in ("rdi", "rsi", "rdx", "r10", "r8", "r9")),
    counter=RIP_OFFSET,
    restart=ORIG_RAX_OFFSET,
    map_memory=9,
    unmap_memory=11,
)


@lru_cache
def architecture(xcr0: int, xsave_size: int) -> Architecture:
    """The CPU of a process whose NT_X86_XSTATE bank has this XCR0 (`xsave.xcr0_of`) and size in bytes.

    XCR0 0 is a CPU without XSAVE, whose floating point state is NT_FPREGSET.
    """
    layout = StateLayout(xcr0, xsave_size)
    extensions = enabled(_EXTENSIONS, layout)
    general = _user_regs(_GENERAL, _CORE)
    system = _user_regs(_SYSTEM, _LINUX, _SEGMENT_BASES)
    features = arrange([*_BASE, *(extension.feature for extension in extensions)])
    names = [register.name for feature in features for register in feature.registers]
    return Architecture(
        name="i386:x86-64",
        osabi="GNU/Linux",
        features=features,
        assumed=_BASE,
        pointer_size=8,
        pc="rip",
        sp="rsp",
        general=_GENERAL + _SYSTEM,
        breakpoint=BREAKPOINT,
        thread_pointer=_thread_pointer,
        instructions=_INSTRUCTIONS,
        system_calls=_SYSTEM_CALLS,
        roles=x86_roles.amd64_roles(names),
        views=x86_roles.views(names),
        codec=BankCodec(
            [
                PlainSection(NT_PRSTATUS, general),
                *legacy_sections(layout, _VECTORS),
                PlainSection(NT_PRSTATUS, system),
                *extension_sections(extensions, layout),
            ],
            [*general, *system],
        ),
    )


def _user_regs(names: Iterable[str], *features: Feature) -> list[slice]:
    """Where in user_regs_struct these registers of the features are."""
    sizes = {register.name: register.size for feature in features for register in feature.registers}
    return [slice(OFFSETS[name], OFFSETS[name] + sizes[name]) for name in names]


def _thread_pointer(read: ReadRegister) -> int:
    return read("fs_base")
