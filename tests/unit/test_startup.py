"""Start-up has a budget (docs/decisions/0005-start-up-budget.md): what may be imported on the way to listening."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from tests.support.server import Server

LAUNCHER = Path(__file__).resolve().parents[2] / "debugserver"

# Adding to this list costs every user at every start: measure first: ./bench --only start --peers ours
ALLOWED = frozenset(
    """
    abc array binascii collections contextlib copyreg ctypes enum errno fcntl functools itertools keyword math
    operator os re reprlib resource select selectors shlex signal socket stat string struct termios time tty
    types typing warnings zlib
    """.split()
)
MODULE = re.compile(r"^import time: +\d+ \| +\d+ \| +(\S+)$", re.MULTILINE)


def imported_until_listening(*arguments: str) -> list[str]:
    """The modules that are imported from the end of the interpreter's own start until the server listens."""
    with Server([sys.executable, "-X", "importtime", str(LAUNCHER)], *arguments) as server:
        modules = MODULE.findall(server.log.text)
    return modules[modules.index("site") + 1 :]


@pytest.mark.parametrize("arguments", [("localhost:0", "/bin/true"), ("gdbserver", "localhost:0")])
def test_only_what_the_budget_allows_is_imported_until_the_server_listens(arguments: tuple[str, ...]) -> None:
    imported = imported_until_listening(*arguments)
    roots = {module.partition(".")[0] for module in imported if not module.startswith("_")}
    assert roots - ALLOWED - {"debugserver"} == set()
