"""What the operator asks over HTTP: `/metrics`."""

from __future__ import annotations

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from .metrics import Metrics


def routes(metrics: Metrics) -> list[BaseRoute]:
    async def scrape(_: Request) -> Response:
        return Response(metrics.text(), headers={"content-type": CONTENT_TYPE_LATEST})

    return [Route("/metrics", scrape)]
