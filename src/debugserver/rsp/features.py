"""Feature lists of `qSupported`: `name+;name-;name=value`. Knows no feature. Source: GDB manual, "qSupported"."""

from __future__ import annotations

from collections.abc import Mapping

_FLAGS = {"+": True, "-": False}


def parse(text: bytes) -> dict[str, str | bool]:
    """What each feature is. `name?` (may be supported) and what is no feature are left out, as GDB ignores them."""
    found: dict[str, str | bool] = {}
    for item in text.decode("utf-8", "surrogateescape").lstrip(":;").split(";"):
        name, equals, value = item.partition("=")
        if equals:
            found[name] = value
        elif item[-1:] in _FLAGS:
            found[item[:-1]] = _FLAGS[item[-1]]
    return found


def encode(features: Mapping[str, str | bool]) -> bytes:
    """The list, in the mapping's order."""
    return ";".join(_item(name, value) for name, value in features.items()).encode("utf-8", "surrogateescape")


def _item(name: str, value: str | bool) -> str:
    if isinstance(value, bool):
        return name + ("+" if value else "-")
    return f"{name}={value}"
