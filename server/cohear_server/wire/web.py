"""The browser pages: their static files, `/v1/info` for them, and the headers and origins that browsers check.

The files are in the client package, in `cohear_client/web`. A browser sends the origin of its page, which must be ours
or an allowed one; other programs send none and pass.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib import metadata, resources
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
from cohear_client import protocol
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from ..config import allowed_origins
from ..live.service import Service
from .description import description
from .native import to_limits

_HOST = re.compile(r"[A-Za-z0-9.\-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?")
"""A host that may be repeated in our headers; a Host header could hold anything."""


def routes(service: Service) -> list[BaseRoute]:
    """`/`, `/dashboard`, `/docs`, their files in `/web/...`, `/openapi.json` and `/v1/info`."""
    files = _Files(service)

    async def page(request: Request) -> Response:
        return await files.get_response("index.html", request.scope)

    async def dashboard(request: Request) -> Response:
        return await files.get_response("dashboard.html", request.scope)

    async def reference(request: Request) -> Response:
        return await files.get_response("docs.html", request.scope)

    async def described(request: Request) -> Response:
        return JSONResponse(description(), headers=sharing(request.headers, service))

    async def info(request: Request) -> Response:
        answer = service_info(service)
        headers = sharing(request.headers, service)
        if answer is None:
            warming = {"status": "warming up"}
            return JSONResponse(warming, status_code=503, headers={**headers, "retry-after": "1"})
        return JSONResponse(answer, headers={**headers, "cache-control": "no-store"})

    pages = [Route("/", page), Route("/dashboard", dashboard), Route("/docs", reference)]
    return [*pages, Route("/openapi.json", described), Route("/v1/info", info), Mount("/web", files)]


def service_info(service: Service) -> dict[str, Any] | None:
    """What the server offers; None while the model is not loaded. Languages are ISO 639-1 codes."""
    if not service.ready:
        return None
    model = service.model
    return {
        "version": metadata.version("cohear"),
        "protocol": protocol.SUBPROTOCOL,
        "model": model.name,
        "models": [
            {
                "name": model.name,
                "languages": list(model.languages),
                "translates": model.translates,
                "short_windows": model.short_windows,
                "device": model.device,
                "compute_type": model.compute_type,
            }
        ],
        "limits": {**msgspec.structs.asdict(to_limits(service.limits)), "max_streams": service.config.max_streams},
    }


def origin_allowed(headers: Headers, allowed: Sequence[str]) -> bool:
    """Whether a websocket may be opened: no Origin (not a browser), our own host, or one of `allowed`."""
    origin = headers.get("origin")
    if origin is None or "*" in allowed or origin.lower() in allowed:
        return True
    # scheme aside: behind a proxy that ends TLS we hear http where the browser says https
    return bool(urlsplit(origin).netloc) and urlsplit(origin).netloc.lower() == headers.get("host", "").lower()


def security_headers(host: str) -> dict[str, str]:
    """Headers that limit what a browser does with our files. `host` is the Host header: sockets may only go there."""
    sockets = f" ws://{host} wss://{host}" if _HOST.fullmatch(host) else ""
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; worker-src 'self'; "
        f"connect-src 'self'{sockets}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return {
        "content-security-policy": policy,
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "permissions-policy": "microphone=(self), camera=(), geolocation=()",
        "cross-origin-opener-policy": "same-origin",
        "cache-control": "no-cache",  # the browser asks each time, by ETag, so the page is as new as the server
    }


class _Files(StaticFiles):
    """The page's files, each with the security headers."""

    def __init__(self, service: Service) -> None:
        super().__init__(directory=Path(str(resources.files("cohear_client") / "web")))
        self._service = service

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        headers = Headers(scope=scope)
        response.headers.update(security_headers(headers.get("host", "")))
        response.headers.update(sharing(headers, self._service))
        return response


def sharing(headers: Headers, service: Service) -> dict[str, str]:
    """Headers that let pages of allowed origins read our answers and import our modules; all others may not."""
    allowed = allowed_origins(service.config)
    origin = headers.get("origin", "")
    if origin and ("*" in allowed or origin.lower() in allowed):
        return {"access-control-allow-origin": origin, "vary": "origin"}
    return {"vary": "origin"}
