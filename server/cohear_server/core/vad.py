"""Speech probability per 20 ms frame, streaming.

Four detectors with one interface. `cascade` is the default: WebRTC's detector is a cheap gate, but steady noise passes
it; Silero's network hears only what passes the gate, and tells noise from speech. What counts as a start or an end of
speech is the segmenter's part. The network is handed in: `models.silero` loads it, nothing is read here.
"""

from __future__ import annotations

from collections import deque
from typing import Literal, Protocol, TypeAlias

import numpy as np
import webrtcvad
from numpy.typing import NDArray

from ..errors import ServerError
from .jobs import SAMPLE_RATE_HZ, Pcm

FRAME_SAMPLES = SAMPLE_RATE_HZ // 50
Probabilities = NDArray[np.float32]
VadName = Literal["cascade", "webrtc", "silero", "energy"]


class Vad(Protocol):
    def push(self, frames: Pcm) -> Probabilities:
        """int16 [n, FRAME_SAMPLES], the next frames of one stream -> speech probability [n]."""
        ...


Memory: TypeAlias = tuple[NDArray[np.float32], NDArray[np.float32]]
"""what Silero's network remembers of a stream: two arrays [1, 1, 128]"""


class SileroNetwork(Protocol):
    """Silero v6, without memory of its own: one serves all streams."""

    def run(self, windows: NDArray[np.float32], memory: Memory) -> tuple[Probabilities, Memory]:
        """float32 [n, Silero.CONTEXT + Silero.CHUNK] of -1..1, in the order of the stream -> probability [n]."""
        ...


def make_vad(name: VadName, network: SileroNetwork | None = None) -> Vad:
    """A detector for one stream. Raises ServerError(`no_vad`) if it needs Silero's network and there is none."""
    match name:
        case "webrtc":
            return WebRtcVad()
        case "energy":
            return EnergyVad()
    if network is None:
        raise ServerError("no_vad", f"detector {name} needs Silero's network", "load it first, or choose vad = webrtc")
    return CascadeVad(network) if name == "cascade" else SileroVad(network)


class EnergyVad:
    """The level above a tracked noise floor: a logistic curve through 0.5 at 9 dB. For tests and very small
    machines."""

    def __init__(self) -> None:
        self._floor_db = -60.0

    def push(self, frames: Pcm) -> Probabilities:
        level_db = level(frames)
        out = np.empty(len(level_db), np.float32)
        for i, db in enumerate(level_db):
            # the floor falls at once and rises by 2 dB a second: pauses set it, speech hardly raises it
            self._floor_db = max(-75.0, min(float(db), self._floor_db + 0.04))
            out[i] = 1.0 / (1.0 + np.exp(-(db - self._floor_db - 9.0) / 1.5))
        return out


class WebRtcVad:
    """Google's Gaussian mixture detector, which says yes or no. Mode 2 of 0..3 keeps weak onsets that mode 3 drops."""

    def __init__(self, mode: int = 2) -> None:
        self._vad = webrtcvad.Vad(mode)

    def push(self, frames: Pcm) -> Probabilities:
        pcm, size = frames.tobytes(), 2 * FRAME_SAMPLES
        voiced = [self._vad.is_speech(pcm[at : at + size], SAMPLE_RATE_HZ) for at in range(0, len(pcm), size)]
        return np.asarray(voiced, np.float32)


class Silero:
    """The network over the audio of one stream, in whole chunks of 32 ms, each with the end of the one before it."""

    CHUNK, CONTEXT = 512, 64

    def __init__(self, network: SileroNetwork) -> None:
        self._network = network
        self.reset()

    def reset(self) -> None:
        """Forget what was heard, as after a long pause."""
        self._memory: Memory = (np.zeros((1, 1, 128), np.float32), np.zeros((1, 1, 128), np.float32))
        self._context = np.zeros(self.CONTEXT, np.int16)

    def run(self, samples: Pcm) -> Probabilities:
        """int16 [n * CHUNK], the next of the stream -> speech probability [n]."""
        wave = np.concatenate([self._context, samples])
        self.skip(samples)
        starts = np.arange(len(samples) // self.CHUNK)[:, None] * self.CHUNK
        windows = wave[starts + np.arange(self.CONTEXT + self.CHUNK)].astype(np.float32) / 32768.0
        probabilities, self._memory = self._network.run(windows, self._memory)
        return probabilities

    def skip(self, samples: Pcm) -> None:
        """The next of the stream, judged in another way."""
        self._context = samples[len(samples) - self.CONTEXT :]


class SileroVad:
    """Silero v6: a small recurrent network over chunks of 32 ms. It runs on four chunks at once while it is sure of
    speech, else on two. The newest probability holds until the next run.

    Four at once are cheaper; two while it is not sure make the end of speech known sooner.
    """

    SURE, SURE_CHUNKS, CHUNKS = 0.9, 4, 2
    HEARD = 0.5
    """probabilities from here on count as speech"""

    def __init__(self, network: SileroNetwork) -> None:
        self._silero = Silero(network)
        self.reset()

    def reset(self) -> None:
        """Forget what was heard, as after a long pause."""
        self._silero.reset()
        self._pending: list[Pcm] = []
        self._probability = 0.0
        self._missing = self._wanted()

    def push(self, frames: Pcm) -> Probabilities:
        out = np.empty(len(frames), np.float32)
        for i, frame in enumerate(frames):
            self._pending.append(frame)
            self._missing -= len(frame)
            if self._missing <= 0:
                self._run()
            out[i] = self._probability
        return out

    def _run(self) -> None:
        pending = np.concatenate(self._pending)
        whole = len(pending) // Silero.CHUNK * Silero.CHUNK
        probabilities = self._silero.run(pending[:whole])
        # rises with the highest, so that the end of a short word does not hide its beginning; falls with the newest
        heard = self._probability >= self.HEARD
        self._probability = float(probabilities[-1] if heard else np.max(probabilities))
        self._pending = [pending[whole:]]
        self._missing = self._wanted() - len(self._pending[0])

    def _wanted(self) -> int:
        """Samples to run on next."""
        return Silero.CHUNK * (self.SURE_CHUNKS if self._probability >= self.SURE else self.CHUNKS)


class CascadeVad:
    """Speech where WebRTC says yes and Silero's probability is high. Silero sleeps after a pause, and begins again with
    the frames before the one that wakes it.

    Without these frames it begins in the middle of a short word, and misses many of them in noise.
    """

    SLEEP_FRAMES = 15
    LEAD_FRAMES = 5

    def __init__(self, network: SileroNetwork) -> None:
        self._gate = WebRtcVad()
        self._silero = SileroVad(network)
        self._quiet_frames = self.SLEEP_FRAMES
        silence = np.zeros((self.LEAD_FRAMES, FRAME_SAMPLES), np.int16)
        self._lead = deque(silence, maxlen=self.LEAD_FRAMES)
        """the newest frames, heard again when Silero wakes"""

    def push(self, frames: Pcm) -> Probabilities:
        gate = self._gate.push(frames)
        out = np.zeros(len(frames), np.float32)
        first = 0
        for i, (frame, voiced) in enumerate(zip(frames, gate.tolist(), strict=True)):
            asleep = self._quiet_frames == self.SLEEP_FRAMES
            if voiced:
                if asleep:
                    self._silero.push(np.stack(self._lead))
                    first = i
                self._quiet_frames = 0
            elif not asleep:
                self._quiet_frames += 1
                if self._quiet_frames == self.SLEEP_FRAMES:
                    out[first:i] = self._silero.push(frames[first:i])
                    self._silero.reset()
            self._lead.append(frame)
        if self._quiet_frames < self.SLEEP_FRAMES:
            out[first:] = self._silero.push(frames[first:])
        return out * gate


def level(frames: Pcm) -> NDArray[np.float32]:
    """Level of each frame [n, samples] in dB of full scale, at least -96."""
    return decibels(power(frames))


def power(frames: Pcm) -> NDArray[np.float32]:
    """Mean square of each frame [n, samples]; 1 is full scale."""
    samples = frames.astype(np.float32)
    squares = np.add.reduce(samples * samples, axis=1)
    return np.asarray(squares / (frames.shape[1] * 32768.0**2), np.float32)


def decibels(powers: NDArray[np.float32]) -> NDArray[np.float32]:
    """dB of full scale, at least -96."""
    return np.asarray(10.0 * np.log10(np.maximum(powers, 10**-9.6)), np.float32)
