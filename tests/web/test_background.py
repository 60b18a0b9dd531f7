"""Background services of the application."""

import asyncio
import json
from pathlib import Path
from typing import Any

import aiomqtt

from tests.stream.publishing.sinks.broker import PASSWORD, USER, Broker
from tests.stream.publishing.sinks.receiver import KEY, receiving
from tests.support.servers.feed_app import serve_feeds
from web.keys import HISTORY


async def test_a_caption_reaches_the_api_the_history_and_all_sinks(tmp_path: Path) -> None:
    broker = Broker(tmp_path)
    await asyncio.to_thread(broker.start)
    try:
        async with receiving() as (receiver, server):
            settings: dict[str, Any] = {
                "history": {"path": tmp_path / "history.sqlite"},
                "webhook": {"url": str(server.make_url("/hook")), "secret": KEY.decode()},
                "mqtt": {
                    "host": "127.0.0.1",
                    "port": broker.port,
                    "user": USER,
                    "password": PASSWORD,
                },
            }
            async with serve_feeds(**settings) as client:
                assert client.app
                history = client.app[HISTORY]
                await receiver.until(lambda: receiver.accepted and history.spans)
                published = await retained(broker, "sightline/yard/caption")
                found = await (await client.get("/api/history/search?q=dogs")).json()
                listed = await (await client.get("/api/feeds/yard")).json()
            # After the server has stopped.
            kept = await retained(broker, "homeassistant/sensor/sightline_yard/caption/config")
            availability = await retained(broker, "sightline/yard/availability")
            status = await retained(broker, "sightline/status")
    finally:
        broker.stop()
    captions = (receiver.accepted[0], published, found["spans"][0], listed["caption"])
    assert {(each["feed"], each["said"]) for each in captions} == {("yard", "A dog runs")}
    assert receiver.accepted[0]["seq"] == published["seq"]
    assert listed["history"]
    assert kept["device"]["name"] == "Back yard"
    assert (availability, status) == ("offline", "offline")


async def test_captions_that_a_webhook_rejects_are_counted_as_lost() -> None:
    async with receiving() as (receiver, server):
        receiver.reject = lambda caption: 404
        webhook = {"url": str(server.make_url("/hook")), "secret": KEY.decode()}
        async with serve_feeds(webhook=webhook) as client, asyncio.timeout(20):
            while not receiver.posts:
                await asyncio.sleep(0.02)
            sample = 'sightline_captions_lost_total{recipient="webhook"}'
            while f"{sample} 1.0" not in (await (await client.get("/metrics")).text()):
                await asyncio.sleep(0.1)


async def retained(broker: Broker, topic: str) -> Any:
    """The retained message of a topic, once there is one; decoded if it is JSON."""
    async with (
        asyncio.timeout(60),
        aiomqtt.Client("127.0.0.1", broker.port, username=USER, password=PASSWORD) as client,
    ):
        await client.subscribe(topic, qos=1)
        message = await anext(aiter(client.messages))
        assert isinstance(message.payload, bytes)
        body = message.payload.decode()
        return json.loads(body) if body.startswith("{") else body
