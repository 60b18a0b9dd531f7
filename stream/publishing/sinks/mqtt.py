"""An MQTT broker as a sink for captions, with Home Assistant's MQTT discovery.

Home Assistant shows each feed as a device with one sensor:
https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery
"""

import asyncio
import contextlib
import json
import logging
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stream.captioned_stream import SignalState
from stream.captioning import CaptionEvent, feed_caption_json
from stream.publishing import NoSuchStream, Publications, SignalChange, StreamUpdate, subscribe
from stream.publishing.sinks.settings import MqttSettings
from stream.publishing.subscription import ChangeFilter
from stream.rate_limit import Backoff

if TYPE_CHECKING:
    import aiomqtt

_QUEUE_SIZE = 256
_KEEPALIVE_S = 30
_TIMEOUT_S = 10.0
_OFFLINE_S = 2.0
_ONLINE, _OFFLINE = "online", "offline"
_MAX_STATE_LENGTH = 255
"""Maximum characters of a state in Home Assistant."""

logger = logging.getLogger(__name__)


class MqttNotInstalled(RuntimeError):
    """The MQTT library is not installed."""


class MqttSink:
    """Publishes captions to a broker, and reconnects when the connection is lost.

    Topics, all retained so that a new subscriber receives them at once: `TOPIC/status` is whether
    the server is online (the broker sets it to offline if the connection is lost),
    `TOPIC/FEED/availability` whether frames arrive, and `TOPIC/FEED/caption` the caption as JSON.
    """

    sent = 0
    """Captions that the broker accepted."""
    failed = 0
    """Connections that failed or were lost."""

    def __init__(self, settings: MqttSettings, backoff: Backoff | None = None) -> None:
        """Prepare a sink.

        Args:
            settings: Settings with a host.
            backoff: Delays between attempts to connect.

        Raises:
            MqttNotInstalled: If the MQTT library is not installed.
        """
        try:
            import aiomqtt
        except ImportError as problem:
            message = "MQTT is configured but not installed; run pip install 'sightline[mqtt]'"
            raise MqttNotInstalled(message) from problem
        self._aiomqtt = aiomqtt
        self._settings, self._topic = settings, settings.topic
        self._backoff = backoff or Backoff()
        self._announced: set[str] = set()
        self._is_failing = False

    async def run(self, publications: Publications) -> None:
        """Publish until cancelled."""
        while True:
            try:
                async with self._client(await self._tls_context()) as client:
                    await self._run_connected(client, publications)
            except* (self._aiomqtt.MqttError, OSError) as problems:
                self.failed += 1
                if not self._is_failing:
                    logger.warning(
                        "MQTT broker at %s cannot be reached: %s",
                        self._settings.host,
                        problems.exceptions[0],
                    )
                self._is_failing = True
            await asyncio.sleep(self._backoff.next_delay_s())

    def _client(self, tls: ssl.SSLContext | None) -> "aiomqtt.Client":
        settings = self._settings
        return self._aiomqtt.Client(
            settings.host,
            settings.port or (8883 if settings.tls else 1883),
            username=settings.user or None,
            password=settings.broker_password,
            will=self._aiomqtt.Will(f"{self._topic}/status", _OFFLINE, qos=1, retain=True),
            keepalive=_KEEPALIVE_S,
            timeout=_TIMEOUT_S,
            tls_context=tls,
            # A child of this module's logger, not the library's own.
            logger=logging.getLogger(f"{__name__}.client"),
        )

    async def _tls_context(self) -> ssl.SSLContext | None:
        if not self._settings.tls:
            return None
        return await asyncio.to_thread(_create_tls_context, self._settings.tls_ca)

    async def _run_connected(self, client: "aiomqtt.Client", publications: Publications) -> None:
        if self._is_failing:
            logger.info("MQTT broker at %s is connected again", self._settings.host)
        self._is_failing = False
        self._backoff.reset()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_fail_on_disconnect(client), name="mqtt")
                await self._publish_updates(client, publications)
        except asyncio.CancelledError:
            # After a regular disconnect the broker does not publish the will.
            with contextlib.suppress(self._aiomqtt.MqttError, TimeoutError):
                async with asyncio.timeout(_OFFLINE_S):
                    await self._publish(client, f"{self._topic}/status", _OFFLINE)
            raise

    async def _publish_updates(self, client: "aiomqtt.Client", publications: Publications) -> None:
        change_filter = ChangeFilter(self._settings.feeds)
        await self._publish(client, f"{self._topic}/status", _ONLINE)
        await self._withdraw_unpublished(client, publications)
        with subscribe(publications, None, _QUEUE_SIZE) as updates:
            async for update in updates:
                await self._publish_update(client, update, change_filter, publications)

    async def _withdraw_unpublished(
        self, client: "aiomqtt.Client", publications: Publications
    ) -> None:
        """Withdraw feeds that were removed while the broker was disconnected."""
        published = {stream.name for stream in publications.all()}
        for name in self._announced - published:
            await self._withdraw(client, name)

    async def _publish_update(
        self,
        client: "aiomqtt.Client",
        update: StreamUpdate,
        change_filter: ChangeFilter,
        publications: Publications,
    ) -> None:
        if not change_filter.includes(update.stream):
            return
        if isinstance(update, CaptionEvent):
            if change_filter.is_new(update):
                body = json.dumps(feed_caption_json(update))
                await self._publish(client, f"{self._topic}/{update.stream}/caption", body)
                self.sent += 1
        elif update.signal is None:
            change_filter.forget(update.stream)
            await self._withdraw(client, update.stream)
        else:
            await self._publish_signal(client, update, publications)

    async def _publish_signal(
        self, client: "aiomqtt.Client", change: SignalChange, publications: Publications
    ) -> None:
        with contextlib.suppress(NoSuchStream):
            title = publications.find(change.stream).title
            if self._settings.discovery:
                topic = discovery_topic(self._settings.discovery, self._topic, change.stream)
                body = json.dumps(discovery_message(self._topic, change.stream, title))
                await self._publish(client, topic, body)
            self._announced.add(change.stream)
            is_live = change.signal is not None and change.signal.state is SignalState.LIVE
            topic = f"{self._topic}/{change.stream}/availability"
            await self._publish(client, topic, _ONLINE if is_live else _OFFLINE)

    async def _withdraw(self, client: "aiomqtt.Client", name: str) -> None:
        """Delete the retained messages of a feed, by replacing them with empty ones."""
        for part in ("caption", "availability"):
            await self._publish(client, f"{self._topic}/{name}/{part}", "")
        if self._settings.discovery:
            topic = discovery_topic(self._settings.discovery, self._topic, name)
            await self._publish(client, topic, "")
        self._announced.discard(name)

    async def _publish(self, client: "aiomqtt.Client", topic: str, body: str) -> None:
        await client.publish(topic, body, qos=1, retain=True)


async def _fail_on_disconnect(client: "aiomqtt.Client") -> None:
    """Raise as soon as the connection is lost; no messages arrive without a subscription."""
    async for _ in client.messages:
        pass


def _create_tls_context(ca_file: Path | None) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=ca_file)


def discovery_message(topic: str, feed: str, title: str) -> dict[str, Any]:
    """Return the discovery message of a feed's sensor; its state is the caption.

    Args:
        topic: Prefix of all topics.
        feed: Name of the feed.
        title: Display name of the feed.
    """
    return {
        "name": "Caption",
        "unique_id": f"{device_id(topic, feed)}_caption",
        "state_topic": f"{topic}/{feed}/caption",
        "value_template": f"{{{{ value_json.said[:{_MAX_STATE_LENGTH}] }}}}",
        "json_attributes_topic": f"{topic}/{feed}/caption",
        "availability": [
            {"topic": f"{topic}/status"},
            {"topic": f"{topic}/{feed}/availability"},
        ],
        "availability_mode": "all",
        "icon": "mdi:subtitles-outline",
        "device": {
            "identifiers": [device_id(topic, feed)],
            "name": title,
            "manufacturer": "Sightline",
            "model": "Captioned camera",
        },
        "origin": {"name": "Sightline"},
    }


def discovery_topic(discovery: str, topic: str, feed: str) -> str:
    """Return the topic of a feed's discovery message."""
    return f"{discovery}/sensor/{device_id(topic, feed)}/caption/config"


def device_id(topic: str, feed: str) -> str:
    """Return the id of a feed, unique among the devices of a broker."""
    return f"{topic.replace('/', '_')}_{feed}"
