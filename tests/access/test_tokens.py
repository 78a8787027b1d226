"""Tokens hold for a minute, for whom they were issued to, and cannot be made by others."""

from __future__ import annotations

import pytest
from cohear_server.access.tokens import LIFE_S, Tokens
from cohear_server.live.caller import Caller

CALLER = Caller("a:b", "0123456789abcdef")


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_it_holds_for_its_life_and_no_longer() -> None:
    clock = Clock()
    tokens = Tokens(clock)
    token = tokens.issue(CALLER)
    clock.now_s += LIFE_S - 0.1
    assert tokens.caller_of(token) == CALLER
    clock.now_s += 0.2
    assert tokens.caller_of(token) is None


def test_it_may_be_a_subprotocol() -> None:
    allowed = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")
    assert set(Tokens().issue(CALLER)) <= allowed


def test_no_other_process_and_no_change_makes_one() -> None:
    tokens = Tokens(Clock())
    token = tokens.issue(CALLER)
    assert Tokens(Clock()).caller_of(token) is None
    for i in range(len(token)):
        assert tokens.caller_of(token[:i] + chr(ord(token[i]) ^ 1) + token[i + 1 :]) is None


@pytest.mark.parametrize("text", ["", ".", "a", "a.b", "é.é", "a." * 1_000, "x" * 100_000])
def test_nonsense_is_none(text: str) -> None:
    assert Tokens().caller_of(text) is None
