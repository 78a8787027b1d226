"""From bytes to boundaries, and how another intake goes on."""

from __future__ import annotations

import numpy as np
import pytest
from cohear_server.core.audio import AudioFormat
from cohear_server.core.intake import PRIMED_SAMPLES, Intake
from cohear_server.core.options import SessionOptions
from cohear_server.core.segmenter import SpeechEnd, SpeechStart
from cohear_server.errors import ClientError

from .driver import silence, speech, utterance

OPTIONS = SessionOptions(vad="energy")


def test_bytes_become_boundaries_while_the_position_rises() -> None:
    intake = Intake(AudioFormat(), OPTIONS)
    heard = [(type(event), intake.position) for event in intake.receive(utterance().tobytes(), 4.0)]
    assert (heard[0][0], heard[-1][0]) == (SpeechStart, SpeechEnd)
    assert [position for _, position in heard] == sorted({position for _, position in heard})
    assert intake.buffer.end == 64_000


def test_audio_that_cannot_be_used_counts_for_nothing() -> None:
    intake = Intake(AudioFormat(encoding="pcm_f32le"), OPTIONS)
    with pytest.raises(ClientError, match="not finite"):
        intake.receive(np.array([np.nan], "<f4").tobytes(), 0.0)
    assert (intake.decoder.received, intake.buffer.end) == (0, 0)


def test_what_a_detector_needs_to_go_on_elsewhere_is_kept() -> None:
    intake = Intake(AudioFormat(), OPTIONS)
    for second in range(60):
        list(intake.receive(silence(1).tobytes(), float(second)))
        intake.forget_before(intake.position)
    assert intake.buffer.start <= intake.position - PRIMED_SAMPLES
    assert intake.buffer.end - intake.buffer.start < 3 * PRIMED_SAMPLES


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 44_100])
def test_another_one_hears_the_rest_at_the_same_places(rate_hz: int) -> None:
    rest = np.concatenate([silence(0.4), speech(1.0), silence(1.0)])
    intake = Intake(AudioFormat(rate_hz), OPTIONS)
    list(intake.receive(silence(1.51).tobytes(), 0.0))
    other = Intake(AudioFormat(rate_hz), OPTIONS)
    other.restore(intake.state())
    assert list(other.receive(rest.tobytes(), 0.0)) == list(intake.receive(rest.tobytes(), 0.0))
    assert list(other.flush()) == list(intake.flush())
    assert (other.position, other.buffer.end) == (intake.position, intake.buffer.end)
