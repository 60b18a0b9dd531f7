"""The application with the real engine: offers, pages, assets, errors and health checks."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer
from aiortc import RTCSessionDescription
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.peer import Peer
from tests.support.scripted_worker import install_worker
from web.app import create_app
from web.settings.server import ServerSettings

Client = TestClient[Any, Any]


async def error_of(response: ClientResponse) -> tuple[int, str]:
    body = await response.json()
    assert list(body) == ["error"]
    assert body["error"]["message"]
    return response.status, body["error"]["code"]


async def offer_of(peer: Peer) -> dict[str, str]:
    return {"sdp": (await peer.offer()).sdp, "type": "offer", "source": "demo"}


async def test_an_offer_starts_a_session(client: Client) -> None:
    async with Peer(None) as peer:
        async with client.post("/offer", json=await offer_of(peer)) as response:
            assert response.status == 200
            answer = await response.json()
        assert set(answer) == {"sdp", "type", "stream"}
        await peer.accept(RTCSessionDescription(answer["sdp"], answer["type"]))
        await peer.until(lambda: peer.received("hello") and peer.frames)
        assert peer.received("hello")[0]["stream"] == answer["stream"]

        async with Peer(None) as second:
            body = await offer_of(second)
        async with client.post("/offer", json=body) as response:
            assert await error_of(response) == (503, "server-full")
            assert int(response.headers["Retry-After"]) > 0
    await until_no_session(client)


async def until_no_session(client: Client) -> None:
    async with asyncio.timeout(10):
        while (await (await client.get("/healthz")).json())["sessions"]:
            await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "bad-json"),
        (b"{", 400, "bad-json"),
        (b"\xff\xfe\x00", 400, "bad-json"),
        (b"[" * 9000, 400, "bad-json"),
        (b"[]", 400, "bad-request"),
        (b'{"sdp": "v=0", "type": "answer"}', 400, "bad-request"),
        (b'{"sdp": "nonsense", "type": "offer"}', 400, "bad-sdp"),
        (b'{"sdp": "v=0\\r\\n", "type": "offer"}', 400, "no-video"),
        (json.dumps({"sdp": "v=0" + "x" * 20_000, "type": "offer"}).encode(), 413, "too-large"),
        (b"x" * 60_000, 413, "too-large"),
    ],
)
async def test_a_bad_offer_is_refused_with_the_reason(
    client: Client, body: bytes, status: int, code: str
) -> None:
    async with client.post("/offer", data=body) as response:
        assert await error_of(response) == (status, code)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=200))
async def test_any_invalid_body_gets_400(client: Client, body: bytes) -> None:
    async with client.post("/offer", data=body) as response:
        assert (await error_of(response))[0] == 400


@pytest.mark.parametrize("origin", ["https://elsewhere.example", "null", "http://127.0.0.1:1"])
async def test_pages_of_other_sites_may_not_post(client: Client, origin: str) -> None:
    async with client.post("/offer", json={}, headers={"Origin": origin}) as response:
        assert await error_of(response) == (403, "bad-origin")


async def test_the_servers_own_page_may_post(client: Client) -> None:
    own = {"Origin": f"http://127.0.0.1:{client.port}"}
    async with client.post("/offer", json={}, headers=own) as response:
        assert await error_of(response) == (400, "bad-request")


async def test_a_name_rebound_to_the_loopback_is_refused(client: Client) -> None:
    for host in ("evil.example", "evil.example:4200", "[", "10.0.0.1"):
        async with client.get("/healthz", headers={"Host": host}) as response:
            assert await error_of(response) == (403, "bad-host")
    async with client.get("/healthz", headers={"Host": "localhost:4200"}) as response:
        assert response.status == 200


async def test_the_page_is_served_with_a_strict_policy(client: Client) -> None:
    async with client.get("/") as response:
        page = await response.text()
        policy = response.headers["Content-Security-Policy"]

    assert response.content_type == "text/html"
    assert "<title>Sightline" in page
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Server"] == "Sightline"


@pytest.mark.parametrize(
    "path", ["/static/js/live/live_page.js", "/static/css/base.css", "/static/favicon.svg"]
)
async def test_assets_are_served(client: Client, path: str) -> None:
    async with client.get(path) as response:
        assert response.status == 200
        assert response.content_type.partition("/")[2] in ("javascript", "css", "svg+xml")


async def test_other_paths_and_methods_are_refused_in_json(client: Client) -> None:
    async with client.get("/nothing") as response:
        assert await error_of(response) == (404, "not-found")
    async with client.get("/static/../app.py") as response:
        assert await error_of(response) == (404, "not-found")
    async with client.get("/offer") as response:
        assert await error_of(response) == (405, "method-not-allowed")
        assert response.headers["Allow"] == "POST"


async def test_it_is_healthy_at_once_and_ready_when_the_captioner_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_worker(tmp_path, monkeypatch)
    async with TestClient(TestServer(create_app(ServerSettings()))) as client:
        async with client.get("/healthz") as response:
            assert (await response.json())["status"] == "ok"
        async with asyncio.timeout(60):
            while (response := await client.get("/readyz")).status != 200:
                assert await error_of(response) == (503, "not-ready")
                await asyncio.sleep(0.05)
        assert await response.json() == {"status": "ready"}
