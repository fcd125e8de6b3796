"""Sizes that both the stub and its handlers keep to."""

from __future__ import annotations

PACKET_SIZE = 0x100000
"""The longest packet payload in bytes, both ways; advertised in qSupported. GDB reads half of it at a time."""
