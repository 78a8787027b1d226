"""Makes a model's window profile from its weights and some speech. A tool: nothing at run time needs it.

    python -m cohear_server.decoding.profiling MODEL_DIR NAME --audio DIR

The audio is any folder of speech of 1 to 12 s a clip, about 40 of them; what is said does not matter.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import soundfile
from numpy.typing import NDArray

from ..core.jobs import MAX_WINDOW_SAMPLES, SAMPLE_RATE_HZ
from .options import EngineOptions
from .profile import FIELDS, Profile, profiles_dir
from .tail import MAX_STATES, States, TailStates

CLIPS = 40
MAX_CLIP_S = 12
STATE_SAMPLES = 320
AFTER_SPEECH_STATES = 25
"""half a second: the states right after the clip still hear its end"""

Wave = NDArray[np.float32]


class Encoder(Protocol):
    def encode(self, waves: Sequence[Wave]) -> list[States]: ...


def build_tail(encoder: Encoder, clips: Iterable[Wave]) -> TailStates:
    """Average encoder output, at each position, of the silence that follows each clip when it is padded to 30 s."""
    total: NDArray[np.float64] | None = None
    count = np.zeros((MAX_STATES, 1))
    for clip in clips:
        states = encoder.encode([np.pad(clip, (0, MAX_WINDOW_SAMPLES - len(clip)))])[0]
        silent = len(clip) // STATE_SAMPLES + AFTER_SPEECH_STATES
        total = np.zeros(states.shape) if total is None else total
        total[silent:] += states[silent:]
        count[silent:] += 1
    if total is None:
        raise ValueError("no clips to build tail states from")
    offset = int((count[:, 0] > 0).argmax())
    return TailStates((total[offset:] / count[offset:]).astype(np.float32), offset)


def write_profile(folder: Path, profile: Profile) -> None:
    """Write profile.toml and tail.npz into `folder`, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"# Window profile of {profile.name}; made by cohear_server.decoding.profiling"]
    for name in FIELDS:
        value = getattr(profile, name)
        lines.append(f"{name} = " + (str(value).lower() if isinstance(value, bool) else repr(value).replace("'", '"')))
    (folder / "profile.toml").write_text("\n".join(lines) + "\n")
    np.savez_compressed(
        folder / "tail.npz", rows=profile.tail.rows.astype(np.float16), offset=np.int32(profile.tail.offset)
    )


def read_clips(folder: Path) -> list[Wave]:
    """Up to CLIPS 16 kHz mono clips of 1 to MAX_CLIP_S seconds, evenly out of `folder` and below it."""
    files = [path for path in sorted(folder.rglob("*")) if path.suffix in (".flac", ".wav")]
    files = [path for path in files if _suits(path)]
    return [
        soundfile.read(path, dtype="float32", always_2d=True)[0][:, 0]
        for path in files[:: max(1, len(files) // CLIPS)][:CLIPS]
    ]


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _suits(path: Path) -> bool:
    info = soundfile.info(path)
    return bool(info.samplerate == SAMPLE_RATE_HZ and 1 <= info.frames / SAMPLE_RATE_HZ <= MAX_CLIP_S)


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="profiling", description="Make a model's window profile.")
    parser.add_argument("model_dir", type=Path)
    parser.add_argument("name")
    parser.add_argument("--audio", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=profiles_dir())
    parser.add_argument("--silence-ms", type=int, default=1000)
    parser.add_argument("--tail-states", type=int, default=300)
    given = parser.parse_args(arguments)
    from .whisper import WhisperModel

    model = WhisperModel(EngineOptions(given.name, given.model_dir, device="cpu", compute_type="float32"))
    clips = read_clips(given.audio)
    profile = Profile(
        name=given.name,
        model_sha256=sha256(given.model_dir / "model.bin"),
        short_windows=True,
        silence_ms=given.silence_ms,
        tail_states=given.tail_states,
        max_window_s=30.0,
        tokens_per_s=8.0,
        tokens_floor=10,
        tail=build_tail(model, clips),
    )
    write_profile(given.out / given.name, profile)
    print(f"{given.out / given.name}: {len(clips)} clips, tail from state {profile.tail.offset}")


if __name__ == "__main__":
    main(sys.argv[1:])
