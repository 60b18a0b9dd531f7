"""Live captions as server-sent events, WebVTT and JSON Lines."""

import asyncio
import json
import re
import time
from dataclasses import replace
from itertools import pairwise

import av
import numpy as np
import pytest
from aiohttp import ClientResponse

from inference.explanations.map import CaptionMaps, Map
from stream.captioned_stream import Signal, SignalState
from tests.support.captions import ScriptedCaptions, caption_event, confident_caption, tags_fallback
from tests.support.event_stream import read_event, read_named_event
from tests.support.servers.feed_app import (
    DOG,
    YARD,
    Client,
    get_publications,
    get_stream,
    serve_feeds,
)
from tests.web.routes.test_api import valid

HEAT = Map(np.arange(12, dtype=np.float32).reshape(3, 4))
CUE = re.compile(r"(\d\d:\d\d:\d\d\.\d{3}) --> (\d\d:\d\d:\d\d\.\d{3})\n(.+)")


async def test_events_start_with_signal_and_latest_caption_then_updates() -> None:
    async with serve_feeds() as client, client.get("/api/feeds/yard/events") as response:
        assert response.status == 200
        assert response.content_type == "text/event-stream"
        assert response.headers["Cache-Control"] == "no-store"
        assert await read_event(response) == {"retry": "3000"}
        signal, caption = await read_event(response), await read_event(response)
        assert (signal["event"], signal["data"]["signal"]["state"]) == ("signal", "live")
        assert caption["event"] == "caption"
        assert caption["id"] == f"yard-{round(1e3 * caption['data']['frame']['time'])}"
        assert caption["data"]["said"] == "A dog runs"
        following = await read_event(response)
        assert following["data"]["seq"] == caption["data"]["seq"] + 1

        get_stream(client).signal = Signal(SignalState.LOST, 1.5, "no frame for 3 s")
        update = (await read_named_event(response, "signal"))["data"]
        assert update["feed"] == "yard"
        assert update["signal"] == {
            "state": "lost",
            "since": 1.5,
            "message": "no frame for 3 s",
        }


async def test_captions_have_their_maps_only_on_request() -> None:
    mapped = replace(DOG, maps=CaptionMaps("gradcam", (HEAT, HEAT, HEAT), HEAT))
    expected = {"method": "gradcam", "words": [HEAT.to_json()] * 3, "caption": HEAT.to_json()}
    async with serve_feeds(ScriptedCaptions(mapped)) as client:
        for path in ("/api/events", "/api/feeds/yard/events"):
            async with client.get(path) as plain, client.get(f"{path}?maps=true") as full:
                assert "maps" not in (await read_named_event(plain, "caption"))["data"]
                assert (await read_named_event(full, "caption"))["data"]["maps"] == expected
            async with client.get(f"{path}?maps=1") as response:
                assert response.status == 400
        lines = "/api/feeds/yard/captions.jsonl?limit=1"
        async with client.get(lines) as plain, client.get(f"{lines}&maps=true") as full:
            assert "maps" not in json.loads(await plain.text())
            line = json.loads(await full.text())
        assert line["maps"] == expected
        valid("Caption").validate(line)


async def test_one_event_stream_has_all_feeds() -> None:
    feeds = {"yard": YARD, "door": {"source": "demo", "interval_s": 0.5}}
    async with serve_feeds(feeds=feeds) as client, client.get("/api/events") as response:
        seen = set[str]()
        async with asyncio.timeout(10):
            while len(seen) < 2:
                seen.add((await read_named_event(response, "caption"))["data"]["feed"])
    assert seen == {"yard", "door"}


async def test_a_client_that_reconnects_gets_the_captions_it_missed() -> None:
    async with serve_feeds() as client:
        captions = get_publications(client).captions
        published = [caption_event(f"Picture {number}", number) for number in range(6)]
        async with client.get("/api/feeds/yard/events") as response:
            captions.publish(published[0])
            while (last := await read_named_event(response, "caption"))["data"][
                "said"
            ] != "Picture 0":
                pass
        for each in published[1:]:
            captions.publish(each)
        captions.publish(caption_event("Of another feed", 7, stream="door"))
        headers = {"Last-Event-ID": last["id"]}
        async with client.get("/api/feeds/yard/events", headers=headers) as response:
            missed = [await read_named_event(response, "caption") for _ in range(5)]
        async with client.get("/api/events", headers={"Last-Event-ID": "yard-7"}) as response:
            newest = await read_named_event(response, "caption")

    assert [each["data"]["said"] for each in missed] == [f"Picture {n}" for n in range(1, 6)]
    assert newest["data"]["said"] == "A dog runs"


async def cues(client: Client, query: str = "") -> list[tuple[float, float, str]]:
    async with client.get(f"/api/feeds/yard/captions.vtt{query}") as response:
        assert response.status == 200 and response.content_type == "text/vtt"
        text = await response.text()
    assert text.startswith("WEBVTT\n\nNOTE 00:00:00.000 is 20")
    return [(seconds(begin), seconds(end), said) for begin, end, said in CUE.findall(text)]


def seconds(timestamp: str) -> float:
    hours, minutes, rest = timestamp.split(":")
    return 3600 * int(hours) + 60 * int(minutes) + float(rest)


async def until_captioned(client: Client, captions: ScriptedCaptions, text: str) -> None:
    async with asyncio.timeout(10):
        while (newest := get_stream(client).latest_caption) is None or newest.caption.text != text:
            await asyncio.sleep(0.02)


async def test_vtt_without_follow_is_a_file_from_the_feeds_first_caption() -> None:
    captions = ScriptedCaptions(DOG)
    async with serve_feeds(captions) as client:
        captions.caption = tags_fallback("A <b>cat</b> & a dog", cat=0.9)
        await until_captioned(client, captions, "Cat")
        found = await cues(client)

        assert [said for *_, said in found] == ["A dog runs", "Cat"]
        assert found[0][0] == 0
        assert found[0][1] == found[1][0]
        # The last caption lasts until the client requests the file again.
        assert found[1][1] >= found[1][0] + 1


async def test_vtt_times_count_from_zero() -> None:
    async with serve_feeds() as client:
        newest = get_stream(client).latest_caption
        assert newest
        zero = newest.captured - 60
        (cue,) = await cues(client, f"?zero={zero}")
        assert 59 <= cue[0] <= 60.1
        assert await cues(client, f"?zero={time.time() + 60}") == []


async def test_ffmpeg_reads_the_subtitles() -> None:
    captions = ScriptedCaptions(DOG)
    async with serve_feeds(captions) as client:
        captions.caption = confident_caption("A <cat> & a dog")
        await until_captioned(client, captions, "A <cat> & a dog")
        url = str(client.make_url("/api/feeds/yard/captions.vtt"))

        def read() -> list[tuple[float, bytes]]:
            with av.open(url, options={"timeout": "5000000"}) as container:
                assert container.format.name == "webvtt"
                return [
                    (float(packet.pts * packet.time_base), bytes(packet))
                    for packet in container.demux(subtitles=0)
                    if packet.pts is not None and packet.time_base is not None and packet.size
                ]

        packets = await asyncio.to_thread(read)
    assert [text for _, text in packets] == [b"A dog runs", b"A &lt;cat&gt; &amp; a dog"]
    assert packets[0][0] == 0 < packets[1][0] < 60


async def test_vtt_with_follow_sends_cues_that_do_not_overlap() -> None:
    async with serve_feeds() as client:
        zero = time.time()
        async with client.get(f"/api/feeds/yard/captions.vtt?follow=true&zero={zero}") as response:
            text = await read_some(response, 4)
    found = [(seconds(begin), seconds(end)) for begin, end, _ in CUE.findall(text)]
    assert len(found) >= 3
    assert all(begin < end for begin, end in found)
    assert all(end <= later for (_, end), (later, _) in pairwise(found))
    assert text.endswith("\n\n")


async def test_setting_the_clock_moves_no_subtitle(monkeypatch: pytest.MonkeyPatch) -> None:
    captions, unset = ScriptedCaptions(DOG), time.time
    async with serve_feeds(captions) as client:
        async with client.get("/api/feeds/yard/captions.vtt?follow=true") as response:
            text = await read_some(response, 1)
            monkeypatch.setattr(time, "time", lambda: unset() - 3600)
            text += await read_some(response, 2)
            captions.caption = confident_caption("A cat sits")
            await until_captioned(client, captions, "A cat sits")
        monkeypatch.setattr(time, "time", lambda: unset() + 3600)
        captions.caption = confident_caption("A bird sings")
        await until_captioned(client, captions, "A bird sings")
        found = await cues(client)

    followed = [(seconds(begin), seconds(end)) for begin, end, _ in CUE.findall(text)]
    assert all(begin < end < 30 for begin, end in followed)
    assert all(end <= later for (_, end), (later, _) in pairwise(followed))
    assert {said for *_, said in found} == {"A dog runs", "A cat sits", "A bird sings"}
    assert all(begin < end < 30 for begin, end, _ in found)
    assert all(end <= later for (_, end, _), (later, *_) in pairwise(found))


async def read_some(response: ClientResponse, cue_count: int) -> str:
    text = ""
    async with asyncio.timeout(10):
        while len(CUE.findall(text)) < cue_count:
            text += (await response.content.readany()).decode()
    return text


async def test_json_lines_end_at_the_limit() -> None:
    path = "/api/feeds/yard/captions.jsonl?limit=3"
    async with serve_feeds() as client, client.get(path) as response:
        assert response.content_type == "application/jsonl"
        text = await asyncio.wait_for(response.text(), 10)
    lines = [json.loads(line) for line in text.splitlines()]
    first = lines[0]["seq"]
    assert [line["seq"] for line in lines] == [first, first + 1, first + 2]
    assert {line["text"] for line in lines} == {"A dog runs"}


async def test_invalid_parameters_are_refused() -> None:
    async with serve_feeds() as client:
        for path in (
            "captions.vtt?zero=noon",
            "captions.vtt?zero=nan",
            "captions.vtt?zero=-1",
            "captions.vtt?zero=1e19",
            "captions.vtt?zero=0001-01-01",
            "captions.vtt?zero=1_0",
            "captions.vtt?follow=yes",
            "captions.vtt?from=1",
            "captions.vtt?zero=1&zero=2",
            "captions.jsonl?limit=0",
            "captions.jsonl?limit=-1",
            "captions.jsonl?limit=99999999999999999999",
            "captions.jsonl?limit=٣",
        ):
            async with client.get(f"/api/feeds/yard/{path}") as response:
                assert response.status == 400, path
                assert (await response.json())["error"]["code"] == "bad-request"
