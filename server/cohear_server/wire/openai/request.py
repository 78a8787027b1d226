"""What a client asks for with a file: a form that is written to a spool as it comes, or a JSON object.

Fields that are not known here are ignored: clients of all ages send them. Lists come as `name[]` or `name`.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, BinaryIO, Literal

import msgspec
from cohear_client.fields import explain
from cohear_client.languages import language_code
from cohear_client.messages import check_text
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect, Request

from ...batch.options import HearingOptions
from ...errors import ClientError, OverloadError
from ..bodies import limited

MOST_FIELDS = 100
FIELD_BYTES = 64 << 10
MAX_PROMPT = 8_000
"""characters; the model takes the end of it"""

JSON_BYTES = 32 << 20
"""of a JSON object, which is held in memory: some 24 MB of audio"""
JSON_AT_ONCE = 2

_LIST_NAME = re.compile(r"\[\d*\]$")


def _says(text: str, most_characters: int | None = None) -> msgspec.Meta:
    """What the description of the interface says of a field."""
    return msgspec.Meta(description=text, max_length=most_characters)


Format = Literal["json", "text", "srt", "verbose_json", "vtt"]
Granularity = Literal["word", "segment"]


class Fields(msgspec.Struct, frozen=True):
    """Of a transcription or a translation; what is not known here is ignored. Lists may be named with brackets."""

    model: Annotated[str, _says("any name: the loaded model hears the file")] = ""
    language: Annotated[str, _says("a code or an English name; without it the language is found", 40)] = ""
    prompt: Annotated[str, _says("text that the model takes for said before", MAX_PROMPT)] = ""
    response_format: Format = "json"
    temperature: Annotated[float, msgspec.Meta(ge=0, le=1, description="0 takes the likeliest words")] = 0.0
    timestamp_granularities: Annotated[tuple[Granularity, ...], _says("of verbose_json")] = ("segment",)
    stream: Annotated[bool, _says("events as the file is heard")] = False
    include: Annotated[tuple[str, ...], _says("logprobs: one entry a word")] = ()
    keywords: Annotated[tuple[Annotated[str, msgspec.Meta(max_length=200)], ...], _says("words that may be said")] = ()

    @property
    def logprobs(self) -> bool:
        return "logprobs" in self.include

    def hearing(self, task: Literal["transcribe", "translate"]) -> HearingOptions:
        """Raises ClientError(`bad_field`) for what is no language, and for text that no prompt holds."""
        for keyword in self.keywords:
            check_text("keywords", keyword)
        return HearingOptions(
            language=_language(self.language) if self.language else None,
            task=task,
            prompt=self.prompt,
            hotwords=", ".join(self.keywords),
            word_times=self.response_format in ("srt", "vtt", "verbose_json"),
            temperature=self.temperature,
        )


@dataclass(frozen=True, slots=True)
class Asked:
    fields: Fields
    file: BinaryIO
    name: str


class Reader:
    """Reads the requests of one server."""

    def __init__(self, most_bytes: int) -> None:
        """`most_bytes` of a request, at most."""
        self._most_bytes = most_bytes
        self._in_memory = 0
        """JSON objects that are read now"""

    async def read(self, request: Request) -> Asked:
        """Raises ClientError for what is no such request, ClientDisconnect where it ends before its end."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "multipart/form-data":
            return await self._form(limited(request, self._most_bytes))
        if kind == "application/json":
            return await self._json(limited(request, min(self._most_bytes, JSON_BYTES)))
        if kind in ("", "application/x-www-form-urlencoded"):
            raise NO_FILE
        raise ClientError(
            "bad_content_type", f"a request of type {kind!r:.60} cannot be read", "send multipart/form-data"
        )

    async def _form(self, request: Request) -> Asked:
        try:
            form = await request.form(max_files=1, max_fields=MOST_FIELDS, max_part_size=FIELD_BYTES)
        except (HTTPException, MultiPartException) as fault:
            told = fault.detail if isinstance(fault, HTTPException) else fault.message
            raise ClientError("bad_form", f"the form cannot be read: {told}", "send it as curl -F does") from fault
        file = form.get("file")
        if not isinstance(file, UploadFile):
            await form.close()
            raise NO_FILE
        try:
            fields = fields_of((name, value) for name, value in form.multi_items() if isinstance(value, str))
        except ClientError:
            await form.close()
            raise
        return Asked(fields, file.file, _safe(file.filename))

    async def _json(self, request: Request) -> Asked:
        if self._in_memory >= JSON_AT_ONCE:
            busy = f"{JSON_AT_ONCE} JSON requests are read already"
            raise OverloadError("overloaded", busy, "send multipart/form-data, or try again", retry_after_s=1.0)
        self._in_memory += 1
        try:
            return await asyncio.to_thread(_of_json, await request.body())
        finally:
            self._in_memory -= 1


NO_FILE = ClientError("bad_field", "field 'file' is missing", "send the audio file in a part of that name")


def fields_of(items: Iterable[tuple[str, Any]]) -> Fields:
    """From the parts of a form, or the items of an object. Raises ClientError(`bad_field`)."""
    known = {field.name: field for field in msgspec.structs.fields(Fields)}
    values: dict[str, Any] = {}
    for name, value in items:
        name = _LIST_NAME.sub("", name)  # noqa: PLW2901
        if name not in known or value in (None, ""):
            continue
        if isinstance(known[name].default, tuple):
            values[name] = [*values.get(name, []), *(value if isinstance(value, list) else [value])]
        else:
            values[name] = value
    try:
        fields = msgspec.convert(values, Fields, strict=False)
    except msgspec.ValidationError as fault:
        wrong = explain("", values, Fields, fault)
        raise ClientError("bad_field", f"field {wrong.name!r} {wrong.what}", wrong.remedy) from fault
    check_text("model", fields.model)
    return fields


def _of_json(body: bytes) -> Asked:
    try:
        data = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError) as fault:
        raise ClientError("bad_json", "the body is not JSON", "send one JSON object, or a form") from fault
    audio = data.get("input_audio") if isinstance(data, Mapping) else None
    encoded = audio.get("data") if isinstance(audio, Mapping) else None
    if not isinstance(encoded, str):
        raise NO_FILE
    try:
        raw = base64.b64decode(encoded.encode(), validate=True)
    except (binascii.Error, ValueError) as fault:
        raise ClientError("bad_field", "field 'input_audio.data' is not base64", "encode the file's bytes") from fault
    suffix = audio.get("format") if isinstance(audio, Mapping) else ""
    return Asked(fields_of(data.items()), io.BytesIO(raw), _safe(f"input_audio.{suffix}"))


def _language(text: str) -> str:
    try:
        return language_code(text)
    except ClientError as fault:
        raise ClientError(fault.code, f"field 'language': {fault.message}", fault.remedy) from fault


def _safe(name: str | None) -> str:
    """A file's name as it may stand in an error: no folders, nothing that cannot be shown."""
    last = re.split(r"[/\\]", name or "")[-1]
    return "".join(char for char in last if char.isprintable())[:100] or "file"


__all__ = ["Asked", "ClientDisconnect", "Fields", "Reader", "fields_of"]
