"""Admission of sessions by role and by sessions per address."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
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


async def offer(
    client: Client, peer: Peer, token: str = "", *, address: str = "", **source: str
) -> tuple[int, Any]:
    """Request a session; return the status, and the answer or the error."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    if address:
        headers["X-Forwarded-For"] = address
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


async def test_offers_that_are_never_completed_leave_room_for_others_and_the_admin() -> None:
    settings = {"access": TOKENS, "stream": {"viewers": 8}, "limits": {"proxies": ["127.0.0.1"]}}
    async with serving(**settings) as client, Peer(None) as peer:

        async def watch(address: str, token: str = VIEWER) -> tuple[int, str]:
            watching = {"address": address, "source": "feed", "feed": "yard"}
            status, body = await offer(client, peer, token, **watching)
            return status, body.get("code", "")

        of_network = [await watch(f"2001:db8::{number}") for number in range(5)]
        others = [await watch("192.0.2.1") for _ in range(4)]

        assert of_network == [(200, "")] * 4 + [(429, "too-many-requests")]
        assert others == [(200, "")] * 3 + [(503, "server-full")]
        assert await watch("2001:db8::1", ADMIN) == (200, "")


async def test_viewers_do_not_use_up_the_admins_sessions_of_their_address() -> None:
    limits = {"sessions": 2, "share": 1.0}
    async with serving(access=TOKENS, limits=limits) as client, Peer(None) as peer:
        watching = {"source": "feed", "feed": "yard"}
        statuses = [(await offer(client, peer, VIEWER, **watching))[0] for _ in range(3)]

        assert statuses == [200, 200, 429]
        assert (await offer(client, peer, ADMIN, source="demo"))[0] == 200


@pytest.mark.parametrize(("address", "status"), [("127.0.0.2", 200), ("192.0.2.1", 429)])
async def test_without_tokens_only_this_machine_may_use_everything(
    address: str, status: int
) -> None:
    limits = {"proxies": ["127.0.0.1"]}
    settings = {"stream": {"viewers": 4}, "access": {"open": True}, "limits": limits}
    async with serving(**settings) as client, Peer(None) as peer:
        watching = {"address": address, "source": "feed", "feed": "yard"}
        statuses = [(await offer(client, peer, **watching))[0] for _ in range(3)]

        assert statuses == [200, 200, status]
