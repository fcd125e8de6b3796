"""The XSAVE area in its standard format (Intel SDM vol. 1, chapter 13): where state components lie, and what they hold
before they are used.

Offsets differ between vendors and only CPUID knows them, which Python cannot ask: they follow from XCR0 and the size.
Knows no register names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from debugserver.arch.banks import NT_FPREGSET, PlainSection, Section
from debugserver.arch.x87 import ControlRegisters

NT_X86_XSTATE = 0x202

X87 = 1 << 0
SSE = 1 << 1
AVX = 1 << 2
BNDREGS = 1 << 3
BNDCSR = 1 << 4
OPMASK = 1 << 5
ZMM_HI256 = 1 << 6
HI16_ZMM = 1 << 7
PKRU = 1 << 9
TILECFG = 1 << 17
TILEDATA = 1 << 18

MXCSR_OFFSET = 24

_XCR0 = slice(464, 472)
_XSTATE_BV = slice(512, 520)
_MXCSR = slice(MXCSR_OFFSET, MXCSR_OFFSET + 4)
_EXTENDED_OFFSET = 576
_FXSAVE_SIZE = 512

_LEGACY: Mapping[int, tuple[slice, ...]] = {
    X87: (slice(0, MXCSR_OFFSET), slice(32, 160)),
    SSE: (slice(160, 416),),
}
_SIZES = {
    AVX: 256,
    BNDREGS: 64,
    BNDCSR: 64,
    OPMASK: 64,
    ZMM_HI256: 512,
    HI16_ZMM: 1024,
    PKRU: 8,
    TILECFG: 64,
    TILEDATA: 8192,
}
_INTEL = {
    AVX: 576,
    BNDREGS: 960,
    BNDCSR: 1024,
    OPMASK: 1088,
    ZMM_HI256: 1152,
    HI16_ZMM: 1664,
    PKRU: 2688,
    TILECFG: 2752,
    TILEDATA: 2816,
}
_AMD = {AVX: 576, OPMASK: 832, ZMM_HI256: 896, HI16_ZMM: 1408, PKRU: 2432}
_AMD_WITHOUT_AVX512 = {AVX: 576, PKRU: 832}


def xcr0_of(area: bytes | bytearray) -> int:
    """The state components that the system has enabled; the kernel leaves them in the bytes reserved for software."""
    return int.from_bytes(area[_XCR0], "little")


def component_offsets(xcr0: int, size: int) -> dict[int, int]:
    """Component -> offset of those in `xcr0` that lie behind the legacy region of an area of `size` bytes.

    The layout is the one that ends where the area does. When none does, only AVX is given, which is never elsewhere.
    """
    enabled = {component for component in _SIZES if xcr0 & component}
    for layout in (_INTEL, _AMD, _AMD_WITHOUT_AVX512):
        if enabled <= layout.keys() and size == _end(enabled, layout):
            return {component: layout[component] for component in enabled}
    return {AVX: _EXTENDED_OFFSET} if AVX in enabled and size >= _end({AVX}, _INTEL) else {}


def _end(enabled: set[int], layout: Mapping[int, int]) -> int:
    return max((layout[component] + _SIZES[component] for component in enabled), default=_EXTENDED_OFFSET)


class Run(NamedTuple):
    """Registers of `size` bytes each, `stride` bytes apart, from `start` of a state component."""

    component: int
    start: int
    stride: int
    size: int
    registers: int

    def places(self, base: int) -> list[slice]:
        """Where in the area the registers are, if the component is at `base`."""
        starts = range(base + self.start, base + self.start + self.registers * self.stride, self.stride)
        return [slice(start, start + self.size) for start in starts]


class StateLayout:
    """The floating point and vector state of one CPU: `size` bytes of XSAVE area, or an FXSAVE image if XCR0 is 0."""

    def __init__(self, xcr0: int, size: int, image_bank: int = NT_FPREGSET) -> None:
        """`image_bank`: where the system keeps the FXSAVE image."""
        self._xsave = xcr0 != 0
        self._offsets = {X87: 0, SSE: 0, **(component_offsets(xcr0, size) if self._xsave else {})}
        self.bank = NT_X86_XSTATE if self._xsave else image_bank
        self.components = sum(self._offsets)
        self.initial = _initial_area(max(size, _FXSAVE_SIZE))

    def section(self, run: Run) -> Section:
        """The section of the register file that is this run of registers."""
        plain = PlainSection(self.bank, run.places(self._offsets[run.component]))
        return self._tracked(plain, run.component, run.component)

    def control_section(self) -> Section:
        """The x87 control registers."""
        return self._tracked(ControlRegisters(self.bank), X87, X87)

    def mxcsr_section(self) -> Section:
        """MXCSR, which is in use as soon as SSE or AVX is (SDM vol. 1, 13.5.2)."""
        return self._tracked(PlainSection(self.bank, [_MXCSR]), SSE, SSE | AVX)

    def _tracked(self, section: Section, component: int, users: int) -> Section:
        return TrackedSection(section, self, component, users) if self._xsave else section

    def bring_into_use(self, area: bytearray, component: int) -> None:
        """Set the component's bit in XSTATE_BV, and give it the content that it had without it."""
        in_use = components_in_use(area)
        if not in_use & (SSE | AVX):
            area[_MXCSR] = self.initial[_MXCSR]
        for extent in self._extents(component):
            area[extent] = self.initial[extent]
        area[_XSTATE_BV] = (in_use | component).to_bytes(8, "little")

    def _extents(self, component: int) -> tuple[slice, ...]:
        start = self._offsets[component]
        return _LEGACY.get(component) or (slice(start, start + _SIZES[component]),)


def components_in_use(area: bytes | bytearray) -> int:
    """XSTATE_BV: a component that is not in use holds its initial values, whatever the area says."""
    return int.from_bytes(area[_XSTATE_BV], "little")


def _initial_area(size: int) -> bytes:
    area = bytearray(size)
    area[0:2] = (0x37F).to_bytes(2, "little")
    area[_MXCSR] = (0x1F80).to_bytes(4, "little")
    return bytes(area)


class TrackedSection(Section):
    """Registers of a state component that XSTATE_BV may say is not in use."""

    def __init__(self, section: Section, layout: StateLayout, component: int, users: int) -> None:
        """`component` is brought into use by a write, unless one of `users` is in use already."""
        super().__init__(section.bank, [part.stop - part.start for part in section.parts])
        self._section = section
        self._layout = layout
        self._component = component
        self._users = users
        self._initial = section.read(layout.initial)

    def read(self, bank: bytes | bytearray) -> bytes:
        return self._section.read(bank) if components_in_use(bank) & self._users else self._initial

    def write(self, bank: bytearray, data: bytes) -> None:
        """Writing what is there changes nothing: a `G` must not bring every component into use."""
        if data == self.read(bank):
            return
        if not components_in_use(bank) & self._users:
            self._layout.bring_into_use(bank, self._component)
        self._section.write(bank, data)
