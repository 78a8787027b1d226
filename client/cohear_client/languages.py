"""Languages by code, name or region: `de`, `German`, `de-AT` and `ger` are one, in any case.

Codes are those of Whisper's models: two letters of ISO 639-1 where there are such. Containers have three (ISO 639-2).
"""

from __future__ import annotations

from .errors import ClientError

_NAMES = """
en english, zh chinese mandarin, de german, es spanish castilian, ru russian, ko korean, fr french, ja japanese,
pt portuguese, tr turkish, pl polish, ca catalan valencian, nl dutch flemish, ar arabic, sv swedish, it italian,
id indonesian, hi hindi, fi finnish, vi vietnamese, he hebrew, uk ukrainian, el greek, ms malay, cs czech,
ro romanian moldavian moldovan, da danish, hu hungarian, ta tamil, no norwegian, th thai, ur urdu, hr croatian,
bg bulgarian, lt lithuanian, la latin, mi maori, ml malayalam, cy welsh, sk slovak, te telugu, fa persian farsi,
lv latvian, bn bengali, sr serbian, az azerbaijani, sl slovenian, kn kannada, et estonian, mk macedonian, br breton,
eu basque, is icelandic, hy armenian, ne nepali, mn mongolian, bs bosnian, kk kazakh, sq albanian, sw swahili,
gl galician, mr marathi, pa punjabi panjabi, si sinhala sinhalese, km khmer, sn shona, yo yoruba, so somali,
af afrikaans, oc occitan, ka georgian, be belarusian, tg tajik, sd sindhi, gu gujarati, am amharic, yi yiddish, lo lao,
uz uzbek, fo faroese, ht haitian, ps pashto pushto, tk turkmen, nn nynorsk, mt maltese, sa sanskrit,
lb luxembourgish letzeburgesch, my burmese myanmar, bo tibetan, tl tagalog, mg malagasy, as assamese, tt tatar,
haw hawaiian, ln lingala, ha hausa, ba bashkir, jw javanese, su sundanese, yue cantonese
"""
_LONGER = {
    "af": "afr", "am": "amh", "ar": "ara", "as": "asm", "az": "aze", "ba": "bak", "be": "bel", "bg": "bul",
    "bn": "ben", "bo": "tib bod", "br": "bre", "bs": "bos", "ca": "cat", "cs": "cze ces", "cy": "wel cym",
    "da": "dan", "de": "ger deu", "el": "gre ell", "en": "eng", "es": "spa", "et": "est", "eu": "baq eus",
    "fa": "per fas", "fi": "fin", "fo": "fao", "fr": "fre fra", "ga": "gle", "gl": "glg", "gu": "guj", "ha": "hau",
    "he": "heb", "hi": "hin", "hr": "hrv scr", "ht": "hat", "hu": "hun", "hy": "arm hye", "id": "ind",
    "is": "ice isl", "it": "ita", "ja": "jpn", "jw": "jv jav", "ka": "geo kat", "kk": "kaz", "km": "khm", "kn": "kan",
    "ko": "kor", "la": "lat", "lb": "ltz", "ln": "lin", "lo": "lao", "lt": "lit", "lv": "lav", "mg": "mlg",
    "mi": "mao mri", "mk": "mac mkd", "ml": "mal", "mn": "mon", "mr": "mar", "ms": "may msa", "mt": "mlt",
    "my": "bur mya", "ne": "nep", "nl": "dut nld", "nn": "nno", "no": "nor nob nb", "oc": "oci", "pa": "pan",
    "pl": "pol", "ps": "pus", "pt": "por", "ro": "rum ron", "ru": "rus", "sa": "san", "sd": "snd", "si": "sin",
    "sk": "slo slk", "sl": "slv", "sn": "sna", "so": "som", "sq": "alb sqi", "sr": "srp scc", "su": "sun",
    "sv": "swe", "sw": "swa", "ta": "tam", "te": "tel", "tg": "tgk", "th": "tha", "tk": "tuk", "tl": "tgl fil",
    "tr": "tur", "tt": "tat", "uk": "ukr", "ur": "urd", "uz": "uzb", "vi": "vie", "yi": "yid", "yo": "yor",
    "zh": "chi zho",
}  # fmt: skip
"""Codes of three letters, and others in use."""


def language_code(text: str) -> str:
    """The code that models know. Raises ClientError(`bad_field`) for what is no language known here."""
    code = _CODES.get(_plain(text))
    if code is None:
        what = f"{text!r:.40} is no language known here"
        raise ClientError("bad_field", what, "give a code or an English name, such as de or German")
    return code


def language_name(code: str) -> str:
    """The English name of a language by its code, in small letters; the code itself where none is known."""
    return _ENGLISH.get(code, code)


def is_language(code: str, wanted: str) -> bool:
    """Whether a container's code is that of the language that somebody wants. Regions do not count."""
    one, other = _plain(code), _plain(wanted)
    return bool(one) and _CODES.get(one, one) == _CODES.get(other, other)


def _plain(text: str) -> str:
    """Without case and region."""
    return text.strip().lower().replace("_", "-").split("-")[0]


def _codes() -> dict[str, str]:
    codes: dict[str, str] = {}
    for entry in _NAMES.replace("\n", " ").split(","):
        code, *names = entry.split()
        codes |= dict.fromkeys((code, *names, *_LONGER.get(code, "").split()), code)
    return codes


_CODES = _codes()
_ENGLISH = {entry.split()[0]: entry.split()[1] for entry in _NAMES.replace("\n", " ").split(",")}
