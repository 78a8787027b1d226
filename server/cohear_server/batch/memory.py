"""What a run remembers of earlier ones: transcripts of whole files, and what was heard in single windows.

Keys are hashes of the audio and of all options that decide its text. So a file that was moved or renamed is found
again, and a file that was changed is not. With the windows, a run that was killed goes on in the middle of a file.
Their entries are those of `engine.results`, and do not depend on how files are split."""

from __future__ import annotations

import zlib
from pathlib import Path

import msgspec
from cohear_client.transcript import Transcript

from ..core.jobs import DecodeJob, DecodeResult
from ..engine.cache import Cache, key_of
from ..engine.results import UNREADABLE, Results
from .options import HearingOptions
from .sources import content_hash


class Memory:
    """`cache` None remembers nothing. `identity` is that of the model (see `engine.results`)."""

    def __init__(self, cache: Cache | None, identity: str, hearing: HearingOptions) -> None:
        self._cache = cache
        self._fingerprint = hearing.fingerprint(identity)
        self._results = Results(cache, identity) if cache else None

    def file_key(self, path: Path) -> str:
        """Reads the file once. Raises ClientError(`no_file`)."""
        return key_of("file", self._fingerprint, content_hash(path)) if self._cache and path.is_file() else ""

    def file(self, key: str) -> tuple[Transcript, float] | None:
        """The transcript of a file, and its length in seconds."""
        data = self._cache.get(key) if self._cache and key else None
        if self._cache is None or data is None:
            return None
        try:
            return msgspec.json.decode(zlib.decompress(data), type=tuple[Transcript, float])
        except UNREADABLE:
            self._cache.discard(key)
            return None

    def keep_file(self, key: str, transcript: Transcript, audio_s: float) -> None:
        if self._cache and key:
            self._cache.put(key, zlib.compress(msgspec.json.encode((transcript, audio_s)), 1))

    def window(self, job: DecodeJob) -> DecodeResult | None:
        return self._results.get(job) if self._results else None

    def keep_window(self, job: DecodeJob, result: DecodeResult) -> None:
        if self._results:
            self._results.keep(job, result)
