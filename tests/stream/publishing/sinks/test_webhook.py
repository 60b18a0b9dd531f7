import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port

from stream.broadcast import Broadcast
from stream.captioning.event import CaptionEvent
from stream.publishing.sinks.settings import WebhookSettings
from stream.publishing.sinks.webhook import ROOM, Webhook
from stream.rate_limit import Pauses
from tests.stream.publishing.sinks.receiver import KEY, receiving
from tests.support.captions import sure
from tests.support.events import event

Captions = Broadcast[CaptionEvent]


@asynccontextmanager
async def posting(url: str, **settings: Any) -> AsyncIterator[tuple[Webhook, Captions]]:
    given = {"url": url, "secret": KEY.decode(), **settings}
    webhook = Webhook(WebhookSettings.model_validate(given), Pauses(0.01, 0.02))
    captions = Captions()
    running = asyncio.create_task(webhook.run(captions))
    while not len(captions):
        await asyncio.sleep(0)
    yield webhook, captions
    running.cancel()
    await asyncio.wait({running})
    assert not len(captions)


def hook(server: TestServer) -> str:
    return str(server.make_url("/hook").with_user("guard").with_password("swordfish"))


async def test_what_is_new_is_posted_and_signed() -> None:
    async with receiving() as (receiver, server), posting(hook(server)) as (webhook, captions):
        dog = sure("A dog runs", dog=0.9)
        for seq, says in enumerate((dog, replace(dog, kept=True), dog, sure("A cat sits"), dog)):
            captions.publish(event(says, seq, seq=seq))
        await receiver.until(lambda: webhook.sent == 3)

        assert [caption["seq"] for caption in receiver.taken] == [0, 3, 4]
        assert receiver.taken[0]["feed"] == "yard"
        assert receiver.taken[0]["said"] == "A dog runs"
        assert receiver.posts[0]["Content-Type"] == "application/json"
        assert receiver.posts[0]["Authorization"].startswith("Basic ")


async def test_only_the_feeds_of_the_settings_are_sent() -> None:
    async with (
        receiving() as (receiver, server),
        posting(hook(server), feeds=["door"]) as (_, captions),
    ):
        for feed in ("yard", "door", "cellar"):
            captions.publish(event("A dog runs", stream=feed))
        await receiver.until(lambda: receiver.taken)

        assert [caption["feed"] for caption in receiver.taken] == ["door"]


async def test_a_post_that_fails_for_a_while_is_repeated_in_order() -> None:
    busy = web.Response(status=503, headers={"Retry-After": "0"})
    async with (
        receiving() as (receiver, server),
        posting(hook(server), timeout_s=0.2) as (webhook, captions),
    ):
        receiver.answers = [busy, web.Response(status=429), None]
        captions.publish(event("A dog runs", 0))
        captions.publish(event("A cat sits", 1))
        await receiver.until(lambda: webhook.sent == 2)

        assert [caption["text"] for caption in receiver.taken] == ["A dog runs", "A cat sits"]
        assert len({post["Sightline-Delivery"] for post in receiver.posts[:4]}) == 1
        assert len({post["Sightline-Delivery"] for post in receiver.posts}) == 2
        assert webhook.failed == 3


async def test_what_will_never_be_taken_is_given_up_and_redirects_are_not_followed() -> None:
    moved = web.Response(status=307, headers={"Location": "/elsewhere"})
    async with receiving() as (receiver, server), posting(hook(server)) as (webhook, captions):
        receiver.answers = [moved, web.Response(status=404)]
        for number in range(3):
            captions.publish(event(f"Picture {number}", number))
        await receiver.until(lambda: webhook.sent)

        assert [caption["text"] for caption in receiver.taken] == ["Picture 2"]
        assert (webhook.refused, webhook.sent, len(receiver.posts)) == (2, 1, 3)


async def test_while_the_receiver_is_away_the_newest_wait(caplog: pytest.LogCaptureFixture) -> None:
    port = unused_port()
    caplog.set_level(logging.INFO)
    async with posting(f"http://guard:swordfish@127.0.0.1:{port}/hook?key=plugh") as (
        webhook,
        captions,
    ):
        for number in range(ROOM + 50):
            captions.publish(event(f"Picture {number}", number))
            await asyncio.sleep(0)
        assert webhook.dropped in (49, 50)
        async with receiving(port) as (receiver, _):
            await receiver.until(lambda: webhook.sent == ROOM + 1)

    assert receiver.taken[-1]["text"] == f"Picture {ROOM + 49}"
    assert webhook.failed > 0
    told = [
        each.getMessage()
        for each in caplog.records
        if each.name == "stream.publishing.sinks.webhook"
    ]
    assert len(told) == 2
    assert "fails" in told[0] and "works again" in told[1]
    assert not any(secret in " ".join(told) for secret in ("swordfish", "plugh", "guard"))
