"""Speech probability per 20 ms frame, streaming.

Four detectors behind one protocol. `cascade` is the default: WebRTC's detector is a gate (0.2 ms of
CPU per audio second, but steady noise passes it), Silero's network hears only what passes the gate
(noise never got over 0.33 with it in our non-speech clips, speech always over 0.5).
What counts as a start or an end of speech is the segmenter's business, not this module's.
"""

from __future__ import annotations

import functools
from importlib import metadata
from pathlib import Path
from typing import Literal, Protocol, get_args

import numpy as np
import onnxruntime
import webrtcvad
from numpy.typing import NDArray

from ..errors import ServerError
from .jobs import SAMPLE_RATE_HZ, Pcm

FRAME_SAMPLES = SAMPLE_RATE_HZ // 50
Probabilities = NDArray[np.float32]
VadName = Literal["cascade", "webrtc", "silero", "energy"]
VAD_NAMES: tuple[VadName, ...] = get_args(VadName)


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
    """Level over a tracked noise floor: a logistic curve through 0.5 at 9 dB. For tests, and for tiny machines."""

    def __init__(self) -> None:
        self._floor_db = -60.0

    def push(self, frames: Pcm) -> Probabilities:
        level_db = level(frames)
        out = np.empty(len(level_db), np.float32)
        for i, db in enumerate(level_db):
            # falls at once, rises by 2 dB a second: pauses set the floor, speech hardly lifts it
            self._floor_db = max(-75.0, min(float(db), self._floor_db + 0.04))
            out[i] = 1.0 / (1.0 + np.exp(-(db - self._floor_db - 9.0) / 1.5))
        return out


class WebRtcVad:
    """Google's Gaussian mixture detector, yes or no. Mode 2 of 0..3 keeps weak onsets that mode 3 drops."""

    def __init__(self, mode: int = 2) -> None:
        self._vad = webrtcvad.Vad(mode)

    def push(self, frames: Pcm) -> Probabilities:
        voiced = [self._vad.is_speech(frame.tobytes(), SAMPLE_RATE_HZ) for frame in frames]
        return np.asarray(voiced, np.float32)


class SileroVad:
    """Silero v6: a small recurrent network over 32 ms chunks, run every `block` chunks.

    The newest probability holds until the next run, so a frame's answer is at most `block` * 32 ms old.
    """

    CHUNK, CONTEXT = 512, 64

    def __init__(self, block: int = 4) -> None:
        self._block_samples = block * self.CHUNK
        self.reset()

    def reset(self) -> None:
        """Forget what was heard, as after a long pause."""
        self._state = np.zeros((1, 1, 128), np.float32)
        self._cell = np.zeros((1, 1, 128), np.float32)
        self._pending = np.zeros(self.CONTEXT, np.float32)
        self._probability = 0.0

    def push(self, frames: Pcm) -> Probabilities:
        out = np.empty(len(frames), np.float32)
        for i, frame in enumerate(frames):
            self._pending = np.concatenate([self._pending, frame.astype(np.float32) / 32768.0])
            if len(self._pending) >= self.CONTEXT + self._block_samples:
                self._run()
            out[i] = self._probability
        return out

    def _run(self) -> None:
        count = (len(self._pending) - self.CONTEXT) // self.CHUNK
        starts = np.arange(count)[:, None] * self.CHUNK
        windows = self._pending[starts + np.arange(self.CONTEXT + self.CHUNK)]
        feeds = {"input": windows, "h": self._state, "c": self._cell}
        probability, self._state, self._cell = silero_network().run(None, feeds)
        self._pending = self._pending[count * self.CHUNK :]
        # the highest of the block: a word's short end must not hide its beginning
        self._probability = float(np.max(probability))


class CascadeVad:
    """WebRTC's yes and Silero's probability; Silero sleeps after a pause and starts afresh."""

    SLEEP_FRAMES = 15

    def __init__(self) -> None:
        self._gate = WebRtcVad()
        self._silero = SileroVad()
        self._quiet_frames = self.SLEEP_FRAMES

    def push(self, frames: Pcm) -> Probabilities:
        gate = self._gate.push(frames)
        out = np.zeros(len(frames), np.float32)
        for i, voiced in enumerate(gate):
            if voiced:
                self._quiet_frames = 0
            elif self._quiet_frames >= self.SLEEP_FRAMES:
                continue
            else:
                self._quiet_frames += 1
                if self._quiet_frames == self.SLEEP_FRAMES:
                    self._silero.reset()
                    continue
            probability = self._silero.push(frames[i : i + 1])[0]
            out[i] = probability if voiced else 0.0
        return out


def level(frames: Pcm) -> NDArray[np.float32]:
    """Level of each frame [n, samples] in dB of full scale, at least -96."""
    samples = frames.astype(np.float32)
    power = np.einsum("ij,ij->i", samples, samples) / (frames.shape[1] * 32768.0**2)
    return np.asarray(10.0 * np.log10(np.maximum(power, 10**-9.6)), np.float32)


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
