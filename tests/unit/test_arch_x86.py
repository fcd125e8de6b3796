"""The codecs of x86-64 and i386 over banks recorded from a CPU, and over areas of other CPUs built by hand."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

from debugserver.arch import amd64, i386, user_regs, xsave
from tests.unit import i386_state
from tests.unit.amd64_state import LAYOUTS, NT_FPREGSET, NT_PRSTATUS, NT_X86_XSTATE, Recording, built_area, load

if TYPE_CHECKING:
    from collections.abc import Callable

    from debugserver.arch.architecture import Architecture, RegisterCodec

    AnyRecording = Recording | i386_state.Recording

RECORDED = load()


def _recordings() -> dict[str, AnyRecording]:
    user_regs = RECORDED.banks[NT_PRSTATUS]
    kinds = {
        "recorded": RECORDED.banks,
        "recorded FXSAVE": {NT_PRSTATUS: user_regs, NT_FPREGSET: RECORDED.banks[NT_FPREGSET]},
        **{name: {NT_PRSTATUS: user_regs, NT_X86_XSTATE: built_area(layout)} for name, layout in LAYOUTS.items()},
    }
    wide: dict[str, AnyRecording] = {n: Recording(banks, RECORDED.addresses) for n, banks in kinds.items()}
    narrow = {f"i386, {name}": i386_state.built(layout) for name, layout in LAYOUTS.items()}
    return wide | narrow | {"i386, FXSAVE": i386_state.built_image()}


RECORDINGS = _recordings()


def architecture_of(recording: AnyRecording) -> Architecture:
    area = recording.banks.get(NT_X86_XSTATE, b"")
    make = i386.architecture if isinstance(recording, i386_state.Recording) else amd64.architecture
    return make(xsave.xcr0_of(area), len(area))


def codec_of(architecture: Architecture) -> RegisterCodec:
    assert architecture.codec is not None
    return architecture.codec


def read_all(architecture: Architecture, banks: dict[int, bytearray]) -> dict[str, bytes]:
    codec = codec_of(architecture)
    return {r.name: codec.read(r.number, banks) for r in architecture.registers}


def mutable(recording: AnyRecording) -> dict[int, bytearray]:
    return {number: bytearray(data) for number, data in recording.banks.items()}


WRITTEN = (
    "recorded",
    "recorded FXSAVE",
    "Intel AVX-512, MPX, PKRU",
    "AMD PKRU without AVX-512",
    "i386, AMD AVX-512, PKRU",
    "i386, FXSAVE",
)
EVERY_REGISTER = [
    pytest.param(RECORDINGS[kind], register.name, id=f"{kind}-{register.name}")
    for kind in WRITTEN
    for register in architecture_of(RECORDINGS[kind]).registers
]


@pytest.mark.parametrize("kind", RECORDINGS)
def test_every_register_has_the_value_that_the_program_set(kind: str) -> None:
    recording = RECORDINGS[kind]
    architecture = architecture_of(recording)
    expected = recording.expected()
    assert read_all(architecture, mutable(recording)) == {r.name: expected[r.name] for r in architecture.registers}


@pytest.mark.parametrize(
    ("kind", "registers"),
    [
        ("recorded", 148),
        ("recorded FXSAVE", 60),
        ("Intel AVX", 76),
        ("Intel MPX", 76),
        ("Intel PKRU without AVX-512", 77),
        ("Intel AVX-512, MPX, PKRU", 149),
        ("Intel AMX", 149),
        ("AMD PKRU without AVX-512", 77),
        ("i386, FXSAVE", 45),
        ("i386, Intel AVX", 53),
        ("i386, Intel PKRU without AVX-512", 54),
        ("i386, AMD AVX-512", 69),
        ("i386, AMD AVX-512, PKRU", 70),
    ],
)
def test_the_registers_are_those_of_the_cpu(kind: str, registers: int) -> None:
    assert len(architecture_of(RECORDINGS[kind]).registers) == registers


@pytest.mark.parametrize("kind", RECORDINGS)
def test_the_register_file_is_every_register_in_order(kind: str) -> None:
    recording = RECORDINGS[kind]
    architecture = architecture_of(recording)
    data = codec_of(architecture).read_file(recording.banks)
    assert len(data) == architecture.register_file_size
    assert data == b"".join(read_all(architecture, mutable(recording)).values())


@pytest.mark.parametrize(
    ("kind", "integers", "system"),
    [("recorded", 24, ["orig_rax", "fs_base", "gs_base"]), ("i386, Intel AVX", 16, ["orig_eax"])],
)
def test_general_registers_come_from_prstatus_alone(kind: str, integers: int, system: list[str]) -> None:
    recording = RECORDINGS[kind]
    architecture = architecture_of(recording)
    codec = codec_of(architecture)
    names = [architecture.registers[number].name for number in architecture.general]
    expected = recording.expected()
    assert names == [*(r.name for r in architecture.registers[:integers]), *system]
    assert {codec.bank(number) for number in architecture.general} == {NT_PRSTATUS}
    assert codec.read_general(recording.banks[NT_PRSTATUS]) == b"".join(expected[name] for name in names)


def different(name: str, value: bytes) -> bytes:
    """Another value that the register can hold, so that others which depend on it do not change."""
    if name == "ftag":
        return b"\xff\xff\0\0"  # any other tag depends on the content of the stack
    if name in {"fctrl", "fstat", "fiseg", "foseg", "fop"}:
        return bytes([value[0] ^ 0xFF]) + value[1:]
    return bytes(byte ^ 0xFF for byte in value)


@pytest.mark.parametrize(("recording", "name"), EVERY_REGISTER)
def test_a_register_is_written_and_no_other_one(recording: AnyRecording, name: str) -> None:
    architecture = architecture_of(recording)
    banks = mutable(recording)
    expected = read_all(architecture, banks)
    expected[name] = different(name, expected[name])
    codec_of(architecture).write(architecture.by_name[name].number, expected[name], banks)
    found = read_all(architecture, banks)
    if name.startswith("st"):
        del found["ftag"], expected["ftag"]  # follows from the content of the stack
    assert found == expected


@pytest.mark.parametrize(("recording", "name"), EVERY_REGISTER)
def test_writing_changes_no_byte_that_is_not_the_register(recording: AnyRecording, name: str) -> None:
    architecture = architecture_of(recording)
    codec = codec_of(architecture)
    number = architecture.by_name[name].number
    banks = mutable(recording)
    original = codec.read(number, banks)
    codec.write(number, different(name, original), banks)
    codec.write(number, original, banks)
    assert banks == mutable(recording)


@pytest.mark.parametrize("kind", RECORDINGS)
def test_the_register_file_is_replaced(kind: str) -> None:
    recording = RECORDINGS[kind]
    architecture = architecture_of(recording)
    codec = codec_of(architecture)
    banks = mutable(recording)
    wanted = {name: different(name, value) for name, value in read_all(architecture, banks).items()}
    codec.write_file(b"".join(wanted.values()), banks)
    assert read_all(architecture, banks) == wanted


@pytest.mark.parametrize("kind", RECORDINGS)
def test_writing_back_what_was_read_changes_no_byte(kind: str) -> None:
    recording = RECORDINGS[kind]
    codec = codec_of(architecture_of(recording))
    banks = mutable(recording)
    codec.write_file(codec.read_file(banks), banks)
    assert banks == mutable(recording)


# State components that are not in use

XSAVES = [kind for kind in RECORDINGS if NT_X86_XSTATE in RECORDINGS[kind].banks]
INITIAL = {"fctrl": struct.pack("<I", 0x37F), "ftag": struct.pack("<I", 0xFFFF), "mxcsr": struct.pack("<I", 0x1F80)}
COMPONENTS = {"ymm": 2, "xmm": 1, "mxcsr": 1, "k": 5, "zmm": 6, "pkru": 9}
"""The bit in XSTATE_BV of a register's component, by the name without its number; 0 for x87, 7 for numbers from 16."""


def unused(kind: str) -> dict[int, bytearray]:
    """The banks with nothing in use: the area's content is stale and must not be seen."""
    banks = mutable(RECORDINGS[kind])
    banks[NT_X86_XSTATE][512:520] = bytes(8)
    return banks


def initial(name: str, size: int) -> bytes:
    return INITIAL.get(name, bytes(size))


def component(name: str) -> int:
    stem = name.rstrip("h").rstrip("0123456789")
    number = name.rstrip("h").removeprefix(stem)
    return 7 if number and int(number) >= 16 else COMPONENTS.get(stem, 0)


def state_registers(kind: str) -> list[str]:
    architecture = architecture_of(RECORDINGS[kind])
    codec = codec_of(architecture)
    return [r.name for r in architecture.registers if codec.bank(r.number) == NT_X86_XSTATE]


UNUSED_REGISTERS = [(kind, name) for kind in WRITTEN if kind in XSAVES for name in state_registers(kind)]


@pytest.mark.parametrize("kind", XSAVES)
def test_unused_components_read_as_their_initial_state(kind: str) -> None:
    architecture = architecture_of(RECORDINGS[kind])
    found = read_all(architecture, unused(kind))
    assert {name: found[name] for name in state_registers(kind)} == {
        name: initial(name, architecture.by_name[name].size) for name in state_registers(kind)
    }


@pytest.mark.parametrize(("kind", "name"), UNUSED_REGISTERS)
def test_a_write_brings_the_component_into_use(kind: str, name: str) -> None:
    architecture = architecture_of(RECORDINGS[kind])
    banks = unused(kind)
    expected = read_all(architecture, banks)
    value = struct.pack("<I", 0xFFFD) if name == "ftag" else different(name, expected[name])
    expected[name] = value  # of ftag: R0 is in use and, as everything then, zero
    codec_of(architecture).write(architecture.by_name[name].number, value, banks)
    assert read_all(architecture, banks) == expected
    assert int.from_bytes(banks[NT_X86_XSTATE][512:520], "little") == 1 << component(name)


@pytest.mark.parametrize(("kind", "name"), UNUSED_REGISTERS)
def test_the_initial_value_can_be_written(kind: str, name: str) -> None:
    architecture = architecture_of(RECORDINGS[kind])
    register = architecture.by_name[name]
    banks = unused(kind)
    codec_of(architecture).write(register.number, initial(name, register.size), banks)
    assert banks == unused(kind)


def test_mxcsr_counts_as_soon_as_avx_is_in_use() -> None:
    architecture = architecture_of(RECORDED)
    banks = unused("recorded")
    banks[NT_X86_XSTATE][512] = 1 << 2
    assert codec_of(architecture).read(architecture.by_name["mxcsr"].number, banks) == struct.pack("<I", 0x9F80)


def test_tags_of_unused_x87_registers_ignore_what_is_left_in_them() -> None:
    architecture = architecture_of(RECORDED)
    banks = mutable(RECORDED)
    banks[NT_X86_XSTATE][4] = 0b1000_0000  # only R7, the denormal
    assert codec_of(architecture).read(architecture.by_name["ftag"].number, banks) == struct.pack("<I", 0xBFFF)


def test_one_architecture_for_equal_cpus() -> None:
    assert amd64.architecture(0xE7, 2432) is amd64.architecture(0xE7, 2432)


def test_offsets_in_user_regs_struct() -> None:
    expected = RECORDED.expected()
    bank = RECORDED.banks[NT_PRSTATUS]
    assert len(bank) == user_regs.USER_REGS_SIZE
    assert user_regs.OFFSETS.keys() <= expected.keys()
    for name, offset in user_regs.OFFSETS.items():
        assert bank[offset : offset + len(expected[name])] == expected[name], name


# i386 only


@pytest.mark.parametrize(("name", "value"), [("eax", -512), ("eax", 512), ("orig_eax", -1), ("orig_eax", 3)])
@pytest.mark.parametrize("whole", [False, True])
def test_the_kernel_sees_the_sign_of_32_bits(name: str, value: int, whole: bool) -> None:
    """It restarts a system call whose result is -ERESTARTSYS (-512) in all 64 bits, unless the number is -1."""
    recording = RECORDINGS["i386, Intel AVX"]
    architecture = architecture_of(recording)
    banks = mutable(recording)
    register, data = architecture.by_name[name], struct.pack("<i", value)
    if whole:
        file = bytearray(codec_of(architecture).read_file(banks))
        file[register.offset : register.offset + 4] = data
        codec_of(architecture).write_file(bytes(file), banks)
    else:
        codec_of(architecture).write(register.number, data, banks)
    slot = {"eax": 10, "orig_eax": 15}[name]  # sys/user.h
    assert struct.unpack_from("<27q", banks[NT_PRSTATUS])[slot] == value


def thread_pointer(values: dict[str, bytes]) -> int:
    found = architecture_of(RECORDINGS["i386, Intel AVX"]).thread_pointer
    assert found is not None
    return found(lambda name: int.from_bytes(values[name], "little"))


@pytest.mark.parametrize(("gs", "pointer"), [(0x63, 0x12345678), (0x6B, 0), (0, 0), (0x33, 0)])
def test_the_thread_pointer_is_the_base_of_what_gs_selects(gs: int, pointer: int) -> None:
    values = RECORDINGS["i386, Intel AVX"].expected() | {"gs": struct.pack("<I", gs)}
    assert thread_pointer(values) == pointer


@pytest.mark.parametrize("make", [amd64.architecture, i386.architecture])
def test_general_places(make: Callable[[int, int], Architecture]) -> None:
    """What lies there is what the codec reads."""
    architecture = make(0, 0)
    codec = architecture.codec
    assert codec is not None
    bank = bytes(range(user_regs.USER_REGS_SIZE))
    found = [number for number in range(len(architecture.registers)) if codec.general_place(number) is not None]
    assert set(architecture.general) <= set(found)
    for number in found:
        place = codec.general_place(number)
        assert place is not None
        assert bank[place] == codec.read(number, {NT_PRSTATUS: bank})
    assert codec.general_place(architecture.by_name["st0"].number) is None
    assert codec.general_place(len(architecture.registers)) is None
