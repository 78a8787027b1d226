"""The session as a state machine: synthetic speech (noise bursts) in, events and jobs out, times as numbers."""

from __future__ import annotations

import contextlib
import tracemalloc
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from cohear_client.protocol import ENCODINGS
from cohear_server.core.audio import AudioFormat
from cohear_server.core.commands import Audio, Configure, Finalize, Preference, Resume, Tick
from cohear_server.core.effects import Submit
from cohear_server.core.events import (
    Done,
    Final,
    Finalized,
    Lost,
    Notice,
    Partial,
    SpeechEnded,
    SpeechStarted,
    Stats,
)
from cohear_server.core.finals import MAX_MARKS
from cohear_server.core.jobs import SAMPLE_RATE_HZ, DecodeJob, DecodeOptions, DecodeResult, HypothesisWord, JobKind
from cohear_server.core.ledger import SampleCount
from cohear_server.core.options import SessionOptions
from cohear_server.core.segmenter import SegmenterOptions
from cohear_server.core.session import MEMORY_BYTES, Session
from cohear_server.errors import ClientError, ServerError
from hypothesis import given, settings
from hypothesis import strategies as st

from .driver import RNG, Driver, says, silence, speech, utterance


def test_an_utterance_becomes_partials_then_one_final() -> None:
    driver = Driver().feed(utterance())
    kinds = [type(m) for m in driver.messages]
    assert kinds[0] is SpeechStarted
    assert kinds[-2:] == [SpeechEnded, Final]
    assert len(driver.of(Partial)) >= 3
    (final,) = driver.of(Final)
    assert (final.text, final.reason, final.language) == ("w0 w1 w2 w3 w4", "endpoint", "en")
    assert final.start == pytest.approx(0.7 * SAMPLE_RATE_HZ, abs=800)
    assert final.end == pytest.approx(3.2 * SAMPLE_RATE_HZ, abs=800)
    assert [w.start_samples for w in final.words or ()] == [final.start + i * SAMPLE_RATE_HZ // 2 for i in range(5)]


def test_partials_have_growing_stable_text_and_rising_sequence_numbers() -> None:
    driver = Driver().feed(utterance()).stop()
    partials = driver.of(Partial)
    for before, after in pairwise(partials):
        assert after.stable.startswith(before.stable)
        assert after.revision == before.revision + 1
    assert partials[-1].stable
    numbered = [m.seq for m in driver.messages if isinstance(m, Partial | Final)]
    assert numbered == list(range(1, len(numbered) + 1))


def test_silence_never_reaches_the_model() -> None:
    driver = Driver().feed(silence(30)).stop()
    assert driver.jobs == []
    assert driver.of(Done) == [Done(SampleCount(480_000, 0, 480_000, 0), 0)]


def test_the_speculative_final_is_the_final() -> None:
    driver = Driver(hold=True).feed(np.concatenate([silence(1), speech(2), silence(0.3)]))
    finals = [job for job in driver.jobs if job.kind is JobKind.FINAL]
    assert len(finals) == 1, "decoding begins at early silence"
    driver.release().feed(silence(0.4))
    assert [job for job in driver.jobs if job.kind is JobKind.FINAL] == finals, "and is not repeated at the endpoint"
    assert len(driver.of(Final)) == 1


def test_speech_that_resumes_takes_the_speculation_back() -> None:
    driver = Driver(hold=True).feed(np.concatenate([silence(1), speech(1), silence(0.3), speech(1), silence(1)]))
    first, second = [job for job in driver.jobs if job.kind is JobKind.FINAL]
    assert first.id in driver.cancelled
    assert len(second.pcm) > len(first.pcm)
    assert len(driver.release().of(Final)) == 1


def test_with_economy_what_was_decoded_at_a_pause_is_the_final_of_a_long_segment() -> None:
    driver = Driver()
    driver.session.economize(1.0)
    driver.feed(np.concatenate([silence(1), speech(4), silence(0.35), speech(1.5), silence(1)])).stop()
    first, second = driver.of(Final)
    assert (first.reason, second.reason) == ("max_length", "endpoint")
    assert (first.traded, second.traded) == (("early_cut",), ("short_context",))
    assert first.end == second.start == pytest.approx(5.2 * SAMPLE_RATE_HZ, abs=800)
    assert [job.segment_id for job in driver.jobs if job.kind is JobKind.FINAL] == [0, 1], "neither in vain"
    assert len(driver.of(SpeechStarted)) == len(driver.of(SpeechEnded)) == 1, "one utterance"


@pytest.mark.parametrize(("prefer", "economy", "traded"), [("accuracy", 1.0, False), ("speed", 0.0, True)])
def test_a_client_may_forbid_that_accuracy_is_traded_or_want_it(
    prefer: Preference, economy: float, traded: bool
) -> None:
    driver = Driver(options=SessionOptions(vad="energy", prefer=prefer))
    driver.session.economize(economy)
    driver.feed(np.concatenate([silence(1), speech(4), silence(0.35), speech(1), silence(1)])).stop()
    assert any(final.traded for final in driver.of(Final)) is traded


def test_what_is_preferred_changes_in_mid_stream() -> None:
    driver = Driver()
    driver.session.economize(1.0)
    driver.feed(np.concatenate([utterance(), utterance()])).say(Configure(prefer="accuracy"))
    driver.session.economize(1.0)
    driver.feed(np.concatenate([utterance(), utterance()])).stop()
    assert [bool(final.traded) for final in driver.of(Final)] == [False, True, False, False]


def test_finals_leave_in_order_though_results_come_backwards() -> None:
    driver = Driver(hold=True).feed(np.concatenate([utterance(), utterance(), utterance()]))
    assert driver.of(Final) == []
    driver.release(backwards=True)
    driver.release()  # of what was heard with context only in part, decoded again alone
    assert [f.segment_id for f in driver.of(Final)] == [0, 1, 2]


def test_no_partials_when_none_are_wanted() -> None:
    driver = Driver(options=SessionOptions(vad="energy", show_partials=False)).feed(utterance())
    assert {job.kind for job in driver.jobs} == {JobKind.FINAL}
    assert driver.of(Partial) == []


def test_finalize_flushes_and_is_acknowledged_after_the_final() -> None:
    driver = Driver(hold=True).feed(np.concatenate([silence(1), speech(1)]))
    driver.say(Finalize("a"))
    assert driver.of(Finalized) == []
    driver.release()
    assert [type(m) for m in driver.messages[-2:]] == [Final, Finalized]
    assert driver.of(Final)[0].reason == "finalize"
    driver.say(Finalize("b"))
    assert driver.messages[-1] == Finalized("b"), "with nothing to flush it is acknowledged at once"


def test_speech_goes_on_after_finalize_in_odd_places() -> None:
    """The flush ends inside a frame that the detector has not judged yet."""
    driver = Driver().feed(np.concatenate([silence(1), speech(1.003)]), frame=333)
    driver.say(Finalize("")).feed(np.concatenate([speech(1), silence(1)])).stop()
    first, second = driver.of(Final)
    assert second.start >= first.end


def test_stop_in_mid_word_keeps_the_last_words() -> None:
    driver = Driver().feed(np.concatenate([silence(1), speech(1.51)])).stop()
    (final,) = driver.of(Final)
    assert final.reason == "stop"
    assert final.end == int(1.51 * SAMPLE_RATE_HZ) + SAMPLE_RATE_HZ
    assert isinstance(driver.messages[-1], Done)


def test_done_waits_for_the_last_final_and_comes_once() -> None:
    driver = Driver(hold=True).feed(np.concatenate([silence(1), speech(1)])).stop()
    assert driver.of(Done) == []
    driver.release().stop()
    assert [type(m) for m in driver.messages[-2:]] == [Final, Done]
    assert len(driver.of(Done)) == 1


def test_long_speech_is_cut_and_nothing_between_is_lost() -> None:
    driver = Driver().feed(np.concatenate([silence(1), speech(13), silence(1)])).stop()
    finals = driver.of(Final)
    assert [f.reason for f in finals] == ["max_length", "endpoint"]
    assert all(a.end == b.start for a, b in pairwise(finals))
    assert len(driver.of(SpeechStarted)) == len(driver.of(SpeechEnded)) == 1


def test_what_was_heard_behind_a_cut_moves_to_the_next_segment_at_once() -> None:
    quieter = speech(0.12) // 4
    driver = Driver().feed(np.concatenate([silence(1), speech(7), quieter, speech(6)]))
    shown = driver.of(Partial)
    moved = next(i for i, partial in enumerate(shown) if partial.segment_id == 1)
    before, cut, follower = shown[moved - 2 : moved + 1]
    assert [p.segment_id for p in (before, cut, follower)] == [0, 0, 1]
    said = f"{before.stable} {before.volatile}".split()
    left = f"{cut.stable} {cut.volatile}".split()
    assert left + f"{follower.stable} {follower.volatile}".split() == said
    assert 0 < len(left) < len(said)
    assert (follower.end, follower.stable) == (before.end, "")
    assert cut.revision > before.revision
    final = driver.of(Final)[0]
    assert (final.reason, final.end) == ("max_length", cut.end)


def test_long_windows_lose_their_committed_words_when_word_times_were_measured() -> None:
    def timed(job: DecodeJob) -> DecodeResult:
        """Words by their place in the stream: value of the samples tells where the window starts."""
        start = int(job.pcm[0])
        words = [w for w in range(200) if w * 50 >= start and (w + 1) * 50 <= start + len(job.pcm) // 160]
        heard = tuple(HypothesisWord(f"w{w}", (w * 50 - start) * 160, (w * 50 + 50 - start) * 160, 0.5) for w in words)
        return DecodeResult(job.id, "", heard, timed=job.options.word_times, language="en")

    # a ramp that counts hundredths of a second; loud enough to be speech after the first ones
    ramp = np.repeat(np.arange(1_400, dtype="<i2"), 160)
    options = SessionOptions(SegmenterOptions(max_segment_s=20.0), vad="energy")
    driver = Driver(answer=timed, options=options).feed(np.concatenate([silence(1), ramp]))
    windows_s = [len(j.pcm) / SAMPLE_RATE_HZ for j in driver.jobs if j.kind is JobKind.PARTIAL]
    assert max(windows_s) < 7.5
    text = driver.of(Partial)[-1]
    words = [int(w[1:]) for w in f"{text.stable} {text.volatile}".split()]
    assert words == list(range(words[0], words[-1] + 1)), "no word twice, none missing"
    assert words[-1] >= 20


def test_audio_that_stops_coming_ends_the_segment() -> None:
    driver = Driver().feed(np.concatenate([silence(1), speech(1)]))
    driver.take(driver.session.handle(Tick(), driver.now_s + 1))
    assert driver.of(Final) == []
    driver.take(driver.session.handle(Tick(), driver.now_s + 4))
    assert driver.of(Final)[0].reason == "endpoint"


def test_a_segment_that_vanished_behind_its_context_is_decoded_alone() -> None:
    """The model takes the text for complete after the words that it knows."""

    def stops_early(job: DecodeJob) -> DecodeResult:
        alone = len(job.pcm) < 3 * SAMPLE_RATE_HZ
        text = ("again" if job.segment_id else "first") if alone else ""
        words = tuple(HypothesisWord(word, 0, 4_000, 0.9) for word in text.split())
        return DecodeResult(job.id, text, words, language="en")

    driver = Driver(answer=stops_early).feed(np.concatenate([utterance(), utterance()])).stop()
    assert [final.text for final in driver.of(Final)] == ["first", "again"]
    assert len(driver.of(Done)) == 1
    finals = [len(job.pcm) / SAMPLE_RATE_HZ for job in driver.jobs if job.kind is JobKind.FINAL]
    assert finals[-2] > 3 > finals[-1], "with its context first, then alone"


def test_statistics_come_every_five_seconds_of_audio_and_say_what_is_settled() -> None:
    """However fast it comes: a client may forget what is settled, and send as much again."""
    driver = Driver(hold=True)
    for _ in range(10):
        driver.say(Audio(utterance().tobytes()))
    while driver.held:
        driver.release()
    for _ in range(10):
        driver.say(Audio(silence(4).tobytes()))
    stats = driver.of(Stats)
    assert len(stats) == 10
    for told in stats:
        later = driver.messages[driver.messages.index(told) :]
        assert all(final.start >= told.settled for final in later if isinstance(final, Final))
    assert stats[-1].settled > 70 * SAMPLE_RATE_HZ


def test_statistics_come_every_five_seconds() -> None:
    driver = Driver().feed(silence(1))
    for now_s in np.arange(1, 21, 0.25):
        driver.take(driver.session.handle(Tick(), float(now_s)))
    assert len(driver.of(Stats)) == 4


def test_a_segment_that_cannot_be_decoded_is_shed_and_said() -> None:
    def fails(job: DecodeJob) -> DecodeResult:
        if job.segment_id == 0:
            return DecodeResult(job.id, error=ServerError("decode_failed", "no luck"))
        return says(job)

    driver = Driver(answer=fails).feed(np.concatenate([utterance(), utterance()])).stop()
    (lost,) = driver.of(Lost)
    assert lost.fault.code == "decode_failed"
    assert "2.5 s of speech from 0.7 s on" in lost.fault.message
    assert [f.segment_id for f in driver.of(Final)] == [1]
    (done,) = driver.of(Done)
    assert done.samples.shed == pytest.approx(2.5 * SAMPLE_RATE_HZ, abs=1_000)


def test_a_bad_frame_harms_nothing_before_it() -> None:
    driver = Driver().feed(np.concatenate([silence(1), speech(1)]))
    with pytest.raises(ClientError, match="multiples of 2 bytes"):
        driver.say(Audio(b"\0"))
    assert driver.stop().of(Final)[0].text == "w0 w1"


def test_options_change_in_mid_stream() -> None:
    driver = Driver().feed(utterance())
    change = Configure(partials=False, words=False, endpoint_ms=1_500, prompt="names: Ann")
    driver.say(change)
    seen = len(driver.of(Partial))
    driver.feed(np.concatenate([speech(1), silence(1.2)]))
    assert len(driver.of(Partial)) == seen
    assert len(driver.of(Final)) == 1, "the endpoint is later now"
    driver.feed(silence(1))
    assert driver.of(Final)[1].words is None
    assert driver.jobs[-1].options.prompt == "names: Ann"


@pytest.mark.parametrize("started", [AudioFormat(24_000), AudioFormat(8_000, "mulaw"), AudioFormat()])
def test_a_format_may_be_told_after_the_start(started: AudioFormat) -> None:
    told = AudioFormat(8_000, "alaw")
    late, early = Driver(started).say(Configure(format=told)), Driver(told)
    assert late.session.format == told
    spoken = np.frombuffer(RNG.bytes(16_000), np.uint8)
    for driver in (late, early):
        for _ in range(3):
            driver.say(Audio(spoken.tobytes()))
            driver.say(Audio(b"\xd5" * 8_000))
        driver.stop()
    assert late.messages == early.messages
    assert late.of(Final)
    assert late.session.samples().received == 72_000


def test_but_not_after_the_first_audio() -> None:
    driver = Driver().feed(utterance())
    with pytest.raises(ClientError, match="audio was sent already") as refused:
        driver.say(Configure(format=AudioFormat(8_000), partials=False))
    assert refused.value.code == "bad_field"
    assert driver.session.options.show_partials, "nothing of it holds"
    driver.say(Configure(format=AudioFormat())).stop()
    assert driver.of(Final)[0].text == "w0 w1 w2 w3 w4"


def test_a_language_that_is_sure_is_told_to_the_engine() -> None:
    def detects(job: DecodeJob) -> DecodeResult:
        return replace(says(job), language="de", language_probability=0.0 if job.options.language else 0.95)

    driver = Driver(answer=detects, language=None)
    for _ in range(3):  # 2 s of speech each: sure after the second
        driver.feed(utterance())
    asked = {
        m.segment_id: {j.options.language for j in driver.jobs if j.segment_id == m.segment_id}
        for m in driver.of(Final)
    }
    assert asked == {0: {None}, 1: {None}, 2: {"de"}}


@pytest.mark.parametrize("attack", ["speech", "words", "marks"])
def test_what_a_session_keeps_is_bounded(attack: str) -> None:
    """Speech without a pause beside an engine that hears nothing; words and marks beside one that hangs."""
    # a moment of silence, or the energy detector would take noise without end for a noise
    piece = np.concatenate([speech(0.98 if attack == "speech" else 0.1), silence(0.02 if attack == "speech" else 0.1)])
    longest = SessionOptions(SegmenterOptions(endpoint_ms=100, max_segment_s=28.0), vad="energy")
    session = Session("s", AudioFormat(), DecodeOptions("m"), longest)
    tracemalloc.start()
    try:
        taken = 0
        for number in range(1_000):
            if not session.full:
                effects = session.handle(Audio(piece.tobytes()), float(number))
                for job in [e.job for e in effects if isinstance(e, Submit) and attack == "speech"]:
                    session.resolve(DecodeResult(job.id), float(number))
            with contextlib.suppress(ClientError):
                if attack == "marks":
                    session.handle(Finalize(f"{number:0256}"), float(number))
                    taken += 1
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert session.full is (attack != "speech")
    assert taken == (MAX_MARKS if attack == "marks" else 0)
    assert kept < MEMORY_BYTES


@pytest.mark.parametrize("mark", ["x" * 257, "\ud800"])
def test_a_mark_that_cannot_be_answered_is_refused_and_harms_nothing(mark: str) -> None:
    driver = Driver().feed(np.concatenate([silence(1), speech(1)]))
    with pytest.raises(ClientError, match="field 'id'"):
        driver.say(Finalize(mark))
    assert driver.of(Final) == []
    assert driver.stop().of(Final)[0].reason == "stop"


def test_a_finalize_that_comes_again_after_a_lost_connection_is_the_same_one() -> None:
    driver = Driver(hold=True).feed(np.concatenate([silence(1), speech(1)])).say(Finalize("a"))
    driver.say(Resume()).say(Finalize("a"))
    driver.release().say(Resume()).say(Finalize("a"))
    assert driver.of(Finalized) == [Finalized("a")]
    driver.say(Finalize("a"))
    assert len(driver.of(Finalized)) == 2, "the same name again is another one while the connection holds"
    driver.say(Resume()).feed(speech(0.5)).say(Finalize("a")).release()
    assert len(driver.of(Finalized)) == 3, "so it is when audio came in between"
    assert [final.reason for final in driver.of(Final)] == ["finalize", "finalize"]


def test_nothing_comes_after_done() -> None:
    driver = Driver().feed(utterance()).stop()
    driver.now_s += 60
    driver.say(Tick()).say(Resume()).say(Configure(partials=True)).stop()
    with pytest.raises(ClientError, match="finalize came after stop"):
        driver.say(Finalize("late"))
    assert isinstance(driver.messages[-1], Done)


def test_large_audio_is_taken_in_slices_and_a_part_of_a_sample_is_refused_before_the_first() -> None:
    fmt = AudioFormat(8_000, "mulaw", 2)
    pieces = list(fmt.slices(bytes(131 * 16_000)))
    assert len(pieces) == 131
    assert {len(piece) for piece in pieces} == {16_000}
    with pytest.raises(ClientError, match="multiples of 2 bytes"):
        fmt.slices(bytes(33))


def test_unknown_and_late_results_are_ignored() -> None:
    driver = Driver(hold=True).feed(utterance())
    jobs = list(driver.held)
    driver.release()
    seen = list(driver.messages)
    for job_id in [j.id for j in jobs] + ["other"]:
        driver.take(driver.session.resolve(DecodeResult(job_id, "again"), driver.now_s))
    assert driver.messages == seen


def test_clipping_is_told_once() -> None:
    driver = Driver(AudioFormat(encoding="pcm_f32le"))
    loud = np.full(320, 1.5, "<f4")
    for _ in range(5):
        driver.say(Audio(loud.tobytes()))
    assert [w.code for w in driver.of(Notice)] == ["clipped"]


def encoded(pcm: np.ndarray, fmt: AudioFormat) -> bytes:
    """Any bytes will do for G.711; real samples for the rest, in all channels."""
    if fmt.encoding in ("mulaw", "alaw"):
        return np.repeat((pcm >> 8).astype(np.uint8), fmt.channels).tobytes()
    kind = "<i2" if fmt.encoding == "pcm_s16le" else "<f4"
    scaled = pcm if fmt.encoding == "pcm_s16le" else pcm / 32768
    return np.repeat(scaled.astype(kind), fmt.channels).tobytes()


@given(data=st.data())
@settings(deadline=None, max_examples=60)
def test_every_sample_is_accounted_for(data: st.DataObject) -> None:
    """transcribed + silent + shed == received, over random sizes, encodings, rates, faults and stop points."""
    fmt = AudioFormat(
        data.draw(st.sampled_from([8_000, 11_025, 16_000, 22_050, 44_100, 48_000]) | st.integers(8_000, 48_000)),
        encoding=data.draw(st.sampled_from(ENCODINGS)),
        channels=data.draw(st.integers(1, 3)),
    )
    segmenter = SegmenterOptions().with_endpoint(data.draw(st.sampled_from([None, 100, 300, 1_000])))
    fails = data.draw(st.booleans())

    def answer(job: DecodeJob) -> DecodeResult:
        if fails and job.segment_id % 2:
            return DecodeResult(job.id, error=ServerError("decode_failed", "no luck"))
        return says(job)

    driver = Driver(fmt, SessionOptions(segmenter, vad="energy"), hold=data.draw(st.booleans()), answer=answer)
    parts = data.draw(st.lists(st.tuples(st.booleans(), st.floats(0.01, 2.0)), max_size=6))
    sent = 0
    for loud, seconds in parts:
        count = int(seconds * fmt.sample_rate_hz)
        pcm = RNG.normal(0, 4_000 if loud else 1, count).clip(-32768, 32767).astype(np.int16)
        size = data.draw(st.integers(1 + count // 40, 1 + count))
        for i in range(0, count, size):
            piece = pcm[i : i + size]
            sent += len(piece)
            driver.say(Audio(encoded(piece, fmt)))
        if data.draw(st.integers(0, 5)) == 0:
            driver.say(Finalize(""))
    driver.stop()
    while driver.held:
        driver.release()
    (done,) = driver.of(Done)
    assert done.samples.received == sent
    assert done.samples.transcribed + done.samples.silent + done.samples.shed == sent
    finals_s = sum(f.end - f.start for f in driver.of(Final)) / SAMPLE_RATE_HZ
    assert done.samples.transcribed / fmt.sample_rate_hz == pytest.approx(finals_s, abs=0.01)
