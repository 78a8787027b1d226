from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cohear_client.fileevents import Advanced, Finished, Started
from cohear_server.batch.memory import Memory
from cohear_server.batch.options import HearingOptions
from cohear_server.batch.pipeline import Pipeline
from cohear_server.batch.splitter import SplitOptions
from cohear_server.core.jobs import Fallback
from cohear_server.engine.cache import Cache
from cohear_server.engine.second_try import as_tried
from cohear_server.errors import BackendUnavailable, ClientError
from cohear_server.scheduling.throughput import ThroughputOptions

from .audio import Echo, bursts, write

SPLIT = SplitOptions(min_window_s=1.0, max_window_s=4.0, separate_s=1.0, after_alone_s=0.35)
HEARING = HearingOptions(vad="energy", split=SPLIT)
OPTIONS = ThroughputOptions(capacity=16, max_batch=4, slots=2)


def pipeline(backend: Echo, hearing: HearingOptions = HEARING, memory: Memory | None = None) -> Pipeline:
    return Pipeline(backend, hearing, OPTIONS, memory)


def finished(run: Pipeline, paths: Iterable[Path]) -> dict[str, Finished]:
    return {e.path.name: e for e in run.run(paths) if isinstance(e, Finished)}


def texts(ends: dict[str, Finished]) -> dict[str, str | None]:
    return {name: end.transcript.text if end.transcript else None for name, end in ends.items()}


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    # each length once: equal windows have one entry in a cache
    lengths = [[0.5, 1.5], [2.5], [0.6, 0.7, 3.0], [], [1.0 + n / 50 for n in range(9)]]
    return [write(tmp_path / f"{n}.wav", bursts(one)) for n, one in enumerate(lengths)]


def test_windows_of_many_files_share_batches_and_come_back_in_order(files: list[Path]) -> None:
    backend = Echo()
    ends = finished(pipeline(backend), files)
    assert [len((end.transcript and end.transcript.segments) or ()) for _, end in sorted(ends.items())] == [
        2,
        1,
        3,
        0,
        9,
    ]
    for end in ends.values():
        assert end.transcript is not None
        starts = [segment.start_s for segment in end.transcript.segments]
        assert starts == sorted(starts)
        assert len(end.transcript.statistics) == len(starts)
    assert max(len(batch) for batch in backend.batches) > 1
    for batch in backend.batches:
        assert len({sum(len(job.pcm) > 16_000 * step for step in (2, 4)) for job in batch}) == 1


def test_events_tell_of_length_and_how_far_it_is(files: list[Path]) -> None:
    events = list(pipeline(Echo()).run(files[4:]))
    assert isinstance(events[0], Started)
    assert isinstance(events[-1], Finished)
    assert events[0].duration_s == pytest.approx(events[-1].audio_s)
    advanced = sum(event.audio_s for event in events if isinstance(event, Advanced))
    assert 0.8 * events[-1].audio_s < advanced <= events[-1].audio_s


def test_a_bad_file_or_window_harms_no_other(files: list[Path], tmp_path: Path) -> None:
    text = tmp_path / "notes.wav"
    text.write_text("no audio")
    backend = Echo()
    backend.fail_over_s = 3.2
    ends = finished(pipeline(backend), [text, *files, tmp_path / "none.wav"])
    assert len(ends) == 7
    assert {name for name, end in ends.items() if end.fault} == {"notes.wav", "2.wav", "none.wav"}
    assert str(ends["2.wav"].fault) == f"{files[2]}: this window broke: send it again"


def test_second_run_needs_no_model_and_a_changed_option_decodes_all(files: list[Path], tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    first = finished(pipeline(Echo(), memory=Memory(cache, "one", HEARING)), files)
    idle = Echo()
    again = finished(pipeline(idle, memory=Memory(cache, "one", HEARING)), files)
    assert texts(again) == texts(first)
    assert all(end.cached for end in again.values())
    assert not idle.started
    for identity, hearing in (("two", HEARING), ("one", replace(HEARING, beam_size=2))):
        other = Echo()
        finished(pipeline(other, hearing, Memory(cache, identity, hearing)), files)
        assert len(other.jobs) == 15


def test_windows_are_known_where_only_what_decides_their_file_changed(files: list[Path], tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    first = finished(pipeline(Echo(), memory=Memory(cache, "one", HEARING)), files)
    idle, hearing = Echo(), replace(HEARING, split=replace(SPLIT, keep_probability=0.3))
    again = finished(pipeline(idle, hearing, Memory(cache, "one", hearing)), files)
    assert texts(again) == texts(first)
    assert not any(end.cached for end in again.values())
    assert not idle.started


def test_a_run_that_was_cut_short_goes_on_within_the_file(tmp_path: Path) -> None:
    file = write(tmp_path / "long.wav", bursts([1.0 + n / 20 for n in range(30)]))
    cache = Cache(tmp_path / "cache")
    run = pipeline(Echo(), memory=Memory(cache, "x", HEARING)).run([file])
    for event in run:
        if isinstance(event, Advanced):
            break
    run.close()  # type: ignore[attr-defined]
    kept = cache.info().entries
    assert 0 < kept < 30
    rest = Echo()
    ends = finished(pipeline(rest, memory=Memory(cache, "x", HEARING)), [file])
    assert len(rest.jobs) == 30 - kept
    whole = finished(pipeline(Echo()), [file])
    assert texts(ends) == texts(whole)


def test_the_language_of_a_file_is_that_of_its_first_window(files: list[Path]) -> None:
    backend = Echo(languages=("en", "de"))
    ends = finished(pipeline(backend), files)
    asked = [job for job in backend.jobs if job.options.language is None]
    assert sorted(Path(job.session_id).name for job in asked) == ["0.wav", "1.wav", "2.wav", "4.wav"]
    assert {job.segment_id for job in asked} == {0}
    assert {job.options.language for job in backend.jobs} == {None, "de"}
    assert texts(ends) == texts(finished(pipeline(Echo()), files))


def test_the_window_that_tells_the_language_goes_at_once(tmp_path: Path) -> None:
    backend = Echo(languages=("en", "de"))
    lonely = write(tmp_path / "lonely.wav", bursts([3.0, 1.0]))

    def inputs() -> Iterator[Path]:
        yield lonely
        assert backend.begun.wait(10)  # no end and no None: only that others wait for it sends it off

    finished(pipeline(backend), inputs())
    assert [job.deadline_s for job in backend.batches[0]] == [0.0]


def test_where_the_first_window_tells_no_language_the_next_is_asked(files: list[Path]) -> None:
    backend = Echo(languages=("en", "de"))
    backend.fail_over_s = 0.9
    mixed = write(files[0].parent / "mixed.wav", bursts([2.0, 0.2, 2.0, 0.2]))
    (end,) = finished(pipeline(backend), [mixed]).values()
    assert end.fault is not None
    told = {job.segment_id: job.options.language for job in backend.jobs}
    assert told == {0: None, 1: None, 2: "de", 3: "de"}


def test_the_language_is_that_of_most_speech_not_of_the_first_noise(files: list[Path]) -> None:
    backend = Echo(languages=("en", "de"))
    backend.detect = lambda seconds: ("en", 0.6) if seconds < 1 else ("de", 0.9)
    split = SplitOptions(min_window_s=2.0, max_window_s=8.0, separate_s=1.0, after_alone_s=0.35)
    noise = write(files[0].parent / "noise.wav", bursts([0.2, 6.0, 5.0]))
    (end,) = finished(pipeline(backend, HearingOptions(vad="energy", split=split)), [noise]).values()
    assert end.transcript is not None
    assert {segment.language for segment in end.transcript.segments} == {"de"}
    assert len(end.transcript.segments) == 3
    asked = [(job.segment_id, job.options.language) for job in backend.jobs]
    assert sorted(asked, key=str) == [(0, "de"), (0, None), (1, None), (2, "de")]


def test_a_file_that_ends_before_its_language_is_sure_takes_the_likeliest(files: list[Path]) -> None:
    backend = Echo(languages=("en", "de"))
    backend.detect = lambda seconds: ("en", 0.5) if seconds < 1.5 else ("de", 0.5)
    short = write(files[0].parent / "short.wav", bursts([0.2, 2.0]))
    split = SplitOptions(min_window_s=2.0, max_window_s=8.0, separate_s=1.0, after_alone_s=0.35)
    (end,) = finished(pipeline(backend, HearingOptions(vad="energy", split=split)), [short]).values()
    assert end.transcript is not None
    assert [segment.language for segment in end.transcript.segments] == ["de", "de"]


def test_text_that_looks_wrong_is_tried_again_hotter(files: list[Path]) -> None:
    backend = Echo()
    backend.logprobs = {0.0: -2.0, 0.2: -1.5, 0.4: -0.5}
    hearing = HearingOptions(vad="energy", split=SPLIT, fallback=Fallback((0.2, 0.4, 0.6)))
    (end,) = finished(pipeline(backend, hearing), [files[1]]).values()
    assert [as_tried(job).options.temperature for job in backend.jobs] == [0.0, 0.2, 0.4]
    assert end.transcript is not None
    assert end.transcript.statistics[0].temperature == 0.4


def test_with_nothing_new_for_now_what_waits_is_decoded(files: list[Path]) -> None:
    backend = Echo()
    told: list[str] = []

    def inputs() -> Iterator[Path | None]:
        yield files[1]
        while "1.wav" not in told:
            yield None
        yield files[0]

    for event in pipeline(backend).run(inputs()):
        if isinstance(event, Finished):
            told.append(event.path.name)
    assert told == ["1.wav", "0.wav"]


def test_a_window_is_remembered_with_its_last_try(files: list[Path], tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    logprobs = {0.0: -2.0, 0.2: -1.5, 0.4: -0.5}
    cooler = HearingOptions(vad="energy", split=SPLIT, fallback=Fallback((0.2,)))
    hotter = HearingOptions(vad="energy", split=SPLIT, fallback=Fallback((0.2, 0.4)))
    for hearing, decoded in ((cooler, [0.0, 0.2]), (cooler, []), (hotter, [0.0, 0.2, 0.4])):
        backend = Echo()
        backend.logprobs = logprobs
        memory = Memory(cache, "x", hearing)
        memory.keep_file = lambda *_: None  # type: ignore[method-assign]
        finished(pipeline(backend, hearing, memory), [files[1]])
        assert [as_tried(job).options.temperature for job in backend.jobs] == decoded


@pytest.mark.parametrize("warmer", [(), (0.2, 0.4, 0.6)])
@pytest.mark.parametrize("languages", [("en",), ("en", "de")])
def test_with_room_for_one_window_all_is_done(
    files: list[Path], languages: tuple[str, ...], warmer: tuple[float, ...]
) -> None:
    hearing = HearingOptions(vad="energy", split=SPLIT, fallback=Fallback(warmer))
    backend = Echo(languages)
    backend.logprobs = dict.fromkeys((0.0, *warmer), -2.0)
    ends = finished(Pipeline(backend, hearing, ThroughputOptions(capacity=1, slots=2)), files)
    assert len(ends) == 5
    assert len(backend.jobs) == 15 * (1 + len(warmer))


def test_the_backend_is_closed_in_the_end(files: list[Path]) -> None:
    backend = Echo()
    list(pipeline(backend).run(files))
    assert (backend.started, backend.closed) == (1, 1)


def test_closing_finishes_what_is_in_the_engine_and_drops_the_rest(tmp_path: Path) -> None:
    file = write(tmp_path / "long.wav", bursts([1.0 + n / 20 for n in range(30)]))
    cache = Cache(tmp_path / "cache")
    backend = Echo(slots=1)
    run = pipeline(backend, memory=Memory(cache, "x", HEARING)).run([file])
    assert isinstance(next(run), Started)
    run.close()  # type: ignore[attr-defined]
    assert len(backend.jobs) == cache.info().entries < 30
    assert backend.closed == 1


@pytest.mark.parametrize(
    "refusal", [ClientError("bad_model", "does not load", ""), BackendUnavailable("does not load")]
)
def test_a_model_that_does_not_load_ends_the_run(files: list[Path], refusal: Exception) -> None:
    backend = Echo()
    backend.refusal = refusal
    with pytest.raises(type(refusal), match="does not load"):
        list(pipeline(backend).run(files))
    assert backend.closed == 1


def test_the_language_is_found_among_those_that_were_named(files: list[Path]) -> None:
    backend = Echo(languages=("en", "de", "nl"))
    backend.detect = lambda seconds: ("nl", 0.9) if seconds < 4 else ("de", 0.6)
    split = SplitOptions(min_window_s=2.0, max_window_s=8.0, separate_s=1.0)
    mixed = write(files[0].parent / "mixed.wav", bursts([2.5, 6.0, 6.0]))
    for languages, expected in ((("en", "de"), "de"), (("en",), "en"), (("fr", "en"), "fr")):
        hearing = HearingOptions(vad="energy", split=split, languages=languages)
        (end,) = finished(pipeline(backend, hearing), [mixed]).values()
        assert end.transcript is not None
        assert {segment.language for segment in end.transcript.segments} == {expected}
