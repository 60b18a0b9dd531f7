"""Checks of the Host header, and of requests by pages of other sites."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from web.app import MIDDLEWARES, install_middlewares
from web.keys import SETTINGS
from web.settings.sections import AccessSettings
from web.settings.server import ServerSettings

TOKEN = "a" * 20
BEARER = {"Authorization": f"Bearer {TOKEN}"}
ELSEWHERE = {"Origin": "https://elsewhere.example"}
Client = TestClient[web.Request, web.Application]


async def _answer(request: web.Request) -> web.Response:
    return web.Response(text="yes")


@asynccontextmanager
async def serving(host: str = "127.0.0.1", **access: Any) -> AsyncIterator[Client]:
    settings = ServerSettings(host=host, access=AccessSettings(**access))
    app = web.Application(middlewares=MIDDLEWARES)
    app[SETTINGS] = settings
    install_middlewares(app, settings)
    for path in ("/", "/whep/yard", "/whip/yard"):
        app.router.add_route("*", path, _answer)
    async with TestClient(TestServer(app)) as client:
        yield client


async def status(client: Client, path: str = "/", method: str = "GET", **headers: str) -> int:
    async with client.request(method, path, headers=headers) as response:
        return response.status


async def test_on_the_loopback_only_loopback_names_are_allowed() -> None:
    async with serving() as client:
        for host in ("localhost:4200", "127.0.0.1", "[::1]:4200", "sub.localhost"):
            assert await status(client, Host=host) == 200
        for host in ("evil.example", "10.0.0.1", "[", "localhost.evil.example"):
            assert await status(client, Host=host) == 403


async def test_on_other_addresses_ip_addresses_and_configured_names_are_allowed() -> None:
    async with serving("0.0.0.0", open=True, hosts=["Camera.example"]) as client:
        for host in ("192.168.1.7:4200", "[fd00::1]", "camera.example:4200", "localhost"):
            assert await status(client, Host=host) == 200
        for host in ("evil.example", "camera.example.evil.example", ""):
            assert await status(client, Host=host) == 403


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_pages_of_other_sites_are_refused(method: str) -> None:
    async with serving() as client:
        for origin in ("https://elsewhere.example", "null", "http://127.0.0.1:1"):
            assert await status(client, method=method, Origin=origin) == 403
        own = f"http://127.0.0.1:{client.port}"
        assert await status(client, method=method, Origin=own) == 200


async def test_other_sites_may_link_here_but_not_embed() -> None:
    async with serving() as client:
        for site in ("cross-site", "same-site"):
            fetch = {"Sec-Fetch-Site": site}
            assert await status(client, **fetch, **{"Sec-Fetch-Mode": "no-cors"}) == 403
            assert await status(client, **fetch, **{"Sec-Fetch-Mode": "navigate"}) == 200
        assert await status(client, **{"Sec-Fetch-Site": "same-origin"}) == 200


async def test_with_a_token_other_sites_may_use_whip_and_whep() -> None:
    async with serving(admin_token=TOKEN) as client:
        preflight = {"Access-Control-Request-Method": "POST", **ELSEWHERE}
        async with client.options("/whep/yard", headers=preflight) as response:
            assert response.status == 204
            assert response.headers["Access-Control-Allow-Origin"] == "*"
            assert "Authorization" in response.headers["Access-Control-Allow-Headers"]
        async with client.post("/whep/yard", headers={**BEARER, **ELSEWHERE}) as response:
            assert response.status == 200
            assert response.headers["Access-Control-Allow-Origin"] == "*"
            assert "Location" in response.headers["Access-Control-Expose-Headers"]
            assert "Access-Control-Allow-Credentials" not in response.headers
        async with client.post("/", headers={**BEARER, **ELSEWHERE}) as response:
            assert response.status == 403
            assert "Access-Control-Allow-Origin" not in response.headers


async def test_a_cookie_is_ignored_for_another_site() -> None:
    async with serving(admin_token=TOKEN, open=True) as client:
        cookie = {"Cookie": "sightline=anything", **ELSEWHERE}
        assert await status(client, "/whep/yard", "POST", **cookie) == 401


async def test_without_tokens_no_other_site_may_use_whip_and_whep() -> None:
    async with serving() as client:
        assert await status(client, "/whep/yard", "POST", **ELSEWHERE) == 403
        assert await status(client, "/whep/yard", "POST", **BEARER, **ELSEWHERE) == 403
