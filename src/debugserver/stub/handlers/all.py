"""Importing this module enters every packet in the table."""

from __future__ import annotations

from debugserver.stub.handlers import (
    address_space,
    breakpoints,
    core,
    events,
    host,
    host_io,
    launch,
    launch_settings,
    memory,
    monitor,
    negotiation,
    platform,
    registers,
    resume,
    search,
    threads,
    xfer,
)

__all__ = [
    "address_space",
    "breakpoints",
    "core",
    "events",
    "host",
    "host_io",
    "launch",
    "launch_settings",
    "memory",
    "monitor",
    "negotiation",
    "platform",
    "registers",
    "resume",
    "search",
    "threads",
    "xfer",
]
