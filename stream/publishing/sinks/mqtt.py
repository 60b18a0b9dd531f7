"""An MQTT broker as a sink for captions, with discovery by Home Assistant."""

import asyncio
import contextlib
import hashlib
import json
import logging
import ssl
import time
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

from stream.captioned_stream import SignalState
from stream.captioning import CaptionEvent, feed_caption_json
from stream.publishing import Publications
from stream.publishing.sinks.home_assistant import DiscoveryMessages, announced_stream
from stream.publishing.sinks.hourly_summaries import HourlySummaries
from stream.publishing.sinks.mqtt_connection import (
    BrokerAddress,
    MqttConnection,
    MqttError,
    connect_to_broker,
)
from stream.publishing.sinks.mqtt_images import ImageTopics
from stream.publishing.sinks.mqtt_rules import RuleTopics
from stream.publishing.sinks.settings import MqttSettings
from stream.publishing.subscription import ChangeFilter
from stream.restart import Backoff
from stream.settings import validate_stream_name

WITHDRAW_AFTER_S = 120.0
"""How long a stream may be missing before its messages are deleted. Longer than a restart of the
server or a reconnection takes: Home Assistant forgets the history and the name of a deleted device.
"""

_STABLE_S = 30.0
"""A connection that lasts this long has recovered, and resets the backoff."""

_MAX_FOUND = 1000
"""Streams and discovery topics of earlier runs that are noted, to be deleted."""

_ONLINE, _OFFLINE = "online", "offline"
_RETAINED = ("caption", "availability", "summary")
"""What is published of each stream."""

logger = logging.getLogger(__name__)


class MqttSink:
    """Publishes captions to a broker, and reconnects when the connection is lost.

    Topics, all retained so that a new subscriber receives them at once: `TOPIC/status` is whether
    the server is online (the broker sets it to offline if the connection is lost),
    `TOPIC/STREAM/availability` whether frames arrive, `TOPIC/STREAM/caption` the caption as JSON,
    `TOPIC/STREAM/summary` the summary of the last whole hour as JSON, if captions are stored, and
    `TOPIC/STREAM/image` the last picture, if pictures are stored and the settings say so.
    Of each stream only the latest caption waits for a broker that is slow or cannot be reached.
    When the server stops, only availability changes. The messages of streams that do not come back
    are deleted, also those that an earlier run of the server left.
    """

    sent = 0
    """Captions that the broker accepted."""
    dropped = 0
    """Captions that were replaced by newer ones before the broker accepted them."""
    failed = 0
    """Connections that failed or were lost."""

    def __init__(
        self,
        settings: MqttSettings,
        backoff: Backoff | None = None,
        withdraw_after_s: float = WITHDRAW_AFTER_S,
        summaries: HourlySummaries | None = None,
    ) -> None:
        """Prepare a sink.

        Args:
            settings: Settings with a host.
            backoff: Delays between attempts to connect.
            withdraw_after_s: How long a stream may be missing before its messages are deleted, in
                seconds.
            summaries: Where the summaries come from; None for none.
        """
        self._settings, self._topic = settings, settings.topic
        self._backoff, self._withdraw_after_s = backoff or Backoff(), withdraw_after_s
        self._filter = ChangeFilter(settings.feeds)
        self._summaries = summaries
        self._captions: dict[str, CaptionEvent] = {}
        """The latest caption of each stream, unless the broker has it."""
        self._changed = asyncio.Event()
        self.rules = RuleTopics(settings.topic, self._filter.includes, self._changed)
        """What is published of the rules."""
        self._images = ImageTopics(
            settings.topic, self._filter.includes, self._changed, is_on=settings.pictures
        )
        self._states: dict[str, tuple[str, str]] = {}
        """Title and availability of each stream, as this connection has published them."""
        self._present: frozenset[str] = frozenset()
        """Streams that are published."""
        self._missing: dict[str, float] = {}
        """Streams of which the broker has messages but that are not published, with the time when
        to delete them, on the monotonic clock."""
        self._discovery = DiscoveryMessages(settings.discovery, settings.topic)
        self._discovered: dict[str, dict[str, str]] = {}
        """The discovery messages that the broker has, by stream and topic; empty if it is only
        known that there is one."""
        self._announced: dict[str, tuple[str, list[str]]] = {}
        """Title and rules of each stream, as the broker has them."""
        self._is_failing = False

    async def run(self, publications: Publications) -> None:
        """Publish until cancelled."""
        unsubscribe = (
            publications.captions.subscribe(self._on_caption),
            publications.changes.subscribe(lambda _: self._changed.set()),
            self.rules.follow(publications.rules),
            self._images.follow(publications.pictures),
        )
        try:
            while True:
                try:
                    await self._connect(publications)
                except MqttError as problem:
                    self.failed += 1
                    self._log_failure(str(problem))
                await asyncio.sleep(self._backoff.next_delay_s())
        finally:
            for each in unsubscribe:
                each()

    def _on_caption(self, event: CaptionEvent) -> None:
        if self._filter.is_new(event):
            self.dropped += event.stream in self._captions
            self._captions[event.stream] = event
            self._changed.set()

    def _log_failure(self, problem: str) -> None:
        """Log when the broker starts to fail, not each time."""
        if not self._is_failing:
            logger.warning(
                "MQTT broker at %s fails: %s; trying again", self._settings.host, problem
            )
        self._is_failing = True

    async def _connect(self, publications: Publications) -> None:
        """Publish until the connection is lost, which raises an `MqttError`."""
        settings = self._settings
        try:
            tls = await asyncio.to_thread(_tls_context, settings.tls_ca) if settings.tls else None
        except (OSError, ValueError) as problem:
            raise MqttError(f"the CA certificates cannot be read ({problem})") from problem
        address = BrokerAddress(
            settings.host,
            settings.port or (8883 if tls else 1883),
            tls,
            settings.user,
            settings.broker_password or "",
        )
        will = f"{self._topic}/status", _OFFLINE
        async with connect_to_broker(
            address, _client_id(self._topic), will, self._on_retained
        ) as connection:
            tasks = [
                asyncio.create_task(work, name="mqtt")
                for work in (
                    connection.read(),
                    connection.keep_alive(),
                    self._recover_when_stable(),
                    self._publish_changes(connection, publications),
                    *self._summarize(publications),
                )
            ]
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            except asyncio.CancelledError:
                await _cancel(tasks)
                live = (name for name, state in self._states.items() if state[1] == _ONLINE)
                topics = [*(f"{self._topic}/{name}/availability" for name in live), will[0]]
                await connection.close([(topic, _OFFLINE) for topic in topics])
                raise
            finally:
                await _cancel(tasks)
            for task in done:
                task.result()

    def _summarize(self, publications: Publications) -> Iterator[Coroutine[Any, Any, None]]:
        if self._summaries:
            yield self._summaries.run(publications, self._changed.set)

    async def _recover_when_stable(self) -> None:
        await asyncio.sleep(_STABLE_S)
        self._backoff.reset()
        if self._is_failing:
            logger.info("MQTT broker at %s works again", self._settings.host)
        self._is_failing = False

    async def _publish_changes(
        self, connection: MqttConnection, publications: Publications
    ) -> None:
        # Counted anew: a server with the same topic, whose streams these may be, interrupts this
        # connection long before they are deleted.
        self._missing.clear()
        for name in self._states:
            self._miss(name)
        self._states.clear()
        self._discovered.clear()
        self._announced.clear()
        self.rules.reconnect()
        # A broker that was restarted may have lost its retained messages.
        for stream in publications.all():
            if stream.latest_caption and self._filter.includes(stream.name):
                self._captions.setdefault(stream.name, stream.latest_caption)
        await connection.publish(f"{self._topic}/status", _ONLINE)
        filters = [f"{self._topic}/+/availability", self.rules.filter, *self._discovery.filters]
        filters += self._images.filters
        await connection.subscribe(filters)
        while True:
            self._changed.clear()
            await self._publish_states(connection, publications)
            await self._withdraw(connection)
            await self.rules.publish(connection)
            if self._captions:
                await self._publish_caption(connection)
            elif not (
                await self._images.publish(connection) or await self._publish_summary(connection)
            ):
                await self._wait_for_changes()

    async def _publish_states(self, connection: MqttConnection, publications: Publications) -> None:
        """Publish the discovery messages and the availability that the broker does not have."""
        streams = {each.name: each for each in publications.all()}
        wanted = {
            name: (each.title, _ONLINE if each.signal.state is SignalState.LIVE else _OFFLINE)
            for name, each in streams.items()
            if self._filter.includes(name)
        }
        self._present = frozenset(wanted)
        self._images.feeds = {name for name, each in streams.items() if each.kind == "feed"}
        for name in wanted:
            self._missing.pop(name, None)
        for name in self._states.keys() - wanted.keys():
            self._miss(name)
        for name in self._missing:
            wanted[name] = (self._states.get(name, ("", ""))[0], _OFFLINE)
        for name, (title, availability) in wanted.items():
            _, known_availability = self._states.get(name, ("", ""))
            # Before it is confirmed: the broker may have it when this is cancelled, and a stream
            # that it has as online is set to offline at the end.
            self._states[name] = title, availability
            if name not in self._missing:
                await self._announce(connection, name, title)
            if availability != known_availability:
                await connection.publish(f"{self._topic}/{name}/availability", availability)

    async def _announce(self, connection: MqttConnection, name: str, title: str) -> None:
        """Publish the discovery messages of a stream, and delete those that are outdated."""
        rules = self.rules.rules_of(name)
        if self._announced.get(name) == (title, rules):
            return
        has_summary = self._summaries is not None
        wanted = self._discovery.of_stream(
            name,
            title,
            rules,
            has_picture=name in self._images,
            has_summary=has_summary,
        )
        known = self._discovered.setdefault(name, {})
        for topic, body in wanted.items():
            if known.get(topic) != body:
                known[topic] = body
                await connection.publish(topic, body)
        for topic in known.keys() - wanted.keys():
            await connection.publish(topic, "")
            del known[topic]
        self._announced[name] = title, rules

    async def _publish_caption(self, connection: MqttConnection) -> None:
        name = next(iter(self._captions))
        event = self._captions.pop(name)
        try:
            body = json.dumps(feed_caption_json(event))
            await connection.publish(f"{self._topic}/{name}/caption", body)
        except BaseException:
            self.dropped += name in self._captions
            self._captions.setdefault(name, event)
            raise
        self.sent += 1

    async def _publish_summary(self, connection: MqttConnection) -> bool:
        """Publish a summary that the broker does not have; return whether there was one."""
        live = self._states.keys() - self._missing.keys()
        found = self._summaries.take(live) if self._summaries else None
        if self._summaries is None or found is None:
            return False
        name, body = found
        try:
            await connection.publish(f"{self._topic}/{name}/summary", body)
        except BaseException:
            self._summaries.put_back(name, body)
            raise
        return True

    async def _wait_for_changes(self) -> None:
        """Wait for a change, or until a stream has been missing for too long."""
        due = min(self._missing.values(), default=None)
        timeout_s = None if due is None else due - time.monotonic()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()

    async def _withdraw(self, connection: MqttConnection) -> None:
        """Delete the retained messages of streams that did not come back.

        An empty message deletes the one that the broker retains.
        """
        now = time.monotonic()
        topics = list[str]()
        for name in [name for name, due in self._missing.items() if due <= now]:
            topics += [f"{self._topic}/{name}/{part}" for part in _RETAINED]
            topics += [*self.rules.topics_of(name), *self._images.topics_of(name)]
            topics += self._discovered.pop(name, {})
            self._announced.pop(name, None)
            self.dropped += self._captions.pop(name, None) is not None
            self._filter.forget(name)
            del self._missing[name]
            self._states.pop(name, None)
        for topic in topics:
            await connection.publish(topic, "")

    def _on_retained(self, topic: str, body: bytes) -> None:
        """Note what an earlier run of the server, or one with other settings, has left."""
        if self.rules.note_retained(topic):
            return
        if self._images.note_retained(topic, body):
            return
        name = topic.removeprefix(f"{self._topic}/").removesuffix("/availability")
        is_availability = topic == f"{self._topic}/{name}/availability"
        if not is_availability:
            name = announced_stream(self._topic, body) or ""
        if len(self._missing) + len(self._discovered) >= _MAX_FOUND or not _is_stream_name(name):
            return
        if not is_availability:
            known = self._discovered.setdefault(name, {})
            if len(known) < _MAX_FOUND:
                known.setdefault(topic, "")
            self._announced.pop(name, None)
        if name not in self._states and name not in self._present:
            self._miss(name)
        self._changed.set()

    def _miss(self, name: str) -> None:
        """Note that a stream is not published, of which the broker has messages."""
        self._missing.setdefault(name, time.monotonic() + self._withdraw_after_s)


def _is_stream_name(name: str) -> bool:
    try:
        return bool(validate_stream_name(name))
    except ValueError:
        return False


def _client_id(topic: str) -> str:
    """Return the client id of a server: constant, so that its next connection replaces a dead one.

    Without that, a broker could publish the will of the old connection after the new one is online.
    All brokers accept 23 letters and digits (section 3.1.3.1).
    """
    return f"sightline{hashlib.sha256(topic.encode()).hexdigest()[:14]}"


def _tls_context(ca_file: Path | None) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=ca_file)


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
