"""Importing this module enters every packet in the table."""

from __future__ import annotations

from debugserver.stub.handlers import (
    breakpoints,
    events,
    host,
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
    "events",
    "host",
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
