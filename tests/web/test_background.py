"""Background services of the application."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiomqtt
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestServer

from stream.history import FiringQuery
from tests.stream.publishing.sinks.broker import PASSWORD, USER, Broker
from tests.stream.publishing.sinks.receiver import KEY, receiving
from tests.support.captions import ScriptedCaptions, confident_caption
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


async def test_a_firing_reaches_the_api_the_history_the_metrics_and_all_sinks(
    tmp_path: Path,
) -> None:
    broker = Broker(tmp_path)
    await asyncio.to_thread(broker.start)
    captions, event = (
        ScriptedCaptions(confident_caption("A cat sits")),
        "sightline/yard/rule/dogs/event",
    )
    try:
        async with receiving() as (receiver, server), notified() as (notifications, apprise):
            settings: dict[str, Any] = {
                "rules": {"dogs": {"any": ["dogs"], "present_s": 0, "message": "{feed}: {words}!"}},
                "history": {"path": tmp_path / "history.sqlite"},
                "webhook": {"url": str(server.make_url("/hook")), "secret": KEY.decode()},
                "mqtt": {
                    "host": "127.0.0.1",
                    "port": broker.port,
                    "user": USER,
                    "password": PASSWORD,
                },
                "apprise": {"urls": [apprise]},
            }
            async with (
                serve_feeds(captions, **settings) as client,
                aiomqtt.Client(
                    "127.0.0.1", broker.port, username=USER, password=PASSWORD
                ) as subscriber,
                client.get("/api/events") as events,
            ):
                assert await retained(broker, "sightline/yard/rule/dogs/state") == "OFF"
                await subscriber.subscribe(event, qos=1)
                captions.caption = confident_caption("A dog runs")
                message = await asyncio.wait_for(anext(aiter(subscriber.messages)), 10)
                await receiver.until(lambda: receiver.firings and notifications)
                streamed = await rule_event(events)
                state = await retained(broker, "sightline/yard/rule/dogs/state")
                metrics = await (await client.get("/metrics")).text()
                assert client.app
                found = await client.app[HISTORY].firings(FiringQuery(), 10, None)
    finally:
        broker.stop()
    (firing,) = receiver.firings
    assert (firing["rule"], firing["feed"], firing["state"]) == ("dogs", "yard", "on")
    assert (firing["message"], firing["caption"]) == ("yard: dogs!", "A dog runs")
    assert isinstance(message.payload, bytes)
    assert streamed == found[0].firing.to_json() == firing
    assert json.loads(message.payload) == {"event_type": "fired", **firing}
    assert not message.retain
    assert state == "ON"
    assert [(each["title"], each["message"]) for each in notifications] == [
        ("dogs: yard", "yard: dogs!")
    ]
    assert 'sightline_rule_firings_total{rule="dogs"} 1.0' in metrics
    assert 'sightline_rule_feeds_on{rule="dogs"} 1.0' in metrics


@asynccontextmanager
async def notified() -> AsyncIterator[tuple[list[dict[str, Any]], str]]:
    """A receiver of Apprise's notifications as JSON, and its Apprise URL."""
    notifications = list[dict[str, Any]]()

    async def receive(request: web.Request) -> web.Response:
        notifications.append(await request.json())
        return web.Response()

    app = web.Application()
    app.router.add_post("/", receive)
    async with TestServer(app) as server:
        yield notifications, f"json://127.0.0.1:{server.port}"


async def rule_event(events: ClientResponse) -> dict[str, Any]:
    """The next firing in a response of server-sent events."""
    async with asyncio.timeout(10):
        while (await events.content.readline()) != b"event: rule\n":
            pass
        line = await events.content.readline()
    firing: dict[str, Any] = json.loads(line.removeprefix(b"data: "))
    return firing


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
