"""Importing this module enters every packet in the table."""

from __future__ import annotations

from debugserver.stub.handlers import (
    breakpoints,
    host_io,
    launch,
    memory,
    monitor,
    negotiation,
    registers,
    resume,
    search,
    threads,
    xfer,
)

__all__ = [
    "breakpoints",
    "host_io",
    "launch",
    "memory",
    "monitor",
    "negotiation",
    "registers",
    "resume",
    "search",
    "threads",
    "xfer",
]
