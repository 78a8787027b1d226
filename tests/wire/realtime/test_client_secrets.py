"""Words that let browsers in: what each stands for, until when, and for whom."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cohear_server.errors import OverloadError
from cohear_server.wire.realtime.client_secrets import MOST_EACH, ClientSecrets
from cohear_server.wire.realtime.settings import Settings

from .sessions import OFFER

USUAL = Settings.usual(OFFER)


class Clock:
    now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


def test_each_stands_for_its_settings_until_it_expires() -> None:
    clock = Clock()
    secrets = ClientSecrets(clock)
    other = replace(USUAL, turns=None)
    assert secrets.keep("a", "ek_1", USUAL, 10.0) == 1_010
    secrets.keep("b", "ek_2", other, 20.0)
    assert (secrets.settings_of("ek_1"), secrets.settings_of("ek_2")) == (USUAL, other)
    assert secrets.settings_of("ek_3") is None
    clock.now_s += 10.0
    assert (secrets.settings_of("ek_1"), secrets.settings_of("ek_2")) == (None, other)


def test_a_key_has_so_many_and_keeps_none_of_the_others_from_its_own() -> None:
    clock = Clock()
    secrets = ClientSecrets(clock)
    for number in range(MOST_EACH):
        secrets.keep("a", f"ek_{number}", USUAL, 10.0)
    with pytest.raises(OverloadError, match="1000 client secrets"):
        secrets.keep("a", "ek_more", USUAL, 10.0)
    secrets.keep("b", "ek_other", USUAL, 10.0)
    clock.now_s += 10.0
    secrets.keep("a", "ek_more", USUAL, 10.0)
    assert secrets.settings_of("ek_more") == USUAL
