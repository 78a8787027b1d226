"""What a batch took of the engine, counted where it happens, for whoever models the cost (`scheduling.costs`).

A batch is decoded in one thread, so each thread has a count of its own, begun anew with each batch."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator


class Tally(threading.local):
    encode_s = 0.0
    steps = 0
    """decoder steps, of each call those of its longest text"""

    def begin(self) -> None:
        self.encode_s, self.steps = 0.0, 0

    @contextlib.contextmanager
    def encoding(self) -> Iterator[None]:
        begun_s = time.perf_counter()
        yield
        self.encode_s += time.perf_counter() - begun_s


TALLY = Tally()
