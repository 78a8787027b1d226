"""A model's window profile: how short its windows may be, and what must follow the speech in them.

    models/profiles/NAME/profile.toml     the fields of `Profile`, and the figures it rests on under [measured]
    models/profiles/NAME/tail.npz         rows: float16 [n, d_model], offset: int (see `tail`)

A model without a profile runs padded to 30 s: correct, and slow. Profiles are made by `profiling`; this
module only reads them.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .tail import TailStates

PACKAGE_DIR = Path(__file__).parents[1]
MIN_TAIL_STATES = 150
"""Shorter tails were not measured to work; and CTranslate2 takes 80 or 128 states, as many as mels, for audio."""

FIELDS = {
    "model_sha256": str,
    "short_windows": bool,
    "silence_ms": int,
    "tail_states": int,
    "max_window_s": float,
    "tokens_per_s": float,
    "tokens_floor": int,
}


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    name: str
    model_sha256: str
    """of the model.bin it was measured on"""
    short_windows: bool
    """False: measured, and not good enough; the model is padded to 30 s"""
    silence_ms: int
    """zeros encoded after the audio, before the tail"""
    tail_states: int
    max_window_s: float
    """longer windows are padded to 30 s"""
    tokens_per_s: float
    """a window of s seconds gives at most tokens_floor + s * tokens_per_s tokens"""
    tokens_floor: int
    tail: TailStates

    def allows(self, window_s: float) -> bool:
        return self.short_windows and window_s <= self.max_window_s


def read_profile(folder: Path) -> Profile:
    """Raises ValueError for a profile that cannot be used, OSError for one that cannot be read."""
    with (folder / "profile.toml").open("rb") as file:
        table = tomllib.load(file)
    for name, kind in FIELDS.items():
        if not isinstance(table.get(name), kind):
            raise ValueError(f"{folder / 'profile.toml'}: {name} must be of type {kind.__name__}")
    if table["tail_states"] < MIN_TAIL_STATES:
        raise ValueError(f"{folder / 'profile.toml'}: tail_states must be at least {MIN_TAIL_STATES}")
    with np.load(folder / "tail.npz") as arrays:
        tail = TailStates(arrays["rows"].astype(np.float32), int(arrays["offset"]))
    return Profile(folder.name, tail=tail, **{name: table[name] for name in FIELDS})


def profiles_dir() -> Path:
    """The committed profiles: inside an installed wheel, else in the checkout."""
    installed = PACKAGE_DIR / "_models" / "profiles"
    return installed if installed.is_dir() else PACKAGE_DIR.parents[1] / "models" / "profiles"


def find_profile(name: str, folder: Path | None = None) -> Profile | None:
    """The profile of model `name`, or None if it has none. Raises as `read_profile` does."""
    # looked up among what is there: a model's name comes from the command line, and may hold slashes
    for path in (folder or profiles_dir()).glob("*/profile.toml"):
        if path.parent.name == name:
            return read_profile(path.parent)
    return None
