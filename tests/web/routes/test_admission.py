"""Admission of sessions by role and by sessions per address."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from aiortc import RTCSessionDescription

from stream.feeds.settings import FeedSettings
from tests.support.captions import ScriptedCaptions, confident_caption
from tests.support.peer import Peer
from web.app import create_app
from web.settings.server import ServerSettings

ADMIN, VIEWER = "a" * 20, "v" * 20
TOKENS = {"admin_token": ADMIN, "viewer_token": VIEWER}
Client = TestClient[web.Request, web.Application]


@asynccontextmanager
async def serving(**settings: Any) -> AsyncIterator[Client]:
    feeds = {"yard": FeedSettings.model_validate({"source": "demo"})}
    app = create_app(
        ServerSettings(feeds=feeds, **settings), ScriptedCaptions(confident_caption("A cup"))
    )
    async with TestClient(TestServer(app)) as client:
        yield client


async def offer(client: Client, peer: Peer, token: str = "", **source: str) -> tuple[int, Any]:
    """Request a session; return the status, and the answer or the error."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = {"sdp": (await peer.offer()).sdp, "type": "offer", **source}
    async with client.post("/offer", json=request, headers=headers) as response:
        body = await response.json()
        return response.status, body.get("error", body)


async def test_a_viewer_may_watch_but_not_analyse() -> None:
    async with serving(access=TOKENS) as client, Peer(None) as peer:
        status, body = await offer(client, peer, VIEWER, source="demo")
        assert (status, body["code"]) == (403, "not-allowed")
        async with Peer(None) as other:
            assert (await offer(client, other, source="feed", feed="yard"))[0] == 401
        status, body = await offer(client, peer, VIEWER, source="feed", feed="yard")
        assert status == 200
        await peer.accept(RTCSessionDescription(body["sdp"], body["type"]))
        await peer.until(lambda: peer.received("caption") and peer.frames)
        seq = peer.received("caption")[-1]["seq"]
        peer.send({"type": "freeze", "seq": seq})
        peer.send(
            {"type": "analyze", "id": 1, "seq": seq, "kind": "ace", "params": {"scope": "bank"}}
        )
        await peer.until(lambda: peer.received("error"))
        assert peer.received("error")[0]["code"] == "not-allowed"


async def test_an_admin_may_start_a_session() -> None:
    async with serving(access=TOKENS) as client, Peer(None) as peer:
        assert (await offer(client, peer, ADMIN, source="demo"))[0] == 200


async def test_sessions_per_address_are_limited() -> None:
    async with serving(limits={"sessions": 2}) as client, Peer(None) as one, Peer(None) as two:
        assert (await offer(client, one, source="demo"))[0] == 200
        assert (await offer(client, two, source="feed", feed="yard"))[0] == 200
        async with Peer(None) as three:
            status, body = await offer(client, three, source="feed", feed="yard")
        assert (status, body["code"]) == (429, "too-many-requests")
        assert "already has 2 sessions" in body["message"]
