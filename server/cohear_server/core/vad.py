"""Speech probability per 20 ms frame, streaming.

Four detectors with one interface. `cascade` is the default: WebRTC's detector is a cheap gate, but steady noise passes
it; Silero's network hears only what passes the gate, and tells noise from speech. What counts as a start or an end of
speech is the segmenter's part.
"""

from __future__ import annotations

import functools
from collections import deque
from importlib import metadata
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import onnxruntime
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


def make_vad(name: VadName) -> Vad:
    """A detector for one stream."""
    kinds = {"cascade": CascadeVad, "webrtc": WebRtcVad, "silero": SileroVad, "energy": EnergyVad}
    vad: Vad = kinds[name]()
    return vad


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


class SileroVad:
    """Silero v6: a small recurrent network over chunks of 32 ms. It runs on four chunks at once while it is sure of
    speech, else on two. The newest probability holds until the next run.

    Four at once are cheaper; two while it is not sure make the end of speech known sooner.
    """

    CHUNK, CONTEXT = 512, 64
    SURE, SURE_CHUNKS, CHUNKS = 0.9, 4, 2
    HEARD = 0.5
    """probabilities from here on count as speech"""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the audio so far, as after a long pause."""
        self._state = np.zeros((1, 1, 128), np.float32)
        self._cell = np.zeros((1, 1, 128), np.float32)
        self._pending = [np.zeros(self.CONTEXT, np.int16)]
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
        count = (len(pending) - self.CONTEXT) // self.CHUNK
        starts = np.arange(count)[:, None] * self.CHUNK
        windows = pending[starts + np.arange(self.CONTEXT + self.CHUNK)].astype(np.float32) / 32768.0
        feeds = {"input": windows, "h": self._state, "c": self._cell}
        probabilities, self._state, self._cell = silero_network().run(None, feeds)
        # rises with the highest, so that the end of a short word does not hide its beginning; falls with the newest
        heard = self._probability >= self.HEARD
        self._probability = float(probabilities[-1] if heard else np.max(probabilities))
        rest = pending[count * self.CHUNK :]
        self._pending = [rest]
        self._missing = self._wanted() - (len(rest) - self.CONTEXT)

    def _wanted(self) -> int:
        """Samples of the next run."""
        return self.CHUNK * (self.SURE_CHUNKS if self._probability >= self.SURE else self.CHUNKS)


class CascadeVad:
    """Speech where WebRTC says yes and Silero's probability is high. Silero sleeps after a pause, and begins again with
    the frames before the one that wakes it.

    Without these frames it begins in the middle of a short word, and misses many of them in noise.
    """

    SLEEP_FRAMES = 15
    LEAD_FRAMES = 5

    def __init__(self) -> None:
        self._gate = WebRtcVad()
        self._silero = SileroVad()
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


@functools.cache
def silero_network() -> onnxruntime.InferenceSession:
    """The network that faster-whisper ships, found through its metadata; one for all streams (stateless)."""
    files = metadata.files("faster-whisper") or []
    path = next((Path(str(f.locate())) for f in files if f.name == "silero_vad_v6.onnx"), None)
    if path is None:
        raise ServerError("no_vad", "Silero's network is missing", "reinstall faster-whisper, or choose vad = webrtc")
    options = onnxruntime.SessionOptions()
    options.inter_op_num_threads = options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
