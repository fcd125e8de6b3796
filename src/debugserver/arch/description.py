"""The target description that GDB reads (GDB manual, appendix "Target Descriptions"), written from an Architecture.

Only text is made here: what the registers are is the CPU module's business, how the text travels the stub's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from debugserver.arch.architecture import Architecture, Register

_HEAD = '<?xml version="1.0"?>\n<!DOCTYPE target SYSTEM "gdb-target.dtd">\n<target>\n'


def target_description(architecture: Architecture) -> bytes:
    """The whole of `target.xml`; it includes no other file."""
    features = (feature(name, types, "".join(map(_register, rows))) for name, types, rows in architecture.features)
    return document(architecture.name, architecture.osabi, "".join(features))


def document(architecture: str, osabi: str, features: str) -> bytes:
    """A description whose features are this XML."""
    facts = {"architecture": architecture, "osabi": osabi}
    lines = "".join(f"  <{tag}>{_escape(text)}</{tag}>\n" for tag, text in facts.items() if text)
    return f"{_HEAD}{lines}{features}</target>\n".encode()


def element(tag: str, attributes: Mapping[str, str]) -> str:
    """A line of a feature: an element that holds nothing but attributes."""
    pairs = "".join(f' {key}="{_escape(value)}"' for key, value in attributes.items())
    return f"    <{tag}{pairs}/>\n"


def vector(name: str, element: str, count: int) -> str:
    """The type of `count` elements, as XML."""
    return f'    <vector id="{name}" type="{element}" count="{count}"/>\n'


def union(name: str, fields: Iterable[tuple[str, str]]) -> str:
    """The type of a register with several views, as XML; each field is (name, type)."""
    lines = "".join(f'      <field name="{field}" type="{kind}"/>\n' for field, kind in fields)
    return f'    <union id="{name}">\n{lines}    </union>\n'


def flags(name: str, size: int, bits: Iterable[tuple[str, int]]) -> str:
    """The type of a register of `size` bytes with one-bit flags, as XML; each is (flag, bit number)."""
    lines = "".join(f'      <field name="{flag}" start="{bit}" end="{bit}" type="bool"/>\n' for flag, bit in bits)
    return f'    <flags id="{name}" size="{size}">\n{lines}    </flags>\n'


def feature(name: str, types: str, registers: str) -> str:
    """A feature whose types and registers are this XML."""
    return f'  <feature name="{_escape(name)}">\n{types}{registers}  </feature>\n'


def _register(register: Register) -> str:
    attributes = {
        "name": register.name,
        "bitsize": str(register.bits),
        "type": register.type,
        "regnum": str(register.number),
        "group": register.group,
    }
    return element("reg", {key: value for key, value in attributes.items() if value})


def _escape(text: str) -> str:
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        text = text.replace(character, entity)
    return text
