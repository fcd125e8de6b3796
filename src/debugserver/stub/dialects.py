"""What differs between the two families of clients, beyond the rows that belong to one of them."""

from __future__ import annotations

SIGNAL_NUMBERS = "Signals have the system's numbers once `QThreadSuffixSupported` got `OK`, GDB's until then."
"""What rows with signals say of LLDB."""

ILL_FORMED = b"E03"
RUNNING_ALREADY = b"E37"
NO_CURRENT_PROCESS = b"E44"
NOTHING_TO_TELL = b"Eff"
NO_PROCESS_TO_CHOOSE = b"Eff"
NO_THREAD_TO_CHOOSE = b"E15"
"""What lldb-server says, and LLVM's tests want."""

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
