"""Audio in: from the client's bytes to the boundaries of segments. The audio is kept as long as it is needed.

    bytes -> AudioDecoder -> AudioBuffer -> Level -> speech detector -> Segmenter -> SegmentEvent

The detector hears quiet speech louder; what is kept is as it came. It decides nothing about windows, jobs or texts.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import ClientError
from .audio import AudioDecoder, AudioFormat
from .buffer import AudioBuffer
from .clock import JitterClock
from .events import Reason
from .jobs import SAMPLE_RATE_HZ, Pcm
from .level import Level, amplified
from .options import SessionOptions
from .segmenter import Segmenter, SegmentEvent, SpeechEnd
from .state import IntakeState, KeptAudio
from .vad import FRAME_SAMPLES, SileroNetwork, Vad, make_vad, power

PRIMED_SAMPLES = 2 * SAMPLE_RATE_HZ
"""Judged audio that is kept: a detector that continues elsewhere hears it first."""


class Intake:
    """Positions are samples at 16 kHz since the stream began."""

    def __init__(self, fmt: AudioFormat, options: SessionOptions, network: SileroNetwork | None = None) -> None:
        self.decoder = AudioDecoder(fmt)
        self.clock = JitterClock(fmt.sample_rate_hz)
        self.buffer = AudioBuffer()
        self.segmenter = Segmenter(options.segmenter)
        self._vad: Vad = make_vad(options.vad, network)
        self._level = Level()
        self._clipping_told = False

    @property
    def position(self) -> int:
        """Samples judged so far."""
        return self.segmenter.position

    def change_format(self, fmt: AudioFormat) -> None:
        """Raises ClientError(`bad_field`) once there is audio of another format."""
        if fmt == self.decoder.format:
            return
        if self.decoder.received:
            remedy = "name the format before the first audio, or start a new stream"
            raise ClientError("bad_field", "field 'format' changes, but audio was sent already", remedy)
        self.decoder, self.clock = AudioDecoder(fmt), JitterClock(fmt.sample_rate_hz)

    def receive(self, data: bytes, now_s: float) -> Iterator[SegmentEvent]:
        """Take in audio of the client; yields boundaries as they are found, while `position` rises.

        Raises ClientError(`bad_audio`); the audio is then not counted."""
        before = self.decoder.received
        pcm = self.decoder.decode(data)
        self.clock.on_frame(self.decoder.received - before, now_s)
        return self._judge(pcm)

    def clipped_now(self) -> bool:
        """Whether float samples were beyond full scale; True only once."""
        told, self._clipping_told = self._clipping_told, self.decoder.clipped > 0
        return self._clipping_told and not told

    def flush(self) -> Iterator[SegmentEvent]:
        """The audio is over: judge what the resampler held back."""
        return self._judge(self.decoder.flush())

    def end_segment(self, reason: Reason) -> SpeechEnd | None:
        """End an open segment at once, with all audio there is."""
        return self.segmenter.flush(self.buffer.end, reason)

    def forget_before(self, sample: int) -> None:
        """Audio before `sample` is no longer needed, neither as speech nor as context."""
        self.buffer.drop_before(min(sample, self.position - PRIMED_SAMPLES))

    def state(self) -> IntakeState:
        """What another intake needs to continue from here. Only in silence."""
        kept = KeptAudio(
            start=self.buffer.start,
            pcm=self.buffer.read(self.buffer.start, self.buffer.end).astype("<i2").tobytes(),
            tail=self.decoder.tail(),
        )
        segmenter = self.segmenter
        return IntakeState(
            received=self.decoder.received,
            clipped=self.decoder.clipped,
            position=segmenter.position,
            floor=segmenter.floor,
            recent=segmenter.recent,
            jitter_s=self.clock.jitter_s,
            gaps=self.clock.gaps,
            level=self._level.state(),
            audio=kept,
        )

    def restore(self, state: IntakeState) -> None:
        """Continue where another intake was; the detector hears the kept audio first."""
        self.decoder.restore(state.received, state.clipped, state.audio.tail)
        self.buffer.restore(state.audio.start, state.audio.samples)
        self.clock.jitter_s, self.clock.gaps = state.jitter_s, state.gaps
        count = max(0, state.position - self.buffer.start) // FRAME_SAMPLES
        heard = self.buffer.read(state.position - count * FRAME_SAMPLES, state.position).reshape(count, FRAME_SAMPLES)
        self._level = Level(state.level)
        self._vad.push(amplified(heard, self._level.gain))
        self.segmenter.restore(state.position, state.floor, state.recent, power(heard))

    def _judge(self, pcm: Pcm) -> Iterator[SegmentEvent]:
        self.buffer.append(pcm)
        first = self.position
        count = (self.buffer.end - first) // FRAME_SAMPLES
        frames = self.buffer.read(first, first + count * FRAME_SAMPLES).reshape(count, FRAME_SAMPLES)
        powers = power(frames)
        gains = self._level.gains(powers)
        heard = frames if gains is None else amplified(frames, gains[:, None])
        return self.segmenter.push(self._vad.push(heard), powers)
