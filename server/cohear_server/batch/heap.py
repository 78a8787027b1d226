"""How the C library keeps memory that the decoder frees, which is 100 MB a batch and asked for again at once.

With glibc's defaults each worker has a heap of its own, trimmed after every batch: a fifth of the time went into pages
given back and got again. One heap that keeps its top is quicker, and smaller. Other C libraries are left alone.
"""

from __future__ import annotations

import ctypes

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
KEPT_BYTES = 256 << 20
LARGEST_MMAP_THRESHOLD_BYTES = 32 << 20


def keep_one_heap() -> None:
    """For the whole process, from now on; call it before threads decode."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return
    mallopt(M_ARENA_MAX, 1)
    mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
    mallopt(M_MMAP_THRESHOLD, LARGEST_MMAP_THRESHOLD_BYTES)
