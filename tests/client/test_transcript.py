from __future__ import annotations

from cohear_client import Done, Final, TranscriptBuilder
from cohear_client.protocol import SampleCount, SpeechStarted, Timing


def final(segment_id: int, text: str, start_s: float, language: str = "en") -> Final:
    return Final(segment_id, segment_id, text, 0.9, language, start_s, start_s + 1, "endpoint", "m", Timing())


def test_segments_in_order_of_the_audio_without_empty_ones() -> None:
    builder = TranscriptBuilder()
    for event in (final(1, " two ", 1.0), final(0, "one", 0.0), final(2, " ", 2.0), SpeechStarted(0.0)):
        builder.add(event)
    builder.add(Done(SampleCount(9, 9), 3))
    transcript = builder.transcript()
    assert transcript.text == "one two"
    assert transcript.samples == SampleCount(9, 9)


def test_languages_without_spaces_get_none() -> None:
    builder = TranscriptBuilder()
    builder.add(final(0, "你好", 0.0, "zh"))
    builder.add(final(1, "世界", 1.0, "zh"))
    assert builder.transcript().text == "你好世界"


def test_nothing_said() -> None:
    assert TranscriptBuilder().transcript().text == ""
