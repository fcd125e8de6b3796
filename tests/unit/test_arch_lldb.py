"""What LLDB is told of registers: it agrees with what `g` carries, and with lldb-server about everything both know."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from debugserver.arch import amd64, i386
from debugserver.arch.lldb_description import lldb_description, register_info, register_infos
from debugserver.testing.client import RspClient
from tests.support.i386 import PROGRAM as I386
from tests.support.processes import end_process
from tests.support.programs import compile_program
from tests.support.server import lldb_server
from tests.unit.amd64_state import LAYOUTS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from debugserver.arch.architecture import Architecture

CPUS = {"FXSAVE": (0, 0), **{name: (layout.xcr0, layout.size) for name, layout in LAYOUTS.items()}}
ARCHITECTURES = {
    **{f"amd64 {name}": amd64.architecture(*cpu) for name, cpu in CPUS.items()},
    "i386": i386.architecture(*CPUS["FXSAVE"]),
}
LLDB = "xmlRegisters=i386;multiprocess+"


def registers(description: bytes) -> dict[str, dict[str, str]]:
    """Name -> attributes."""
    return {element.get("name", ""): dict(element.items()) for element in ET.fromstring(description).iter("reg")}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_whole_registers_are_where_g_has_them(name: str) -> None:
    architecture = ARCHITECTURES[name]
    described = registers(lldb_description(architecture))
    for register in architecture.registers:
        attributes = described[register.name]
        values = [int(attributes[key]) for key in ("bitsize", "regnum", "offset")]
        assert values == [register.bits, register.number, register.offset], register.name


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_number_is_there_once_and_parts_come_from_whole_registers(name: str) -> None:
    architecture = ARCHITECTURES[name]
    infos = register_infos(architecture)
    assert [info.number for info in infos] == list(range(len(infos)))
    assert len({info.name for info in infos}) == len(infos)
    for info in infos:
        widths = [architecture.registers[part].bits for part in info.parts]
        assert not info.parts or info.bits < widths[0] or info.bits == sum(widths), info.name


def test_the_parts_of_a_register() -> None:
    described = registers(lldb_description(ARCHITECTURES["amd64 FXSAVE"]))
    rax, rsi = described["rax"], described["rsi"]
    assert [described[name]["value_regnums"] for name in ("eax", "ax", "ah", "al")] == [rax["regnum"]] * 4
    assert int(described["ah"]["offset"]) == int(rax["offset"]) + 1
    assert described["sil"]["value_regnums"] == rsi["regnum"]
    assert "zmm0" not in described


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_composed_registers_begin_with_their_first_part(name: str) -> None:
    architecture = ARCHITECTURES[name]
    composed = [info for info in register_infos(architecture) if len(info.parts) > 1]
    assert ("ymm0" in {info.name for info in composed}) == ("ymm0h" in architecture.by_name)
    assert [info.offset for info in composed] == [architecture.registers[info.parts[0]].offset for info in composed]


def test_the_description_is_laid_out_as_lldb_servers() -> None:
    """LLVM's name for the CPU, one feature, registers by number (TestGdbRemoteTargetXmlPacket)."""
    architecture = ARCHITECTURES["amd64 FXSAVE"]
    target = ET.fromstring(lldb_description(architecture))
    assert target.findtext("architecture") == "x86_64"
    (feature,) = target.findall("feature")
    names = [register.get("name") for register in feature.findall("reg")]
    assert names == [info.name for info in register_infos(architecture)]
    assert ET.fromstring(lldb_description(ARCHITECTURES["i386"])).findtext("architecture") == "i386"


def test_what_qregisterinfo_says() -> None:
    infos = {info.name: register_info(info) for info in register_infos(ARCHITECTURES["amd64 FXSAVE"])}
    assert infos["rsp"] == (
        "name:rsp;bitsize:64;offset:56;encoding:uint;format:hex;set:General Purpose Registers;"
        "ehframe:7;dwarf:7;generic:sp;"
    )
    assert infos["ah"].endswith("container-regs:0;invalidate-regs:0;")


@contextmanager
def peer(program: Path) -> Iterator[RspClient]:
    """lldb-server with a program."""
    command = lldb_server()
    if command is None or not command.exists():
        pytest.skip("lldb-server is not installed (lldb-for-pwndbg)")
    reader, writer = os.pipe()
    line: list[str | Path] = [command, "gdbserver", "--pipe", str(writer), "localhost:0", "--", program]
    with subprocess.Popen(
        line, pass_fds=[writer], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        os.close(writer)
        try:
            with open(reader, "rb") as pipe:
                port = pipe.read().strip(b"\0").decode()
            with RspClient.connect(f"localhost:{port}", 20) as client:
                yield client
                client.request(b"k")
        finally:
            end_process(process)


@pytest.mark.parametrize("program", [compile_program("steps"), I386], ids=["amd64", "i386"])
def test_lldb_server_says_the_same(program: Path) -> None:
    with peer(program) as client:
        client.supported(LLDB)
        description = client.transfer("features", "target.xml")
    theirs = registers(description)
    architecture: Architecture = ARCHITECTURES["i386" if program is I386 else "amd64 FXSAVE"]
    own = lldb_description(architecture)
    assert ET.fromstring(own).findtext("architecture") == ET.fromstring(description).findtext("architecture")
    ours = registers(own)
    both = ours.keys() & theirs.keys()
    assert {"st0", "mm7", "xmm0", "mxcsr", "ah"} <= both
    for name in both:
        for key in {"dwarf_regnum", "generic"} & theirs[name].keys():
            assert ours[name].get(key) == theirs[name][key], (name, key)
