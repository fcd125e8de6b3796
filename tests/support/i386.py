"""The 32-bit program that tests debug, and the flags that build it without a C library."""

from __future__ import annotations

from tests.support.programs import compile_program

FREESTANDING = ("-m32", "-nostdlib", "-static", "-no-pie", "-fno-pic", "-fno-stack-protector", "-fcf-protection=none")

PROGRAM = compile_program("i386", *FREESTANDING)
