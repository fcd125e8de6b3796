"""The facts of x86-64 against those who know better: GNU gdbserver, and the kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from debugserver.arch import amd64, user_regs, xsave
from debugserver.arch.description import target_description
from debugserver.testing.client import RspClient
from tests.support.server import Server, gnu_gdbserver, server_command
from tests.unit.amd64_state import EXPECTED, NT_PRSTATUS, NT_X86_XSTATE, build, has_avx512, record, stopped

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from debugserver.arch.architecture import Architecture

pytestmark = pytest.mark.skipif(not has_avx512(), reason="this CPU lacks AVX-512, whose registers the program sets")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("amd64_state"))


@pytest.fixture
def gnu(program: Path) -> Iterator[RspClient]:
    """GNU gdbserver, with the program before its first instruction."""
    if gnu_gdbserver() is None:
        pytest.skip("GNU gdbserver is not installed")
    server = Server(server_command("gnu"), "--once", "localhost:0", program)
    with server, RspClient.connect(server.address) as client:
        client.supported("multiprocess+;xmlRegisters=i386")
        client.request(b"?")
        yield client
        client.request(b"vKill;%x" % server.debuggee)


@pytest.fixture
def architecture(program: Path) -> Architecture:
    with stopped(program) as process:
        area = process.read(NT_X86_XSTATE)
    return amd64.architecture(xsave.xcr0_of(area), len(area))


def shape(xml: bytes) -> list[tuple[str, dict[str, str]]]:
    """Every element in order, with its attributes."""
    return [(element.tag, element.attrib) for element in ET.fromstring(xml).iter()]


def test_the_description_is_gdbservers(gnu: RspClient, architecture: Architecture) -> None:
    theirs = gnu.request(b"qXfer:features:read:target.xml:0,10000")
    assert theirs[:1] == b"l"
    assert shape(target_description(architecture)) == shape(theirs[1:])


def test_the_register_file_is_gdbservers(gnu: RspClient, architecture: Architecture, tmp_path: Path) -> None:
    ours = record(tmp_path)
    assert gnu.request(b"vCont;c").startswith(b"T05")
    theirs = bytearray(gnu.read_registers())
    if pkru := architecture.by_name.get("pkru"):
        # On CPUs with AMX, GNU gdbserver 18.1 says 0, whatever RDPKRU says.
        theirs[pkru.offset : pkru.offset + pkru.size] = EXPECTED["pkru"]
    assert architecture.codec is not None
    assert architecture.codec.read_file(ours.banks).hex() == theirs.hex()


def test_gdbserver_starts_with_initial_values(gnu: RspClient, architecture: Architecture) -> None:
    """Before the first instruction nothing is in use: the codec says the same of an area that is all zeros."""
    theirs = gnu.read_registers()
    assert architecture.codec is not None
    for name in ("fctrl", "fstat", "ftag", "fioff", "fop", "mxcsr", "xmm0", "ymm0h", "k1", "zmm31h", "st0"):
        register = architecture.by_name[name]
        ours = architecture.codec.read(register.number, {NT_X86_XSTATE: bytes(2696)})
        assert (name, ours) == (name, theirs[register.offset : register.offset + register.size])


def test_the_kernel_takes_what_the_codec_writes(program: Path, architecture: Architecture) -> None:
    """From a state where nothing is in use, every register is written, and read back from the kernel."""
    codec = architecture.codec
    assert codec is not None
    # mxcsr: no reserved bit; ftag: R0 in use, and zero; the others: not wider than the CPU keeps them
    flips = {"mxcsr": 0x55, "ftag": 0b10} | dict.fromkeys(("fctrl", "fstat", "fiseg", "foseg", "fop"), 0x55)
    with stopped(program) as process:
        clean = bytearray(process.read(NT_X86_XSTATE))
        clean[512:520] = bytes(8)
        for register in architecture.registers:
            if codec.bank(register.number) != NT_X86_XSTATE:
                continue
            process.write(NT_X86_XSTATE, clean)
            banks = {NT_X86_XSTATE: bytearray(process.read(NT_X86_XSTATE))}
            before = codec.read(register.number, banks)
            flip = flips.get(register.name, int.from_bytes(b"\x55" * register.size, "little"))
            value = (int.from_bytes(before, "little") ^ flip).to_bytes(register.size, "little")
            codec.write(register.number, value, banks)
            process.write(NT_X86_XSTATE, banks[NT_X86_XSTATE])
            after = {NT_X86_XSTATE: process.read(NT_X86_XSTATE)}
            assert (register.name, codec.read(register.number, after)) == (register.name, value)


def test_the_kernel_has_general_registers_where_we_say(program: Path, architecture: Architecture) -> None:
    with stopped(program) as process:
        bank = process.read(NT_PRSTATUS)
        assert len(bank) == user_regs.USER_REGS_SIZE
        assert int.from_bytes(bank[user_regs.RSP_OFFSET :][:8], "little") == 0x1111111111111108
