"""The files that a server hears at a time: how many, of whom, and what they share. It reads none itself."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from ..engine.backend import ModelInfo
from ..errors import OverloadError
from ..scheduling.dispatcher import Dispatcher
from .options import HearingOptions
from .upload import Bench, Upload, UploadedFile

READERS = 2
"""threads that read files; each step of one is a window"""

ROOM = 32
"""windows of all files that wait or are decoded: some 16 MB at most, and enough for full batches"""

RETRY_AFTER_S = 2.0


@dataclass(frozen=True, slots=True)
class UploadLimits:
    files: int = 64
    """that are received or heard at the same time"""
    per_key: int = 0
    """of them from one key; 0: all"""


class Uploads:
    def __init__(self, dispatcher: Dispatcher, limits: UploadLimits) -> None:
        self.limits = limits
        self.held: Counter[str] = Counter()
        """places by the key that holds them"""
        self._dispatcher = dispatcher
        self._readers = ThreadPoolExecutor(READERS, "reader")
        self._room = asyncio.Semaphore(ROOM)

    @contextlib.contextmanager
    def place(self, key_id: str) -> Iterator[None]:
        """A place, from the first byte of the file to the last of the answer. Raises OverloadError(`overloaded`)."""
        if self.held.total() >= self.limits.files:
            raise _full(f"this server hears {self.limits.files} files already")
        if key_id and 0 < self.limits.per_key <= self.held[key_id]:
            raise _full("your key sends all the files that it may")
        self.held[key_id] += 1
        try:
            yield
        finally:
            self.held[key_id] -= 1
            if not self.held[key_id]:
                del self.held[key_id]

    def hear(self, model: ModelInfo, uploaded: UploadedFile, hearing: HearingOptions) -> Upload:
        """Raises ClientError for a language or a task that the model does not know. The file is closed by the upload,
        once its texts are asked for."""
        if fault := model.fault(hearing.language, hearing.task):
            raise fault
        settled = replace(hearing, language=hearing.language or model.only_language)
        return Upload(Bench(self._dispatcher, model.name, self._readers, self._room), uploaded, settled)


def _full(why: str) -> OverloadError:
    return OverloadError("overloaded", why, "try again later", retry_after_s=RETRY_AFTER_S)
