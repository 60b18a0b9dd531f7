"""Watching configured feeds over WebRTC."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp.test_utils import TestClient, TestServer

from stream.feeds.settings import FeedSettings
from tests.support.captions import ScriptedCaptions, confident_caption
from tests.support.peer import Peer
from tests.support.servers.gstreamer_camera import GStreamerCamera
from web.app import create_app
from web.keys import MEDIA
from web.settings.server import ServerSettings


@asynccontextmanager
async def serving(**feeds: dict[str, Any]) -> AsyncIterator[TestClient[Any, Any]]:
    settings = ServerSettings(
        feeds={name: FeedSettings.model_validate(it) for name, it in feeds.items()}
    )
    app = create_app(settings, ScriptedCaptions(confident_caption("A ball on a dark wall")))
    async with TestClient(TestServer(app)) as client:
        yield client


async def watch(client: TestClient[Any, Any], peer: Peer, feed: str) -> None:
    offered = await peer.offer()
    body = {"sdp": offered.sdp, "type": "offer", "source": "feed", "feed": feed}
    answer = await client.post("/offer", json=body)
    assert answer.status == 200, await answer.text()
    answered = await answer.json()
    await peer.accept(type(offered)(answered["sdp"], answered["type"]))


def signals(peer: Peer) -> list[str]:
    return [stats["signal"]["state"] for stats in peer.received("stats")]


async def test_a_viewer_sees_the_camera_fail_and_recover() -> None:
    with GStreamerCamera("anna:secret42") as camera:
        door = {"source": camera.url, "interval_s": 0.25, "silence_s": 1, "title": "Front door"}
        async with serving(door=door) as client, Peer(None) as peer:
            await watch(client, peer, "door")
            await peer.until(lambda: peer.received("caption") and len(peer.frames) > 5)
            assert peer.messages[0]["watching"]["title"] == "Front door"
            await asyncio.to_thread(camera.stop)
            await peer.until(lambda: signals(peer)[-1] == "lost")
            listed = await (await client.get("/api/feeds/door")).json()
            assert listed["kind"] == "feed"
            assert listed["signal"]["state"] == "lost"
            # The last frame is repeated with a notice.
            seen = len(peer.frames)
            await peer.until(lambda: len(peer.frames) > seen)
            assert (peer.frames[-1].width, peer.frames[-1].height) == (320, 240)
            await asyncio.to_thread(camera.start)
            await peer.until(lambda: signals(peer)[-1] == "live")
            count, seen = len(peer.received("caption")), len(peer.frames)
            await peer.until(
                lambda: len(peer.received("caption")) > count and len(peer.frames) > seen + 20
            )
        received = json.dumps([*peer.messages, listed])
    assert "secret42" not in received
    assert "anna" not in received


async def test_a_client_cannot_choose_the_source() -> None:
    async with serving() as client, Peer(None) as peer:
        offered = await peer.offer()
        for named in ({"source": "rtsp://127.0.0.1/x"}, {"source": "feed", "feed": "demo"}):
            body = {"sdp": offered.sdp, "type": "offer", **named}
            answer = await client.post("/offer", json=body)
            assert answer.status in (400, 404), await answer.text()


async def test_removing_a_feed_ends_its_viewers() -> None:
    async with serving(demo={"source": "demo"}) as client, Peer(None) as peer:
        assert client.app
        await watch(client, peer, "demo")
        await peer.until(lambda: len(peer.frames) > 2)
        await client.app[MEDIA].feeds.reload({})
        await peer.until(lambda: peer.received("error"))
    assert peer.received("error")[0]["code"] == "source-ended"
