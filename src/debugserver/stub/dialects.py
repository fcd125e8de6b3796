"""What differs between the two families of clients, beyond the rows that belong to one of them."""

from __future__ import annotations

LLDB_FEATURES = frozenset({
    "PacketSize",
    "QNonStop",
    "QPassSignals",
    "QStartNoAckMode",
    "augmented-libraries-svr4-read",
    "fork-events",
    "multiprocess",
    "qXfer:auxv:read",
    "qXfer:features:read",
    "qXfer:libraries-svr4:read",
    "qXfer:libraries:read",
    "qXfer:siginfo:read",
    "vfork-events",
})  # fmt: skip
"""The features that LLDB knows; a reply to it holds no others."""
