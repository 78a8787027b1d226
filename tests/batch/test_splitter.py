from __future__ import annotations

import numpy as np
import pytest
from cohear_server.batch.speech import CHUNK_SAMPLES, make_detector
from cohear_server.batch.splitter import Piece, SplitOptions, Splitter, Window
from cohear_server.core.jobs import SAMPLE_RATE_HZ, Pcm
from cohear_server.core.vad import Probabilities
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

OPTIONS = SplitOptions(min_window_s=2.0, max_window_s=5.0)


class Loud:
    """Speech is where samples are not 0."""

    def push(self, chunks: NDArray[np.int16]) -> Probabilities:
        return np.asarray(np.abs(chunks).max(axis=1, initial=0) > 0, np.float32)


def audio(*stretches: tuple[float, bool]) -> Pcm:
    """(seconds, speech or not); each sample of speech tells its place."""
    parts = [np.full(int(seconds * SAMPLE_RATE_HZ), int(speech), np.int16) for seconds, speech in stretches]
    whole = np.concatenate(parts) if parts else np.zeros(0, np.int16)
    places = (np.arange(len(whole)) % 30_000 + 1).astype(np.int16)
    return np.where(whole > 0, places, 0).astype(np.int16)


def split(pcm: Pcm, block: int = 50_000, options: SplitOptions = OPTIONS) -> list[Window]:
    blocks = [pcm[at : at + block] for at in range(0, len(pcm), block)]
    return list(Splitter(options, Loud()).windows(blocks))


stretches = st.lists(st.tuples(st.floats(0.01, 8.0), st.booleans()), max_size=12)


@given(stretches, st.integers(200, 90_000))
def test_all_speech_is_in_a_window_once_in_order_and_windows_are_short_enough(
    made: list[tuple[float, bool]], block: int
) -> None:
    pcm = audio(*made)
    covered = np.zeros(len(pcm), int)
    last = 0
    for window in split(pcm, block):
        assert 0 < len(window.pcm) <= OPTIONS.max_window_s * SAMPLE_RATE_HZ + CHUNK_SAMPLES
        for piece in window.pieces:
            assert piece.start >= last
            last = piece.start + piece.length
            covered[piece.start : last] += 1
            inside = window.pcm[piece.at : piece.at + piece.length]
            assert np.array_equal(inside, pcm[piece.start : last])
    assert covered.max(initial=0) <= 1
    assert np.all(covered[pcm != 0] == 1)


@given(stretches, st.integers(200, 90_000))
def test_windows_do_not_depend_on_the_size_of_blocks(made: list[tuple[float, bool]], block: int) -> None:
    pcm = audio(*made)
    one, other = split(pcm, block), split(pcm, len(pcm) or 1)
    assert [window.pieces for window in one] == [window.pieces for window in other]


def test_the_cut_is_at_the_longest_pause() -> None:
    pcm = audio((3.0, True), (0.3, False), (1.0, True), (0.6, False), (4.0, True))
    first, second = split(pcm)
    assert first.end == pytest.approx(4.6 * SAMPLE_RATE_HZ, abs=CHUNK_SAMPLES * 2)
    assert second.start == first.end


def test_long_pauses_are_taken_out_and_places_still_found() -> None:
    pcm = audio((1.5, True), (2.5, False), (1.5, True))
    (window,) = split(pcm)
    assert len(window.pieces) == 2
    assert sum(piece.length for piece in window.pieces) < 3.9 * SAMPLE_RATE_HZ
    at = int(np.flatnonzero(window.pcm == pcm[int(4.2 * SAMPLE_RATE_HZ)])[-1])
    assert window.place(at) == int(4.2 * SAMPLE_RATE_HZ)
    edge = window.pieces[1].at
    assert window.place(edge) == window.pieces[1].start
    assert window.place(edge, end=True) == window.pieces[0].start + window.pieces[0].length
    assert window.place(len(window.pcm), end=True) == window.end


@pytest.mark.parametrize("length_s", [0.2, 0.5, 0.9])
def test_after_a_word_alone_more_of_the_pause_is_kept(length_s: float) -> None:
    (window,) = split(audio((length_s, True), (2.0, False), (length_s, True)))
    first, second = window.pieces
    kept_s = (second.at - first.at) / SAMPLE_RATE_HZ - length_s
    assert kept_s == pytest.approx(OPTIONS.after_alone_s, abs=0.1)
    assert split(audio((length_s, True), (1.0, False), (length_s, True)))[0].pieces[1:] == ()


def test_a_long_silence_ends_a_window() -> None:
    assert len(split(audio((0.5, True), (4.0, False), (0.5, True)))) == 2


def test_what_was_read_before_a_fault_is_heard_first() -> None:
    def blocks() -> object:
        yield audio((1.0, True))
        raise OSError("the disk broke")

    windows = Splitter(OPTIONS, Loud()).windows(blocks())  # type: ignore[arg-type]
    assert next(windows).end == SAMPLE_RATE_HZ
    with pytest.raises(OSError, match="the disk broke"):
        next(windows)


@pytest.mark.parametrize("name", ["silero", "energy"])
def test_detectors_hear_no_speech_in_silence_and_take_any_block(name: str) -> None:
    detector = make_detector(name)  # type: ignore[arg-type]
    found = [detector.push(np.zeros((n, CHUNK_SAMPLES), np.int16)) for n in (1, 0, 64, 65)]
    assert [len(one) for one in found] == [1, 0, 64, 65]
    assert max(one.max(initial=0.0) for one in found) < 0.5


def test_a_file_is_heard_with_silence_around_it_and_places_are_the_files() -> None:
    """A detector that starts in mid-word, and a model that sees no silence, hear nothing in a short clip."""
    pcm = audio((0.5, True))
    (window,) = split(pcm)
    (piece,) = window.pieces
    assert (piece.start, piece.length) == (0, len(pcm))
    assert piece.at == pytest.approx(OPTIONS.before_s * SAMPLE_RATE_HZ, abs=CHUNK_SAMPLES)
    after = len(window.pcm) - piece.at - piece.length
    assert after == pytest.approx(OPTIONS.after_s * SAMPLE_RATE_HZ, abs=CHUNK_SAMPLES)
    assert not np.any(window.pcm[: piece.at])
    assert not np.any(window.pcm[-after:])
    assert (window.place(0), window.place(len(window.pcm), end=True)) == (0, len(pcm))


def test_silence_around_a_file_is_no_window() -> None:
    blocks = [np.zeros(100, np.int16)]
    (window,) = Splitter(OPTIONS, make_detector("none")).windows(blocks)
    assert window.pieces[0].length == 100
    assert list(Splitter(OPTIONS, make_detector("none")).windows([])) == []


@pytest.mark.parametrize(
    ("word", "place"),
    [
        ((0, 4_000), (0, 4_000)),
        ((10_000, 60_000), (64_000, 77_600)),  # most of it lies in the second
        ((4_000, 40_000), (4_000, 17_600)),  # in the first
        ((20_000, 22_000), (20_000, 22_000)),  # in no speech: as it is
    ],
)
def test_a_word_stays_inside_the_speech_that_most_of_it_lies_in(word: tuple[int, int], place: tuple[int, int]) -> None:
    pieces = (Piece(0, 0, 24_000), Piece(24_000, 56_000, 60_000))
    window = Window(np.zeros(84_000, np.int16), pieces, ((0, 16_000), (33_600, 44_000), (50_000, 80_000)))
    assert window.span(*word) == place


@given(
    st.lists(st.tuples(st.floats(0.1, 2), st.booleans()), max_size=9), st.integers(0, 90_000), st.integers(1, 20_000)
)
def test_a_word_is_never_placed_outside_its_window(made: list[tuple[float, bool]], begin: int, length: int) -> None:
    for window in split(audio(*made)):
        first, last = window.span(min(begin, len(window.pcm) - 1), min(begin + length, len(window.pcm)))
        assert window.start <= first <= last <= window.end
