"""How the C library keeps memory that the decoder frees, which is 100 MB a batch and asked for again at once.

With glibc's defaults each worker has a heap of its own, trimmed after every batch: a fifth of the time went into pages
given back and got again. One heap that keeps its top is quicker, and smaller. Other C libraries are left alone.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

BASE_BYTES, WORKER_BYTES = 290 << 20, 80 << 20
"""from where on free pages go back after all: small results between big blocks would let the heap grow for ever"""
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


class HeapKeeper:
    """Gives free pages back when the process has grown past what its workers need."""

    def __init__(self, workers: int) -> None:
        self._limit_bytes = BASE_BYTES + workers * WORKER_BYTES
        self._large = threading.Lock()
        self._trim: Callable[[int], object] | None = None
        with contextlib.suppress(OSError, AttributeError, TypeError):
            self._trim = ctypes.CDLL(None).malloc_trim

    def batch_done(self) -> None:
        """Call it after each batch, from any thread."""
        if self._trim is not None and _resident_bytes() > self._limit_bytes:
            self._trim(0)

    @contextlib.contextmanager
    def large_blocks(self) -> Iterator[None]:
        """Around work that needs blocks too large for the heap: one worker at a time, free pages of the heap given
        back before."""
        with self._large:
            if self._trim is not None:
                self._trim(0)
            yield


def _resident_bytes() -> int:
    """0 where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 0
