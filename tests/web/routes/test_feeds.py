"""The routes of feeds."""

import asyncio
import io

from PIL import Image

from tests.support.captions import ScriptedCaptions, tags_fallback
from tests.support.servers.feed_app import DOG, YARD, get_stream, serve_feeds
from web.keys import FEEDS


async def test_feeds_have_their_state_and_links() -> None:
    async with serve_feeds() as client:
        listed = (await (await client.get("/api/feeds")).json())["feeds"]
        yard = await (await client.get("/api/feeds/yard")).json()

        assert [feed["name"] for feed in listed] == ["yard"]
        assert (yard["title"], yard["kind"], yard["interval_s"]) == ("Back yard", "feed", 0.5)
        assert yard["signal"]["state"] == "live"
        assert (yard["viewers"], yard["history"]) == (0, False)
        caption = yard["caption"]
        assert (caption["feed"], caption["said"], caption["text"]) == ("yard", *2 * ["A dog runs"])
        assert "maps" not in caption and caption["words"][1]["text"] == "dog"
        assert caption["age_ms"] < 5000
        for link in ("picture", "subtitles"):
            async with client.get(yard["links"][link]) as response:
                assert response.status == 200


async def test_a_low_confidence_caption_falls_back_to_objects() -> None:
    captions = ScriptedCaptions(tags_fallback("A dog on a sofa", laptop=0.9))
    async with serve_feeds(captions) as client:
        caption = (await (await client.get("/api/feeds/yard")).json())["caption"]
        assert caption["said"] == "Not sure. Possibly: laptop"
        assert (caption["text"], caption["fallback"]) == ("Laptop", "tags")


async def test_the_frame_of_the_latest_caption_is_a_jpeg() -> None:
    async with serve_feeds() as client:
        async with client.get("/api/feeds/yard/picture") as response:
            picture = Image.open(io.BytesIO(await response.read()))
            assert response.headers["Cache-Control"] == "no-store"
        assert (picture.format, picture.size) == ("JPEG", (640, 480))


async def test_every_route_of_an_unknown_feed_gets_404() -> None:
    async with serve_feeds(feeds={}) as client:
        assert await (await client.get("/api/feeds")).json() == {"feeds": [], "history": False}
        for path in ("", "/picture", "/events", "/captions.vtt", "/captions.jsonl"):
            async with client.get(f"/api/feeds/cellar{path}") as response:
                assert response.status == 404
                assert (await response.json())["error"]["code"] == "no-such-feed"
        async with client.get("/api/feeds/Not%20a%20name") as response:
            assert response.status == 404


async def test_a_subscriber_counts_as_a_viewer() -> None:
    feeds = {"yard": YARD, "asleep": {"source": "demo", "run": "watched", "interval_s": 0.5}}
    async with serve_feeds(feeds=feeds) as client:
        asleep = get_stream(client, "asleep")
        assert asleep.latest_caption is None and asleep.signal.state == "idle"
        async with client.get("/api/feeds/asleep/captions.jsonl?limit=1") as response:
            assert (await asyncio.wait_for(response.json(content_type=None), 10))["text"]
            assert DOG.text == "A dog runs"
        async with asyncio.timeout(10):
            while asleep.viewers:
                await asyncio.sleep(0.02)


async def test_removing_a_feed_ends_its_subscribers() -> None:
    async with serve_feeds() as client:
        assert client.app
        subscribing = [
            asyncio.create_task(client.get(f"/api/feeds/yard/{path}"))
            for path in ("events", "captions.jsonl", "captions.vtt?follow=true")
        ]
        responses = await asyncio.gather(*subscribing)
        await client.app[FEEDS].reload({})
        for response in responses:
            assert await asyncio.wait_for(response.read(), 10)
