"""Writes docs/packets.md and docs/dialects.md out of the table of packets. `python -m tools.packet_table` (or `make
docs`)."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import debugserver.stub.handlers.all  # noqa: F401 - enters every row
from debugserver.errors import DebugServerError
from debugserver.stub.registry import BOTH, MONITOR_COMMANDS, PACKETS, MonitorCommand, Row

DOCS = Path(__file__).parents[1] / "docs"

_HEAD = """# The packets

Every packet that the stub serves, in the order of their names. This page is made from the table in
`stub/registry.py` (`make docs`); a test holds it to the code.

*Needs* is the capability that a target must have; without it the packet gets the empty reply and is not advertised.
*No process* is the error before there is one (-: it works without). *Advertised* is what `qSupported` says of it.

| packet | what it does | needs | no process | advertised |
| --- | --- | --- | --- | --- |
"""

_MONITOR_HEAD = """
## Monitor commands

| command | what it does |
| --- | --- |
"""

_DIALECT_HEAD = """# Two dialects

A client whose `qSupported` list has `vContSupported+` speaks GDB's dialect, any other LLDB's. LLDB's gets no run-length
encoding, and of the features only those that LLDB knows. A ^C of LLDB's that comes while nothing runs is forgotten,
GDB's interrupts the next resume. Both have the same [packets](packets.md) but for what stands here.
This page is made from the table in `stub/registry.py` (`make docs`); a test holds it to the code.

## Packets of one dialect

To the other one they are unknown: it gets the empty reply.

| packet | only for | what it does |
| --- | --- | --- |
"""

_DIFFERENCES_HEAD = """
## Packets that differ

| packet | with LLDB |
| --- | --- |
"""

_ERRORS_HEAD = """
## Errors that differ

All others have the same numbers. These are for LLDB itself: once `QThreadSuffixSupported` got `OK`, or in lldb-server's
role.

| packet | what goes wrong | with LLDB |
| --- | --- | --- |
"""

_SUFFIX_HEAD = """
## Packets that may name their thread

After OK to `QThreadSuffixSupported`, `;thread:ID;` may stand behind the arguments of """


def pages() -> dict[Path, str]:
    """Every page, whole."""
    rows = [PACKETS[name] for name in sorted(PACKETS, key=lambda name: (name.lower(), name))]
    return {DOCS / "packets.md": _packets(rows), DOCS / "dialects.md": _dialects(rows)}


def _packets(rows: list[Row]) -> str:
    packets = "".join(_line(row) for row in rows)
    monitor = "".join(
        f"| `{' '.join(c.words)}{' ' + c.arguments if c.arguments else ''}` | {c.help} |\n" for c in _commands()
    )
    return _HEAD + packets + _MONITOR_HEAD + monitor


def _dialects(rows: list[Row]) -> str:
    one_sided = "".join(f"| `{row.name}` | {_names(row)} | {row.summary} |\n" for row in rows if row.dialects != BOTH)
    differences = "".join(f"| `{row.name}` | {row.lldb} |\n" for row in rows if row.lldb)
    errors = "".join(
        f"| `{row.name}` | {_words(kind)} | `{reply.decode()}` |\n"
        for row in rows
        for kind, reply in row.lldb_errors.items()
    )
    suffixed = ", ".join(f"`{row.name}`" for row in rows if row.of_thread)
    pieces = (_DIALECT_HEAD, one_sided, _DIFFERENCES_HEAD, differences, _ERRORS_HEAD, errors, _SUFFIX_HEAD, suffixed)
    return "".join(pieces) + ".\n"


def _words(kind: type[Exception]) -> str:
    """`NoSuchThread` -> no such thread."""
    if kind is DebugServerError:
        return "anything else"
    return re.sub("(?<=[a-z])(?=[A-Z])", " ", kind.__name__).lower()


def _names(row: Row) -> str:
    return ", ".join(sorted(dialect.value for dialect in row.dialects))


def _line(row: Row) -> str:
    needs = f"`{row.needs.__name__}`" if row.needs else "-"
    no_process = "-" if row.no_process is None else f"E{row.no_process:02d}"
    feature = f"`{row.feature}`" if row.feature else ""
    return f"| `{row.name}` | {row.summary} | {needs} | {no_process} | {feature} |\n"


def _commands() -> list[MonitorCommand]:
    return sorted(MONITOR_COMMANDS.values(), key=lambda command: command.words)


if __name__ == "__main__":
    for page, text in pages().items():
        page.write_text(text)
        sys.stdout.write(f"{os.path.relpath(page)}\n")
