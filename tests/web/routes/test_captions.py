import asyncio
import json
import re
import time
from itertools import pairwise

import av
from aiohttp import ClientResponse

from tests.support.captions import ScriptedCaptions, objects_only, sure
from tests.web.yard import DOG, Client, serving, stream_of

CUE = re.compile(r"(\d\d:\d\d:\d\d\.\d{3}) --> (\d\d:\d\d:\d\d\.\d{3})\n(.+)")


async def cues(client: Client, query: str = "") -> list[tuple[float, float, str]]:
    async with client.get(f"/api/feeds/yard/captions.vtt{query}") as response:
        assert response.status == 200 and response.content_type == "text/vtt"
        text = await response.text()
    assert text.startswith("WEBVTT\n\nNOTE 00:00:00.000 is 20")
    return [(seconds(begin), seconds(end), said) for begin, end, said in CUE.findall(text)]


def seconds(timestamp: str) -> float:
    hours, minutes, rest = timestamp.split(":")
    return 3600 * int(hours) + 60 * int(minutes) + float(rest)


async def until_said(client: Client, captions: ScriptedCaptions, text: str) -> None:
    async with asyncio.timeout(10):
        while (newest := stream_of(client).newest) is None or newest.caption.text != text:
            await asyncio.sleep(0.02)


async def test_what_was_said_is_a_file_of_subtitles_from_the_feeds_beginning() -> None:
    captions = ScriptedCaptions(DOG)
    async with serving(captions) as client:
        captions.says = objects_only("A <b>cat</b> & a dog", cat=0.9)
        await until_said(client, captions, "Cat")
        found = await cues(client)

        assert [said for *_, said in found] == ["A dog runs", "Not sure. Perhaps: cat"]
        assert found[0][0] == 0
        assert found[0][1] == found[1][0]
        # What was said last holds until it is asked for again.
        assert found[1][1] >= found[1][0] + 1


async def test_a_player_says_when_its_video_began() -> None:
    async with serving() as client:
        newest = stream_of(client).newest
        assert newest
        zero = newest.captured - 60
        (cue,) = await cues(client, f"?zero={zero}")
        assert 59 <= cue[0] <= 60.1
        assert await cues(client, f"?zero={time.time() + 60}") == []


async def test_ffmpeg_reads_the_subtitles() -> None:
    captions = ScriptedCaptions(DOG)
    async with serving(captions) as client:
        captions.says = sure("A <cat> & a dog")
        await until_said(client, captions, "A <cat> & a dog")
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


async def test_subtitles_that_go_on_come_as_they_are_said_and_do_not_overlap() -> None:
    async with serving() as client:
        zero = time.time()
        async with client.get(f"/api/feeds/yard/captions.vtt?follow=true&zero={zero}") as response:
            text = await read_some(response, 4)
    found = [(seconds(begin), seconds(end)) for begin, end, _ in CUE.findall(text)]
    assert len(found) >= 3
    assert all(begin < end for begin, end in found)
    assert all(end <= later for (_, end), (later, _) in pairwise(found))
    assert text.endswith("\n\n")


async def read_some(response: ClientResponse, cue_count: int) -> str:
    text = ""
    async with asyncio.timeout(10):
        while len(CUE.findall(text)) < cue_count:
            text += (await response.content.readany()).decode()
    return text


async def test_lines_of_json_come_one_by_one_until_there_are_enough() -> None:
    path = "/api/feeds/yard/captions.jsonl?limit=3"
    async with serving() as client, client.get(path) as response:
        assert response.content_type == "application/jsonl"
        text = await asyncio.wait_for(response.text(), 10)
    lines = [json.loads(line) for line in text.splitlines()]
    first = lines[0]["seq"]
    assert [line["seq"] for line in lines] == [first, first + 1, first + 2]
    assert {line["text"] for line in lines} == {"A dog runs"}


async def test_what_is_asked_for_wrongly_is_told() -> None:
    async with serving() as client:
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
