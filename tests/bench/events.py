"""Hand-made events."""

from __future__ import annotations

from cohear_client.protocol import Final, Partial, Reason, Timing, Word


def partial(text: str, audio_end_s: float, *, segment: int = 0, stable: str = "") -> Partial:
    return Partial(0, segment, 0, stable, text, 1.0, audio_end_s, Timing(window_s=audio_end_s))


def final(
    text: str, span: tuple[float, float], *, segment: int = 0, reason: Reason = "endpoint", decode_ms: float = 0.0
) -> Final:
    """Its words share the span evenly."""
    start_s, end_s = span
    texts = text.split()
    step = (end_s - start_s) / max(1, len(texts))
    words = tuple(Word(t, start_s + i * step, start_s + (i + 1) * step, 1.0) for i, t in enumerate(texts))
    timing = Timing(decode_ms=decode_ms)
    return Final(0, segment, text, 1.0, "en", start_s, end_s, reason, "m", timing, words)
