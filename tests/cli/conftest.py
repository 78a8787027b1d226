"""Fixtures of the client's tests that the command line needs too."""

from ..client.conftest import serve, tone

__all__ = ["serve", "tone"]
