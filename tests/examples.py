"""How many examples a property test draws: what the profile says (tests/conftest.py), or a share of it."""

from __future__ import annotations

from hypothesis import settings


def examples(share: float) -> settings:
    """For tests whose examples take long: this share of the profile's number."""
    return settings(max_examples=max(1, round(settings().max_examples * share)))
