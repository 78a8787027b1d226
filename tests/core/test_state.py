"""A session that goes on elsewhere says what it would have said at home."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pytest
from cohear_server.core.audio import AudioFormat
from cohear_server.core.commands import Audio, Configure, Finalize
from cohear_server.core.events import Done, Final, Finalized, Partial
from cohear_server.core.jobs import SAMPLE_RATE_HZ, DecodeJob, DecodeResult, HypothesisWord
from cohear_server.core.options import SessionOptions
from cohear_server.core.segmenter import SegmenterOptions
from cohear_server.core.session import Session
from cohear_server.core.state import from_json
from cohear_server.errors import ClientError
from hypothesis import given
from hypothesis import strategies as st

from .driver import Driver, silence, speech, utterance

LOUD, SLOT = 900, SAMPLE_RATE_HZ // 4


def timeline(parts: list[tuple[bool, float]], rate_hz: int) -> np.ndarray:
    """int16 at `rate_hz` that tells its own time: 1000 and the milliseconds since the start, or silence."""
    loud = np.concatenate([np.full(int(seconds * rate_hz), spoken) for spoken, seconds in parts])
    return np.where(loud, 1_000 + 1_000 * np.arange(len(loud)) / rate_hz, 0).astype("<i2")


def reads(job: DecodeJob) -> DecodeResult:
    """A word each quarter of a second of the stream in which there is sound, named by its number."""
    loud = job.pcm > LOUD
    edges = np.flatnonzero(np.diff(np.concatenate([[0], loud, [0]])))
    begins, ends = edges[::2], edges[1::2]
    if not len(begins):
        return DecodeResult(job.id, language="en")
    longest = int(np.argmax(ends - begins))
    middle = int(begins[longest] + ends[longest]) // 2
    start = (int(job.pcm[middle]) - 1_000) * SAMPLE_RATE_HZ // 1_000 - middle
    words = []
    for slot in range(max(0, start // SLOT), (start + len(job.pcm)) // SLOT + 1):
        at = slot * SLOT + SLOT // 2 - start
        if 0 <= at < len(loud) and loud[at]:
            begin, end = max(0, slot * SLOT - start), min(len(loud), (slot + 1) * SLOT - start)
            words.append(HypothesisWord(f"t{slot}", begin, end, 0.9))
    return DecodeResult(job.id, " ".join(w.text for w in words), tuple(words), language="en", confidence=0.9)


PARTS = st.lists(
    st.tuples(st.booleans(), st.integers(1, 16).map(lambda quarters: quarters / 4)), min_size=1, max_size=6
).filter(lambda parts: sum(seconds for _, seconds in parts) < 12)
RATES = st.sampled_from([8_000, 11_025, 16_000, 22_050, 44_100, 48_000]) | st.integers(8_000, 48_000)
SEGMENTERS = st.builds(
    SegmenterOptions, endpoint_ms=st.sampled_from([100, 240, 500, 1_200]), max_segment_s=st.floats(5, 28)
)


def run(driver: Driver, wave: np.ndarray, size: int, moves: Sequence[int]) -> None:
    """To the end, moving to another session after the frames whose numbers are in `moves`, where it is settled."""
    for number, at in enumerate(range(0, len(wave), size)):
        driver.now_s += size / driver.format.sample_rate_hz
        driver.say(Audio(wave[at : at + size].tobytes()))
        state = driver.session.state() if number in moves else None
        if state is not None:
            driver.session = Session.restore("other", from_json(state.to_json()))
    driver.stop()


@given(data=st.data())
def test_a_session_cut_where_it_is_settled_gives_the_same_finals(data: st.DataObject) -> None:
    rate_hz = data.draw(RATES, "rate")
    wave = timeline(data.draw(PARTS, "parts"), rate_hz)
    size = data.draw(st.integers(rate_hz // 50, rate_hz * 2), "frame")
    partials = data.draw(st.booleans(), "partials")
    options = SessionOptions(data.draw(SEGMENTERS, "segmenter"), vad="energy", show_partials=partials)
    moves = range(data.draw(st.integers(0, 99), "first move"), len(wave), data.draw(st.integers(1, 99), "each"))
    home, abroad = (Driver(AudioFormat(rate_hz), options, answer=reads) for _ in range(2))
    run(home, wave, size, ())
    run(abroad, wave, size, moves)
    known, got = home.of(Final), abroad.of(Final)
    keys = [[(f.segment_id, f.text, f.start, f.end, f.reason) for f in finals] for finals in (known, got)]
    assert keys[0] == keys[1]
    if rate_hz == SAMPLE_RATE_HZ or not partials:
        # elsewhere the resampler lets go of its samples at other moments, so there may be a partial more or less
        assert [f.seq for f in known] == [f.seq for f in got]
    numbers = [m.seq for m in abroad.messages if isinstance(m, Partial | Final)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert home.of(Done) == abroad.of(Done)


@given(data=st.data())
def test_without_its_audio_it_goes_on_from_what_is_settled(data: st.DataObject) -> None:
    """The client says it again from there: no word is lost, none comes twice, and every sample counts once."""
    rate_hz = data.draw(RATES, "rate")
    wave = timeline(data.draw(PARTS, "parts"), rate_hz)
    size = data.draw(st.integers(rate_hz // 50, rate_hz), "frame")
    options = SessionOptions(vad="energy")
    home = Driver(AudioFormat(rate_hz), options, answer=reads)
    run(home, wave, size, ())
    abroad = Driver(AudioFormat(rate_hz), options, answer=reads)
    at, moves = 0, data.draw(st.lists(st.integers(0, len(wave)), max_size=5), "moves")
    while at < len(wave):
        abroad.say(Audio(wave[at : at + size].tobytes()))
        at += size
        due = [move for move in moves if move <= at]
        state = abroad.session.state()
        if due and state is not None:
            moves = [move for move in moves if move > at]
            abroad.session = Session.restore("other", from_json(state.without_audio().to_json()))
            at = abroad.session.samples().received
    (done,) = abroad.stop().of(Done)
    words = [[word for final in driver.of(Final) for word in final.text.split()] for driver in (home, abroad)]
    assert words[0] == words[1]
    count = done.samples
    assert count.received == len(wave) == count.transcribed + count.silent + count.shed


def test_it_is_settled_only_while_nothing_that_was_said_waits() -> None:
    driver = Driver(hold=True).feed(silence(1))
    assert driver.session.state() is not None
    driver.feed(speech(1))
    assert driver.session.state() is None, "a segment is open"
    driver.feed(silence(1))
    assert driver.session.state() is None, "its final is not there"
    driver.release()
    assert driver.session.state() is not None
    assert driver.stop().session.state() is None


def test_it_is_small_and_plain_and_holds_what_the_client_changed() -> None:
    driver = Driver().feed(utterance())
    driver.say(Configure(language="de", prompt="Ann", endpoint_ms=900, prefer="accuracy"))
    state = driver.session.state()
    assert state is not None
    small = state.without_audio().to_json()
    assert len(small) < 2_000
    assert json.loads(small)["version"] == 1
    restored = Session.restore("s", from_json(small))
    assert (restored.endpoint_ms, restored.options.prefer) == (900, "accuracy")
    again = restored.state()
    assert again is not None
    assert (again.requests.decode.language, again.requests.decode.prompt) == ("de", "Ann")


def test_a_finalize_that_was_answered_elsewhere_is_not_answered_again() -> None:
    driver = Driver().feed(utterance()).say(Finalize("a"))
    state = driver.session.state()
    assert state is not None
    driver.session = Session.restore("s", from_json(state.to_json()))
    driver.say(Finalize("a"))
    assert driver.of(Finalized) == [Finalized("a")]


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"version":1}', b'{"version":"x"}'])
def test_what_is_no_state_is_refused(data: bytes) -> None:
    with pytest.raises(ClientError) as refused:
        from_json(data)
    assert refused.value.code == "bad_state"


def test_a_state_of_another_version_is_refused_by_name() -> None:
    state = Driver().session.state()
    assert state is not None
    with pytest.raises(ClientError, match="version 9, not 1"):
        from_json(state.to_json().replace(b'"version":1', b'"version":9'))
