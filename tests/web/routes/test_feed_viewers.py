"""Feeds of the configuration, as who watches one over WebRTC has them."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp.test_utils import TestClient, TestServer

from stream.feeds.settings import FeedSettings
from tests.support.captions import ScriptedCaptions, sure
from tests.support.peer import Peer
from tests.support.rtsp_camera import RtspCamera
from web.app import create_app
from web.keys import FEEDS
from web.settings.server import ServerSettings


@asynccontextmanager
async def serving(**feeds: dict[str, Any]) -> AsyncIterator[TestClient[Any, Any]]:
    settings = ServerSettings(
        feeds={name: FeedSettings.model_validate(it) for name, it in feeds.items()}
    )
    app = create_app(settings, ScriptedCaptions(sure("A ball on a dark wall")))
    async with TestClient(TestServer(app)) as client:
        yield client


async def watch(client: TestClient[Any, Any], peer: Peer, feed: str) -> None:
    offered = await peer.offer()
    body = {"sdp": offered.sdp, "type": "offer", "source": "feed", "feed": feed}
    answer = await client.post("/offer", json=body)
    assert answer.status == 200, await answer.text()
    told = await answer.json()
    await peer.accept(type(offered)(told["sdp"], told["type"]))


def signals(peer: Peer) -> list[str]:
    return [stats["signal"]["state"] for stats in peer.of_type("stats")]


async def test_a_watcher_sees_the_camera_go_and_come_back() -> None:
    with RtspCamera("anna:secret42") as camera:
        door = {"source": camera.url, "interval_s": 0.25, "silence_s": 1, "title": "Front door"}
        async with serving(door=door) as client, Peer(None) as peer:
            await watch(client, peer, "door")
            await peer.until(lambda: peer.of_type("caption") and len(peer.pictures) > 5)
            assert peer.messages[0]["watching"]["title"] == "Front door"
            await asyncio.to_thread(camera.stop)
            await peer.until(lambda: signals(peer)[-1] == "lost")
            listed = await (await client.get("/api/feeds/door")).json()
            assert listed["kind"] == "feed"
            assert listed["signal"]["state"] == "lost"
            # The last picture goes on, saying so.
            seen = len(peer.pictures)
            await peer.until(lambda: len(peer.pictures) > seen)
            assert (peer.pictures[-1].width, peer.pictures[-1].height) == (320, 240)
            await asyncio.to_thread(camera.start)
            await peer.until(lambda: signals(peer)[-1] == "live")
            count, seen = len(peer.of_type("caption")), len(peer.pictures)
            await peer.until(
                lambda: len(peer.of_type("caption")) > count and len(peer.pictures) > seen + 20
            )
        told = json.dumps([*peer.messages, listed])
    assert "secret42" not in told
    assert "anna" not in told


async def test_no_source_of_a_client_is_ever_opened() -> None:
    async with serving() as client, Peer(None) as peer:
        offered = await peer.offer()
        for named in ({"source": "rtsp://127.0.0.1/x"}, {"source": "feed", "feed": "demo"}):
            body = {"sdp": offered.sdp, "type": "offer", **named}
            answer = await client.post("/offer", json=body)
            assert answer.status in (400, 404), await answer.text()


async def test_a_feed_that_is_taken_away_ends_its_watchers() -> None:
    async with serving(demo={"source": "demo"}) as client, Peer(None) as peer:
        assert client.app
        await watch(client, peer, "demo")
        await peer.until(lambda: len(peer.pictures) > 2)
        await client.app[FEEDS].reload({})
        await peer.until(lambda: peer.of_type("error"))
    assert peer.of_type("error")[0]["code"] == "source-ended"
