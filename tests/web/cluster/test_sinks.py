"""The webhook and MQTT in a cluster: one server sends the captions of all, each once."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import count, groupby
from typing import Any

import psycopg
from aiohttp.test_utils import TestServer

from stream.history import Firing
from tests.stream.publishing.sinks.receiver import KEY, Receiver, receiving
from tests.support.captions import confident_caption
from tests.support.servers.cluster_apps import ClusterServer, ClusterServers, eventually


@asynccontextmanager
async def changing_captions(*servers: ClusterServer) -> AsyncIterator[None]:
    """Let the servers caption with ever new texts, as a camera that moves."""

    async def change() -> None:
        for number in count():
            for server in servers:
                server.service.caption = confident_caption(f"Frame {number // 2}")
            await asyncio.sleep(0.15)

    task = asyncio.create_task(change())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def written(database_url: str) -> list[str]:
    """The texts in the log that differ from the one before."""
    with psycopg.connect(database_url) as connection:
        rows = connection.execute("SELECT body FROM cluster_events ORDER BY position")
        texts = [json.loads(body)["caption"]["text"] for (body,) in rows]
    return [text for text, _ in groupby(texts)]


def sinks(*servers: ClusterServer) -> ClusterServer:
    """The server that sends."""
    (sender,) = (each for each in servers if each.cluster.sinks_token is not None)
    return sender


def texts(receiver: Receiver) -> list[str]:
    return [caption["text"] for caption in receiver.accepted]


def webhook_to(hook: TestServer, *events: str) -> dict[str, Any]:
    """Settings of a webhook that is a receiver; the default events if there are none."""
    settings = {"url": str(hook.make_url("/hook")), "secret": KEY.decode()}
    return {**settings, **({"events": [*events]} if events else {})}


@asynccontextmanager
async def two_servers_that_post(
    database_url: str,
) -> AsyncIterator[tuple[Receiver, ClusterServers, ClusterServer, ClusterServer]]:
    """A receiver of captions, and two servers of which the first one sends to it."""
    async with (
        receiving() as (receiver, hook),
        ClusterServers(database_url, webhook=webhook_to(hook)) as servers,
    ):
        one = await servers.start()
        await eventually(lambda: receiver.accepted)
        yield receiver, servers, one, await servers.start()


async def test_the_webhook_gets_each_caption_once(database_url: str) -> None:
    async with two_servers_that_post(database_url) as (receiver, servers, one, two):
        async with changing_captions(one, two):
            await eventually(lambda: len(receiver.accepted) > 3)
            assert sinks(one, two) is one
            # The other one captions the feed and sends now.
            await servers.stop(one)
            before = len(receiver.accepted)
            await eventually(lambda: two.own and len(receiver.accepted) > before + 3)
            assert sinks(two) is two
        await eventually(lambda: len(written(database_url)) == len(receiver.accepted))

    assert texts(receiver) == written(database_url)
    deliveries = [headers["Sightline-Delivery"] for headers in receiver.posts]
    assert len(set(deliveries)) == len(deliveries)


async def test_the_webhook_goes_on_after_its_server_has_died(database_url: str) -> None:
    async with two_servers_that_post(database_url) as (receiver, _, one, two):
        async with changing_captions(one, two):
            await eventually(lambda: len(receiver.accepted) > 3)
            # As if it had died: it neither renews nor releases its leases.
            for connection in (one.cluster.connection, one.cluster.reading):
                connection._url = "postgresql://127.0.0.1:1/none"
                await connection._discard()
            before = len(receiver.accepted)
            await eventually(lambda: two.own and len(receiver.accepted) > before + 3, 20)
        await eventually(lambda: written(database_url)[-1] == texts(receiver)[-1])

    ids = {headers["Sightline-Delivery"] for headers in receiver.posts}
    # What was sent but not noted may be sent again, under the same id.
    assert len(receiver.posts) - len(ids) <= 1
    assert [text for text, _ in groupby(texts(receiver))] == written(database_url)


async def test_a_rule_fires_once_in_a_cluster_also_after_its_server_has_died(
    database_url: str,
) -> None:
    async with receiving() as (receiver, hook):
        settings: dict[str, Any] = {
            "webhook": webhook_to(hook, "rule"),
            "rules": {"dogs": {"any": ["dog"], "present_s": 0, "absent_s": 0, "cool_down_s": 0}},
        }
        async with ClusterServers(database_url, **settings) as servers:
            one = await servers.start()
            await eventually(lambda: receiver.firings)
            two = await servers.start()
            seen = list[Firing]()
            two.publications.rules.firings.subscribe(seen.append)
            assert sinks(one, two) is one
            for server in (one, two):
                server.service.caption = confident_caption("A cat sits")
            # Also the server that does not watch reports it to its readers.
            await eventually(lambda: seen and len(receiver.firings) == 2)
            for server in (one, two):
                server.service.caption = confident_caption("A dog runs")
            await eventually(lambda: len(receiver.firings) == 3 and len(seen) == 2)
            for server in (one, two):
                listed = await (await server.client.get("/api/rules")).json()
                assert listed["rules"][0]["on"] == ["yard"]
                assert listed["lasting"] == [receiver.firings[2]]
                assert "cluster" in listed["read_only"]
            await servers.stop(one)
            await eventually(lambda: two.cluster.sinks_token is not None and two.own)
            # The dog is still there, which is no news.
            two.service.caption = confident_caption("A cat sits")
            await eventually(lambda: len(receiver.firings) == 4)
            found = await (await two.client.get("/metrics")).text()

    states = [firing["state"] for firing in receiver.firings]
    assert states == ["on", "off", "on", "off"]
    assert receiver.firings[3]["began"] == receiver.firings[2]["began"]
    assert seen[0].to_json() == receiver.firings[1]
    assert 'sightline_rule_firings_total{rule="dogs"} 0.0' in found


async def test_the_webhook_gets_pictures_of_all_servers(database_url: str) -> None:
    async with receiving() as (receiver, hook):
        settings: dict[str, Any] = {
            "webhook": webhook_to(hook, "picture"),
            "history": {"pictures": "changes"},
            "feeds": {name: {"source": "demo", "interval_s": 0.5} for name in ("yard", "hall")},
        }
        async with ClusterServers(database_url, **settings) as servers:
            one, two = await servers.start(), await servers.start()
            await eventually(lambda: one.own and two.own, 20)
            async with changing_captions(one, two):
                await eventually(
                    lambda: {each["feed"] for each in receiver.pictures} == {"yard", "hall"}, 20
                )
            stored = receiver.pictures[-1]
            sender = sinks(one, two)
            async with sender.client.get(stored["path"]) as response:
                assert base64.b64encode(await response.read()).decode() == stored["image"]
    spans = [each["span"] for each in receiver.pictures]
    assert len(set(spans)) == len(spans)
