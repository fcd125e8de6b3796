"""Target descriptions: they say what `g` carries, and both versions of GDB read them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from debugserver.arch import amd64
from debugserver.arch.architecture import Architecture, Feature, Register, arrange
from debugserver.arch.description import target_description
from tests.unit.amd64_state import LAYOUTS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.gdb import Gdb

CPUS = {"FXSAVE": (0, 0), **{name: (layout.xcr0, layout.size) for name, layout in LAYOUTS.items()}}


def toy(**changes: object) -> Architecture:
    """A CPU of two registers."""
    feature = Feature("org.example.toy", "", (Register("pc", 16, "code_ptr"), Register("sp", 16, "data_ptr")))
    facts: dict[str, object] = {
        "name": "toy",
        "features": arrange([feature]),
        "pointer_size": 2,
        "pc": "pc",
        "sp": "sp",
        "general": ("pc", "sp"),
        "breakpoint": b"\0",
    }
    return Architecture(**{**facts, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("cpu", CPUS)
def test_the_description_says_what_the_register_file_holds(cpu: str) -> None:
    architecture = amd64.architecture(*CPUS[cpu])
    root = ET.fromstring(target_description(architecture))
    described = [(r.get("name"), int(r.get("bitsize", "")), int(r.get("regnum", ""))) for r in root.iter("reg")]
    assert described == [(r.name, r.bits, number) for number, r in enumerate(architecture.registers)]
    assert sum(bits for _, bits, _ in described) == 8 * architecture.register_file_size


@pytest.mark.parametrize("cpu", CPUS)
def test_gdb_reads_it(cpu: str, gdb: Gdb, tmp_path: Path) -> None:
    architecture = amd64.architecture(*CPUS[cpu])
    (tmp_path / "target.xml").write_bytes(target_description(architecture))
    output = gdb(f"set tdesc filename {tmp_path}/target.xml", "maintenance print registers")
    assert "warning" not in output
    sizes = {name: int(size) for name, size in re.findall(r"^ *(\w+) +\d+ +\d+ +\d+ +(\d+) ", output, re.MULTILINE)}
    expected = {r.name: r.size for r in architecture.registers}
    assert {name: sizes.get(name) for name in expected} == expected


def test_gdb_would_complain(gdb: Gdb, tmp_path: Path) -> None:
    broken = target_description(amd64.architecture(0, 0)).replace(b'type="vec128"', b'type="vec129"', 1)
    (tmp_path / "target.xml").write_bytes(broken)
    assert "warning" in gdb(f"set tdesc filename {tmp_path}/target.xml", "maintenance print registers")


def test_text_is_escaped() -> None:
    xml = target_description(toy(name='<a> & "b"', osabi="<none>"))
    assert ET.fromstring(xml).findtext("architecture") == '<a> & "b"'
    assert ET.fromstring(xml).findtext("osabi") == "<none>"


def test_facts_that_are_not_known_are_left_out() -> None:
    root = ET.fromstring(target_description(toy(name="")))
    assert [element.tag for element in root] == ["feature"]


def test_arrange_numbers_across_features() -> None:
    first = Feature("one", "", (Register("a", 32, "int"), Register("b", 80, "i387_ext")))
    second = Feature("two", "", (Register("c", 64, "int"),))
    placed = [(r.name, r.number, r.offset) for feature in arrange([first, second]) for r in feature.registers]
    assert placed == [("a", 0, 0), ("b", 1, 4), ("c", 2, 14)]


def test_a_register_out_of_place_is_refused() -> None:
    feature = Feature("org.example.toy", "", (Register("pc", 16, "code_ptr", 0, 0), Register("sp", 16, "int", 1, 4)))
    with pytest.raises(ValueError, match="sp is out of place"):
        toy(features=[feature])
