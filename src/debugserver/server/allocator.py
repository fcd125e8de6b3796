"""How the C library's allocator treats buffers of a megabyte, which replies are made of.

By default it maps each anew and gives it back, and the kernel has to clear every page of it, every time. mallopt(3).
"""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""M_TRIM_THRESHOLD and M_MMAP_THRESHOLD."""
_KEPT = 16 * 1024 * 1024


def keep_large_buffers() -> None:
    """Use memory that was given back again. C libraries without such settings are left alone."""
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        library.mallopt(_MMAP_THRESHOLD, _KEPT)
        library.mallopt(_TRIM_THRESHOLD, _KEPT)
