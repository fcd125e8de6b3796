"""The target description that GDB reads (GDB manual, appendix "Target Descriptions"), written from an Architecture.

Only text is made here: what the registers are is the CPU module's business, how the text travels the stub's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from debugserver.arch.architecture import Architecture, Feature, Register

_HEAD = '<?xml version="1.0"?>\n<!DOCTYPE target SYSTEM "gdb-target.dtd">\n<target>\n'


def target_description(architecture: Architecture) -> bytes:
    """The whole of `target.xml`; it includes no other file."""
    body = "".join(line for feature in architecture.features for line in _feature(feature))
    return f"{_HEAD}{_facts(architecture)}{body}</target>\n".encode()


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


def _facts(architecture: Architecture) -> str:
    facts = {"architecture": architecture.name, "osabi": architecture.osabi}
    return "".join(f"  <{tag}>{_escape(text)}</{tag}>\n" for tag, text in facts.items() if text)


def _feature(feature: Feature) -> Iterator[str]:
    yield f'  <feature name="{_escape(feature.name)}">\n{feature.types}'
    yield from map(_register, feature.registers)
    yield "  </feature>\n"


def _register(register: Register) -> str:
    group = f' group="{_escape(register.group)}"' if register.group else ""
    return (
        f'    <reg name="{_escape(register.name)}" bitsize="{register.bits}" type="{_escape(register.type)}"'
        f' regnum="{register.number}"{group}/>\n'
    )


def _escape(text: str) -> str:
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        text = text.replace(character, entity)
    return text
