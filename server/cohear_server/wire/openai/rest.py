"""OpenAI's routes for whole files: `/v1/audio/transcriptions`, `/v1/audio/translations`, `/v1/models`.

Any model's name is accepted, and the loaded model hears the file; the answer names it. A client that goes away takes
its work with it.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Literal

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from ...batch.upload import Upload, UploadedFile
from ...batch.uploads import Uploads
from ...config import allowed_origins
from ...errors import ClientError, CohearError, OverloadError, ServerError
from ...live.caller import ANYONE, SCOPE, Caller
from ...live.service import Service
from ..bodies import unless_gone
from ..sockets import retry_after
from ..web import origin_allowed, sharing
from .answers import Events, Hearing, answer, event
from .faults import error_object, status_of
from .request import Asked, Reader

Task = Literal["transcribe", "translate"]

logger = logging.getLogger(__name__)

MIB = 1 << 20

FOREIGN = ClientError(
    "forbidden", "pages of that origin may not use this server", "start it with --allowed-origins https://HOST"
)
BROKEN = ServerError("failed", "this server failed on the request", "send it again")


def routes(service: Service, uploads: Uploads) -> list[BaseRoute]:
    rest = Rest(service, uploads)
    return [
        Route("/v1/audio/transcriptions", rest.transcriptions, methods=["POST"]),
        Route("/v1/audio/translations", rest.translations, methods=["POST"]),
        Route("/v1/models", rest.models),
        Route("/v1/models/{name:path}", rest.model),
    ]


class Rest:
    def __init__(self, service: Service, uploads: Uploads) -> None:
        self._service = service
        self._uploads = uploads
        self._reader = Reader(service.config.max_upload_mb * MIB)
        self._since_s = int(time.time())

    async def transcriptions(self, request: Request) -> Response:
        return await self._answered(request, lambda: self._hear(request, "transcribe"))

    async def translations(self, request: Request) -> Response:
        return await self._answered(request, lambda: self._hear(request, "translate"))

    async def models(self, request: Request) -> Response:
        async def listed() -> Response:
            self._service.check_open()
            return JSONResponse({"object": "list", "data": [self._described()]})

        return await self._answered(request, listed)

    async def model(self, request: Request) -> Response:
        async def found() -> Response:
            self._service.check_open()
            name, known = request.path_params["name"], self._service.model.name
            if name != known:
                raise ClientError("unknown_model", f"there is no model {name!r:.60}", f"use {known!r}")
            return JSONResponse(self._described())

        return await self._answered(request, found)

    def _described(self) -> dict[str, Any]:
        name = self._service.model.name
        return {"id": name, "object": "model", "created": self._since_s, "owned_by": "cohear"}

    async def _answered(self, request: Request, work: Callable[[], Coroutine[Any, Any, Response]]) -> Response:
        """What `work` answers, or why it does not, in OpenAI's form."""
        try:
            if not origin_allowed(request.headers, allowed_origins(self._service.config)):
                raise FOREIGN
            response = await work()
        except CohearError as fault:
            self._service.observer.refused(fault.code)
            response = refusal(fault)
        except ClientDisconnect:
            response = Response(status_code=400)  # nobody reads it
        except Exception:  # the routes' boundary: other requests go on
            logger.exception("a request failed")
            response = refusal(BROKEN)
        response.headers["x-request-id"] = f"req_{secrets.token_hex(12)}"
        response.headers.update(sharing(request.headers, self._service))
        return response

    async def _hear(self, request: Request, task: Task) -> Response:
        self._service.check_spare()
        caller: Caller = request.scope.get(SCOPE, ANYONE)
        async with contextlib.AsyncExitStack() as held:
            held.enter_context(self._uploads.place(caller.key_id))
            asked = await self._reader.read(request)
            held.callback(asked.file.close)
            upload = self._uploads.hear(
                self._service.model, UploadedFile(asked.file, asked.name, caller.tenant), asked.fields.hearing(task)
            )
            headers = {"x-cohear-model": _in_header(self._service.model.name), "cache-control": "no-store"}
            if asked.fields.stream:
                events = self._streamed(held.pop_all(), upload, asked, task)
                return StreamingResponse(events, media_type="text/event-stream", headers=headers)
            heard = await unless_gone(request, self._whole(upload, task))
            body, media_type = answer(heard, asked.fields)
            return Response(body, media_type=media_type, headers={**headers, **_warned(heard)})

    async def _whole(self, upload: Upload, task: Task) -> Hearing:
        async with contextlib.aclosing(upload.texts()) as texts:
            return self._outcome(upload, task, [text async for text in texts])

    async def _streamed(
        self, held: contextlib.AsyncExitStack, upload: Upload, asked: Asked, task: Task
    ) -> AsyncIterator[str]:
        """Events; an error is one too, for the status is sent already."""
        events = Events(asked.fields, self._service.model.name)
        async with held, contextlib.aclosing(upload.texts()) as texts:
            try:
                async for text in texts:
                    for told in events.heard(text):
                        yield told
                yield events.done(self._outcome(upload, task, []))
            except CohearError as fault:
                yield event(error_object(fault))
            except Exception:  # as in `_answered`
                logger.exception("a request failed")
                yield event(error_object(BROKEN))

    def _outcome(self, upload: Upload, task: Task, texts: list[Any]) -> Hearing:
        warnings = () if upload.damage is None else (str(upload.damage),)
        return Hearing(texts, upload.audio_s, self._service.model.name, task, warnings)


def refusal(fault: CohearError) -> Response:
    headers = {"cache-control": "no-store", **(retry_after(fault) if isinstance(fault, OverloadError) else {})}
    return JSONResponse(error_object(fault), status_code=status_of(fault), headers=headers)


def _warned(heard: Hearing) -> dict[str, str]:
    return {"x-cohear-warning": _in_header(" ".join(heard.warnings))} if heard.warnings else {}


def _in_header(text: str) -> str:
    """What a header can hold of a text."""
    return text.encode("ascii", "replace").decode()
