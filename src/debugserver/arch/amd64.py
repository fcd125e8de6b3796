"""x86-64 under Linux: registers, target description and register banks, as GNU gdbserver has them.

The description grows with what the CPU and the system have enabled (XCR0). Knows no process.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from debugserver.arch import x87, xsave
from debugserver.arch.architecture import Architecture, Feature, Register, arrange
from debugserver.arch.banks import NT_PRSTATUS, BankCodec, PlainSection, Section
from debugserver.arch.x86_types import EFLAGS, MXCSR, V2UI128, VEC128
from debugserver.arch.xsave import Run, StateLayout

# fmt: off
USER_REGS = (
    "r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx", "rsi", "rdi", "orig_rax",
    "rip", "cs", "eflags", "rsp", "ss", "fs_base", "gs_base", "ds", "es", "fs", "gs",
)
"""struct user_regs_struct (sys/user.h): what NT_PRSTATUS is, eight bytes each."""

OFFSETS = {name: 8 * position for position, name in enumerate(USER_REGS)}
"""Where each is, in bytes."""

USER_REGS_SIZE = 8 * len(USER_REGS)
RAX_OFFSET = OFFSETS["rax"]
ORIG_RAX_OFFSET = OFFSETS["orig_rax"]
RIP_OFFSET = OFFSETS["rip"]
EFLAGS_OFFSET = OFFSETS["eflags"]
RSP_OFFSET = OFFSETS["rsp"]
FS_BASE_OFFSET = OFFSETS["fs_base"]

USER_DEBUGREG_OFFSET = 848
"""Of u_debugreg[0] in struct user, for PTRACE_PEEKUSER and PTRACE_POKEUSER; the next one is 8 bytes on."""

BREAKPOINT = b"\xcc"

_INTEGERS = (
    "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
)
_CONTROL = ("fctrl", "fstat", "ftag", "fiseg", "fioff", "foseg", "fooff", "fop")
# fmt: on
_SEGMENTS = ("cs", "ss", "ds", "es", "fs", "gs")
_GENERAL = (*_INTEGERS, "rip", "eflags", *_SEGMENTS)
_SYSTEM = ("orig_rax", "fs_base", "gs_base")

_POINTERS = {"rbp": "data_ptr", "rsp": "data_ptr"}


def _row(names: Iterable[str], bits: int, kind: str, group: str = "") -> tuple[Register, ...]:
    return tuple(Register(name, bits, kind, group=group) for name in names)


_CORE = Feature(
    "org.gnu.gdb.i386.core",
    EFLAGS,
    (
        *(Register(name, 64, _POINTERS.get(name, "int64")) for name in _INTEGERS),
        Register("rip", 64, "code_ptr"),
        Register("eflags", 32, "i386_eflags"),
        *_row(_SEGMENTS, 32, "int32"),
        *_row((f"st{i}" for i in range(8)), 80, "i387_ext"),
        *_row(_CONTROL, 32, "int", "float"),
    ),
)
_SSE = Feature(
    "org.gnu.gdb.i386.sse",
    VEC128 + MXCSR,
    (*_row((f"xmm{i}" for i in range(16)), 128, "vec128"), Register("mxcsr", 32, "i386_mxcsr", group="vector")),
)
_LINUX = Feature("org.gnu.gdb.i386.linux", "", _row(["orig_rax"], 64, "int"))
_SEGMENT_BASES = Feature("org.gnu.gdb.i386.segments", "", _row(["fs_base", "gs_base"], 64, "int"))
_AVX = Feature("org.gnu.gdb.i386.avx", "", _row((f"ymm{i}h" for i in range(16)), 128, "uint128"))
_AVX512 = Feature(
    "org.gnu.gdb.i386.avx512",
    VEC128 + V2UI128,
    (
        *_row((f"xmm{i}" for i in range(16, 32)), 128, "vec128"),
        *_row((f"ymm{i}h" for i in range(16, 32)), 128, "uint128"),
        *_row((f"k{i}" for i in range(8)), 64, "uint64"),
        *_row((f"zmm{i}h" for i in range(32)), 256, "v2ui128"),
    ),
)
_PKEYS = Feature("org.gnu.gdb.i386.pkeys", "", _row(["pkru"], 32, "uint32"))

_STACK_RUN = Run(xsave.X87, x87.STACK_OFFSET, 16, 10, 8)
_XMM_RUN = Run(xsave.SSE, 160, 16, 16, 16)
_EXTENSIONS: tuple[tuple[int, Feature, tuple[Run, ...]], ...] = (
    (xsave.AVX, _AVX, (Run(xsave.AVX, 0, 16, 16, 16),)),
    (
        xsave.OPMASK | xsave.ZMM_HI256 | xsave.HI16_ZMM,
        _AVX512,
        (
            Run(xsave.HI16_ZMM, 0, 64, 16, 16),
            Run(xsave.HI16_ZMM, 16, 64, 16, 16),
            Run(xsave.OPMASK, 0, 8, 8, 8),
            Run(xsave.ZMM_HI256, 0, 32, 32, 16),
            Run(xsave.HI16_ZMM, 32, 64, 32, 16),
        ),
    ),
    (xsave.PKRU, _PKEYS, (Run(xsave.PKRU, 0, 8, 4, 1),)),
)
"""The state components that a feature needs, the feature, and where its registers are."""


@lru_cache
def architecture(xcr0: int, xsave_size: int) -> Architecture:
    """The CPU of a process whose NT_X86_XSTATE bank has this XCR0 (`xsave.xcr0_of`) and size in bytes.

    XCR0 0 is a CPU without XSAVE, whose floating point state is NT_FPREGSET.
    """
    layout = StateLayout(xcr0, xsave_size)
    extensions = [row for row in _EXTENSIONS if row[0] & layout.components == row[0]]
    return Architecture(
        name="i386:x86-64",
        osabi="GNU/Linux",
        features=arrange([_CORE, _SSE, _LINUX, _SEGMENT_BASES, *(feature for _, feature, _ in extensions)]),
        assumed=[_CORE, _SSE, _LINUX, _SEGMENT_BASES],
        pointer_size=8,
        pc="rip",
        sp="rsp",
        general=_GENERAL + _SYSTEM,
        breakpoint=BREAKPOINT,
        codec=BankCodec(
            [*_base_sections(layout), *(layout.section(run) for _, _, runs in extensions for run in runs)],
            [*_user_regs(_GENERAL, _CORE), *_user_regs(_SYSTEM, _LINUX, _SEGMENT_BASES)],
        ),
    )


def _base_sections(layout: StateLayout) -> list[Section]:
    return [
        PlainSection(NT_PRSTATUS, _user_regs(_GENERAL, _CORE)),
        layout.section(_STACK_RUN),
        layout.control_section(),
        layout.section(_XMM_RUN),
        layout.mxcsr_section(),
        PlainSection(NT_PRSTATUS, _user_regs(_SYSTEM, _LINUX, _SEGMENT_BASES)),
    ]


def _user_regs(names: Iterable[str], *features: Feature) -> list[slice]:
    """Where in user_regs_struct these registers of the features are."""
    sizes = {register.name: register.size for feature in features for register in feature.registers}
    return [slice(OFFSETS[name], OFFSETS[name] + sizes[name]) for name in names]
