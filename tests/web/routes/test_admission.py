"""Who may have which session: by role, and by how many an address has already."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from aiortc import RTCSessionDescription

from stream.feeds.settings import FeedSettings
from tests.support.captions import ScriptedCaptions, sure
from tests.support.peer import Peer
from web.app import create_app
from web.settings.server import ServerSettings

ADMIN, VIEWER = "a" * 20, "v" * 20
TOKENS = {"admin_token": ADMIN, "viewer_token": VIEWER}
Client = TestClient[web.Request, web.Application]


@asynccontextmanager
async def serving(**settings: Any) -> AsyncIterator[Client]:
    feeds = {"door": FeedSettings.model_validate({"source": "demo"})}
    app = create_app(ServerSettings(feeds=feeds, **settings), ScriptedCaptions(sure("A cup")))
    async with TestClient(TestServer(app)) as client:
        yield client


async def ask(client: Client, peer: Peer, token: str = "", **source: str) -> tuple[int, Any]:
    """Ask for a session; return the status, and the answer or the error."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    body = {"sdp": (await peer.offer()).sdp, "type": "offer", **source}
    async with client.post("/offer", json=body, headers=headers) as response:
        told = await response.json()
        return response.status, told.get("error", told)


async def test_a_viewer_watches_and_has_nothing_analysed() -> None:
    async with serving(access=TOKENS) as client, Peer(None) as peer:
        status, told = await ask(client, peer, VIEWER, source="demo")
        assert (status, told["code"]) == (403, "not-allowed")
        async with Peer(None) as other:
            assert (await ask(client, other, source="feed", feed="door"))[0] == 401
        status, told = await ask(client, peer, VIEWER, source="feed", feed="door")
        assert status == 200
        await peer.accept(RTCSessionDescription(told["sdp"], told["type"]))
        await peer.until(lambda: peer.of_type("caption") and peer.pictures)
        seq = peer.of_type("caption")[-1]["seq"]
        peer.send({"type": "freeze", "seq": seq})
        peer.send(
            {"type": "analyze", "id": 1, "seq": seq, "kind": "ace", "params": {"scope": "bank"}}
        )
        await peer.until(lambda: peer.of_type("error"))
        assert peer.of_type("error")[0]["code"] == "not-allowed"


async def test_an_admin_may_have_a_session_of_its_own() -> None:
    async with serving(access=TOKENS) as client, Peer(None) as peer:
        assert (await ask(client, peer, ADMIN, source="demo"))[0] == 200


async def test_an_address_has_so_many_sessions() -> None:
    async with serving(limits={"sessions": 2}) as client, Peer(None) as one, Peer(None) as two:
        assert (await ask(client, one, source="demo"))[0] == 200
        assert (await ask(client, two, source="feed", feed="door"))[0] == 200
        async with Peer(None) as three:
            status, told = await ask(client, three, source="feed", feed="door")
        assert (status, told["code"]) == (429, "too-many-requests")
        assert "2 sessions already" in told["message"]
