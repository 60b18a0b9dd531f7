"""Firings of rules in the sinks: a real receiver, a real broker, and Apprise's own JSON service."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from stream.history import Firing
from stream.publishing import Publications, ReportedRule, RuleReports
from stream.publishing.sinks import (
    AppriseSettings,
    AppriseSink,
    AppriseUnavailable,
    MqttSettings,
    MqttSink,
    WebhookSettings,
    WebhookSink,
)
from stream.restart import Backoff
from tests.stream.publishing.sinks.broker import PASSWORD, USER, Broker
from tests.stream.publishing.sinks.receiver import KEY, receiving
from tests.stream.publishing.sinks.test_mqtt import subscribed
from tests.support.captions import BASE_TIME, caption_event

DOGS = Firing("dogs", "yard", BASE_TIME, None, "A dog!", "A dog runs", ("dog",))
HANGS = "apprise URL 2 (JSON) does not end its answer; firings wait for it"
ALL = ReportedRule(frozenset(), frozenset({"webhook", "mqtt", "apprise"}))


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    broker = Broker(tmp_path)
    broker.start()
    yield broker
    broker.stop()


def only(sink: str) -> ReportedRule:
    return ReportedRule(frozenset(), frozenset({sink}))


def reports_of(*rules: str) -> RuleReports:
    reports = RuleReports()
    reports.set_rules(dict.fromkeys(rules, ALL))
    return reports


@asynccontextmanager
async def running(*works: Any) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(work) for work in works]
    await asyncio.sleep(0.05)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def test_the_webhook_posts_firings_beside_captions_that_fail() -> None:
    async with receiving() as (receiver, server):
        receiver.reject = lambda caption: 500
        url = str(server.make_url("/hook"))
        settings = WebhookSettings.model_validate({"url": url, "secret": KEY.decode()})
        webhook, publications = WebhookSink(settings, Backoff(0.01, 0.02)), Publications()
        publications.rules.set_rules({"dogs": ALL, "quiet": only("mqtt")})
        works = webhook.run(publications.captions), webhook.run_firings(publications.rules)
        async with running(*works):
            publications.captions.publish(caption_event("A dog runs"))
            for firing in (DOGS, replace(DOGS, rule="quiet"), DOGS.at_end(BASE_TIME)):
                publications.rules.report(firing)
            await receiver.until(lambda: len(receiver.firings) == 2)

        assert [each["state"] for each in receiver.firings] == ["on", "off"]
        assert receiver.firings[0] == DOGS.to_json()
        assert (webhook.sent, webhook.lost_firings) == (0, 0)


async def test_the_log_names_the_firing_that_the_webhook_gave_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with receiving() as (receiver, server):
        receiver.responses = [web.Response(status=500) for _ in range(1000)]
        values = {"url": str(server.make_url("/hook")), "secret": KEY.decode(), "retry_s": 0.1}
        webhook = WebhookSink(WebhookSettings.model_validate(values), Backoff(0.01, 0.02))
        reports = reports_of("dogs")
        async with running(webhook.run_firings(reports)):
            reports.report(DOGS)
            await receiver.until(lambda: webhook.lost_firings)

    assert "gave up a firing of the rule dogs after" in caplog.text


async def test_the_webhook_posts_only_the_events_that_it_is_for() -> None:
    async with receiving() as (receiver, server):
        values = {"url": str(server.make_url("/hook")), "secret": KEY.decode(), "events": ["rule"]}
        webhook, publications = WebhookSink(WebhookSettings(**values)), Publications()
        publications.rules.set_rules({"dogs": ALL})
        works = webhook.run(publications.captions), webhook.run_firings(publications.rules)
        async with running(*works):
            publications.captions.publish(caption_event("A dog runs"))
            publications.rules.report(DOGS)
            await receiver.until(lambda: receiver.firings)
            await asyncio.sleep(0.1)

        assert len(receiver.posts) == 1


async def test_mqtt_has_the_state_of_each_rule_and_deletes_that_of_a_removed_one(
    broker: Broker,
) -> None:
    publications = Publications()
    publications.rules.set_rules({"dogs": ALL, "cats": ALL, "quiet": only("webhook")})
    settings = MqttSettings.model_validate(
        {"host": "127.0.0.1", "port": broker.port, "user": USER, "password": PASSWORD}
    )
    mqtt = MqttSink(settings, Backoff(0.05, 0.1))
    event = "sightline/yard/rule/dogs/event"
    dogs, cats, gone = (f"sightline/yard/rule/{rule}/state" for rule in ("dogs", "cats", "gone"))
    async with subscribed(broker) as subscriber:
        await subscriber.publish(gone, "ON")
        await subscriber.publish(cats, "ON")
        # Before its feed has a caption, the state of a rule is kept.
        async with running(mqtt.run(publications)):
            await subscriber.until(lambda topics: topics.get(gone) == "")
            publications.rules.set_state("dogs", "yard", False)
            publications.rules.set_state("quiet", "yard", True)
            await subscriber.until(lambda topics: topics.get(dogs) == "OFF")
            assert subscriber.topics[cats] == "ON"
            publications.rules.set_state("dogs", "yard", True)
            publications.rules.report(DOGS)
            await subscriber.until(lambda topics: topics.get(dogs) == "ON")
            await subscriber.until(
                lambda topics: "A dog!" in topics["sightline/yard/rule/dogs/event"]
            )
            publications.rules.forget("cats")
            publications.rules.set_rules({"dogs": ALL})
            await subscriber.until(lambda topics: topics[cats] == "")
        assert subscriber.topics[dogs] == "ON"
        assert "sightline/yard/rule/quiet/state" not in subscriber.topics
    async with subscribed(broker) as later:
        await later.until(lambda topics: topics.get(dogs) == "ON")
        await asyncio.sleep(0.1)
        assert event not in later.topics


async def test_apprise_tries_again_and_a_slow_service_delays_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    received, statuses = list[str](), [500, 200, 500, 500, 500]

    async def receive(request: web.Request) -> web.Response:
        received.append((await request.json())["message"])
        return web.Response(status=statuses.pop(0))

    async def hang(_: web.Request) -> web.Response:
        await asyncio.sleep(1.5)
        return web.Response()

    app = web.Application()
    app.router.add_post("/plugh", receive)
    app.router.add_post("/xyzzy", hang)
    async with TestServer(app) as server:
        host = f"json://127.0.0.1:{server.port}"
        settings = AppriseSettings(urls=(f"{host}/plugh", f"{host}/xyzzy"), timeout_s=0.5)
        apprise, reports = AppriseSink(settings, partial(Backoff, 0.01, 0.02)), reports_of("dogs")
        with caplog.at_level(logging.DEBUG):
            async with running(apprise.run(reports)):
                reports.report(DOGS)
                reports.report(DOGS.at_end(BASE_TIME + 1))
                async with asyncio.timeout(10):
                    while apprise.sent < 1:
                        await asyncio.sleep(0.01)
                    reports.report(replace(DOGS, feed="door"))
                    while apprise.lost < 1 or HANGS not in caplog.text:
                        await asyncio.sleep(0.01)

    assert received == ["A dog!"] * 5
    log = [each.getMessage() for each in caplog.records if each.name != "aiohttp.access"]
    assert "apprise URL 1 (JSON) fails; see its settings" in log
    # Neither the path nor anything else of a URL.
    assert not any(secret in " ".join(log) for secret in ("plugh", "xyzzy", str(server.port)))


def test_an_unknown_apprise_url_is_not_repeated() -> None:
    settings = AppriseSettings(urls=("json://localhost", "xyzzy://plugh"))
    with pytest.raises(AppriseUnavailable, match="URL 2 of ") as caught:
        AppriseSink(settings)
    assert "plugh" not in str(caught.value)


def test_apprise_urls_are_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "urls"
    file.write_text("# phone\njson://localhost/plugh\n\njson://localhost/xyzzy\n")
    settings = AppriseSettings.model_validate({"urls_file": file})

    assert [url.get_secret_value()[-5:] for url in settings.all_urls] == ["plugh", "xyzzy"]
    assert "plugh" not in repr(settings)
