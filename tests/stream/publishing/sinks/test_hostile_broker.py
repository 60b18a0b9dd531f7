"""MQTT with a broker that is broken or hostile: bounded in memory, in log lines and in attempts."""

import asyncio
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from stream.captioned_stream import CaptionedStream, Signal, SignalState
from stream.publishing.publications import Publications
from stream.publishing.sinks.mqtt import MqttSink
from stream.publishing.sinks.settings import MqttSettings
from stream.restart import Backoff
from tests.stream.publishing.sinks.broker import PASSWORD, USER, Broker
from tests.stream.publishing.sinks.hostile_broker import (
    CONNACK,
    Behaviour,
    accept_and_close,
    acknowledge_others,
    byte_by_byte,
    flooding,
    hostile,
    keeping_online_unconfirmed,
    never_acknowledge,
    never_read,
    sending_once,
)
from tests.support.captions import ScriptedCaptions, caption_event, confident_caption
from tests.support.live_sessions import stream_context

PUBLISH = b"\x30\x0a\0\x01a" + b"sweater"
PUBLISH_QOS_1 = b"\x32\x0a\0\x01a\0\x01" + b"sweat"
RETAINED = b"\x31\x1b\0\x18sightline/a/availability!"


@asynccontextmanager
async def sending(port: int, backoff: Backoff) -> AsyncIterator[tuple[MqttSink, CaptionedStream]]:
    settings = {"host": "127.0.0.1", "port": port, "user": USER, "password": PASSWORD}
    mqtt = MqttSink(MqttSettings.model_validate(settings), backoff)
    tasks = asyncio.all_tasks()
    async with stream_context(ScriptedCaptions(confident_caption("A dog runs"))) as context:
        publications, stream = Publications(), CaptionedStream("yard", context)
        publications.add(stream)
        stream.signal = Signal(SignalState.LIVE)
        running = asyncio.create_task(mqtt.run(publications))
        try:
            yield mqtt, stream
        finally:
            running.cancel()
            async with asyncio.timeout(10):
                await asyncio.wait({running})
            await stream.close()
    left = {each for each in asyncio.all_tasks() - tasks if "mqtt" in each.get_name()}
    assert running.cancelled() and not left


@pytest.mark.parametrize(
    ("behave", "reason"),
    [
        (sending_once(b"\xff\0garbage" * 10), "MQTT does not allow"),
        (sending_once(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "MQTT does not allow"),
        (sending_once(b"\x20\x02\0\x05"), "not authorized"),
        (sending_once(CONNACK + b"\x30\xff\xff\xff\x7f"), "too large"),
        (sending_once(CONNACK + b"\x30\xff\xff\xff\xff\xff"), "too large"),
        (sending_once(CONNACK + b"\x30\x03\0\x01\xff"), "MQTT does not allow"),
        (sending_once(CONNACK + CONNACK), "MQTT does not allow"),
        (accept_and_close, "closed the connection"),
        (acknowledge_others, "MQTT does not allow"),
        (flooding(PUBLISH), "too many messages"),
        (flooding(RETAINED), "too many messages"),
        (flooding(PUBLISH_QOS_1), "MQTT does not allow"),
        (flooding(b"\x90\x03\0\x01\x80"), "MQTT does not allow"),
        (flooding(b"\xd0\0"), "MQTT does not allow"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_hostile_broker_costs_little(
    behave: Behaviour, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    tracemalloc.start()
    try:
        async with (
            hostile(behave) as broker,
            sending(broker.port, Backoff(0.02, 0.05)) as (mqtt, _),
        ):
            async with asyncio.timeout(30):
                while mqtt.failed < 4:
                    await asyncio.sleep(0.01)
            # What both ends have in buffers is included.
            assert tracemalloc.get_traced_memory()[1] < 20_000_000
            assert len(broker.open) <= 1
    finally:
        tracemalloc.stop()
    [message] = [each.getMessage() for each in caplog.records]
    assert message.startswith("MQTT broker at 127.0.0.1 fails: ")
    assert reason in message


async def test_a_broker_that_closes_each_connection_is_left_alone_ever_longer() -> None:
    async with (
        hostile(accept_and_close) as broker,
        sending(broker.port, Backoff(0.05, 60)) as (mqtt, _),
    ):
        async with asyncio.timeout(30):
            while mqtt.failed < 3:
                await asyncio.sleep(0.01)
        await asyncio.sleep(1.5)
        # After 0.05, 0.1, 0.2, 0.4, 0.8 and 1.6 s, less 20 %.
        assert mqtt.failed <= broker.connections <= 7


@pytest.mark.parametrize("behave", [never_acknowledge, never_read])
async def test_only_the_latest_caption_waits_for_a_broker_that_does_not_respond(
    behave: Behaviour,
) -> None:
    async with hostile(behave) as broker, sending(broker.port, Backoff()) as (mqtt, stream):
        async with asyncio.timeout(10):
            while not broker.open:
                await asyncio.sleep(0.01)
        for number in range(1000):
            stream.captions.publish(caption_event(f"Frame {number}", number))
        assert (mqtt.sent, mqtt.dropped) == (0, 999)


async def test_a_broker_that_sends_single_bytes_is_served(tmp_path: Path) -> None:
    broker = Broker(tmp_path)
    await asyncio.to_thread(broker.start)
    try:
        async with (
            hostile(byte_by_byte(broker)) as slow,
            sending(slow.port, Backoff()) as (mqtt, stream),
            asyncio.timeout(20),
        ):
            while not slow.connections:
                await asyncio.sleep(0.01)
            for number in range(3):
                stream.captions.publish(caption_event(f"Frame {number}", number))
                while mqtt.sent <= number:
                    await asyncio.sleep(0.01)
            assert not mqtt.failed
    finally:
        await asyncio.to_thread(broker.stop)


async def test_a_stream_whose_availability_was_not_confirmed_is_offline_at_the_end() -> None:
    published: list[tuple[str, str]] = []
    topic = "sightline/yard/availability"
    async with hostile(keeping_online_unconfirmed(published)) as broker:
        async with sending(broker.port, Backoff(0.05, 0.1)), asyncio.timeout(30):
            while (topic, "online") not in published:
                await asyncio.sleep(0.01)
        async with asyncio.timeout(30):
            while broker.open:
                await asyncio.sleep(0.01)
    states = [body for name, body in published if name == topic]
    assert (states[-1], published[-1]) == ("offline", ("sightline/status", "offline"))
