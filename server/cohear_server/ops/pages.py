"""The operator's HTTP routes: `/metrics` for Prometheus, `/v1/status` for the dashboard."""

from __future__ import annotations

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from .metrics import Metrics
from .status import Status


def routes(metrics: Metrics, status: Status) -> list[BaseRoute]:
    async def scrape(_: Request) -> Response:
        return Response(metrics.text(), headers={"content-type": CONTENT_TYPE_LATEST})

    async def report(_: Request) -> Response:
        return JSONResponse(status.report(), headers={"cache-control": "no-store"})

    return [Route("/metrics", scrape), Route("/v1/status", report)]
