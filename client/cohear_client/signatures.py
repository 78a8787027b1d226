"""What a file begins with. Raw samples have no beginning of their own, so only what they hardly hold counts."""

from __future__ import annotations

_BEGINNINGS = {
    b"fLaC": "FLAC",
    b"OggS": "Ogg",
    b"\x1a\x45\xdf\xa3": "WebM",
    b"caff": "CAF",
    b"#!AMR": "AMR",
    b"\xff\xfb\x90": "MP3",
}
_FORMS = {(b"RIFF", b"WAVE"): "WAV", (b"RF64", b"WAVE"): "WAV", (b"FORM", b"AIFF"): "AIFF", (b"FORM", b"AIFC"): "AIFF"}
HEAD_BYTES = 12
"""that are looked at"""


def recognised(head: bytes) -> str | None:
    """The kind of file that begins so; None for what may be samples."""
    if (form := _FORMS.get((head[:4], head[8:12]))) is not None:
        return form
    if head[4:8] == b"ftyp":
        return "MP4"
    if head[:3] == b"ID3" and len(head) >= 10 and head[3] <= 4 and max(head[6:10]) < 128:
        return "MP3"
    return next((name for start, name in _BEGINNINGS.items() if head.startswith(start)), None)
