"""A model's window profile: how short its windows may be, and what must follow the speech in them.

    models/profiles/NAME/profile.toml     the fields of `Profile`; the evidence for them under [measured]; where word
                                          probabilities were calibrated, also [calibration] (see `calibration`)
    models/profiles/NAME/tail.npz         rows: float16 [n, d_model]; of averages also offset, step: int (see `tail`)
    models/profiles/NAME/partials.npz     the same for partials, where [partials] in the profile sets them apart

A model without a profile runs padded to 30 s, which is correct but slow. So does a model whose text becomes worse in
short windows: its profile has `short_windows = false`, a `reason`, and no states. Profiles are made by `profiling`;
this module reads and writes them.
"""

from __future__ import annotations

import json
import logging
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from ..core.jobs import JobKind
from ..errors import ClientError
from .calibration import Calibration, calibration_of
from .options import EngineOptions
from .tail import FILLED_STATES, MAX_STATES, STATE_S, EndStates, Tail, TailStates

logger = logging.getLogger(__name__)

PACKAGE_DIR = Path(__file__).parents[1]
MIN_TAIL_STATES = 150
"""For averages; no shorter tail is known to work."""
MIN_FILLED_STATES = 129
"""CTranslate2 takes an input of 80 or 128 states, the number of mel bands, for audio that is not encoded yet."""

FIELDS = {
    "model_sha256": str,
    "short_windows": bool,
    "silence_ms": int,
    "tail_states": int,
    "max_window_s": float,
    "tokens_per_s": float,
    "tokens_floor": int,
}

OWN_TABLES = ("measured", "partials")
"""Tables that a new profile writes itself; it keeps all others (`kept_tables`)."""

Value: TypeAlias = bool | int | float | str | list[float]
Table: TypeAlias = Mapping[str, Value]


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
    tail: Tail
    reason: str = ""
    """why this setting, or why none; for people"""
    calibration: Calibration | None = None
    """Of word probabilities. None: they are used as the decoder gives them."""
    filled_states: tuple[int, ...] = FILLED_STATES
    """The numbers of states that windows are filled to, rising to 1500. `EngineOptions` may give others."""

    partials: Profile | None = None
    """The profile with another tail, for partials. None: partials have the tail of finals."""

    def of(self, kind: JobKind) -> Profile:
        """The setting for windows of this kind."""
        return self.partials if self.partials is not None and kind is JobKind.PARTIAL else self

    def allows(self, window_s: float) -> bool:
        return self.short_windows and window_s <= self.max_window_s

    @property
    def window_steps_s(self) -> tuple[float, ...]:
        """The longest window of each filled length (see `tail`), but for those that are 30 s anyway."""
        longest = ((filled - self.tail_states) * STATE_S - self.silence_ms / 1000 for filled in self.filled_states[:-1])
        return tuple(round(s, 2) for s in longest if 0 < s <= self.max_window_s) if self.short_windows else ()


def read_profile(folder: Path) -> Profile:
    """Raises ValueError for a profile that cannot be used, OSError for one that cannot be read."""
    with (folder / "profile.toml").open("rb") as file:
        table = tomllib.load(file)
    for name, kind in FIELDS.items():
        if not isinstance(table.get(name), kind):
            raise ValueError(f"{folder / 'profile.toml'}: {name} must be of type {kind.__name__}")
    calibration = calibration_of(table["calibration"]) if "calibration" in table else None
    reason = str(table.get("reason", ""))
    fields = {name: table[name] for name in FIELDS}
    tail, filled = _read_tail(folder / "tail.npz", table), _filled(folder, table)
    profile = Profile(folder.name, tail=tail, reason=reason, calibration=calibration, filled_states=filled, **fields)
    if "partials" not in table:
        return profile
    own = fields | table["partials"]
    return replace(
        profile,
        partials=replace(
            profile,
            tail=_read_tail(folder / "partials.npz", own),
            silence_ms=int(own["silence_ms"]),
            tail_states=int(own["tail_states"]),
            filled_states=_filled(folder, own),
        ),
    )


def _filled(folder: Path, table: Mapping[str, Any]) -> tuple[int, ...]:
    filled = tuple(table.get("filled_states", FILLED_STATES))
    if filled != tuple(sorted(set(filled))) or filled[0] < MIN_FILLED_STATES or filled[-1] != MAX_STATES:
        raise ValueError(f"{folder / 'profile.toml'}: filled_states must rise from {MIN_FILLED_STATES} to {MAX_STATES}")
    return filled


def _read_tail(path: Path, table: Mapping[str, Any]) -> Tail:
    with np.load(path) as arrays:
        rows = arrays["rows"].astype(np.float32)
        averages = "offset" in arrays
        tail = TailStates(rows, int(arrays["offset"]), int(arrays.get("step", 1))) if averages else EndStates(rows)
    least = MIN_TAIL_STATES if averages else len(rows)
    if table["tail_states"] < least:
        raise ValueError(f"{path.parent / 'profile.toml'}: tail_states must be at least {least}")
    return tail


def write_profile(folder: Path, profile: Profile, tables: Mapping[str, Table]) -> None:
    """Write profile.toml, with `tables` after its fields, and tail.npz into `folder`, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    fields = {name: getattr(profile, name) for name in (*FIELDS, "reason")}
    if profile.filled_states != FILLED_STATES:
        fields["filled_states"] = list(profile.filled_states)
    lines = [f"# Window profile of {profile.name}; made by lab.profiling.make_profile", *_entries(fields)]
    if profile.partials is not None:
        apart = profile.partials
        own: Table = {
            "silence_ms": apart.silence_ms,
            "tail_states": apart.tail_states,
            "filled_states": list(apart.filled_states),
        }
        tables = {"partials": own, **tables}
    for name, table in tables.items():
        lines += ["", f"[{name}]", *_entries(table)]
    (folder / "profile.toml").write_text("\n".join(lines) + "\n")
    _write_tail(folder / "tail.npz", profile.tail)
    if profile.partials is not None:
        _write_tail(folder / "partials.npz", profile.partials.tail)


def _write_tail(path: Path, tail: Tail) -> None:
    rows = tail.rows.astype(np.float16)
    if isinstance(tail, TailStates):
        np.savez_compressed(path, rows=rows, offset=np.int32(tail.offset), step=np.int32(tail.step))
    else:
        np.savez_compressed(path, rows=rows)


def kept_tables(folder: Path) -> dict[str, Table]:
    """Tables of the profile in `folder` that a new one takes over: what others measured, such as [calibration]."""
    try:
        with (folder / "profile.toml").open("rb") as file:
            tables = tomllib.load(file)
    except FileNotFoundError:
        return {}
    return {name: table for name, table in tables.items() if isinstance(table, dict) and name not in OWN_TABLES}


def _entries(table: Table) -> list[str]:
    # of plain values and lists of numbers, JSON is TOML
    return [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in table.items()]


def profiles_dir() -> Path:
    """The committed profiles: inside an installed wheel, else in the checkout."""
    installed = PACKAGE_DIR / "_models" / "profiles"
    return installed if installed.is_dir() else PACKAGE_DIR.parents[1] / "models" / "profiles"


def find_profile(name: str, folder: Path | None = None) -> Profile | None:
    """The profile of model `name`, or None if it has none. Raises as `read_profile` does."""
    # looked up among what is there: a model's name comes from the command line, and may hold slashes
    for path in (folder or profiles_dir()).glob("*/profile.toml"):
        if path.parent.name == name.replace("/", "--"):
            return read_profile(path.parent)
    return None


def usable_profile(options: EngineOptions) -> Profile | None:
    """The profile that an engine of these options runs with, or None: it then pads every window to 30 s.

    Raises ClientError(`bad_profile`) for one that cannot be read."""
    try:
        profile = find_profile(options.model_name, options.profile_dir)
    except (OSError, ValueError) as fault:
        raise ClientError(
            "bad_profile", f"the profile of model {options.model_name}: {fault}", "make it anew"
        ) from fault
    if profile is None:
        logger.warning("model %s has no profile: every window is padded to 30 s, which is slow", options.model_name)
        return None
    if options.model_sha256 not in (None, profile.model_sha256):
        logger.warning(
            "the profile of %s was made for other weights: every window is padded to 30 s", options.model_name
        )
        return None
    if not profile.short_windows:
        logger.warning("model %s stays padded to 30 s, which is slow: %s", options.model_name, profile.reason)
    if options.filled_states is not None:
        return replace(profile, filled_states=options.filled_states)
    return profile
