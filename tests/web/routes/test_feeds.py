import asyncio
import io

from PIL import Image

from tests.support.captions import ScriptedCaptions, objects_only
from tests.web.yard import DOG, YARD, serving, stream_of
from web.keys import FEEDS


async def test_each_feed_says_how_it_is_and_where_its_doors_are() -> None:
    async with serving() as client:
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
        for door in ("picture", "subtitles"):
            async with client.get(yard["links"][door]) as response:
                assert response.status == 200


async def test_a_doubt_is_owned_up_to() -> None:
    captions = ScriptedCaptions(objects_only("A dog on a sofa", laptop=0.9))
    async with serving(captions) as client:
        caption = (await (await client.get("/api/feeds/yard")).json())["caption"]
        assert caption["said"] == "Not sure. Perhaps: laptop"
        assert (caption["text"], caption["fallback"]) == ("Laptop", "tags")


async def test_the_newest_picture_is_a_jpeg() -> None:
    async with serving() as client:
        async with client.get("/api/feeds/yard/picture") as response:
            picture = Image.open(io.BytesIO(await response.read()))
            assert response.headers["Cache-Control"] == "no-store"
        assert (picture.format, picture.size) == ("JPEG", (640, 480))


async def test_a_feed_that_is_not_there_is_told_so_at_every_door() -> None:
    async with serving(feeds={}) as client:
        assert await (await client.get("/api/feeds")).json() == {"feeds": []}
        for door in ("", "/picture", "/events", "/captions.vtt", "/captions.jsonl"):
            async with client.get(f"/api/feeds/cellar{door}") as response:
                assert response.status == 404
                assert (await response.json())["error"]["code"] == "no-such-feed"
        async with client.get("/api/feeds/Not%20a%20name") as response:
            assert response.status == 404


async def test_who_reads_a_feed_watches_it() -> None:
    feeds = {"yard": YARD, "asleep": {"source": "demo", "run": "watched", "interval_s": 0.5}}
    async with serving(feeds=feeds) as client:
        asleep = stream_of(client, "asleep")
        assert asleep.newest is None and asleep.signal.state == "idle"
        async with client.get("/api/feeds/asleep/captions.jsonl?limit=1") as response:
            assert (await asyncio.wait_for(response.json(content_type=None), 10))["text"]
            assert DOG.text == "A dog runs"
        async with asyncio.timeout(10):
            while asleep.viewers:
                await asyncio.sleep(0.02)


async def test_a_feed_that_is_taken_away_ends_its_readers() -> None:
    async with serving() as client:
        assert client.app
        readings = [
            asyncio.create_task(client.get(f"/api/feeds/yard/{door}"))
            for door in ("events", "captions.jsonl", "captions.vtt?follow=true")
        ]
        responses = await asyncio.gather(*readings)
        await client.app[FEEDS].reload({})
        for response in responses:
            assert await asyncio.wait_for(response.read(), 10)
