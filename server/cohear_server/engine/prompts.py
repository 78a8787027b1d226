"""Whisper's special tokens and the prompt that a window is decoded with.

    multilingual   [<|startofprev|> previous text] <|startoftranscript|> <|en|> <|transcribe|> <|notimestamps|>
    english only   [<|startofprev|> previous text] <|startoftranscript|> <|notimestamps|>

Token numbers differ between the vocabularies (51864, 51865, 51866), so all are looked up by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tokenizers import Tokenizer

from ..core.jobs import DecodeOptions

POSITIONS = 448
"""Positions of the decoder, for prompt and text together."""
MAX_NEW_TOKENS = 224
"""Most tokens of text: half of the positions, as in Whisper."""
MAX_PROMPT_TOKENS = POSITIONS - MAX_NEW_TOKENS - 5
"""of previous text: what the text leaves, less <|startofprev|> and the four that begin a transcript"""


@dataclass(frozen=True, slots=True)
class Prompt:
    previous: tuple[int, ...]
    """<|startofprev|> and the text before the window, or nothing"""
    start: tuple[int, ...]
    """what `align` takes: start of transcript, language, task"""
    no_timestamps: int

    @property
    def tokens(self) -> list[int]:
        return [*self.previous, *self.start, self.no_timestamps]


class Vocabulary:
    def __init__(self, tokenizer: Tokenizer, multilingual: bool) -> None:
        self._tokenizer = tokenizer
        self.multilingual = multilingual
        self.end_of_text = self._id("<|endoftext|>")
        self._start = self._id("<|startoftranscript|>")
        self._previous = self._id("<|startofprev|>")
        self._no_timestamps = self._id("<|notimestamps|>")
        self.languages = self._languages() if multilingual else ("en",)

    def prompt(self, options: DecodeOptions, language: str) -> Prompt:
        """`language` must be one of `languages`."""
        start = [self._start]
        if self.multilingual:
            start += [self._id(f"<|{language}|>"), self._id(f"<|{options.task}|>")]
        return Prompt(self._previous_text(options), tuple(start), self._no_timestamps)

    def text(self, tokens: Sequence[int]) -> str:
        """Special tokens left out; spaces kept as the model gave them."""
        decoded: str = self._tokenizer.decode([token for token in tokens if token < self.end_of_text])
        return decoded

    def _previous_text(self, options: DecodeOptions) -> tuple[int, ...]:
        """Hotwords and prompt, each with half of the room and what the other leaves: the first hotwords, and the newest
        of the prompt."""
        listed = options.hotwords.rstrip(" ,.")
        # ended like a sentence: after a list that goes on, the model writes one
        hotwords = self._tokens(f"{listed}." if listed else "")
        prompt = self._tokens(options.prompt)
        half = MAX_PROMPT_TOKENS // 2
        hotwords = hotwords[: max(half, MAX_PROMPT_TOKENS - len(prompt))]
        text = hotwords + prompt[max(0, len(prompt) + len(hotwords) - MAX_PROMPT_TOKENS) :]
        return (self._previous, *text) if text else ()

    def _tokens(self, text: str) -> list[int]:
        if not text.strip():
            return []
        # special tokens written out in the text would be read as such: they are dropped
        ids = self._tokenizer.encode(" " + text.strip(), add_special_tokens=False).ids
        return [token for token in ids if token < self.end_of_text]

    def _languages(self) -> tuple[str, ...]:
        # the language tokens stand between <|startoftranscript|> and <|translate|>, 99 or (large-v3) 100 of them
        ids = range(self._start + 1, self._id("<|translate|>"))
        return tuple(str(self._tokenizer.id_to_token(token)).strip("<|>") for token in ids)

    def _id(self, token: str) -> int:
        """Raises ValueError if the vocabulary lacks `token`: then it is not a Whisper model."""
        found: int | None = self._tokenizer.token_to_id(token)
        if found is None:
            raise ValueError(f"the tokenizer has no {token}: not a Whisper model")
        return found
