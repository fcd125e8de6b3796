"""What x86-64 and i386 have in common: features of their target descriptions, and where those registers lie in an XSAVE
area. Knows neither CPU whole."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from debugserver.arch import x87, xsave
from debugserver.arch.architecture import Feature, Register
from debugserver.arch.x86_types import EFLAGS, MXCSR, VEC128
from debugserver.arch.xsave import Run, StateLayout

if TYPE_CHECKING:
    from debugserver.arch.banks import Section

BREAKPOINT = b"\xcc"

_CONTROL = ("fctrl", "fstat", "ftag", "fiseg", "fioff", "foseg", "fooff", "fop")


class Extension(NamedTuple):
    """A feature that the CPU has if all its state components are enabled, and where its registers are."""

    components: int
    feature: Feature
    runs: tuple[Run, ...]


def row(names: Iterable[str], bits: int, kind: str, group: str = "") -> tuple[Register, ...]:
    """Registers that are alike but for their names."""
    return tuple(Register(name, bits, kind, group=group) for name in names)


def numbered(pattern: str, count: int, first: int = 0) -> list[str]:
    """`xmm{}` -> xmm0, xmm1 ..."""
    return [pattern.format(number) for number in range(first, count)]


def core(integers: Iterable[Register], pc: Register, segments: Iterable[str]) -> Feature:
    """The general registers, followed by those of the x87."""
    return Feature(
        "org.gnu.gdb.i386.core",
        EFLAGS,
        (
            *integers,
            pc,
            Register("eflags", 32, "i386_eflags"),
            *row(segments, 32, "int32"),
            *row(numbered("st{}", 8), 80, "i387_ext"),
            *row(_CONTROL, 32, "int", "float"),
        ),
    )


def sse(count: int) -> Feature:
    """`count` XMM registers, and MXCSR."""
    vectors = row(numbered("xmm{}", count), 128, "vec128")
    return Feature(
        "org.gnu.gdb.i386.sse", VEC128 + MXCSR, (*vectors, Register("mxcsr", 32, "i386_mxcsr", group="vector"))
    )


def avx(count: int) -> Extension:
    """The upper halves of `count` YMM registers."""
    feature = Feature("org.gnu.gdb.i386.avx", "", row(numbered("ymm{}h", count), 128, "uint128"))
    return Extension(xsave.AVX, feature, (Run(xsave.AVX, 0, 16, 16, count),))


AVX512_COMPONENTS = xsave.OPMASK | xsave.ZMM_HI256 | xsave.HI16_ZMM
OPMASK_RUN = Run(xsave.OPMASK, 0, 8, 8, 8)

PKEYS = Extension(
    xsave.PKRU,
    Feature("org.gnu.gdb.i386.pkeys", "", row(["pkru"], 32, "uint32")),
    (Run(xsave.PKRU, 0, 8, 4, 1),),
)


def enabled(extensions: Iterable[Extension], layout: StateLayout) -> list[Extension]:
    """Those that this CPU has."""
    return [extension for extension in extensions if extension.components & ~layout.components == 0]


def legacy_sections(layout: StateLayout, vectors: int) -> list[Section]:
    """The x87 registers of `core` and all of `sse`, with that many XMM registers."""
    return [
        layout.section(Run(xsave.X87, x87.STACK_OFFSET, 16, 10, 8)),
        layout.control_section(),
        layout.section(Run(xsave.SSE, 160, 16, 16, vectors)),
        layout.mxcsr_section(),
    ]


def extension_sections(extensions: Iterable[Extension], layout: StateLayout) -> list[Section]:
    """The registers of the extensions, in order."""
    return [layout.section(run) for extension in extensions for run in extension.runs]
