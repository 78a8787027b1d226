"""The description of what is asked over HTTP: valid, whole, and true."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest
from cohear_server.access.keys import add_key
from cohear_server.app import create_app
from cohear_server.config import ServerConfig
from cohear_server.live.service import Service
from cohear_server.wire.description import description
from cohear_testing.fake import FakeBackend
from openapi_spec_validator import validate
from starlette.routing import Route

from ..serving import serving

PAGES = {"/", "/dashboard", "/docs", "/openapi.json"}


def test_it_is_valid_openapi() -> None:
    validate(description())


async def test_it_names_every_route_and_no_other(tmp_path: Path) -> None:
    add_key(tmp_path / "keys", "app", ("stream",))
    app = create_app(Service(ServerConfig(keys=str(tmp_path / "keys")), FakeBackend()))
    routes = {
        (re.sub(r":\w+}", "}", route.path), method.lower())
        for route in app.routes
        if isinstance(route, Route) and route.path not in PAGES
        for method in (route.methods or set()) - {"HEAD"}
    }
    told = {(path, method) for path, methods in description()["paths"].items() for method in methods}
    assert told == routes


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/web/docs.js"])
async def test_it_is_open_to_all(path: str, tmp_path: Path) -> None:
    add_key(tmp_path / "keys", "app", ("stream",))
    keys = str(tmp_path / "keys")
    async with serving(FakeBackend(), keys=keys) as running, httpx.AsyncClient(trust_env=False) as client:
        response = await client.get(f"http://{running.address}{path}")
    assert response.status_code == 200
