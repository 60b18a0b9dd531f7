"""The routes of feeds."""

import asyncio
import io
import logging
import re
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from aiohttp.test_utils import unused_port
from PIL import Image

from stream.clock import boottime
from stream.video import Frame, blank_frame
from tests.support.captions import ScriptedCaptions, tags_fallback
from tests.support.servers.feed_app import DOG, YARD, get_stream, serve_feeds
from web.keys import MEDIA


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
        assert caption["said"] == "Laptop"
        assert (caption["text"], caption["fallback"]) == ("Laptop", "tags")


async def test_the_frame_of_the_latest_caption_is_a_jpeg() -> None:
    async with serve_feeds() as client:
        async with client.get("/api/feeds/yard/picture") as response:
            picture = Image.open(io.BytesIO(await response.read()))
            assert response.headers["Cache-Control"] == "no-store"
        assert (picture.format, picture.size) == ("JPEG", (640, 480))


def read_qr_code(svg: str) -> str:
    """Draw the dark modules of a QR code, and decode it."""
    found = re.search(r'viewBox="0 0 (\d+) (\d+)"', svg)
    assert found
    modules = np.full((int(found[2]), int(found[1])), 255, np.uint8)
    for x, y in re.findall(r"M(\d+) (\d+)h1v1h-1z", svg):
        modules[int(y), int(x)] = 0
    assert (modules[:4] == 255).all() and (modules[:, :4] == 255).all()
    # OpenCV's other detector fails to read one code in 200.
    detector = cv2.QRCodeDetectorAruco()
    return detector.detectAndDecode(np.kron(modules, np.ones((8, 8), np.uint8)))[0]


async def test_the_qr_code_of_a_feed_is_the_link_that_the_client_sees() -> None:
    async with serve_feeds() as client:
        async with client.get("/api/feeds/yard/qr.svg") as response:
            assert response.content_type == "image/svg+xml"
            link = str(client.make_url("/?feed=yard"))
            assert read_qr_code(await response.text()) == link
        headers = {"Host": "127.0.0.1", "X-Forwarded-Host": "forged.example"}
        async with client.get("/api/feeds/yard/qr.svg", headers=headers) as response:
            assert read_qr_code(await response.text()) == "http://127.0.0.1/?feed=yard"
        # As the page asks that a proxy serves over HTTPS, which the server does not trust.
        query = {"scheme": "https"}
        async with client.get("/api/feeds/yard/qr.svg", params=query, headers=headers) as response:
            assert read_qr_code(await response.text()) == "https://127.0.0.1/?feed=yard"
        for wrong in ("scheme=javascript", "scheme=http&scheme=https", "schema=https"):
            async with client.get(f"/api/feeds/yard/qr.svg?{wrong}") as response:
                assert response.status == 400


async def test_every_route_of_an_unknown_feed_gets_404() -> None:
    async with serve_feeds(feeds={}) as client:
        assert await (await client.get("/api/feeds")).json() == {
            "feeds": [],
            "history": False,
            "pictures": False,
        }
        for path in ("", "/picture", "/qr.svg", "/events", "/captions.vtt", "/captions.jsonl"):
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
        await client.app[MEDIA].feeds.reload({})
        for response in responses:
            assert await asyncio.wait_for(response.read(), 10)


async def test_the_delay_of_a_source_is_part_of_the_age_but_not_of_the_load() -> None:
    asleep = {"source": "demo", "run": "watched", "interval_s": 0.25}
    feeds = {"yard": {**YARD, "interval_s": 600}, "asleep": asleep}
    async with serve_feeds(feeds=feeds) as client:
        stream = get_stream(client, "asleep")
        async with asyncio.timeout(20):
            for number in range(6):
                image = blank_frame(64, 48)
                stream.ingest.put(Frame(image, time.time() - 30, boottime() - 30, 30.0))
                while stream.latest_caption is None or stream.latest_caption.seq < number:
                    await asyncio.sleep(0.02)
        feed = await (await client.get("/api/feeds/asleep")).json()
        assert feed["caption"]["age_ms"] > 29_000
        metrics = await (await client.get("/metrics")).text()
        lateness = re.search(r"(?m)^\w+load_lateness_ratio (\S+)", metrics)
        assert lateness and float(lateness[1]) < 10


async def test_a_source_that_fails_is_disclosed_neither_to_viewers_nor_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    mistyped = tmp_path / "mistyped"
    mistyped.write_text("rtsp:/bob:p\\w'hunter2@host/x\n")
    recording = tmp_path / "yard.mp4"
    recording.write_bytes(b"hunter2" * 999)
    refusing = f"127.0.0.1:{unused_port()}"
    sources = {
        "no-scheme": {"source": "cam.local/video?user=bob&password=hunter2"},
        "no-scheme-with-login": {"source": "bob:hunter2@cam.local/video"},
        "mistyped-scheme": {"source_file": str(mistyped)},
        "no-file": {"source": str(tmp_path / "hunter2.mp4")},
        "below-a-file": {"source": f"{recording}/hunter2"},
        "folder": {"source": str(tmp_path)},
        "device": {"source": "/dev/hunter2?"},
        "damaged": {"source": str(recording)},
        "no-source-file": {"source_file": str(tmp_path / "hunter2")},
        "refusing": {"source": f"rtsp://bob:hunter2@{refusing}/hunter2?password=hunter2"},
        "refusing-http": {"source": f"http://bob:hunter2@{refusing}/hunter2?password=hunter2"},
    }
    async with serve_feeds(feeds=sources) as client:
        async with asyncio.timeout(20):
            listed: list[dict[str, Any]] = []
            while {feed["signal"]["state"] for feed in listed} != {"lost"}:
                body = await (await client.get("/api/feeds")).text()
                listed = (await (await client.get("/api/feeds")).json())["feeds"]
                await asyncio.sleep(0.05)
    assert len(listed) == len(sources)
    for text in (body, str(listed), caplog.text):
        assert "hunter2" not in text and "bob" not in text and "cam.local" not in text
        assert str(tmp_path) not in text
    messages = {feed["name"]: feed["signal"]["message"] for feed in listed}
    assert messages["mistyped-scheme"].startswith("the source's URL has a mistyped scheme; write")
    assert messages["no-scheme"].startswith("the source is neither an existing file nor a URL")
    assert messages["damaged"].startswith("yard.mp4 cannot be read as a video")
    assert messages["refusing"].startswith(f"rtsp://{refusing} refused the connection")
