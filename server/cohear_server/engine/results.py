"""What was heard in single windows, kept in the `cache`: the same window has one entry, whoever asks for it.

Its key is the hash of the model, of how that runs (`identity_of`), of the options that decide the text, and of the
samples. Kept is a plain form of DecodeResult without the times that it took. How finely windows are filled, and whether
tokens have probabilities of their own, does not count: that is how an engine is run, not what it is asked for.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from dataclasses import replace
from pathlib import Path

import msgspec
from cohear_client.messages import plain

from ..core.jobs import DecodeJob, DecodeResult
from .cache import Cache, key_of
from .options import EngineOptions
from .profile import find_profile

VERSION = "2"
"""raised when the same key gives other text, or results have another form"""
UNREADABLE = (msgspec.DecodeError, zlib.error, UnicodeDecodeError, RecursionError)
"""what reading an entry raises that somebody else wrote"""


class Results:
    """Safe under threads, as the cache is. `identity` is that of the model."""

    def __init__(self, cache: Cache, identity: str) -> None:
        self.cache = cache
        self._identity = identity

    def get(self, job: DecodeJob) -> DecodeResult | None:
        """What was heard in the window of such a job, as if in no time."""
        key = self._key(job)
        data = self.cache.get(key)
        if data is None:
            return None
        try:
            return replace(msgspec.json.decode(zlib.decompress(data), type=DecodeResult), job_id=job.id)
        except UNREADABLE:
            self.cache.discard(key)
            return None

    def keep(self, job: DecodeJob, result: DecodeResult) -> None:
        """Faults are not kept."""
        if result.error is None:
            timeless = replace(result, job_id="", wait_ms=0.0, decode_ms=0.0, batch_size=0, encode_ms=0.0, steps=0)
            self.cache.put(self._key(job), zlib.compress(msgspec.json.encode(timeless), 1))

    def _key(self, job: DecodeJob) -> str:
        wanted = {name: value for name, value in plain(job.options).items() if name != "model"}
        return key_of("window", VERSION, self._identity, json.dumps(wanted, sort_keys=True), job.pcm.tobytes())


def identity_of(options: EngineOptions) -> str:
    """Of a model that is run so, with device and compute type settled. Reads model.bin where its hash is not known."""
    sha256 = options.model_sha256 or _sha256(options.model_dir / "model.bin")
    profile = find_profile(options.model_name, options.profile_dir)
    windows = "padded" if profile is None else f"{profile.silence_ms} {profile.tail_states} {profile.short_windows}"
    return key_of(sha256, windows, options.device, options.compute_type)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
