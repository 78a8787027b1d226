"""Whether two codes name one language: containers have three letters (ISO 639-2), people write two or three."""

from __future__ import annotations

_OTHER = {
    "bo": "tib bod", "cs": "cze ces", "cy": "wel cym", "de": "ger deu", "el": "gre ell", "es": "spa", "et": "est",
    "eu": "baq eus", "fa": "per fas", "fr": "fre fra", "ga": "gle", "he": "heb", "hr": "hrv scr", "hy": "arm hye",
    "id": "ind", "is": "ice isl", "ja": "jpn", "ka": "geo kat", "kk": "kaz", "lv": "lav", "mi": "mao mri",
    "mk": "mac mkd", "ms": "may msa", "mt": "mlt", "my": "bur mya", "nl": "dut nld", "ro": "rum ron", "sk": "slo slk",
    "sq": "alb sqi", "sr": "srp scc", "sv": "swe", "tg": "tgk", "tk": "tuk", "zh": "chi zho",
}  # fmt: skip
"""Those whose three letters do not begin with the two, or that have two codes of three."""


def is_language(code: str, wanted: str) -> bool:
    """Regions do not count: `de-AT` is `ger`."""
    one, other = (text.lower().replace("_", "-").split("-")[0] for text in (code, wanted))
    return bool(one) and bool(_spellings(one) & _spellings(other))


def _spellings(code: str) -> set[str]:
    for short, long in _OTHER.items():
        if code == short or code in long.split():
            return {short, *long.split()}
    return {code, code[:2]} if len(code) == 3 else {code}
