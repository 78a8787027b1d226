"""What only two models together do; what every backend does is in tests/contract."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cohear_server.config import ServerConfig
from cohear_server.core.jobs import DecodeOptions
from cohear_server.engine.backend import ModelInfo
from cohear_server.engine.tiers import TieredBackend
from cohear_server.errors import BackendUnavailable, ClientError
from cohear_server.live.backend import make_backend
from cohear_testing.fake import FAKE_MODEL, FakeBackend, FakeOptions

from .jobs import make_job, noise

SMALL = replace(FAKE_MODEL, name="small")
GERMAN_TOO = replace(FAKE_MODEL, name="more", languages=("en", "de"), translates=True)


async def test_a_batch_goes_to_the_model_that_it_names() -> None:
    main, smaller = FakeBackend(FakeOptions(slots=3)), FakeBackend(FakeOptions(model=SMALL))
    both = TieredBackend(main, smaller)
    await both.start()
    assert both.slots == 3
    assert both.model.name == "fake"
    assert both.model.smaller == SMALL
    for model in ("small", "fake", "what a test names"):
        job = make_job(noise(0.5))
        await both.decode([replace(job, options=replace(job.options, model=model))])
    await both.aclose()
    assert [batch[0].options.model for batch in smaller.batches] == ["small"]
    assert [batch[0].options.model for batch in main.batches] == ["fake", "what a test names"]


async def test_the_main_one_is_closed_where_the_smaller_does_not_start() -> None:
    main = FakeBackend()
    with pytest.raises(BackendUnavailable, match="told to be unavailable"):
        await TieredBackend(main, FakeBackend(FakeOptions(unavailable=True, model=SMALL))).start()
    with pytest.raises(BackendUnavailable, match="not running"):
        await main.decode([make_job(noise(0.5))])


@pytest.mark.parametrize(
    ("model", "options", "knows"),
    [
        (SMALL, DecodeOptions("fake", "en"), True),
        (SMALL, DecodeOptions("fake", "de"), False),
        (SMALL, DecodeOptions("fake"), False),
        (SMALL, DecodeOptions("fake", "en", "translate"), False),
        (GERMAN_TOO, DecodeOptions("fake"), True),
        (GERMAN_TOO, DecodeOptions("fake", "de", "translate"), True),
        (GERMAN_TOO, DecodeOptions("fake", "fr"), False),
    ],
)
def test_what_a_model_knows(model: ModelInfo, options: DecodeOptions, knows: bool) -> None:
    assert model.knows(options) is knows


def test_a_partial_model_that_is_not_there_is_said_at_once(random_model_dir: Callable[[int], Path]) -> None:
    here = random_model_dir(80)
    with pytest.raises(ClientError) as caught:
        make_backend(ServerConfig(model=str(here), partial_model=str(here / "none")))
    assert caught.value.code == "unknown_model"


def test_one_model_is_not_two(random_model_dir: Callable[[int], Path]) -> None:
    here = str(random_model_dir(80))
    with pytest.raises(ClientError, match="the same model as 'model'"):
        make_backend(ServerConfig(model=here, partial_model=here))
