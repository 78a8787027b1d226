"""What is asked over HTTP, as an OpenAPI description, and the page that shows it: `/openapi.json` and `/docs`.

The fields of requests come from the types that check them. Live streams go over websockets, which OpenAPI does not
describe: see docs/protocol.md.
"""

from __future__ import annotations

from typing import Any

import msgspec

from .deepgram.query import FILE_PARAMETERS, Query
from .openai.request import Fields

_SCHEMA = "#/components/schemas/{name}"

KEYED = {"401": "No key, or one that the server does not know.", "403": "The key is good for something else."}
STATE = {
    **KEYED,
    "503": "The server starts, ends, or its engine does not answer; `retry-after` says when to ask again.",
}
FILE = {
    **STATE,
    "400": "A field is wrong; `param` names it.",
    "413": "The request is larger than `max_upload_mb`.",
    "415": "What was sent is no audio, or no form.",
    "429": "More files than the server takes, or its streams take all of its engine; with `retry-after`.",
    "500": "The server failed.",
}

_ABOUT = (
    "Speech to text. Live audio goes over the websocket `/v1/stream`. Where the operator set keys, all requests want "
    "one, but for the health checks."
)


class OpenAIFault(msgspec.Struct):
    message: str
    type: str
    param: str | None
    code: str | None


class OpenAIError(msgspec.Struct):
    error: OpenAIFault


class Error(msgspec.Struct):
    code: str
    message: str
    remedy: str


class DeepgramError(msgspec.Struct):
    err_code: str
    err_msg: str
    request_id: str


class Usage(msgspec.Struct):
    type: str
    seconds: float


class Word(msgspec.Struct):
    word: str
    start: float
    end: float


class Segment(msgspec.Struct):
    id: int
    start: float
    end: float
    text: str
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float
    temperature: float


class Transcript(msgspec.Struct):
    text: str
    usage: Usage
    model: str
    language: str = ""
    duration: float = 0.0
    segments: list[Segment] = []
    words: list[Word] = []
    warnings: list[str] = []


class Model(msgspec.Struct):
    id: str
    object: str
    created: int
    owned_by: str


def description() -> dict[str, Any]:
    """OpenAPI 3.1."""
    _, schemas = msgspec.json.schema_components(
        (Fields, Transcript, Model, OpenAIError, DeepgramError, Error), ref_template=_SCHEMA
    )
    return {
        "openapi": "3.1.0",
        "info": {"title": "Cohear", "version": "1", "description": _ABOUT},
        "servers": [{"url": "/"}],
        "security": [{}, {"key": []}],
        "paths": {**_files(), "/v1/listen": {"post": _listening()}, **_server()},
        "components": {
            "schemas": msgspec.json.decode(msgspec.json.encode(schemas)),
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _files() -> dict[str, Any]:
    models = {"type": "object", "properties": {"data": {"type": "array", "items": _schema("Model")}}}
    name = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}
    one = _operation("One model", _schema("Model"), {**STATE, "404": "No such model is loaded."}, "OpenAIError")
    return {
        "/v1/audio/transcriptions": {"post": _hearing("The words of a file, in the language that is spoken")},
        "/v1/audio/translations": {"post": _hearing("The words of a file, in English; wants a multilingual model")},
        "/v1/models": {"get": _operation("The models that are loaded", models, STATE, "OpenAIError")},
        "/v1/models/{name}": {"get": {**one, "parameters": [name]}},
    }


def _hearing(summary: str) -> dict[str, Any]:
    audio = {"type": "object", "properties": {"data": {"type": "string", "format": "byte"}}, "required": ["data"]}
    bodies = {
        "multipart/form-data": ("file", {"type": "string", "format": "binary"}),
        "application/json": ("input_audio", audio),
    }
    told = _operation(summary, _schema("Transcript"), FILE, "OpenAIError")
    for kind in ("text/plain", "application/x-subrip", "text/vtt", "text/event-stream"):
        told["responses"]["200"]["content"][kind] = {"schema": {"type": "string"}}
    content = {
        kind: {
            "schema": {"allOf": [_schema("Fields"), {"type": "object", "properties": {name: what}, "required": [name]}]}
        }
        for kind, (name, what) in bodies.items()
    }
    return {**told, "requestBody": {"required": True, "content": content}}


def _listening() -> dict[str, Any]:
    properties = msgspec.json.schema_components((Query,))[1]["Query"]["properties"]
    parameters = [
        {"name": name, "in": "query", "schema": msgspec.json.decode(msgspec.json.encode(properties[name]))}
        for name in FILE_PARAMETERS
    ]
    faults = {status: what for status, what in FILE.items() if status != "415"}
    faults["400"] = "A parameter is wrong, or what was sent is no audio."
    told = _operation("The words of a file, for Deepgram's clients", {"type": "object"}, faults, "DeepgramError")
    body = {"required": True, "content": {"application/octet-stream": {}}}
    return {**told, "parameters": parameters, "requestBody": body}


def _server() -> dict[str, Any]:
    anything = {"type": "object"}
    token = {"type": "object", "properties": {"token": {"type": "string"}, "expires_in_s": {"type": "number"}}}
    not_now = {"503": "Not now; `status` says why."}
    secret = {"type": "object", "properties": {"value": {"type": "string"}, "expires_at": {"type": "integer"}}}
    beta_secret = {"type": "object", "properties": {"client_secret": secret}}
    return {
        "/v1/realtime/client_secrets": {
            "post": _operation("A short-lived secret for OpenAI's realtime clients", secret, STATE, "OpenAIError")
        },
        "/v1/realtime/transcription_sessions": {
            "post": _operation("The same in the shape of the beta", beta_secret, STATE, "OpenAIError")
        },
        "/v1/info": {"get": _operation("Version, model, languages and limits", anything, {**KEYED, **not_now})},
        "/v1/token": {"post": _operation("A short-lived token for a page, where there are keys", token, KEYED)},
        "/v1/status": {"get": _operation("The state of the server; wants an operator's key", anything, KEYED)},
        "/metrics": {"get": _operation("For Prometheus; wants an operator's key", None, KEYED)},
        "/healthz": {"get": _operation("Whether it is alive", anything, {})},
        "/readyz": {"get": _operation("Whether it takes streams", anything, not_now)},
    }


def _operation(summary: str, answer: Any, faults: dict[str, str], error: str = "Error") -> dict[str, Any]:
    """`answer` None is plain text."""
    kind, schema = ("text/plain", {"type": "string"}) if answer is None else ("application/json", answer)
    refusals = {
        status: {"description": what, "content": {"application/json": {"schema": _schema(error)}}}
        for status, what in sorted(faults.items())
    }
    told = {"200": {"description": "The answer.", "content": {kind: {"schema": schema}}}}
    return {"summary": summary, "responses": {**told, **refusals}}


def _schema(name: str) -> dict[str, str]:
    return {"$ref": _SCHEMA.format(name=name)}
