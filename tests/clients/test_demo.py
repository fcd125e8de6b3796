"""`debugserver demo`: what somebody sees first, on a machine without GDB."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.gdb import expect

ROOT = Path(__file__).resolve().parents[2]


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL)


def test_every_step_works() -> None:
    result = run(sys.executable, "./debugserver", "demo")
    assert (result.returncode, result.stderr) == (0, "")
    expect(
        result.stdout,
        *(r"stands before its first instruction, at 0x", r"entry point, 0x[0-9a-f]+: hit"),
        *(r"-> 0x", r"breakpoint at getppid in .*: hit by thread (\d+)", r"^ +r8 .* rsp +0x|^ +rbp .* rsp +0x"),
        *(r"^   thread \d+ of process \d+, python", r"^   thread \d+ of process \d+, "),
        *(r"ended with status 7", r"Child exited with status 7", r"gdb -ex 'target remote :2345'"),
    )


def test_a_step_that_fails_fails_the_demonstration() -> None:
    script = (
        "import sys; sys.path.insert(0, 'src'); from debugserver import cli, demo; demo.STATUS = 8; "
        "sys.exit(demo.main([], cli.main))"
    )
    result = run(sys.executable, "-c", script)
    assert result.returncode == 1
    expect(result.stdout, "Failed: the program did not end with status 8", "What the server said")
    assert "All of it worked" not in result.stdout


def test_it_takes_no_arguments() -> None:
    assert run(sys.executable, "./debugserver", "demo", "now").returncode == 2
