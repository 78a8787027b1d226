"""Whole files on `POST /v1/listen`: the body is the file, written to a spool as it comes.

Nothing is fetched and nothing is called back: where a request asks for that, it is refused.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import struct
import tempfile
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import BinaryIO, cast

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from ...batch.options import HearingOptions
from ...batch.upload import Upload, UploadedFile
from ...batch.uploads import Uploads
from ...config import allowed_origins
from ...core.audio import AudioFormat, Encoding
from ...errors import ClientError, CohearError, ServerError
from ...live.service import Service
from ..bodies import limited, unless_gone
from ..channel import caller_of
from ..web import origin_allowed, sharing
from .answers import Hearing, answer
from .handshake import FOREIGN, ask, refusal
from .query import Asked

logger = logging.getLogger(__name__)

MIB = 1 << 20
SPOOL_BYTES = MIB
"""of a file that stays in memory"""
NAME = "the file"

NO_URLS = ClientError("bad_field", "field 'url' is not taken: this server fetches nothing", "send the file itself")
EMPTY = ClientError("empty_audio", "the request has no body", "send the audio file as the body")
BROKEN = ServerError("failed", "this server failed on the request", "send it again")

_WAV_TAGS: dict[Encoding, tuple[int, int]] = {
    "pcm_s16le": (1, 16),
    "pcm_f32le": (3, 32),
    "alaw": (6, 8),
    "mulaw": (7, 8),
}
"""format tag and bits of a sample (RFC 2361)"""


@dataclass(frozen=True, slots=True)
class Spooled:
    file: BinaryIO
    sha256: str


class Files:
    def __init__(self, service: Service, uploads: Uploads) -> None:
        self._service = service
        self._uploads = uploads

    async def listen(self, request: Request) -> Response:
        """What was heard in the file, or why not, in Deepgram's form."""
        request_id = str(uuid.uuid4())
        try:
            if not origin_allowed(request.headers, allowed_origins(self._service.config)):
                raise FOREIGN
            response = await self._heard(request, ask(request, request_id))
        except CohearError as fault:
            self._service.observer.refused(fault.code)
            response = refusal(fault, request_id)
        except ClientDisconnect:
            response = Response(status_code=400)  # nobody reads it
        except Exception:  # the route's boundary: other requests go on
            logger.exception("a request failed")
            response = refusal(BROKEN, request_id)
        response.headers.update(sharing(request.headers, self._service))
        return response

    async def _heard(self, request: Request, asked: Asked) -> Response:
        self._service.check_spare()
        asked.query.check_file()
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json":
            raise NO_URLS
        hearing = HearingOptions(
            language=asked.query.known_language, hotwords=", ".join(asked.query.terms), word_times=True
        )
        caller = caller_of(request)
        with self._uploads.place(caller.key_id):
            async with self._spooled(request, asked) as spooled:
                uploaded = UploadedFile(spooled.file, NAME, caller.tenant)
                upload = self._uploads.hear(self._service.model, uploaded, hearing)
                heard = await unless_gone(request, self._whole(upload, spooled.sha256))
        headers = {"dg-request-id": asked.request_id, "cache-control": "no-store"}
        return Response(answer(heard, asked), media_type="application/json", headers=headers)

    @contextlib.asynccontextmanager
    async def _spooled(self, request: Request, asked: Asked) -> AsyncIterator[Spooled]:
        """The body as a file; samples alone get the head of a WAV."""
        fmt = None if asked.query.packed else asked.query.start().format
        digest, size = hashlib.sha256(), 0
        with tempfile.SpooledTemporaryFile(SPOOL_BYTES) as file:
            if fmt is not None:
                file.write(wav_head(fmt, 0))
            async for piece in limited(request, self._service.config.max_upload_mb * MIB).stream():
                digest.update(piece)
                size += len(piece)
                file.write(piece)
            if not size:
                raise EMPTY
            file.seek(0)
            if fmt is not None:
                file.write(wav_head(fmt, size))
                file.seek(0)
            yield Spooled(cast(BinaryIO, file), digest.hexdigest())

    async def _whole(self, upload: Upload, sha256: str) -> Hearing:
        async with contextlib.aclosing(upload.texts()) as texts:
            heard = [text async for text in texts]
        damage = "" if upload.damage is None else str(upload.damage)
        return Hearing(heard, upload.audio_s, sha256, self._service.model.name, damage)


def wav_head(fmt: AudioFormat, size: int) -> bytes:
    """The head of a WAV with so many bytes of samples (Microsoft's RIFF specification)."""
    tag, bits = _WAV_TAGS[fmt.encoding]
    rate, frame = fmt.sample_rate_hz, fmt.frame_bytes
    described = struct.pack("<HHIIHH", tag, fmt.channels, rate, rate * frame, frame, bits)
    return (
        b"RIFF"
        + struct.pack("<I", 36 + size)
        + b"WAVEfmt "
        + struct.pack("<I", 16)
        + described
        + (b"data" + struct.pack("<I", size))
    )
