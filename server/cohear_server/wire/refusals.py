"""Errors over HTTP for requests that reach no route, in the form of the protocol whose path was asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..errors import CohearError
from .deepgram import faults as deepgram
from .openai import faults as openai
from .sockets import told

Shape = Callable[[CohearError], Mapping[str, Any]]

_SHAPES: tuple[tuple[str, Shape], ...] = (
    ("/v1/listen", deepgram.error_body),
    ("/v1/realtime", openai.error_object),
    ("/v1/audio/", openai.error_object),
    ("/v1/models", openai.error_object),
)
"""by the beginning of the path; all others have our own form"""


def told_on(path: str, fault: CohearError) -> Mapping[str, Any]:
    """An error as JSON for whoever asked for this path."""
    return next((shape for start, shape in _SHAPES if path.startswith(start)), told)(fault)
