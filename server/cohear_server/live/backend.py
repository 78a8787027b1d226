"""The backend that the settings name: which engine, which models, with or without a cache."""

from __future__ import annotations

from pathlib import Path

from ..config import ServerConfig
from ..engine.backend import DecodeBackend
from ..engine.cached import CachedBackend
from ..engine.options import EngineOptions
from ..errors import ClientError


def engine_options(config: ServerConfig, name: str) -> EngineOptions:
    """What a local engine of that model is started with; the model is fetched if it must be. Raises ClientError if it
    cannot be had."""
    from ..models.catalog import SourceOptions, find_model

    model_dir = Path(config.model_dir) if config.model_dir else None
    model = find_model(name, options=SourceOptions(model_dir, config.offline))
    return EngineOptions.of(model, config.device, config.compute_type, config.workers, config.threads)


def make_backend(config: ServerConfig) -> DecodeBackend:
    """The local engine with the configured models, with a cache if the settings say so. Raises ClientError if there is
    no such model, or the cache cannot be opened."""
    from ..engine.cache import open_cache
    from ..engine.local import LocalBackend
    from ..engine.results import Results, identity_of
    from ..engine.tiers import TieredBackend

    main = LocalBackend(engine_options(config, config.model))
    backend: DecodeBackend = main
    if config.partial_model:
        smaller = LocalBackend(engine_options(config, config.partial_model))
        if smaller.options.model_name == main.options.model_name:
            same = f"setting 'partial_model' is {config.partial_model!r:.60}, the same model as 'model'"
            raise ClientError("bad_config", same, "name a smaller model, or leave it out")
        backend = TieredBackend(main, smaller)
    if not config.cache:
        return backend
    # only finals are kept, and they come from the main model
    cache = open_cache(config.cache_dir, config.cache_limit_mb)
    return CachedBackend(backend, Results(cache, identity_of(main.options)))
