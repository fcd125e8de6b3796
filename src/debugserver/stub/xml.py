"""Text inside XML. Knows no document."""

from __future__ import annotations

import re

_MARKUP = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;"})
_FORBIDDEN = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SPECIAL = re.compile(f"{_FORBIDDEN.pattern}|[&<>\"']")


def escape(text: str) -> str:
    """Text for an element or an attribute; what XML 1.0 forbids becomes `?`, lest a client refuse the document."""
    return _FORBIDDEN.sub("?", text).translate(_MARKUP) if _SPECIAL.search(text) else text


def attributes(values: dict[str, str]) -> str:
    """` name="value"` for each."""
    return "".join([f' {name}="{escape(value)}"' for name, value in values.items()])
