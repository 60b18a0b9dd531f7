"""MQTT with a real broker, and discovery by Home Assistant."""

import asyncio
import gc
import itertools
import json
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from stream.broadcast import Broadcast
from stream.captioned_stream import CaptionedStream, Signal, SignalState
from stream.captioning import CaptionEvent
from stream.history import History, HistorySettings
from stream.publishing.publications import Publications
from stream.publishing.sinks.home_assistant import device_id
from stream.publishing.sinks.hourly_summaries import HourlySummaries
from stream.publishing.sinks.mqtt import MqttSink
from stream.publishing.sinks.settings import MqttSettings
from stream.restart import Backoff
from tests.stream.publishing.sinks.broker import PASSWORD, USER, Broker
from tests.stream.publishing.sinks.hostile_broker import hostile, until_frozen
from tests.support.captions import ScriptedCaptions, caption_event, confident_caption
from tests.support.live_sessions import stream_context

# After a failed TLS handshake, paho leaves its socket to be closed by the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
CONFIG = "homeassistant/sensor/sightline_yard/caption/config"
PARTS = "caption", "summary"
DOG = confident_caption("A dog runs", dog=0.9)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    broker = Broker(tmp_path)
    broker.start()
    yield broker
    broker.stop()
    gc.collect()


class Subscriber:
    """An MQTT client that records the latest message of each topic."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self.topics: dict[str, str] = {}
        self.deleted: set[str] = set()
        """Topics whose retained message was deleted."""
        self._client = client

    async def publish(self, topic: str, body: str) -> None:
        """Publish a retained message."""
        await self._client.publish(topic, body, qos=1, retain=True)

    async def receive(self) -> None:
        """Record messages until cancelled."""
        async for message in self._client.messages:
            assert isinstance(message.payload, bytes)
            self.topics[str(message.topic)] = message.payload.decode()
            if not message.payload:
                self.deleted.add(str(message.topic))

    async def until(self, condition: Callable[[dict[str, str]], Any]) -> None:
        """Wait until the latest messages satisfy a condition."""
        async with asyncio.timeout(15):
            while not condition(self.topics):
                await asyncio.sleep(0.02)


@asynccontextmanager
async def subscribed(broker: Broker) -> AsyncIterator[Subscriber]:
    async with aiomqtt.Client("127.0.0.1", broker.port, username=USER, password=PASSWORD) as client:
        subscriber = Subscriber(client)
        await client.subscribe("#", qos=1)
        receiving = asyncio.create_task(subscriber.receive())
        try:
            yield subscriber
        finally:
            receiving.cancel()


@asynccontextmanager
async def sending(
    broker: Broker,
    *feeds: str,
    publications: Publications | None = None,
    withdraw_after_s: float = 60.0,
    backoff_s: float = 0.05,
    summaries: HourlySummaries | None = None,
    **settings: Any,
) -> AsyncIterator[tuple[MqttSink, CaptionedStream]]:
    """Run a server that publishes a stream for each feed; yields the first one.

    It stops as the server does: the streams are removed, and then the sink is cancelled.
    """
    required = {"host": "127.0.0.1", "port": broker.port, "user": USER, "password": PASSWORD}
    mqtt = MqttSink(
        MqttSettings.model_validate({**required, **settings}),
        Backoff(backoff_s, 2 * backoff_s),
        withdraw_after_s,
        summaries,
    )
    async with stream_context(ScriptedCaptions(DOG)) as context:
        publications = publications or Publications()
        running = asyncio.create_task(mqtt.run(publications))
        streams = [
            CaptionedStream(name, context, title=f"Back {name}") for name in feeds or ("yard",)
        ]
        for stream in streams:
            publications.add(stream)
            stream.signal = Signal(SignalState.LIVE)
        try:
            yield mqtt, streams[0]
        finally:
            for stream in streams:
                publications.remove(stream)
            await asyncio.sleep(0.2)
            running.cancel()
            await asyncio.wait({running})
            assert running.cancelled()
            for stream in streams:
                await stream.close()


async def test_home_assistant_discovers_a_sensor_with_the_caption(broker: Broker) -> None:
    async with subscribed(broker) as subscriber:
        async with sending(broker) as (mqtt, stream):
            await subscriber.until(lambda topics: CONFIG in topics)
            config = json.loads(subscriber.topics[CONFIG])
            stream.captions.publish(caption_event(DOG))
            await subscriber.until(lambda topics: config["state_topic"] in topics)

            caption = json.loads(subscriber.topics[config["json_attributes_topic"]])
            assert (caption["feed"], caption["said"]) == ("yard", "A dog runs")
            assert config["device"]["name"] == "Back yard"
            assert config["value_template"] == "{{ value_json.said[:255] }}"
            available = [each["topic"] for each in config["availability"]]
            assert [subscriber.topics[topic] for topic in available] == ["online", "online"]

            stream.signal = Signal(SignalState.LOST, message="no video")
            await subscriber.until(lambda topics: topics[available[1]] == "offline")
            stream.captions.publish(caption_event(DOG, 1))
            stream.captions.publish(caption_event("A cat sits", 2))
            await subscriber.until(lambda topics: "cat" in topics[config["state_topic"]])
            assert mqtt.sent == 2
        # When the server stops, Home Assistant keeps the device, its history and its name.
        await subscriber.until(lambda topics: topics["sightline/status"] == "offline")
        assert subscriber.topics[available[1]] == "offline"
        assert json.loads(subscriber.topics[CONFIG]) == config
        assert "cat" in subscriber.topics[config["state_topic"]]


@asynccontextmanager
async def history_of_the_last_hour(path: Path) -> AsyncIterator[History]:
    """Yield a history in which a dog was in the yard for 20 s of the last whole hour."""
    history = History(HistorySettings(path=path))
    await history.open()
    captions: Broadcast[CaptionEvent] = Broadcast()
    recording = asyncio.create_task(history.record(captions))
    await asyncio.sleep(0)
    begin = time.time() // 3600 * 3600 - 3600
    for at_s, caption in ((600, DOG), (610, DOG), (620, confident_caption("An empty street"))):
        event = caption_event(caption, at_s)
        captions.publish(replace(event, captured=begin + at_s))
    async with asyncio.timeout(10):
        while history.spans < 2:
            await asyncio.sleep(0.01)
    recording.cancel()
    await asyncio.wait({recording})
    yield history
    await history.close()


async def test_the_summary_of_the_last_hour_is_retained(broker: Broker, tmp_path: Path) -> None:
    yard, door = "sightline/yard/summary", "sightline/door/summary"
    async with history_of_the_last_hour(tmp_path / "history.sqlite") as history:
        async with (
            subscribed(broker) as subscriber,
            sending(broker, "yard", "door", summaries=HourlySummaries(history)),
        ):
            await subscriber.until(lambda topics: {yard, door} <= topics.keys())
        async with subscribed(broker) as later:
            await later.until(lambda topics: {yard, door} <= topics.keys())
            summary, empty = (json.loads(later.topics[each]) for each in (yard, door))
    assert summary["text"] == "20 s of captions. Dog: 20 s. Street: 1 caption."
    assert summary["to"] - summary["from"] == 3600
    assert 0 <= time.time() - summary["to"] < 3700
    assert (empty["feed"], empty["text"]) == ("door", "No captions.")


async def test_what_an_earlier_run_left_is_deleted_unless_it_comes_back(broker: Broker) -> None:
    stale = "homeassistant/sensor/an_older_id/caption/config"
    other = "homeassistant/sensor/thermometer/caption/config"
    async with subscribed(broker) as subscriber:
        async with sending(broker, "yard", "door", "shed"):
            await subscriber.until(lambda topics: len(topics) == 7)
        await subscriber.until(lambda topics: topics["sightline/status"] == "offline")
        config = subscriber.topics[CONFIG]
        await subscriber.publish(stale, config)
        await subscriber.publish(other, '{"state_topic": "hall/caption", "origin": 1}')
        await subscriber.publish("attic/yard/availability", "online")
        subscriber.topics.clear()
        async with sending(broker, "yard", "shed", withdraw_after_s=1, feeds=["yard"]):
            gone = [CONFIG.replace("yard", "shed"), CONFIG.replace("yard", "door"), stale]
            gone += [f"sightline/{feed}/availability" for feed in ("shed", "door")]
            await subscriber.until(lambda topics: all(topics.get(each) == "" for each in gone))
            assert subscriber.topics[CONFIG] == config
            assert subscriber.topics["sightline/yard/availability"] == "online"
    kept = {CONFIG, other, "attic/yard/availability", "sightline/status"}
    kept.add("sightline/yard/availability")
    async with subscribed(broker) as later:
        await later.until(lambda topics: topics.keys() >= kept)
        await asyncio.sleep(0.1)
        assert later.topics.keys() == kept


async def test_a_feed_that_is_removed_is_deleted_unless_it_comes_back(broker: Broker) -> None:
    async with subscribed(broker) as subscriber:
        publications = Publications()
        async with sending(broker, publications=publications, withdraw_after_s=0.5) as (_, stream):
            availability = "sightline/yard/availability"
            await subscriber.until(lambda topics: topics.get(availability) == "online")
            # As when the feed's settings are reloaded.
            publications.remove(stream)
            await subscriber.until(lambda topics: topics[availability] == "offline")
            publications.add(stream)
            await subscriber.until(lambda topics: topics[availability] == "online")
            stream.captions.publish(caption_event(DOG))
            await subscriber.until(lambda topics: "sightline/yard/caption" in topics)
            await asyncio.sleep(1)
            assert all(subscriber.topics.values()) and not subscriber.deleted
            publications.remove(stream)
            of_stream = {CONFIG, availability, *(f"sightline/yard/{each}" for each in PARTS)}
            await subscriber.until(lambda topics: subscriber.deleted == of_stream)
            assert [topic for topic, body in subscriber.topics.items() if body] == [
                "sightline/status"
            ]


async def test_a_dead_connection_is_replaced_before_its_will_can_be_published(
    broker: Broker,
) -> None:
    frozen = asyncio.Event()
    async with (
        subscribed(broker) as subscriber,
        hostile(until_frozen(broker, frozen)) as link,
        sending(broker, port=link.port),
    ):
        await subscriber.until(lambda topics: topics.get("sightline/status") == "online")
        frozen.set()
        async with sending(broker, "door"):
            await subscriber.until(lambda topics: "sightline/door/availability" in topics)
            link.close()
            await asyncio.sleep(0.5)
            assert subscriber.topics["sightline/status"] == "online"


async def test_servers_with_the_same_topic_do_not_delete_each_others_feeds(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        subscribed(broker) as subscriber,
        sending(broker, "yard", withdraw_after_s=1.5, backoff_s=0.25) as (first, _),
        sending(broker, "door", withdraw_after_s=1.5, backoff_s=0.25) as (second, _),
        asyncio.timeout(20),
    ):
        while min(first.failed, second.failed) < 5:
            await asyncio.sleep(0.05)
        assert {CONFIG, CONFIG.replace("yard", "door")} <= subscriber.topics.keys()
        assert not subscriber.deleted
    messages = [each.getMessage() for each in caplog.records]
    assert len(messages) == 2
    assert all("check that no other server uses the same topic" in each for each in messages)


def test_ids_of_devices_are_valid_and_cannot_collide() -> None:
    levels = ["a", "b", "a-b", "a_b", "a-s", "a--b", "_", "-", "u", "s"]
    topics = [*levels, *("/".join(pair) for pair in itertools.product(levels, repeat=2))]
    names = ["a", "b", "a_b", "a-b", "b_a", "s_a"]
    ids = {device_id(topic, name) for topic, name in itertools.product(topics, names)}
    assert len(ids) == len(topics) * len(names)
    assert all(re.fullmatch("[a-zA-Z0-9_-]+", id_) for id_ in ids)
    assert device_id("sightline", "back_yard-2") == "sightline_back_yard-2"


async def test_the_latest_caption_is_retained_for_new_subscribers(broker: Broker) -> None:
    async with sending(broker, discovery="", topic="house/eyes") as (mqtt, stream):
        while not mqtt.sent:
            stream.latest_caption = caption_event(DOG)
            stream.captions.publish(stream.latest_caption)
            await asyncio.sleep(0.02)
        async with subscribed(broker) as subscriber:
            await subscriber.until(lambda topics: len(topics) == 3)
            assert json.loads(subscriber.topics["house/eyes/yard/caption"])["text"] == "A dog runs"


async def test_a_broker_that_restarts_receives_the_current_state(broker: Broker) -> None:
    async with sending(broker) as (mqtt, stream):
        while not mqtt.sent:
            stream.captions.publish(caption_event(DOG))
            await asyncio.sleep(0.02)
        broker.stop()
        # Sooner than by the timeout of an unacknowledged message.
        async with asyncio.timeout(6):
            for number in range(10_000):
                stream.latest_caption = caption_event(f"Frame {number}", number)
                stream.captions.publish(stream.latest_caption)
                await asyncio.sleep(0.02)
                if mqtt.failed:
                    break
        broker.start()
        async with subscribed(broker) as subscriber:
            topic = "sightline/yard/caption"
            await subscriber.until(lambda topics: f"Frame {number}" in topics.get(topic, ""))
            await subscriber.until(lambda topics: topics.get("sightline/status") == "online")


async def test_the_broker_publishes_the_will_when_the_server_is_killed(broker: Broker) -> None:
    async with subscribed(broker) as subscriber:
        server = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.stream.publishing.sinks.mqtt_process", str(broker.port)
        )
        await subscriber.until(lambda topics: topics.get("sightline/status") == "online")
        server.kill()
        await subscriber.until(lambda topics: topics["sightline/status"] == "offline")
        await server.wait()


async def test_with_tls_the_certificate_of_the_broker_is_verified(tmp_path: Path) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    make = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=broker"
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate]
    command = ["openssl", *make.split(), *map(str, names)]
    await asyncio.to_thread(lambda: subprocess.run(command, check=True, capture_output=True))
    broker = Broker(tmp_path, (certificate, key))
    broker.start()
    try:
        async with sending(broker, tls=True, tls_ca=certificate) as (mqtt, stream):
            async with asyncio.timeout(15):
                while not mqtt.sent:
                    stream.captions.publish(caption_event(DOG))
                    await asyncio.sleep(0.02)
        async with sending(broker, tls=True) as (mqtt, _), asyncio.timeout(15):
            while not mqtt.failed:
                await asyncio.sleep(0.02)
        assert not mqtt.sent
    finally:
        broker.stop()


async def test_a_wrong_password_is_logged_without_it(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    async with sending(broker, password="plugh") as (mqtt, _):
        async with asyncio.timeout(15):
            while mqtt.failed < 3:
                await asyncio.sleep(0.02)
    messages = [
        each.getMessage() for each in caplog.records if each.name == "stream.publishing.sinks.mqtt"
    ]
    assert len(messages) == 1 and "ot authori" in messages[0]
    assert "plugh" not in caplog.text
