"""The routes of analyses and of captioned frames, from the data channel to the files."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import cv2
import numpy as np
import pytest
from aiohttp.test_utils import TestClient, TestServer
from aiortc import RTCSessionDescription
from jsonschema import Draft202012Validator

from stream.media import SessionService
from stream.settings import StreamSettings
from tests.support.captions import ScriptedCaptions, confident_caption
from tests.support.live_sessions import SCHEMA
from tests.support.peer import Peer
from tests.web.test_app import Client, error_of, offer_of, until_no_session
from web.app import create_app
from web.keys import MEDIA
from web.settings.server import ServerSettings

ANALYSIS = Draft202012Validator({"$ref": "#/$defs/analysis", "$defs": SCHEMA["$defs"]})


@asynccontextmanager
async def serving(captions: ScriptedCaptions) -> AsyncIterator[tuple[Client, SessionService]]:
    """Serve the application with scripted captions."""
    limits = StreamSettings(interval_s=0.25, analysis_kept_s=60)
    app = create_app(ServerSettings(stream=limits), captions)
    async with TestClient(TestServer(app)) as client:
        yield client, app[MEDIA].sessions


@asynccontextmanager
async def connected(client: Client) -> AsyncIterator[tuple[Peer, int]]:
    """A client of a session, and the sequence number of its frozen caption."""
    async with Peer(None) as peer:
        async with client.post("/offer", json=await offer_of(peer)) as response:
            answer = await response.json()
        await peer.accept(RTCSessionDescription(answer["sdp"], answer["type"]))
        await peer.until(lambda: peer.received("caption"), 60)
        seq = peer.received("caption")[-1]["seq"]
        peer.send({"type": "freeze", "seq": seq})
        yield peer, seq


async def analyse(peer: Peer, seq: int, request_id: int = 1) -> str:
    """Request an analysis; return its path."""
    message = {"type": "analyze", "id": request_id, "seq": seq, "kind": "adversarial", "params": {}}
    peer.send(message)
    await peer.until(lambda: [p for p in peer.received("progress") if p["id"] == request_id])
    path: str = next(p for p in peer.received("progress") if p["id"] == request_id)["analysis"]
    return path


async def get_analysis(client: Client, path: str) -> dict[str, Any]:
    async with client.get(path) as response:
        assert response.status == 200
        assert response.headers["Cache-Control"] == "no-store"
        body: dict[str, Any] = await response.json()
    ANALYSIS.validate(body)
    return body


async def until(client: Client, path: str, met: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    async with asyncio.timeout(20):
        while not met(body := await get_analysis(client, path)):
            await asyncio.sleep(0.05)
    return body


@pytest.fixture
def captions() -> ScriptedCaptions:
    captions = ScriptedCaptions(confident_caption("A dog"))
    captions.finish_analyses.clear()
    return captions


async def test_an_analysis_survives_its_connection_and_its_files_can_be_fetched(
    captions: ScriptedCaptions,
) -> None:
    async with serving(captions) as (client, sessions):
        async with connected(client) as (peer, seq):
            path = await analyse(peer, seq)
        async with asyncio.timeout(20):
            while len(sessions):
                await asyncio.sleep(0.02)
        running = await until(client, path, lambda body: body["done"] > 0)
        assert (running["state"], running["doing"]) == ("running", "Looking closely")
        async with client.get(f"{path}/report.html") as response:
            assert await error_of(response) == (404, "not-found")

        captions.finish_analyses.set()
        done = await until(client, path, lambda body: body["state"] != "running")
        assert done["state"] == "done"
        assert done["summary"] == list(captions.report.summary)
        async with client.get(done["files"]["report.html"]) as response:
            assert response.status == 200
            assert response.headers["Content-Type"] == "text/html; charset=utf-8"
            assert await response.read() == captions.report.files["report.html"]
            policy = response.headers["Content-Security-Policy"].split("; ")
            assert {"default-src 'none'", "sandbox", "frame-ancestors 'none'"} <= set(policy)
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


async def test_delete_cancels_a_running_analysis_but_not_from_another_site(
    captions: ScriptedCaptions,
) -> None:
    async with serving(captions) as (client, _), connected(client) as (peer, seq):
        path = await analyse(peer, seq)
        elsewhere = {"Origin": "https://elsewhere.example"}
        async with client.delete(path, headers=elsewhere) as response:
            assert await error_of(response) == (403, "bad-origin")
        assert (await get_analysis(client, path))["state"] == "running"
        async with client.delete(path) as response:
            assert response.status == 204
        body = await get_analysis(client, path)
        assert (body["state"], body["files"]) == ("cancelled", {})
        await peer.until(lambda: peer.received("error"))
        assert [(e["id"], e["code"]) for e in peer.received("error")] == [(1, "cancelled")]


async def test_unknown_tokens_get_404(captions: ScriptedCaptions) -> None:
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


async def test_a_frozen_frame_is_returned_until_it_is_released(client: Client) -> None:
    async with Peer(None) as peer:
        async with client.post("/offer", json=await offer_of(peer)) as response:
            answer = await response.json()
        await peer.accept(RTCSessionDescription(answer["sdp"], answer["type"]))
        await peer.until(lambda: peer.received("caption"), 150)
        caption = peer.received("caption")[-1]
        peer.send({"type": "freeze", "seq": caption["seq"]})
        await peer.until(lambda: peer.received("frozen"))
        path = peer.received("frozen")[0]["picture"]

        async with client.get(path) as response:
            assert response.status == 200
            assert response.content_type == "image/jpeg"
            assert response.headers["Cache-Control"] == "no-store"
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            image = cv2.imdecode(np.frombuffer(await response.read(), np.uint8), 1)
        frame = caption["frame"]
        assert image is not None
        assert image.shape == (frame["height"], frame["width"], 3)
        # As a page of another site would request it after DNS rebinding.
        async with client.get(path, headers={"Host": "evil.example"}) as response:
            assert await error_of(response) == (403, "bad-host")
        async with client.get(path.replace(answer["stream"], "x" * 22)) as response:
            assert await error_of(response) == (404, "gone")
            assert response.headers["Cache-Control"] == "no-store"

        peer.send({"type": "release"})
        async with asyncio.timeout(60):
            while (response := await client.get(path)).status == 200:
                await asyncio.sleep(0.2)
        assert await error_of(response) == (404, "gone")
        assert "freeze" in (await response.json())["error"]["message"]
    await until_no_session(client)
    async with client.get(path) as response:
        assert await error_of(response) == (404, "gone")


@pytest.mark.parametrize("seq", ["", "x", "-1", "1.5", "9" * 17, "9" * 5000, "1/2"])
async def test_an_invalid_sequence_number_gets_404(client: Client, seq: str) -> None:
    async with client.get(f"/streams/abc/pictures/{seq}") as response:
        assert (await error_of(response))[0] == 404


async def test_a_frame_cannot_be_posted(client: Client) -> None:
    async with client.post("/streams/abc/pictures/1") as response:
        assert await error_of(response) == (405, "method-not-allowed")
