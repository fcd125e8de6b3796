"""Where in a process one instruction can be run without being in anybody's way: behind the end of the vDSO's code.

The kernel maps whole pages of it into every process, executable, and no thread ever comes to the zeros at their end.
vdso(7). Whoever uses the place puts the zeros back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from debugserver.errors import TargetError

if TYPE_CHECKING:
    from debugserver.linux.memory import MemoryFile

SIZE = 32
"""Bytes; no instruction of any CPU with a vDSO is longer."""


def find(maps: bytes, memory: MemoryFile) -> int:
    """The address of the place, by the text of /proc/PID/maps; 0 if there is none."""
    for line in maps.splitlines():
        if line.endswith(b"[vdso]"):
            end = int(line.split(b" ", 1)[0].split(b"-")[1], 16)
            try:
                return end - SIZE if memory.read(end - SIZE, SIZE) == bytes(SIZE) else 0
            except TargetError:
                return 0
    return 0
