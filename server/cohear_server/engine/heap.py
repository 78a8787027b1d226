"""How the C library keeps memory that the decoder frees and needs again with the next batch.

With glibc's defaults each worker has its own heap, which is trimmed after every batch: much time goes into returning
pages and getting them again. One heap that keeps its top is faster and smaller. Other C libraries are not changed.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

BASE_BYTES, WORKER_BYTES = 290 << 20, 80 << 20
"""above this size free pages are returned after all: small results between big blocks would let the heap grow for
ever"""
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
KEPT_BYTES = 256 << 20
LARGEST_MMAP_THRESHOLD_BYTES = 32 << 20


def keep_one_heap() -> None:
    """Use one heap for the whole process from now on. Call it before threads decode."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return
    mallopt(M_ARENA_MAX, 1)
    mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
    mallopt(M_MMAP_THRESHOLD, LARGEST_MMAP_THRESHOLD_BYTES)


class HeapKeeper:
    """Returns free pages to the system when the process is larger than its workers need."""

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
        """Wrap work that needs very large blocks: one worker at a time, and free pages of the heap are returned
        before."""
        with self._large:
            if self._trim is not None:
                self._trim(0)
            yield


def _resident_bytes() -> int:
    """Memory of this process; 0 where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 0
