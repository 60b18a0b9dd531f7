"""The routes of analyses, and a whole analysis from the data channel to its files."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from aiortc import RTCSessionDescription
from jsonschema import Draft202012Validator

from stream.settings import StreamSettings
from stream.webrtc.sessions import Sessions
from tests.stream.webrtc.test_sessions import SCHEMA
from tests.support.captions import ScriptedCaptions, sure
from tests.support.peer import Peer
from tests.web.test_app import Client, error_of, offer_of
from web.app import create_app
from web.keys import SESSIONS
from web.settings.server import ServerSettings

TOLD = Draft202012Validator({"$ref": "#/$defs/analysis", "$defs": SCHEMA["$defs"]})


@asynccontextmanager
async def serving(captions: ScriptedCaptions) -> AsyncIterator[tuple[Client, Sessions]]:
    """The routes, as `web.app` has them, over a service that says what a test tells it to."""
    limits = StreamSettings(interval_s=0.25, analysis_kept_s=60)
    app = create_app(ServerSettings(stream=limits), captions)
    async with TestClient(TestServer(app)) as client:
        yield client, app[SESSIONS]


@asynccontextmanager
async def connected(client: Client) -> AsyncIterator[tuple[Peer, int]]:
    """A client of a session, and the number of a caption that it has frozen."""
    async with Peer(None) as peer:
        async with client.post("/offer", json=await offer_of(peer)) as response:
            answer = await response.json()
        await peer.accept(RTCSessionDescription(answer["sdp"], answer["type"]))
        await peer.until(lambda: peer.of_type("caption"), 60)
        seq = peer.of_type("caption")[-1]["seq"]
        peer.send({"type": "freeze", "seq": seq})
        yield peer, seq


async def begin(peer: Peer, seq: int, asked: int = 1) -> str:
    """Ask for an analysis; return its path."""
    message = {"type": "analyze", "id": asked, "seq": seq, "kind": "adversarial", "params": {}}
    peer.send(message)
    await peer.until(lambda: [p for p in peer.of_type("progress") if p["id"] == asked])
    path: str = next(p for p in peer.of_type("progress") if p["id"] == asked)["analysis"]
    return path


async def told(client: Client, path: str) -> dict[str, Any]:
    async with client.get(path) as response:
        assert response.status == 200
        assert response.headers["Cache-Control"] == "no-store"
        body: dict[str, Any] = await response.json()
    TOLD.validate(body)
    return body


async def until(client: Client, path: str, met: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    async with asyncio.timeout(20):
        while not met(body := await told(client, path)):
            await asyncio.sleep(0.05)
    return body


@pytest.fixture
def captions() -> ScriptedCaptions:
    captions = ScriptedCaptions(sure("A dog"))
    captions.may_finish.clear()
    return captions


async def test_one_goes_on_when_the_connection_drops_and_its_files_are_had_afterwards(
    captions: ScriptedCaptions,
) -> None:
    async with serving(captions) as (client, sessions):
        async with connected(client) as (peer, seq):
            path = await begin(peer, seq)
        async with asyncio.timeout(20):
            while len(sessions):
                await asyncio.sleep(0.02)
        running = await until(client, path, lambda body: body["done"] > 0)
        assert (running["state"], running["doing"]) == ("running", "Looking closely")
        async with client.get(f"{path}/report.html") as response:
            assert await error_of(response) == (404, "not-found")

        captions.may_finish.set()
        done = await until(client, path, lambda body: body["state"] != "running")
        assert done["state"] == "done"
        assert done["summary"] == list(captions.report.summary)
        async with client.get(done["files"]["report.html"]) as response:
            assert response.status == 200
            assert response.headers["Content-Type"] == "text/html; charset=utf-8"
            assert await response.read() == captions.report.files["report.html"]
            policy = response.headers["Content-Security-Policy"].split("; ")
            assert {"default-src 'none'", "sandbox", "frame-ancestors 'self'"} <= set(policy)
            assert not [rule for rule in policy if rule.startswith(("script-src", "connect-src"))]
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert response.headers["Cache-Control"] == "no-store"
            assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        async with client.get(done["files"]["report.json"]) as response:
            assert response.content_type == "application/json"
            assert await response.json() == {}

        async with client.delete(path) as response:
            assert response.status == 204
        for gone in (path, done["files"]["report.html"]):
            async with client.get(gone) as response:
                assert await error_of(response) == (404, "gone")


async def test_delete_gives_up_one_that_is_under_way_and_others_sites_may_not(
    captions: ScriptedCaptions,
) -> None:
    async with serving(captions) as (client, _), connected(client) as (peer, seq):
        path = await begin(peer, seq)
        elsewhere = {"Origin": "https://elsewhere.example"}
        async with client.delete(path, headers=elsewhere) as response:
            assert await error_of(response) == (403, "bad-origin")
        assert (await told(client, path))["state"] == "running"
        async with client.delete(path) as response:
            assert response.status == 204
        body = await told(client, path)
        assert (body["state"], body["files"]) == ("cancelled", {})
        await peer.until(lambda: peer.of_type("error"))
        assert [(e["id"], e["code"]) for e in peer.of_type("error")] == [(1, "cancelled")]


async def test_whatever_token_is_guessed_finds_nothing(captions: ScriptedCaptions) -> None:
    async with serving(captions) as (client, _):
        async with client.get("/analyses/" + "x" * 22) as response:
            assert await error_of(response) == (404, "gone")
            assert response.headers["Cache-Control"] == "no-store"
        async with client.delete("/analyses/" + "x" * 22) as response:
            assert await error_of(response) == (404, "gone")
        for token in ("..", "a/b", "%2e%2e", "\u00e9", "x" * 65):
            async with client.get(f"/analyses/{token}/report.html") as response:
                assert (await error_of(response))[0] == 404
        async with client.post("/analyses/" + "x" * 22) as response:
            assert await error_of(response) == (405, "method-not-allowed")
