"""Pictures of firings, and pictures in the sinks: a real broker and a real receiver."""

import asyncio
import base64
import json
import time
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from stream.history import Firing, FiringQuery, History, HistoryQuery, HistorySettings
from stream.publishing.sinks import MAX_WAIT_S, FiringPictures
from tests.stream.publishing.sinks.broker import PASSWORD, USER, Broker
from tests.stream.publishing.sinks.receiver import KEY, receiving
from tests.support.captions import ScriptedCaptions, confident_caption
from tests.support.servers.feed_app import Client, serve_feeds
from web.keys import APPRISE, HISTORY

CAT, DOG = confident_caption("A cat sits"), confident_caption("A dog runs")


async def until_kept(client: Client, count: int) -> None:
    """Wait until so many pictures are stored."""
    assert client.app
    async with asyncio.timeout(20):
        while client.app[HISTORY].pictures.kept < count:
            await asyncio.sleep(0.01)


async def pictured(client: Client) -> dict[str, bool]:
    """Return whether spans have pictures, by their text."""
    assert client.app
    spans = await client.app[HISTORY].search(HistoryQuery(), 100, None)
    return {span.text: span.has_picture for span in spans}


@pytest.mark.parametrize("present_s", [0, 1])
async def test_a_rule_that_fires_stores_a_picture_of_what_it_fired_on(
    tmp_path: Path, present_s: float
) -> None:
    settings = {
        "rules": {"dogs": {"any": ["dogs"], "present_s": present_s}},
        "history": {"path": tmp_path / "history.sqlite", "pictures": "rules"},
    }
    captions = ScriptedCaptions(CAT)
    async with serve_feeds(captions, **settings) as client:
        captions.caption = DOG
        await until_kept(client, 1)
        assert await pictured(client) == {"A cat sits": False, "A dog runs": True}


@pytest.mark.parametrize("mode", ["rules", "changes"])
async def test_firings_name_their_picture_to_those_who_may_see_it(
    tmp_path: Path, mode: str
) -> None:
    tokens = {"admin_token": "a" * 20, "viewer_token": "v" * 20}
    settings = {
        "rules": {"dogs": {"any": ["dogs"], "present_s": 0.3}},
        "history": {"path": tmp_path / "history.sqlite", "pictures": mode},
        "access": tokens,
    }
    captions = ScriptedCaptions(CAT)
    async with serve_feeds(captions, **settings) as client:

        async def get(path: str, token: str) -> Any:
            headers = {"Authorization": f"Bearer {token}"}
            async with client.get(path, headers=headers) as response:
                return response.status, await response.read()

        async def pictures(token: str, path: str = "/api/firings", key: str = "firings") -> Any:
            _, body = await get(path, token)
            return [each["picture"] for each in json.loads(body)[key]]

        captions.caption = DOG
        async with asyncio.timeout(20):
            while not any(found := await pictures("a" * 20)):
                await asyncio.sleep(0.05)
        pictured = "/api/history/search?pictured=true"
        assert await pictures("v" * 20) == [None]
        assert await pictures("v" * 20, pictured, "spans") == []
        assert await pictures("a" * 20, f"{pictured}&q=dog&limit=1", "spans") == found
        assert (await get(pictured.replace("true", "yes"), "a" * 20))[0] == 400
        _, spans = await get("/api/history/search?q=dog", "a" * 20)
        status, image = await get(found[0], "a" * 20)
    (dog,) = json.loads(spans)["spans"]
    assert found == [f"/api/history/{dog['id']}/picture"]
    assert status == 200 and image[8:12] == b"WEBP"


@pytest.mark.parametrize("wanted", [True, False])
async def test_apprise_attaches_the_picture_only_if_its_settings_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: bool
) -> None:
    attached = list[Any]()

    async def receive(request: web.Request) -> web.Response:
        attached.append((await request.json())["attachments"])
        # It accepts nothing with a picture.
        return web.Response(status=500 if attached[-1] else 200)

    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    app = web.Application()
    app.router.add_post("/", receive)
    async with TestServer(app) as server:
        settings = {
            "rules": {"dogs": {"any": ["dogs"], "present_s": 0}},
            "history": {"path": tmp_path / "history.sqlite", "pictures": "rules"},
            "apprise": {"urls": [f"json://127.0.0.1:{server.port}"], "pictures": wanted},
        }
        captions = ScriptedCaptions(CAT)
        async with serve_feeds(captions, **settings) as client:
            assert client.app
            captions.caption = DOG
            await until_kept(client, 1)
            async with asyncio.timeout(20):
                while not client.app[APPRISE].sent:
                    await asyncio.sleep(0.01)
            (firing,) = await client.app[HISTORY].firings(FiringQuery(), 10, None)
            assert firing.picture
            picture = await client.app[HISTORY].picture(firing.picture)

    assert picture and not open_pictures()
    assert not [*(tmp_path / "temporary").iterdir()]
    image = base64.b64encode(picture.image).decode()
    sent = {"filename": "picture.webp", "base64": image, "mimetype": "image/webp"}
    # The last of three attempts is without it.
    assert attached == ([[sent], [sent], []] if wanted else [[]])


async def test_a_firing_waits_for_its_picture_no_longer_than_it_may(tmp_path: Path) -> None:
    history = History(HistorySettings(path=tmp_path / "history.sqlite", pictures="rules"))
    await history.open()
    firing = Firing("dogs", "yard", 1_700_000_000.0, None, "A dog!", "A dog runs", ("dog",))
    pictures, start = FiringPictures(history), time.monotonic()
    # More than are looked for at once.
    found = await asyncio.gather(*(pictures.find(firing) for _ in range(20)))
    took_s = time.monotonic() - start
    await history.close()
    assert found == [None] * 20 and MAX_WAIT_S <= took_s < MAX_WAIT_S + 0.5


def open_pictures() -> int:
    """Return the number of pictures in memory that are open as files."""
    links = (each for each in Path("/proc/self/fd").iterdir() if each.is_symlink())
    return sum("memfd:picture" in str(each.readlink()) for each in links)


@pytest.mark.parametrize("wanted", [True, False])
async def test_sinks_get_pictures_only_if_their_settings_say_so(
    tmp_path: Path, wanted: bool
) -> None:
    broker = Broker(tmp_path)
    await asyncio.to_thread(broker.start)
    mqtt = {"host": "127.0.0.1", "port": broker.port, "user": USER, "password": PASSWORD}
    try:
        async with receiving() as (receiver, server):
            webhook: dict[str, Any] = {"url": str(server.make_url("/hook")), "secret": KEY.decode()}
            if wanted:
                mqtt["pictures"], webhook["events"] = True, ["caption", "picture"]
            settings = {
                "history": {"path": tmp_path / "history.sqlite", "pictures": "changes"},
                "webhook": webhook,
                "mqtt": mqtt,
            }
            async with (
                aiomqtt.Client(
                    "127.0.0.1", broker.port, username=USER, password=PASSWORD
                ) as subscriber,
            ):
                await subscriber.subscribe("sightline/yard/image", qos=1)
                # What a server with other settings has left is deleted.
                await subscriber.publish("sightline/yard/image", b"old", qos=1, retain=True)
                async with serve_feeds(ScriptedCaptions(DOG), **settings) as client:
                    await until_kept(client, 1)
                    await receiver.until(lambda: receiver.accepted)
                    if wanted:
                        await receiver.until(lambda: receiver.pictures)
                    images = aiter(subscriber.messages)
                    message = await asyncio.wait_for(anext(images), 10)
                    while message.payload == b"old":
                        message = await asyncio.wait_for(anext(images), 10)
    finally:
        broker.stop()
    assert isinstance(message.payload, bytes)
    if not wanted:
        assert message.payload == b"" and receiver.pictures == []
        return
    (picture,) = receiver.pictures
    image = base64.b64decode(picture["image"])
    assert image == message.payload and image[8:12] == b"WEBP"
    assert (picture["feed"], picture["said"], picture["type"]) == (
        "yard",
        "A dog runs",
        "image/webp",
    )
    assert picture["path"] == f"/api/history/{picture['span']}/picture"
