"""Writes docs/packets.md out of the table of packets. `python -m tools.packet_table` (or `make docs`)."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import debugserver.stub.handlers.all  # noqa: F401 - enters every row
from debugserver.stub.registry import BOTH, MONITOR_COMMANDS, PACKETS, MonitorCommand, Row

PAGE = Path(__file__).parents[1] / "docs" / "packets.md"

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

_DIALECT_HEAD = """
## Dialects

A client whose `qSupported` list has `vContSupported+` speaks GDB's dialect, any other LLDB's. For both is all but:

| packet | only for |
| --- | --- |
"""


def page() -> str:
    """The whole page."""
    rows = [PACKETS[name] for name in sorted(PACKETS, key=lambda name: (name.lower(), name))]
    packets = "".join(_line(row) for row in rows)
    monitor = "".join(
        f"| `{' '.join(c.words)}{' ' + c.arguments if c.arguments else ''}` | {c.help} |\n" for c in _commands()
    )
    return _HEAD + packets + _MONITOR_HEAD + monitor + _DIALECT_HEAD + "".join(_dialect(row) for row in rows)


def _line(row: Row) -> str:
    needs = f"`{row.needs.__name__}`" if row.needs else "-"
    no_process = "-" if row.no_process is None else f"E{row.no_process:02d}"
    feature = f"`{row.feature}`" if row.feature else ""
    return f"| `{row.name}` | {row.summary} | {needs} | {no_process} | {feature} |\n"


def _commands() -> list[MonitorCommand]:
    return sorted(MONITOR_COMMANDS.values(), key=lambda command: command.words)


def _dialect(row: Row) -> str:
    if row.dialects == BOTH:
        return ""
    return f"| `{row.name}` | {', '.join(sorted(d.value for d in row.dialects))} |\n"


if __name__ == "__main__":
    PAGE.write_text(page())
    sys.stdout.write(f"{os.path.relpath(PAGE)}\n")
