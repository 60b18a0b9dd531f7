"""The webhook with a real receiver."""

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
from stream.publishing.sinks.webhook import WEBHOOK_QUEUE_SIZE, WebhookSink
from stream.restart import Backoff
from tests.stream.publishing.sinks.receiver import KEY, receiving
from tests.support.captions import caption_event, confident_caption

Captions = Broadcast[CaptionEvent]


@asynccontextmanager
async def posting(url: str, **settings: Any) -> AsyncIterator[tuple[WebhookSink, Captions]]:
    required = {"url": url, "secret": KEY.decode(), **settings}
    webhook = WebhookSink(WebhookSettings.model_validate(required), Backoff(0.01, 0.02))
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


async def test_new_captions_are_posted_and_signed() -> None:
    async with receiving() as (receiver, server), posting(hook(server)) as (webhook, captions):
        dog = confident_caption("A dog runs", dog=0.9)
        for seq, caption in enumerate(
            (dog, replace(dog, kept=True), dog, confident_caption("A cat sits"), dog)
        ):
            captions.publish(caption_event(caption, seq, seq=seq))
        await receiver.until(lambda: webhook.sent == 3)

        assert [caption["seq"] for caption in receiver.accepted] == [0, 3, 4]
        assert receiver.accepted[0]["feed"] == "yard"
        assert receiver.accepted[0]["said"] == "A dog runs"
        assert receiver.posts[0]["Content-Type"] == "application/json"
        assert receiver.posts[0]["Authorization"].startswith("Basic ")


async def test_only_the_configured_feeds_are_sent() -> None:
    async with (
        receiving() as (receiver, server),
        posting(hook(server), feeds=["door"]) as (_, captions),
    ):
        for feed in ("yard", "door", "cellar"):
            captions.publish(caption_event("A dog runs", stream=feed))
        await receiver.until(lambda: receiver.accepted)

        assert [caption["feed"] for caption in receiver.accepted] == ["door"]


async def test_a_post_that_fails_temporarily_is_repeated_in_order() -> None:
    busy = web.Response(status=503, headers={"Retry-After": "0"})
    async with (
        receiving() as (receiver, server),
        posting(hook(server), timeout_s=0.2) as (webhook, captions),
    ):
        receiver.responses = [busy, web.Response(status=429), None]
        captions.publish(caption_event("A dog runs", 0))
        captions.publish(caption_event("A cat sits", 1))
        await receiver.until(lambda: webhook.sent == 2)

        assert [caption["text"] for caption in receiver.accepted] == ["A dog runs", "A cat sits"]
        assert len({post["Sightline-Delivery"] for post in receiver.posts[:4]}) == 1
        assert len({post["Sightline-Delivery"] for post in receiver.posts}) == 2
        assert webhook.failed == 3


async def test_permanent_errors_are_not_retried_and_redirects_not_followed() -> None:
    moved = web.Response(status=307, headers={"Location": "/elsewhere"})
    async with receiving() as (receiver, server), posting(hook(server)) as (webhook, captions):
        receiver.responses = [moved, web.Response(status=404)]
        for number in range(3):
            captions.publish(caption_event(f"Frame {number}", number))
        await receiver.until(lambda: webhook.sent)

        assert [caption["text"] for caption in receiver.accepted] == ["Frame 2"]
        assert (webhook.refused, webhook.sent, len(receiver.posts)) == (2, 1, 3)
        assert webhook.lost == 2


async def test_a_caption_that_always_fails_does_not_hold_up_the_rest(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with (
        receiving() as (receiver, server),
        posting(hook(server), retry_s=0.3) as (webhook, captions),
    ):
        receiver.reject = lambda caption: 500 if "poison" in caption["text"] else 200
        for number, text in enumerate(("Poison one", "A dog runs", "Poison two", "A cat sits")):
            captions.publish(caption_event(text.lower(), number))
        await receiver.until(lambda: webhook.sent == 2)

        assert [caption["text"] for caption in receiver.accepted] == ["a dog runs", "a cat sits"]
        assert (webhook.expired, webhook.lost) == (2, 2)
        # Each was tried again first.
        assert webhook.failed >= 4
    messages = [each.getMessage() for each in caplog.records]
    assert sum("gave up a caption after" in each and "500" in each for each in messages) == 2


async def test_a_receiver_that_rejects_every_second_caption_does_not_fill_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "stream.publishing")
    async with receiving() as (receiver, server), posting(hook(server)) as (webhook, captions):
        receiver.reject = lambda caption: 422 if caption["seq"] % 2 else 200
        for seq in range(80):
            captions.publish(caption_event(f"Frame {seq}", seq, seq=seq))
        await receiver.until(lambda: webhook.sent + webhook.refused == 80)

        assert (webhook.sent, webhook.refused, webhook.lost) == (40, 40, 40)
    assert len(caplog.records) <= 11


async def test_the_latest_captions_are_queued_while_the_receiver_is_unavailable(
    caplog: pytest.LogCaptureFixture,
) -> None:
    port = unused_port()
    caplog.set_level(logging.INFO)
    async with posting(f"http://guard:swordfish@127.0.0.1:{port}/hook?key=plugh") as (
        webhook,
        captions,
    ):
        for number in range(WEBHOOK_QUEUE_SIZE + 50):
            captions.publish(caption_event(f"Frame {number}", number))
            await asyncio.sleep(0)
        assert webhook.dropped in (49, 50)
        async with receiving(port) as (receiver, _):
            await receiver.until(lambda: webhook.sent == WEBHOOK_QUEUE_SIZE + 1)

    assert receiver.accepted[-1]["text"] == f"Frame {WEBHOOK_QUEUE_SIZE + 49}"
    assert webhook.failed > 0
    messages = [
        each.getMessage()
        for each in caplog.records
        if each.name == "stream.publishing.sinks.webhook"
    ]
    assert len(messages) == 2
    assert "fails" in messages[0] and "works again" in messages[1]
    assert not any(secret in " ".join(messages) for secret in ("swordfish", "plugh", "guard"))
