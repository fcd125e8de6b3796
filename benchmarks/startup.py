"""How long `debugserver :0 /bin/true` takes from exec until it listens: least, median and most of some runs, in ms.

Usage: startup.py [RUNS [COMMAND...]]; COMMAND is another server with the same command line, to compare with.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

SOURCE = Path(__file__).resolve().parents[1] / "src"


def measure(command: Sequence[str]) -> float:
    """Milliseconds until the line is there. The server is ended before this returns."""
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "PYTHONDONTWRITEBYTECODE": ""}
    start = time.perf_counter()
    with subprocess.Popen([*command, ":0", "/bin/true"], stderr=subprocess.PIPE, env=environment) as server:
        assert server.stderr is not None
        listening = any(line.startswith(b"Listening on port") for line in server.stderr)
        elapsed = time.perf_counter() - start
        server.terminate()
    if not listening:
        sys.exit(f"{command} did not listen")
    return 1000 * elapsed


def main(runs: str = "20", *command: str) -> None:
    """Print one line."""
    command = command or (sys.executable, "-m", "debugserver")
    measure(command)  # compiles
    times = [measure(command) for _ in range(int(runs))]
    print(f"{min(times):.0f} ms least, {statistics.median(times):.0f} median, {max(times):.0f} most of {len(times)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
