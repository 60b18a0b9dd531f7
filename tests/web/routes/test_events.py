import asyncio
import json
from typing import Any

from aiohttp import ClientResponse
from aiohttp.test_utils import TestServer

from stream.captioned_stream import Signal, SignalState
from tests.support.captions import sure
from tests.support.events import event
from tests.web.yard import YARD, publications_of, serving, stream_of
from web.routes.subscribers import READERS, ROOM

Event = dict[str, Any]


async def read(response: ClientResponse) -> Event:
    """The next event, as a browser would have it; a comment has neither name nor data."""
    found: Event = {}
    async with asyncio.timeout(10):
        while line := (await response.content.readline()).decode().rstrip("\n"):
            name, _, value = line.partition(": ")
            found[name] = json.loads(value) if name == "data" else value
    return found


async def read_until(response: ClientResponse, kind: str) -> Event:
    while (found := await read(response)).get("event") != kind:
        pass
    return found


async def test_how_it_is_comes_at_once_and_what_is_new_as_it_happens() -> None:
    async with serving() as client, client.get("/api/feeds/yard/events") as response:
        assert response.status == 200
        assert response.content_type == "text/event-stream"
        assert response.headers["Cache-Control"] == "no-store"
        assert await read(response) == {"retry": "3000"}
        signal, caption = await read(response), await read(response)
        assert (signal["event"], signal["data"]["signal"]["state"]) == ("signal", "live")
        assert caption["event"] == "caption"
        assert caption["id"] == f"yard-{round(1e3 * caption['data']['frame']['time'])}"
        assert caption["data"]["said"] == "A dog runs"
        following = await read(response)
        assert following["data"]["seq"] == caption["data"]["seq"] + 1

        stream_of(client).signal = Signal(SignalState.LOST, 1.5, "no picture has come for 3 s")
        told = (await read_until(response, "signal"))["data"]
        assert told["feed"] == "yard"
        assert told["signal"] == {
            "state": "lost",
            "since": 1.5,
            "message": "no picture has come for 3 s",
        }


async def test_one_door_tells_of_all_feeds() -> None:
    feeds = {"yard": YARD, "door": {"source": "demo", "interval_s": 0.5}}
    async with serving(feeds=feeds) as client, client.get("/api/events") as response:
        seen = set[str]()
        async with asyncio.timeout(10):
            while len(seen) < 2:
                seen.add((await read_until(response, "caption"))["data"]["feed"])
    assert seen == {"yard", "door"}


async def test_who_comes_again_is_told_what_came_meanwhile() -> None:
    async with serving() as client:
        captions = publications_of(client).captions
        said = [event(f"Picture {number}", number) for number in range(6)]
        async with client.get("/api/feeds/yard/events") as response:
            captions.publish(said[0])
            while (last := await read_until(response, "caption"))["data"]["said"] != "Picture 0":
                pass
        for each in said[1:]:
            captions.publish(each)
        captions.publish(event("Not of this feed", 7, stream="door"))
        here = {"Last-Event-ID": last["id"]}
        async with client.get("/api/feeds/yard/events", headers=here) as response:
            told = [await read_until(response, "caption") for _ in range(5)]
        async with client.get("/api/events", headers={"Last-Event-ID": "yard-7"}) as response:
            newest = await read_until(response, "caption")

    assert [each["data"]["said"] for each in told] == [f"Picture {n}" for n in range(1, 6)]
    assert newest["data"]["said"] == "A dog runs"


async def test_a_reader_who_is_too_slow_is_told_how_much_it_missed() -> None:
    async with serving() as client, client.get("/api/events") as response:
        await read_until(response, "caption")
        captions = publications_of(client).captions
        for number in range(ROOM + 30):
            captions.publish(event(sure(f"Picture {number}"), number, seq=number))
        missed = await read_until(response, "missed")
        first = await read_until(response, "caption")

        assert 29 <= missed["data"]["count"] <= 31
        assert 29 <= first["data"]["seq"] <= 31


async def test_a_quiet_line_has_a_heartbeat() -> None:
    async with (
        serving(feeds={}, doors={"heartbeat_s": 0.2}) as client,
        client.get("/api/events") as response,
    ):
        assert await read(response) == {"retry": "3000"}
        assert await read(response) == {":": ""}


async def test_there_are_so_many_readers_and_no_more_until_one_goes() -> None:
    async with serving(doors={"readers": 2}) as client:
        assert client.app
        first = await client.get("/api/events")
        second = await client.get("/api/feeds/yard/captions.jsonl")
        for door in ("/api/events", "/api/feeds/yard/events", "/api/feeds/yard/captions.jsonl"):
            async with client.get(door) as response:
                assert response.status == 503
                assert (await response.json())["error"]["code"] == "server-full"
                assert int(response.headers["Retry-After"]) > 0
        async with client.get("/api/feeds/yard/captions.vtt") as response:
            assert response.status == 200
        first.close()
        second.close()
        async with asyncio.timeout(10):
            while len(client.app[READERS]):
                await asyncio.sleep(0.05)


async def test_readers_do_not_keep_a_server_from_stopping() -> None:
    async with serving() as client:
        response = await client.get("/api/events")
        await read_until(response, "caption")
        server = client.server
        assert isinstance(server, TestServer) and server.runner
        async with asyncio.timeout(10):
            await server.runner.cleanup()
            # The connection is over, whether or not it was told to the end.
            while not response.content.at_eof() and not response.content.exception():
                await asyncio.sleep(0.02)
        response.close()
