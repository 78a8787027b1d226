"""From a client's frames to mono 16 kHz PCM16, and the exact map between both sample counts.

Takes whole frames of one encoding, rate and channel count; it parses no containers, but knows one that comes instead
of samples. Channels are mixed such that speech stays. Every sample of the wire is counted once, in the client's rate.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from cohear_client.reading.mixing import Mixer
from cohear_client.signatures import HEAD_BYTES, recognised
from numpy.typing import NDArray

from ..errors import ClientError
from .jobs import SAMPLE_RATE_HZ, Pcm
from .resampler import Resampler, Tail

Encoding = Literal["pcm_s16le", "pcm_f32le", "mulaw", "alaw"]

SLICE_S = 1.0
"""Audio that is taken in one step: longer audio is cut, so that other streams get their turn between its slices."""

MAX_FLOAT_LEVEL = 4.0
"""A float sample beyond this is no loud speech but a wrong scale (int16 values sent as floats)."""

_WIDTH_BYTES = {"pcm_s16le": 2, "pcm_f32le": 4, "mulaw": 1, "alaw": 1}


@dataclass(frozen=True, slots=True)
class AudioFormat:
    sample_rate_hz: int = SAMPLE_RATE_HZ
    encoding: Encoding = "pcm_s16le"
    channels: int = 1

    @property
    def frame_bytes(self) -> int:
        """Bytes of one sample across all channels."""
        return _WIDTH_BYTES[self.encoding] * self.channels

    def seconds(self, data: bytes) -> float:
        """Duration of audio in this format."""
        return len(data) / (self.frame_bytes * self.sample_rate_hz)

    def check(self, data: bytes) -> None:
        """Raises ClientError(`bad_audio`) for audio that is no whole number of samples."""
        if len(data) % self.frame_bytes:
            self.check_beginning(data)
            raise ClientError(
                "bad_audio",
                f"a binary frame of {len(data)} bytes is no whole number of samples",
                f"send multiples of {self.frame_bytes} bytes ({self.encoding}, channels={self.channels})",
            )

    def check_beginning(self, data: bytes) -> None:
        """Raises ClientError(`bad_audio`) for what is the beginning of a file."""
        if (kind := recognised(data[:HEAD_BYTES])) is not None:
            what = f"the stream begins with a file ({kind}), not with {self.encoding} samples"
            raise ClientError("bad_audio", what, "send its samples, or give the file to `cohear transcribe --url`")

    def slices(self, data: bytes) -> Iterator[bytes]:
        """The audio in pieces of at most `SLICE_S`. Raises ClientError(`bad_audio`) before the first of them."""
        self.check(data)
        size = int(SLICE_S * self.sample_rate_hz) * self.frame_bytes
        return (data[at : at + size] for at in range(0, len(data), size))


class AudioDecoder:
    """Turns frames into 16 kHz samples, streaming; `received` counts the client's samples.

    The resampler holds back a few ms until later input or `flush`.
    """

    def __init__(self, fmt: AudioFormat) -> None:
        self.format = fmt
        self.received = 0
        self.clipped = 0
        """float samples that were beyond full scale and have been limited to it"""
        self._produced = 0
        self._mixer = Mixer(fmt.channels, fmt.sample_rate_hz)
        self._resampler = None if fmt.sample_rate_hz == SAMPLE_RATE_HZ else Resampler(fmt.sample_rate_hz)

    def tail(self) -> Tail:
        """What the resampler needs to go on elsewhere."""
        return Tail(produced=self._produced) if self._resampler is None else self._resampler.tail()

    def restore(self, received: int, clipped: int, tail: Tail) -> None:
        """Continue after `received` samples of the client; without a `tail`, from silence."""
        self.received, self.clipped = received, clipped
        rate_hz = self.format.sample_rate_hz
        if self._resampler is None:
            self._produced = received
            return
        if not tail.pcm:
            tail = Tail(received, b"", self.to_inner(received))
        self._resampler = Resampler.resumed(rate_hz, tail)
        self._produced = tail.produced

    def decode(self, frame: bytes) -> Pcm:
        """int16 [n] at 16 kHz. Raises ClientError(`bad_audio`) and counts nothing if the frame is unusable."""
        self.format.check(frame)
        if not self.received:
            self.format.check_beginning(frame)
        mono = self._mono(frame)
        self.received += len(mono)
        if self._resampler is None or not len(mono):
            self._produced += len(mono)
            return mono
        return self._count(self._resampler.push(mono))

    def flush(self) -> Pcm:
        """What the resampler still holds; the total then equals `to_inner(received)` exactly."""
        missing = self.to_inner(self.received) - self._produced
        if self._resampler is None or self.received == 0:
            return np.zeros(0, np.int16)
        rest = self._resampler.end()
        return self._count(np.pad(rest, (0, max(0, missing - len(rest))))[:missing])

    def to_inner(self, samples: int) -> int:
        """The client's sample count as a count at 16 kHz, rounded to the nearest."""
        return _scaled(samples, self.format.sample_rate_hz, SAMPLE_RATE_HZ)

    def to_outer(self, samples: int) -> int:
        """A count at 16 kHz as the client's, never more than was received."""
        return min(self.received, _scaled(samples, SAMPLE_RATE_HZ, self.format.sample_rate_hz))

    def _count(self, pcm: Pcm) -> Pcm:
        self._produced += len(pcm)
        return pcm

    def _mono(self, frame: bytes) -> Pcm:
        if self.format.encoding == "pcm_f32le":
            return self._from_float(np.frombuffer(frame, "<f4"))
        if self.format.encoding == "pcm_s16le":
            samples = np.frombuffer(frame, "<i2").astype(np.int16, copy=False)
        else:
            samples = np.take(_G711[self.format.encoding], np.frombuffer(frame, np.uint8))
        if self.format.channels == 1:
            return samples
        mixed: Pcm = np.rint(self._mixer.push(self._sides(samples))).astype(np.int16)
        return mixed

    def _sides(self, samples: NDArray[Any]) -> NDArray[np.float32]:
        return samples.astype(np.float32).reshape(-1, self.format.channels)

    def _from_float(self, samples: NDArray[np.float32]) -> Pcm:
        level = float(np.abs(samples).max(initial=0.0))
        # written so that NaN, which compares false with everything, is refused too
        if not level <= MAX_FLOAT_LEVEL:
            what = "is not finite" if not np.isfinite(level) else f"reaches a level of {level:.0f}"
            raise ClientError("bad_audio", f"a float sample {what}", "send pcm_f32le samples between -1 and 1")
        if level > 1.0:
            self.clipped += int(np.count_nonzero(np.abs(samples) > 1.0))
            samples = samples.clip(-1.0, 1.0)
        if self.format.channels > 1:
            samples = self._mixer.push(self._sides(samples))
        scaled: Pcm = np.rint(samples * 32767.0).astype(np.int16)
        return scaled


def _scaled(samples: int, from_hz: int, to_hz: int) -> int:
    return (samples * to_hz + from_hz // 2) // from_hz


def _mulaw_table() -> Pcm:
    """ITU-T G.711, mu-law: inverted bits, 3 bits of exponent, 4 of mantissa, bias 33 on 14 bits."""
    code = ~np.arange(256, dtype=np.uint8)
    exponent, mantissa = (code >> 4 & 7).astype(np.int32), (code & 15).astype(np.int32)
    level = (((2 * mantissa + 33) << exponent) - 33) << 2
    return np.where(code & 0x80, -level, level).astype(np.int16)


def _alaw_table() -> Pcm:
    """ITU-T G.711, A-law: even bits inverted, 3 bits of exponent, 4 of mantissa, on 13 bits."""
    code = np.arange(256, dtype=np.uint8) ^ 0x55
    exponent, mantissa = (code >> 4 & 7).astype(np.int32), (code & 15).astype(np.int32)
    level = np.where(exponent == 0, 2 * mantissa + 1, (2 * mantissa + 33) << np.maximum(exponent - 1, 0)) << 3
    return np.where(code & 0x80, level, -level).astype(np.int16)


_G711 = {"mulaw": _mulaw_table(), "alaw": _alaw_table()}
