"""Results of single windows in the `cache`: the same window has one entry, whoever asks for it.

The key is the hash of the model and how it runs (`identity_of`), of the options that decide the text, and of the
samples. The value is a DecodeResult without its times. How finely windows are filled, and whether tokens have their own
probabilities, is no part of the key: that is how the engine runs, not what it is asked.
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
        """The result for the window of this job, with times of 0."""
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
        """Keep a result; failed ones are not kept."""
        if result.error is None:
            timeless = replace(result, job_id="", wait_ms=0.0, decode_ms=0.0, batch_size=0, encode_ms=0.0, steps=0)
            self.cache.put(self._key(job), zlib.compress(msgspec.json.encode(timeless), 1))

    def _key(self, job: DecodeJob) -> str:
        wanted = {name: value for name, value in plain(job.options).items() if name != "model"}
        return key_of("window", VERSION, self._identity, json.dumps(wanted, sort_keys=True), job.pcm.tobytes())


def identity_of(options: EngineOptions) -> str:
    """The identity of a model with these options; device and compute type must be settled. Reads model.bin if its hash
    is not known."""
    sha256 = options.model_sha256 or _sha256(options.model_dir / "model.bin")
    profile = find_profile(options.model_name, options.profile_dir)
    windows = "padded" if profile is None else f"{profile.silence_ms} {profile.tail_states} {profile.short_windows}"
    return key_of(sha256, windows, options.device, options.compute_type)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
