"""What an engine is started with. Not how one window is decoded: that is `core.jobs.DecodeOptions`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..models.weights import ModelFiles


@dataclass(frozen=True, slots=True)
class EngineOptions:
    model_name: str
    """names the profile, and is what clients ask for"""
    model_dir: Path
    """a CTranslate2 Whisper folder: model.bin, config.json, tokenizer.json, vocabulary"""
    device: str = "auto"
    """cpu, cuda, or auto: cuda where there is one"""
    compute_type: str = "default"
    """CTranslate2's name, such as int8 or float16; the backend takes `default` for int8 on a CPU, float16 on a GPU"""
    workers: int = 1
    """batches decoded at the same time; the backend takes 0 for one a core on a CPU, one on a GPU"""
    threads: int = 0
    """CPU threads of each worker; 0 lets CTranslate2 choose"""
    model_sha256: str | None = None
    """hash of model.bin where it is known; a profile made for other weights is then not used"""
    token_probabilities: bool = True
    """of each token as it is decoded, which takes 0.2 MB a token; else only their mean, until words are aligned"""
    filled_states: tuple[int, ...] | None = None
    """see `tail`; None takes the profile's"""
    states_at_once: int | None = None
    """to save memory: most encoder states that are decoded together, tails included (the decoder takes 12 kB for each,
    tiny.en)"""
    one_heap: bool = False
    """memory that the decoder frees is kept in one heap of the whole process (see `heap`): quicker, where batches are
    large and follow each other without a pause"""
    profile_dir: Path | None = None
    """folder of profiles; None takes the committed ones"""

    @classmethod
    def of(cls, model: ModelFiles, device: str, compute_type: str, workers: int, threads: int) -> EngineOptions:
        """To run a model that was found."""
        return cls(model.name, model.directory, device, compute_type, workers, threads, model.sha256)
