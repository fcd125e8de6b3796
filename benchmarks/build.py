"""The C programs of the benchmark, compiled when they are needed, and the symbols in them."""

from __future__ import annotations

import functools
import os
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUILD = HERE / "build"


@functools.cache
def compiled(source: str, *flags: str) -> Path:
    """The program made from benchmarks/`source` by gcc with `flags`; made again when the source is newer."""
    path = HERE / source
    program = BUILD / path.stem
    if not program.exists() or program.stat().st_mtime < path.stat().st_mtime:
        BUILD.mkdir(exist_ok=True)
        descriptor, unfinished = tempfile.mkstemp(dir=BUILD)
        os.close(descriptor)
        subprocess.run(["gcc", "-Wall", "-Wextra", *flags, str(path), "-o", unfinished], check=True, timeout=60)
        os.replace(unfinished, program)  # another run may be using the old one
    return program


def tool(source: str) -> Path:
    """A program that measures."""
    return compiled(source, "-O2")


def debuggee(name: str) -> Path:
    """A program to be debugged, benchmarks/programs/`name`.c. Its symbols are addresses: no -pie."""
    return compiled(f"programs/{name}.c", "-g", "-O0", "-no-pie", "-pthread")


@functools.cache
def symbols(program: Path) -> dict[str, int]:
    """The global symbols that `program` defines."""
    listing = subprocess.run(["nm", "--extern-only", "--defined-only", str(program)], capture_output=True, check=True)
    lines = (line.split() for line in listing.stdout.decode().splitlines())
    return {name: int(address, 16) for address, _, name in lines}
