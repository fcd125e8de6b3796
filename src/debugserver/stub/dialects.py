"""What differs between the two families of clients, beyond the rows that belong to one of them."""

from __future__ import annotations

SIGNAL_NUMBERS = "Signals have the system's numbers once `QThreadSuffixSupported` got `OK`, GDB's until then."
"""What rows with signals say of LLDB."""

LLDB_FEATURES = frozenset({
    "MultiMemRead",
    "PacketSize",
    "QListThreadsInStopReply",
    "QNonStop",
    "QPassSignals",
    "QStartNoAckMode",
    "QThreadSuffixSupported",
    "augmented-libraries-svr4-read",
    "fork-events",
    "jMultiBreakpoint",
    "multiprocess",
    "native-signals",
    "qEcho",
    "qSaveCore",
    "qXfer:auxv:read",
    "qXfer:features:read",
    "qXfer:libraries-svr4:read",
    "qXfer:libraries:read",
    "qXfer:siginfo:read",
    "vfork-events",
})  # fmt: skip
"""The features that LLDB knows; a reply to it holds no others."""
