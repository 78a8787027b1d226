"""The last resort at a shutdown: ends the process when something in it does not end.

A thread that hangs in the engine cannot be stopped, and Python waits for it before it exits. So a process that was told
to stop gets a deadline, and is ended there whatever it does. The orderly end is not here (see `app`).
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
from collections.abc import Callable

logger = logging.getLogger(__name__)

FORCED = 1
"""exit status of a process that had to be ended"""


class Ending:
    def __init__(self, end: Callable[[int], object] = os._exit) -> None:
        self._end = end
        self._timer: threading.Timer | None = None

    def within(self, limit_s: float) -> None:
        """End the process after at most `limit_s`. A later call replaces an earlier one."""
        self.cancel()
        self._timer = threading.Timer(limit_s, self._force, (limit_s,))
        # the interpreter does not wait for it, but it still runs while the interpreter waits for others
        self._timer.daemon = True
        self._timer.start()

    def cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _force(self, limit_s: float) -> None:
        logger.error("not over %.0f s after it was told to stop: the process is ended as it is", limit_s)
        logging.shutdown()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):  # closed, or nobody reads it
                stream.flush()
        self._end(FORCED)
