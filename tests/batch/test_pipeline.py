from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cohear_client.fileevents import Advanced, Finished, Started
from cohear_server.batch.cache import Cache
from cohear_server.batch.memory import Memory
from cohear_server.batch.options import HearingOptions
from cohear_server.batch.pipeline import Pipeline
from cohear_server.batch.pool import PoolOptions
from cohear_server.batch.splitter import SplitOptions
from cohear_server.errors import ClientError

from .audio import Echo, bursts, write

SPLIT = SplitOptions(min_window_s=1.0, max_window_s=4.0, separate_s=1.0)
HEARING = HearingOptions(vad="energy", split=SPLIT)
POOL = PoolOptions(capacity=16, max_batch=4, workers=2)


def pipeline(decoder: Echo, hearing: HearingOptions = HEARING, memory: Memory | None = None) -> Pipeline:
    return Pipeline(lambda: decoder, hearing, POOL, memory)


def finished(run: Pipeline, paths: list[Path]) -> dict[str, Finished]:
    return {e.path.name: e for e in run.run(paths) if isinstance(e, Finished)}


def texts(ends: dict[str, Finished]) -> dict[str, str | None]:
    return {name: end.transcript.text if end.transcript else None for name, end in ends.items()}


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    lengths = [[0.5, 1.0], [2.5], [0.5, 0.5, 3.0], [], [1.0] * 9]
    return [write(tmp_path / f"{n}.wav", bursts(one)) for n, one in enumerate(lengths)]


def test_windows_of_many_files_share_batches_and_come_back_in_order(files: list[Path]) -> None:
    decoder = Echo()
    ends = finished(pipeline(decoder), files)
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
    assert max(len(batch) for batch in decoder.batches) > 1
    for batch in decoder.batches:
        assert len({sum(len(job.pcm) > 16_000 * step for step in (2, 4)) for job in batch}) == 1


def test_batches_are_as_large_as_the_engine_likes_them(files: list[Path]) -> None:
    decoder = Echo()
    decoder.mates = 2
    finished(pipeline(decoder), files)
    assert max(len(batch) for batch in decoder.batches) == 2


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
    decoder = Echo()
    decoder.fail_over_s = 3.2
    ends = finished(pipeline(decoder), [text, *files, tmp_path / "none.wav"])
    assert len(ends) == 7
    assert {name for name, end in ends.items() if end.fault} == {"notes.wav", "2.wav", "none.wav"}
    assert str(ends["2.wav"].fault) == f"{files[2]}: this window broke: send it again"


def test_second_run_decodes_nothing_and_a_changed_option_everything(files: list[Path], tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    first = finished(pipeline(Echo(), memory=Memory(cache, "one")), files)

    def broken() -> Echo:
        raise AssertionError("the model is not needed")

    again = finished(Pipeline(broken, HEARING, POOL, Memory(cache, "one")), files)
    assert texts(again) == texts(first)
    assert all(end.cached for end in again.values())
    other = Echo()
    finished(pipeline(other, memory=Memory(cache, "two")), files)
    assert other.batches


def test_a_run_that_was_cut_short_goes_on_within_the_file(tmp_path: Path) -> None:
    file = write(tmp_path / "long.wav", bursts([1.0 + n / 20 for n in range(30)]))
    cache = Cache(tmp_path / "cache")
    run = pipeline(Echo(), memory=Memory(cache, "x")).run([file])
    for event in run:
        if isinstance(event, Advanced):
            break
    run.close()  # type: ignore[attr-defined]
    kept = cache.info().entries
    assert 0 < kept < 30
    rest = Echo()
    ends = finished(pipeline(rest, memory=Memory(cache, "x")), [file])
    assert sum(map(len, rest.batches)) == 30 - kept
    whole = finished(pipeline(Echo()), [file])
    assert texts(ends) == texts(whole)


def test_the_language_is_found_once_a_file(files: list[Path]) -> None:
    decoder = Echo(languages=("en", "de"))
    finished(pipeline(decoder), files)
    assert decoder.asked_language == 4
    assert {job.options.language for batch in decoder.batches for job in batch} == {"de"}


def test_text_that_looks_wrong_is_tried_again_hotter(files: list[Path]) -> None:
    decoder = Echo()
    decoder.logprobs = {0.0: -2.0, 0.2: -1.5, 0.4: -0.5}
    hearing = HearingOptions(vad="energy", split=SPLIT, temperatures=(0.0, 0.2, 0.4, 0.6))
    (end,) = finished(pipeline(decoder, hearing), [files[1]]).values()
    assert decoder.temperatures == [0.0, 0.2, 0.4]
    assert end.transcript is not None
    assert end.transcript.statistics[0].temperature == 0.4


def test_with_nothing_new_for_now_what_waits_is_decoded(files: list[Path]) -> None:
    decoder = Echo()
    told: list[str] = []

    def inputs() -> Iterator[Path | None]:
        yield files[1]
        while "1.wav" not in told:
            yield None
        yield files[0]

    for event in pipeline(decoder).run(inputs()):
        if isinstance(event, Finished):
            told.append(event.path.name)
    assert told == ["1.wav", "0.wav"]


def test_a_model_that_does_not_load_ends_the_run(files: list[Path]) -> None:
    def load() -> Echo:
        raise ClientError("bad_model", "the model does not load", "give another")

    with pytest.raises(ClientError, match="does not load"):
        list(Pipeline(load, HEARING, POOL).run(files))
