"""MQTT with a real broker, and discovery by Home Assistant."""

import asyncio
import builtins
import gc
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from stream.captioned_stream import CaptionedStream, Signal, SignalState
from stream.publishing.publications import Publications
from stream.publishing.sinks.mqtt import MqttNotInstalled, MqttSink
from stream.publishing.sinks.settings import MqttSettings
from stream.rate_limit import Backoff
from tests.stream.publishing.sinks.broker import PASSWORD, USER, Broker
from tests.support.captions import ScriptedCaptions, caption_event, confident_caption
from tests.support.live_sessions import stream_context

# After a failed TLS handshake, paho leaves its socket to be closed by the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
CONFIG = "homeassistant/sensor/sightline_yard/caption/config"
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

    def __init__(self) -> None:
        self.topics: dict[str, str] = {}

    async def receive(self, client: aiomqtt.Client) -> None:
        """Record messages until cancelled."""
        async for message in client.messages:
            assert isinstance(message.payload, bytes)
            self.topics[str(message.topic)] = message.payload.decode()

    async def until(self, condition: Callable[[dict[str, str]], Any]) -> None:
        """Wait until the latest messages satisfy a condition."""
        async with asyncio.timeout(15):
            while not condition(self.topics):
                await asyncio.sleep(0.02)


@asynccontextmanager
async def subscribed(broker: Broker) -> AsyncIterator[Subscriber]:
    subscriber = Subscriber()
    async with aiomqtt.Client("127.0.0.1", broker.port, username=USER, password=PASSWORD) as client:
        await client.subscribe("#", qos=1)
        receiving = asyncio.create_task(subscriber.receive(client))
        try:
            yield subscriber
        finally:
            receiving.cancel()


@asynccontextmanager
async def sending(
    broker: Broker, **settings: Any
) -> AsyncIterator[tuple[MqttSink, CaptionedStream]]:
    required = {"host": "127.0.0.1", "port": broker.port, "user": USER, "password": PASSWORD}
    mqtt = MqttSink(MqttSettings.model_validate({**required, **settings}), Backoff(0.05, 0.1))
    async with stream_context(ScriptedCaptions(DOG)) as context:
        publications, stream = Publications(), CaptionedStream("yard", context, title="Back yard")
        publications.add(stream)
        stream.signal = Signal(SignalState.LIVE)
        running = asyncio.create_task(mqtt.run(publications))
        yield mqtt, stream
        publications.remove(stream)
        await asyncio.sleep(0.2)
        running.cancel()
        await asyncio.wait({running})
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
        # The feed was removed, and then the server stopped.
        await subscriber.until(lambda topics: topics["sightline/status"] == "offline")
        assert subscriber.topics[CONFIG] == subscriber.topics["sightline/yard/caption"] == ""


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


def test_a_missing_library_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "aiomqtt":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MqttNotInstalled, match="pip install"):
        MqttSink(MqttSettings(host="broker"))
