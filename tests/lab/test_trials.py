"""What trials count, on texts and sounds made for it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from cohear_server.errors import ClientError
from cohear_server.lab.trial_speech import read_speech
from cohear_server.lab.trials import Utterance, cut_in_speech, distance, ends_in_loop, errors, joined, words

from ..engine.jobs import noise


@pytest.mark.parametrize(
    ("wanted", "got", "edits"),
    [
        ("a b c", "a b c", 0),
        ("a b c", "a x c", 1),
        ("a b c", "a c", 1),
        ("a b c", "z a b c d", 2),
        ("a b c d", "d a b c", 2),
        ("", "a b", 2),
        ("a b", "", 2),
    ],
)
def test_distance_in_words(wanted: str, got: str, edits: int) -> None:
    assert distance(wanted.split(), got.split()) == edits


def test_errors_are_pooled_and_blind_to_case_and_punctuation() -> None:
    found = errors(["It's a dog.", "and a cat"], ["it\u2019s a DOG", "a cat!"])
    assert (found.words, found.errors) == (6, 1)


def test_spelled_words_are_words() -> None:
    assert words("F-R-A-N-K, 38") == words("frank 38") == ["frank", "38"]


def test_loops_of_words() -> None:
    assert ends_in_loop("so he went " + "and then he left " * 3)
    assert not ends_in_loop("no, no, no")
    assert not ends_in_loop("")


def test_cut_windows_lie_in_their_utterances() -> None:
    speech = [Utterance(noise(seconds), "en") for seconds in (1.0, 3.0, 12.0)]
    windows = cut_in_speech(speech, 9)
    assert len(windows) == 9
    assert all(0.8 <= window.seconds <= 6.0 for window in windows)
    assert cut_in_speech(speech[:1], 9) == []


def test_long_windows_are_of_one_language() -> None:
    speech = [Utterance(noise(8), lang, "a b") for lang in ("en", "de") for _ in range(5)]
    windows = joined(speech, 8)
    assert [(window.language, window.seconds, window.reference) for window in windows] == [
        ("de", 24.0, "a b a b a b"),
        ("en", 24.0, "a b a b a b"),
    ]


def write(folder: Path, name: str, seconds: float, rate_hz: int = 16_000) -> None:
    soundfile.write(folder / name, np.zeros(int(seconds * rate_hz), np.int16), rate_hz)


def test_a_folder_of_clips(tmp_path: Path) -> None:
    write(tmp_path, "a.wav", 2, 8_000)
    write(tmp_path, "too-short.wav", 0.5)
    (tmp_path / "note.txt").write_text("no clip")
    (one,) = read_speech(tmp_path)
    assert (one.seconds, one.language, one.reference) == (2, None, None)


@pytest.mark.parametrize("given", ["", "manifest.jsonl"])
def test_a_manifest(tmp_path: Path, given: str) -> None:
    write(tmp_path, "a.wav", 2)
    write(tmp_path, "noise.wav", 2)
    rows = [{"file": "a.wav", "lang": "en-GB", "norm": "a b"}, {"file": "noise.wav", "norm": ""}]
    (tmp_path / "manifest.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (one,) = read_speech(tmp_path / given)
    assert (one.language, one.reference) == ("en", "a b")


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "manifest.jsonl").write_text('{"file": "gone.wav", "norm": "a"}')
    with pytest.raises(ClientError, match=r"gone\.wav") as refused:
        read_speech(tmp_path)
    assert refused.value.code == "bad_audio"
