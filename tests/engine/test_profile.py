from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from cohear_server.core.jobs import JobKind
from cohear_server.engine.profile import Profile, Table, find_profile, kept_tables, read_profile, write_profile
from cohear_server.engine.tail import MAX_STATES, EndStates, States, TailStates
from cohear_server.lab.profiling import build_tail
from numpy.typing import NDArray


def make(name: str = "some", **changes: object) -> Profile:
    fields: dict[str, object] = {
        "name": name,
        "model_sha256": "00ff",
        "short_windows": True,
        "silence_ms": 500,
        "tail_states": 300,
        "max_window_s": 20.0,
        "tokens_per_s": 8.0,
        "tokens_floor": 10,
        "tail": TailStates(np.linspace(-1, 1, 1400, dtype=np.float32)[:, None], 100),
        **changes,
    }
    return Profile(**fields)  # type: ignore[arg-type]


def test_what_is_written_is_read(tmp_path: Path) -> None:
    written = make()
    write_profile(tmp_path / "some", written, {})
    read = read_profile(tmp_path / "some")
    for name in ("name", "model_sha256", "short_windows", "silence_ms", "tail_states", "max_window_s", "tokens_floor"):
        assert getattr(read, name) == getattr(written, name)
    assert isinstance(read.tail, TailStates)
    assert read.tail.offset == 100
    assert read.tail.rows == pytest.approx(written.tail.rows, abs=1e-3)


def test_trained_states_and_their_lengths_are_read(tmp_path: Path) -> None:
    rows, filled = np.linspace(-1, 1, 16, dtype=np.float32)[:, None], (200, 350, MAX_STATES)
    write_profile(tmp_path / "some", make(tail=EndStates(rows), tail_states=16, filled_states=filled), {})
    read = read_profile(tmp_path / "some")
    assert isinstance(read.tail, EndStates)
    assert read.tail.rows == pytest.approx(rows, abs=1e-3)
    assert read.filled_states == filled
    assert read.window_steps_s == (3.18, 6.18)


def test_partials_may_have_a_tail_of_their_own(tmp_path: Path) -> None:
    rows, filled = np.linspace(-1, 1, 16, dtype=np.float32)[:, None], (201, 351, MAX_STATES)
    apart = make(silence_ms=200, tail=EndStates(rows), tail_states=16, filled_states=filled)
    write_profile(tmp_path / "some", make(partials=apart), {"calibration": {"slope": 1.0}})
    with (tmp_path / "some" / "profile.toml").open("rb") as file:
        assert set(tomllib.load(file)) > {"partials", "calibration"}


def test_the_setting_is_that_of_the_kind(tmp_path: Path) -> None:
    rows, filled = np.linspace(-1, 1, 16, dtype=np.float32)[:, None], (201, 351, MAX_STATES)
    apart = make(silence_ms=200, tail=EndStates(rows), tail_states=16, filled_states=filled)
    write_profile(tmp_path / "some", make(partials=apart), {})
    read = read_profile(tmp_path / "some")
    partials, finals = read.of(JobKind.PARTIAL), read.of(JobKind.FINAL)
    assert (partials.silence_ms, partials.tail_states, partials.filled_states) == (200, 16, filled)
    assert isinstance(partials.tail, EndStates)
    assert finals is read
    assert isinstance(finals.tail, TailStates)
    assert make().of(JobKind.PARTIAL).silence_ms == make().silence_ms


@pytest.mark.parametrize("filled", [(128, MAX_STATES), (350, 200, MAX_STATES), (350, 500)])
def test_lengths_that_no_engine_takes_are_refused(tmp_path: Path, filled: tuple[int, ...]) -> None:
    write_profile(tmp_path / "some", make(filled_states=filled), {})
    with pytest.raises(ValueError, match="filled_states"):
        read_profile(tmp_path / "some")


def test_what_others_measured_is_kept(tmp_path: Path) -> None:
    tables: dict[str, Table] = {
        "calibration": {"points": [0.5, 1.0], "by": 'an "evaluation"'},
        "measured": {"words": 3},
    }
    write_profile(tmp_path / "some", make(), tables)
    assert kept_tables(tmp_path / "some") == {"calibration": tables["calibration"]}
    assert kept_tables(tmp_path / "none") == {}


@pytest.mark.parametrize("name", ["tiny.en", "base"])
def test_the_committed_profiles_are_usable(name: str) -> None:
    profile = find_profile(name)
    assert profile is not None
    assert profile.allows(10.0)
    assert len(profile.model_sha256) == 64


def test_a_model_without_profile_has_none(tmp_path: Path) -> None:
    assert find_profile("no-such-model") is None
    assert find_profile("tiny.en", tmp_path) is None


def test_names_do_not_lead_out_of_the_folder(tmp_path: Path) -> None:
    write_profile(tmp_path / "outside", make("outside"), {})
    (tmp_path / "profiles").mkdir()
    assert find_profile("../outside", tmp_path / "profiles") is None


def test_windows_beyond_the_limit_are_not_short() -> None:
    assert make().allows(20.0)
    assert not make().allows(20.1)
    assert not make(short_windows=False).allows(1.0)


@pytest.mark.parametrize(
    ("old", "new"), [("silence_ms = 500", ""), ("tail_states = 300", "tail_states = 80"), ("20.0", '"20"')]
)
def test_a_broken_profile_is_refused(tmp_path: Path, old: str, new: str) -> None:
    write_profile(tmp_path / "some", make(), {})
    path = tmp_path / "some" / "profile.toml"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ValueError, match=r"profile\.toml"):
        read_profile(tmp_path / "some")


class Positions:
    """Stands in for the encoder: each state is its own position, plus the window's level."""

    def encode(self, waves: Sequence[NDArray[np.float32]]) -> list[States]:
        assert [len(wave) for wave in waves] == [480_000]
        loud = float(waves[0][0])
        return [np.arange(MAX_STATES, dtype=np.float32)[:, None] + loud]


def test_tail_is_the_average_of_the_silent_rests() -> None:
    quiet, loud = np.zeros(16_000, np.float32), np.full(32_000, 3.0, np.float32)
    tail = build_tail(Positions(), [quiet, loud])
    # the quiet clip broken off in the middle is the shortest
    assert tail.offset == 25 + 25
    assert tail.rows[0, 0] == 50
    # the whole quiet clip and half of the loud one end at the same place, the whole loud one after a second more
    assert tail.at(75, 76)[0, 0] == 75 + 1
    assert tail.at(300, 301)[0, 0] == 300 + 1.5
