"""The programs that tests debug: C sources in tests/programs, compiled when a test first asks for one."""

from __future__ import annotations

import functools
import hashlib
import os
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

SOURCES = Path(__file__).resolve().parent.parent / "programs"
BUILD = SOURCES / "build"
DEFAULT_FLAGS = ("-g", "-O0", "-pthread")


@functools.cache
def compile_program(name: str, *flags: str) -> Path:
    """Compile tests/programs/`name`.c with `gcc -g -O0 -pthread` and `flags`, once for each source.

    Libraries named in `flags` as paths must already be built. Workers of one test run may ask at the same time.
    """
    source = SOURCES / f"{name}.c"
    command = ["gcc", *DEFAULT_FLAGS, str(source), *flags]
    key = hashlib.sha256("\0".join(command).encode() + source.read_bytes()).hexdigest()[:12]
    program = BUILD / key / name
    if not program.exists():
        program.parent.mkdir(parents=True, exist_ok=True)
        _compile(command, program)
    return program


def compile_library(name: str) -> Path:
    """Compile tests/programs/`name`.c as a shared library, to link against by its path."""
    return compile_program(name, "-shared", "-fPIC")


def _compile(command: list[str], program: Path) -> None:
    descriptor, unfinished = tempfile.mkstemp(dir=program.parent)
    os.close(descriptor)
    result = subprocess.run([*command, "-o", unfinished], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, f"{' '.join(command)}\n{result.stderr}"
    # Another worker's program stays where it is: it may run already.
    with suppress(FileExistsError):
        os.link(unfinished, program)
    os.unlink(unfinished)


def line_of(name: str, text: str) -> int:
    """The number of the only line of tests/programs/`name`.c that contains `text`."""
    lines = (SOURCES / f"{name}.c").read_text().splitlines()
    (number,) = (number for number, line in enumerate(lines, 1) if text in line)
    return number
