"""HTTP subscribers: slow ones, heartbeats, the limit, and the server's stop."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

from aiohttp.test_utils import TestServer

from tests.support.captions import caption_event, confident_caption
from tests.support.event_stream import read_event, read_named_event
from tests.support.servers.feed_app import get_publications, serve_feeds
from web.routes.subscribers import QUEUE_SIZE, SUBSCRIBERS

ADMIN, VIEWER = "a" * 20, "v" * 20


async def test_a_slow_subscriber_is_told_how_many_captions_it_missed() -> None:
    async with serve_feeds() as client, client.get("/api/events") as response:
        await read_named_event(response, "caption")
        captions = get_publications(client).captions
        for number in range(QUEUE_SIZE + 30):
            captions.publish(
                caption_event(confident_caption(f"Picture {number}"), number, seq=number)
            )
        missed = await read_named_event(response, "missed")
        first = await read_named_event(response, "caption")

        assert 29 <= missed["data"]["count"] <= 31
        assert 29 <= first["data"]["seq"] <= 31


async def test_an_idle_stream_has_heartbeats() -> None:
    async with (
        serve_feeds(feeds={}, subscribers={"heartbeat_s": 0.2}) as client,
        client.get("/api/events") as response,
    ):
        assert await read_event(response) == {"retry": "3000"}
        assert await read_event(response) == {":": ""}


async def test_subscribers_are_limited() -> None:
    async with serve_feeds(subscribers={"limit": 2}) as client:
        assert client.app
        first = await client.get("/api/events")
        second = await client.get("/api/feeds/yard/captions.jsonl")
        for path in ("/api/events", "/api/feeds/yard/events", "/api/feeds/yard/captions.jsonl"):
            async with client.get(path) as response:
                assert response.status == 503
                assert (await response.json())["error"]["code"] == "server-full"
                assert int(response.headers["Retry-After"]) > 0
        async with client.get("/api/feeds/yard/captions.vtt") as response:
            assert response.status == 200
        first.close()
        second.close()
        async with asyncio.timeout(10):
            while len(client.app[SUBSCRIBERS]):
                await asyncio.sleep(0.05)


async def test_an_address_may_have_a_share_of_the_subscribers() -> None:
    settings: dict[str, Any] = {
        "subscribers": {"limit": 8},
        "access": {"admin_token": ADMIN, "viewer_token": VIEWER},
        "limits": {"proxies": ["127.0.0.1"]},
    }
    async with serve_feeds(**settings) as client, AsyncExitStack() as opened:

        async def subscribe(address: str, token: str = VIEWER) -> int:
            headers = {"X-Forwarded-For": address, "Authorization": f"Bearer {token}"}
            response = await opened.enter_async_context(client.get("/api/events", headers=headers))
            return response.status

        assert [await subscribe("192.0.2.1") for _ in range(5)] == [200] * 4 + [429]
        assert [await subscribe("192.0.2.2") for _ in range(4)] == [200] * 3 + [503]
        assert await subscribe("192.0.2.1", ADMIN) == 200


async def test_subscribers_do_not_delay_the_servers_stop() -> None:
    async with serve_feeds() as client:
        response = await client.get("/api/events")
        await read_named_event(response, "caption")
        server = client.server
        assert isinstance(server, TestServer) and server.runner
        async with asyncio.timeout(10):
            await server.runner.cleanup()
            # The connection ends, whether or not the response was complete.
            while not response.content.at_eof() and not response.content.exception():
                await asyncio.sleep(0.02)
        response.close()
