"""Peers: what is read from each server's messages, when text counts as shown and final, and what a run kept."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from marks import END, begin
from peers import wire
from peers.drive import told_shed
from peers.older import for_311
from peers.peersplot import plot
from peers.promise import PROMISES, broken, carried, ratios
from peers.readers import (
    CohearReader,
    LineReader,
    OpenAiRealtimeReader,
    PlainReader,
    Reader,
    RealtimeSttReader,
    Showing,
    WhisperLiveKitReader,
    WhisperLiveReader,
)
from peers.report import write_tables
from peers.rivals import RIVALS
from peers.run import spelled, turns
from peers.spoken import ClipTimes, Speaker, place_words
from peers.text import SaidWord, Utterance, align, answers, lags_ms, lost_words, see, tokens, utterances
from voice import Spoken


def read(reader: Reader, *messages: dict[str, Any] | str) -> list[Showing | None]:
    return [reader.read(one if isinstance(one, str) else json.dumps(one)) for one in messages]


class TestReaders:
    def test_cohear(self) -> None:
        partial = {"type": "partial", "segment_id": 0, "stable": "it was", "volatile": "cold"}
        final = {"type": "final", "segment_id": 0, "text": "It was gold."}
        following = {"type": "partial", "segment_id": 1, "stable": "", "volatile": "and"}
        assert read(CohearReader(), {"type": "started"}, partial, final, following) == [
            None,
            Showing("", "it was cold"),
            Showing("It was gold.", ""),
            Showing("It was gold.", "and"),
        ]

    def test_plain(self) -> None:
        messages = ({"partial": "one"}, {"final": "one two"}, {"done": True})
        assert read(PlainReader(), *messages) == [Showing("", "one"), Showing("one two", ""), None]

    def test_whisperlive_keeps_completed_segments_that_are_sent_no_more(self) -> None:
        def segment(start: str, text: str, completed: bool) -> dict[str, Any]:
            return {"start": start, "end": "9.000", "text": text, "completed": completed}

        shown = read(
            WhisperLiveReader(),
            {"uid": "a", "message": "SERVER_READY"},
            {"uid": "a", "segments": [segment("0.000", " one", True), segment("2.000", " two", False)]},
            {"uid": "a", "segments": [segment("2.000", " two", True), segment("10.500", " three", False)]},
        )
        assert shown == [None, Showing("one", "two"), Showing("one two", "three")]

    def test_whisperlivekit_leaves_pauses_out(self) -> None:
        lines = [{"speaker": 1, "text": "one"}, {"speaker": -2, "text": "silence"}, {"speaker": 1, "text": None}]
        message = {"status": "active_transcription", "lines": lines, "buffer_transcription": " two"}
        assert read(WhisperLiveKitReader(), {"type": "config"}, message) == [None, Showing("one", "two")]

    def test_realtimestt(self) -> None:
        messages = ({"type": "ready"}, {"type": "realtime", "text": "one"}, {"type": "final", "text": "One."})
        assert read(RealtimeSttReader(), *messages) == [None, Showing("", "one"), Showing("One.", "")]

    def test_realtime_items_stand_in_the_order_in_which_they_began(self) -> None:
        prefix = OpenAiRealtimeReader.PREFIX
        shown = read(
            OpenAiRealtimeReader(),
            {"type": "session.created"},
            {"type": "input_audio_buffer.speech_started", "item_id": "a"},
            {"type": "input_audio_buffer.speech_started", "item_id": "b"},
            {"type": f"{prefix}completed", "item_id": "b", "transcript": "two"},
            {"type": f"{prefix}delta", "item_id": "a", "delta": "on"},
            {"type": f"{prefix}completed", "item_id": "a", "transcript": "one"},
        )
        assert shown[:3] == [None, None, None]
        assert shown[3:] == [Showing("two", ""), Showing("two", "on"), Showing("one two", "")]

    def test_lines(self) -> None:
        assert read(LineReader(), "0 1720 one two\n", "1720 1800\n") == [Showing("one two", "")] * 2
        with pytest.raises(ValueError, match="not a line"):
            LineReader().read("")


SAID = [SaidWord(word, float(i), i + 0.8) for i, word in enumerate("abcdef")]
"""at 0, 1, ... 5 s"""


def shown(*at: tuple[float, str, str]) -> list[tuple[float, Showing]]:
    return [(at_s, Showing(final, current)) for at_s, final, current in at]


class TestText:
    def test_utterances_end_with_pauses_of_0_8_s(self) -> None:
        spurts = [(0.0, 0.9), (1.2, 2.6), (3.5, 5.8)]
        assert utterances(spurts, SAID, 20.0) == [Utterance(0.0, 2.6, range(3)), Utterance(3.5, 5.8, range(3, 6))]
        # the last pause was not heard to its 0.8 s
        assert utterances(spurts, SAID, 6.0) == [Utterance(0.0, 2.6, range(3))]

    def test_alignment_takes_misheard_words_for_the_said_ones(self) -> None:
        assert align(SAID, tokens("a x c extra d")) == [0, 1, 2, None, 3]
        assert align(SAID, []) == []
        assert align([], ["a"]) == [None]

    def test_settled_is_when_the_whole_stood_and_final_when_it_was_said_so(self) -> None:
        seen = see(
            shown((1.5, "", "a"), (3.0, "", "a x c"), (3.2, "", "a b c"), (3.4, "a b c", ""), (9.0, "a b c", "d e f")),
            SAID,
            12.0,
        )
        first, second = answers(seen, [Utterance(0.0, 2.8, range(3)), Utterance(3.5, 5.8, range(3, 6))], 12.0)
        assert first.settled_ms == pytest.approx(400)
        assert first.final_ms == pytest.approx(600)
        assert first.first_ms == pytest.approx(1500)
        assert first.ended
        # it came late, and was never final
        assert second.settled_ms == pytest.approx(3200)
        assert second.final_ms == pytest.approx(6200)
        assert not second.missing

    def test_what_is_put_right_after_the_horizon_is_forgiven(self) -> None:
        early = shown((3.0, "", "a x c"), (6.5, "", "a b c d e f"))
        seen = see(early, SAID, 12.0)
        (answer,) = answers(seen, [Utterance(0.0, 2.8, range(3))], 12.0)
        assert answer.settled_ms == pytest.approx(200)
        seen = see(shown((3.0, "", "a x c"), (5.5, "", "a b c d e f")), SAID, 12.0)
        (answer,) = answers(seen, [Utterance(0.0, 2.8, range(3))], 12.0)
        assert answer.settled_ms == pytest.approx(2700)

    def test_a_final_that_goes_on_did_not_end_there(self) -> None:
        seen = see(shown((3.0, "", "a b c"), (7.0, "a b c d e f", "")), SAID, 12.0)
        first, second = answers(seen, [Utterance(0.0, 2.8, range(3)), Utterance(3.5, 5.8, range(3, 6))], 12.0)
        assert not first.ended
        assert second.ended

    def test_nothing_shown_is_as_late_as_listening_was_long(self) -> None:
        (answer,) = answers(see([], SAID, 12.0), [Utterance(0.0, 2.8, range(3))], 12.0)
        assert answer.missing
        assert answer.settled_ms == answer.final_ms == pytest.approx(9200)

    def test_a_word_shown_before_it_was_said_is_another(self) -> None:
        said = [*SAID[:3], SaidWord("b", 10.0, 10.5)]
        seen = see(shown((3.0, "", "a b c b"), (11.0, "", "a b c b")), said, 12.0)
        assert seen.turns_s[-1] == []
        seen = see(shown((3.0, "", "a b c b"), (11.0, "", "a b c b.")), said, 12.0)
        assert seen.turns_s[-1] == [11.0]

    def test_lag_is_the_age_of_the_oldest_word_not_covered(self) -> None:
        seen = see(shown((1.0, "", "a"), (4.0, "", "a b c d"), (6.0, "", "a b c d e f")), SAID, 6.0)
        lags = lags_ms(seen, SAID, [(0.0, 5.8)], (0.0, 6.0))
        assert len(lags) == 116
        at = {round(0.05 * i, 2): lag for i, lag in enumerate(lags)}
        assert at[0.5] == at[1.5] == at[4.0] == 0
        assert at[0.95] == pytest.approx(150)
        assert at[3.5] == pytest.approx(1700)  # b ended at 1.8

    def test_lost_words_are_those_in_long_runs(self) -> None:
        said = [SaidWord(str(i), float(i), i + 0.5) for i in range(20)]
        text = " ".join(word.text for i, word in enumerate(said) if i not in (1, 2) and not 8 <= i < 14)
        assert lost_words(see(shown((20.0, text, "")), said, 20.0), 20) == 6
        assert lost_words(see([], said, 20.0), 20) == 20


class TestSpoken:
    CLIP = Spoken(np.full(32_000, 1_000, np.int16), "one two", "en", ((0.0, 2.0),))

    def test_the_speaker_takes_a_breath_and_stops_in_time(self) -> None:
        short = Spoken(np.full(8_000, 1_000, np.int16), "three", "en", ((0.0, 0.5),))
        speaker = Speaker([self.CLIP, short], 0, 6.0)
        pcm = np.frombuffer(b"".join(speaker.read(1_600) for _ in range(80)), np.int16)
        assert len(pcm) == 128_000
        loud = abs(pcm.reshape(-1, 8_000)).min(axis=1) > 500
        assert [clip is short for clip, _ in speaker.said] == [False, True, True]
        assert loud.tolist() == [True] * 4 + [False] * 2 + [True] + [False] * 2 + [True] + [False] * 6
        one, two = SaidWord("one", 0.1, 0.4), SaidWord("two", 1.0, 1.5)
        times = {
            id(self.CLIP): ClipTimes([one, two], [(0.1, 1.6)], 0.0),
            id(short): ClipTimes([SaidWord("three", 0.1, 0.4)], [(0.1, 0.4)], 0.0),
        }
        said = [(word.text, round(word.end_s, 2)) for word in speaker.words(times, 4.0)]
        assert said == [("one", 0.4), ("two", 1.5), ("three", 3.4)]
        assert speaker.speech(times, 3.25) == [(0.1, 1.6), (3.1, 3.25)]

    def test_words_that_were_not_heard_lie_between_their_neighbours(self) -> None:
        heard = [(" One", 0.0, 1.0), (" four,", 4.0, 5.0)]
        placed = place_words(["one", "two", "three", "four", "five"], heard, 6.0)
        assert [(word.start_s, word.end_s) for word in placed] == [(0, 1), (1, 2.5), (2.5, 4), (4, 5), (5, 6)]


class TestWire:
    def test_realtimestt_packets_tell_their_format(self) -> None:
        framed = wire.realtimestt().framing().frame(b"\1\0" * 40)
        about = json.loads(framed[framed.index(b"{") : framed.index(b"}") + 1])
        assert about["sampleRate"] == 16_000
        assert framed.endswith(b"\1\0" * 40)

    def test_openai_audio_is_24_khz(self) -> None:
        frame = wire.speaches(500).framing().frame
        framed = b"".join(frame(np.full(1_600, 500, np.int16).tobytes()) for _ in range(10))
        parts = framed.split(b'"audio": "')[1:]
        samples = sum(len(base64.b64decode(part[: part.index(b'"')])) // 2 for part in parts)
        assert 22_000 < samples <= 24_000

    def test_each_stream_has_a_name(self) -> None:
        first, second = (json.loads(wire.whisperlive().hello(number)[0]) for number in (0, 1))
        assert first["uid"] != second["uid"]

    def test_shed_samples_are_read_from_done(self) -> None:
        done = '{"type":"done","samples":{"received":9,"transcribed":2,"silent":3,"shed":4}}'
        assert told_shed([(0.0, "{}"), (1.0, done)]) == 4
        assert told_shed([]) == told_shed([(1.0, "0 1 text")]) == 0


def test_who_spells_cannot_be_followed() -> None:
    pcm = np.zeros(16, np.int16)
    assert spelled(Spoken(pcm, "c e n t r e avenue", "en", ()))
    assert not spelled(Spoken(pcm, "knit two together make one", "en", ()))


def test_type_parameters_become_type_variables() -> None:
    source = (
        '"""Doc."""\nfrom __future__ import annotations\nimport abc\ntype Kind = int | str\n'
        "class Box[T: int](abc.ABC):\n    def put[U](self, one: U) -> U:\n        return one\n"
        "class Bare[T]:\n    pass\n"
        "def call[**P, T](f): return f\n"
    )
    made: dict[str, Any] = {}
    exec(compile(for_311(source), "made", "exec"), made)
    assert made["Kind"] == int | str
    assert made["Box"][int]().put(3) == 3
    assert made["Bare"][str]
    assert for_311("x = 1\n") == "x = 1\n"


def row(name: str, streams: int, final_ms: float = 700.0, lag_ms: float = 800.0, **changes: Any) -> dict[str, Any]:
    measures = ("settled", "settled_where_ended", "final", "final_where_ended", "first_text", "send_late")
    marks: dict[str, Any] = {"count": 5, "mean": 1.0, "p50": 10.0, "p99": 1.0, "max": 1.0}
    ms = {measure: {**marks, "p95": final_ms} for measure in measures} | {"lag": {**marks, "p95": lag_ms}}
    error = {"clips": 1, "words": 10, "wer_percent": 9.5, "interval_percent": [1.0, 20.0]}
    figures = {"valid": True, "disturbed": False, "unserved": 0, "shed_samples": 0, "lost_words_percent": 0.0}
    server = {"cores": 1.0, "cores_per_stream": 0.5, "rss_mb": 400.0}
    row = {"name": name, "streams": streams, "steady_s": 20.0, **figures, "ms": ms, "word_error": error}
    return row | {"server": server, **changes}


STRICT, LAX = PROMISES[0], PROMISES[2]
WHISPERLIVE, COHEAR = RIVALS["whisperlive"], RIVALS["cohear"]


class TestPromise:
    def test_each_bound_counts(self) -> None:
        assert broken(row("whisperlive", 1), WHISPERLIVE, STRICT) == []
        assert broken(row("whisperlive", 1, final_ms=900), WHISPERLIVE, STRICT) == ["settled p95 900 ms > 800 ms"]
        assert broken(row("whisperlive", 1, final_ms=900, lag_ms=2_000), WHISPERLIVE, LAX) == []
        assert broken(row("cohear", 1, lag_ms=1_001), COHEAR, STRICT) == ["lag p95 1001 ms > 1000 ms"]
        for fault in ({"lost_words_percent": 12.5}, {"unserved": 1}, {"shed_samples": 1}, {"valid": False}):
            assert len(broken(row("cohear", 1, **fault), COHEAR, STRICT)) == 1
        assert broken({"name": "cohear", "streams": 1, "failed": "why"}, COHEAR, STRICT) == ["why"]

    def test_a_broken_number_ends_the_count(self) -> None:
        rows = [row("cohear", 1), row("cohear", 2), row("cohear", 4, final_ms=5_000), row("cohear", 8)]
        assert carried(rows, COHEAR, STRICT) == 2
        assert carried([*rows, row("cohear", 4)], COHEAR, STRICT) == 8
        assert carried([], COHEAR, STRICT) == 0

    def test_ratio_to_the_best_rival(self) -> None:
        rows = [row("cohear", 1), row("cohear", 8), row("whisperlive", 1), row("whisperlive", 2)]
        found = ratios([*rows, row("floor", 1)], list(RIVALS.values()), COHEAR)["strict"]
        assert found["ratio_to_best_rival"] == 4
        assert found["best_rival"] == ["whisperlive"]
        assert ratios(rows[:2], [COHEAR, WHISPERLIVE], COHEAR)["strict"]["ratio_to_best_rival"] is None

    def test_rounds_go_on_with_those_who_keep_a_promise(self) -> None:
        rows: list[dict[str, Any]] = [row("cohear", 1)]
        asked = []
        for rival, streams in turns([COHEAR, WHISPERLIVE], rows, most=4, refine=1):
            asked.append((rival.name, streams))
            kept = rival is COHEAR and streams < 4
            rows.append(row(rival.name, streams, final_ms=700 if kept else 60_000))
        assert asked == [("whisperlive", 1), ("cohear", 2), ("cohear", 4), ("cohear", 3)]


def test_tables_and_picture_are_written(tmp_path: Path) -> None:
    rows = [row("cohear", 1), row("cohear", 2), row("whisperlive", 1), {"name": "floor", "streams": 1, "failed": "why"}]
    rivals = [RIVALS[name] for name in ("cohear", "whisperlive", "floor")]
    for one in rows:
        one["broken"] = {promise.name: broken(one, RIVALS[one["name"]], promise) for promise in PROMISES}
    result = {
        "date": "2026-01-01T00:00:00",
        "machine": {"cpu": "a CPU", "cores": 2},
        "versions": {"ctranslate2": "4"},
        "model": "tiny.en",
        "settings": {},
        "rows": rows,
        "promises": ratios(rows, rivals, COHEAR),
    }
    page = tmp_path / "page.md"
    page.write_text(f"before\n{begin('bench/peers/run.py')}\nold\n{END}\nafter\n")
    write_tables(result, page)
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert "**2 x**" in text
    assert "| WhisperLive | 1 | 20 | 10 / 700 | 10 / 800 |" in text
    plot(result, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 1_000
