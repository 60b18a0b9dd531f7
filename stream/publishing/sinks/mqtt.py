"""Captions over MQTT, for home automation and the like.

How a feed is announced to Home Assistant (its MQTT discovery): a device with a sensor.
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
from stream.publishing import News, NoSuchStream, Publications, SignalChange, news_of
from stream.publishing.sinks.settings import MqttSettings
from stream.publishing.sinks.webhook import Changes
from stream.rate_limit import Pauses

if TYPE_CHECKING:
    import aiomqtt

_ROOM = 256
_KEEPALIVE_S = 30
_TIMEOUT_S = 10.0
_FAREWELL_S = 2.0

_ONLINE, _OFFLINE = "online", "offline"

logger = logging.getLogger(__name__)

_MOST_STATE = 255
"""Characters of a state of Home Assistant."""


class MqttMissing(RuntimeError):
    """What speaks MQTT is not installed."""


class Mqtt:
    """Keeps a broker told, and connects to it again when it is lost.

    `TOPIC/status` tells whether the server is there (the broker itself says so if it is not),
    `TOPIC/FEED/availability` whether the feed's pictures come, `TOPIC/FEED/caption` what it says:
    JSON, retained, so that whoever subscribes has it at once.
    """

    sent = 0
    """Captions that the broker has taken."""
    failed = 0
    """Connections that came to nothing, or were lost."""

    def __init__(self, settings: MqttSettings, pauses: Pauses | None = None) -> None:
        """Send by the settings, which have a host.

        Args:
            settings: Of MQTT.
            pauses: Between one attempt to connect and the next.

        Raises:
            MqttMissing: If the library for it is not installed.
        """
        try:
            import aiomqtt
        except ImportError as problem:
            told = "MQTT needs what is not installed: pip install 'sightline[mqtt]'"
            raise MqttMissing(told) from problem
        self._library = aiomqtt
        self._settings, self._topic = settings, settings.topic
        self._pauses = pauses or Pauses()
        self._announced: set[str] = set()
        self._fails = False

    async def run(self, publications: Publications) -> None:
        """Tell the broker until cancelled."""
        while True:
            try:
                async with self._client(await self._tls()) as client:
                    await self._serve(client, publications)
            except* (self._library.MqttError, OSError) as problems:
                self.failed += 1
                if not self._fails:
                    logger.warning(
                        "the MQTT broker at %s cannot be reached: %s",
                        self._settings.host,
                        problems.exceptions[0],
                    )
                self._fails = True
            await asyncio.sleep(self._pauses.next_s())

    def _client(self, tls: ssl.SSLContext | None) -> "aiomqtt.Client":
        settings = self._settings
        return self._library.Client(
            settings.host,
            settings.port or (8883 if settings.tls else 1883),
            username=settings.user or None,
            password=settings.login,
            will=self._library.Will(f"{self._topic}/status", _OFFLINE, qos=1, retain=True),
            keepalive=_KEEPALIVE_S,
            timeout=_TIMEOUT_S,
            tls_context=tls,
            # What it would say on its own goes to the log of everything else.
            logger=logging.getLogger(f"{__name__}.client"),
        )

    async def _tls(self) -> ssl.SSLContext | None:
        if not self._settings.tls:
            return None
        return await asyncio.to_thread(_context, self._settings.tls_ca)

    async def _serve(self, client: "aiomqtt.Client", publications: Publications) -> None:
        if self._fails:
            logger.info("the MQTT broker at %s is reached again", self._settings.host)
        self._fails = False
        self._pauses.reset()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_notice_end(client), name="mqtt")
                await self._tell(client, publications)
        except asyncio.CancelledError:
            # A farewell keeps the broker from telling the will, so it has to be said.
            with contextlib.suppress(self._library.MqttError, TimeoutError):
                async with asyncio.timeout(_FAREWELL_S):
                    await self._publish(client, f"{self._topic}/status", _OFFLINE)
            raise

    async def _tell(self, client: "aiomqtt.Client", publications: Publications) -> None:
        changes = Changes(self._settings.feeds)
        await self._publish(client, f"{self._topic}/status", _ONLINE)
        await self._withdraw_gone(client, publications)
        with news_of(publications, None, _ROOM) as door:
            async for news in door:
                await self._tell_of(client, news, changes, publications)

    async def _withdraw_gone(self, client: "aiomqtt.Client", publications: Publications) -> None:
        """Take back what was announced before the connection was lost and is gone since."""
        here = {stream.name for stream in publications.all()}
        for name in self._announced - here:
            await self._withdraw(client, name)

    async def _tell_of(
        self, client: "aiomqtt.Client", news: News, changes: Changes, publications: Publications
    ) -> None:
        if not changes.concerns(news.stream):
            return
        if isinstance(news, CaptionEvent):
            if changes.is_new(news):
                body = json.dumps(feed_caption_json(news))
                await self._publish(client, f"{self._topic}/{news.stream}/caption", body)
                self.sent += 1
        elif news.signal is None:
            changes.forget(news.stream)
            await self._withdraw(client, news.stream)
        else:
            await self._tell_signal(client, news, publications)

    async def _tell_signal(
        self, client: "aiomqtt.Client", news: SignalChange, publications: Publications
    ) -> None:
        with contextlib.suppress(NoSuchStream):
            title = publications.find(news.stream).title
            if self._settings.discovery:
                where = announcement_topic(self._settings.discovery, self._topic, news.stream)
                body = json.dumps(announcement(self._topic, news.stream, title))
                await self._publish(client, where, body)
            self._announced.add(news.stream)
            is_live = news.signal is not None and news.signal.state is SignalState.LIVE
            where = f"{self._topic}/{news.stream}/availability"
            await self._publish(client, where, _ONLINE if is_live else _OFFLINE)

    async def _withdraw(self, client: "aiomqtt.Client", name: str) -> None:
        """Have the broker forget a feed: an empty message takes the place of a retained one."""
        for part in ("caption", "availability"):
            await self._publish(client, f"{self._topic}/{name}/{part}", "")
        if self._settings.discovery:
            where = announcement_topic(self._settings.discovery, self._topic, name)
            await self._publish(client, where, "")
        self._announced.discard(name)

    async def _publish(self, client: "aiomqtt.Client", topic: str, body: str) -> None:
        await client.publish(topic, body, qos=1, retain=True)


async def _notice_end(client: "aiomqtt.Client") -> None:
    """Fail as soon as the connection is lost: nothing is subscribed to, so nothing else comes."""
    async for _ in client.messages:
        pass


def _context(authorities: Path | None) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=authorities)


def announcement(topic: str, feed: str, title: str) -> dict[str, Any]:
    """Describe the sensor whose state is what a feed says, with the whole caption beside it.

    Args:
        topic: What the topics begin with.
        feed: The feed's name.
        title: What people call it.
    """
    return {
        "name": "Caption",
        "unique_id": f"{entity(topic, feed)}_caption",
        "state_topic": f"{topic}/{feed}/caption",
        "value_template": f"{{{{ value_json.said[:{_MOST_STATE}] }}}}",
        "json_attributes_topic": f"{topic}/{feed}/caption",
        "availability": [
            {"topic": f"{topic}/status"},
            {"topic": f"{topic}/{feed}/availability"},
        ],
        "availability_mode": "all",
        "icon": "mdi:subtitles-outline",
        "device": {
            "identifiers": [entity(topic, feed)],
            "name": title,
            "manufacturer": "Sightline",
            "model": "Captioned camera",
        },
        "origin": {"name": "Sightline"},
    }


def announcement_topic(discovery: str, topic: str, feed: str) -> str:
    """Give the topic of the description."""
    return f"{discovery}/sensor/{entity(topic, feed)}/caption/config"


def entity(topic: str, feed: str) -> str:
    """Name a feed among all that a broker may know."""
    return f"{topic.replace('/', '_')}_{feed}"
