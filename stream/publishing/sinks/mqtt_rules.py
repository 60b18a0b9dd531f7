"""Rules on MQTT: whether each is on for a feed, and its firings."""

import asyncio
import json
from collections import deque
from collections.abc import Callable

from stream.history import Firing
from stream.publishing import RuleReports
from stream.publishing.sinks.home_assistant import ENDED, FIRED
from stream.publishing.sinks.mqtt_connection import MqttConnection

_MAX_FIRINGS = 100
"""Firings queued while the broker cannot be reached; beyond that the oldest are dropped."""

_MAX_FOUND = 1000
"""Topics of earlier runs that are noted."""

_ON, _OFF = "ON", "OFF"


class RuleTopics:
    """What is published of the rules.

    `TOPIC/FEED/rule/RULE/state` is retained, ON or OFF. `TOPIC/FEED/rule/RULE/event` is not: a
    firing as JSON when it begins, and again when it ends. The state of a rule that is removed is
    deleted.
    """

    dropped = 0
    """Firings that were lost because the broker could not be reached for too long."""

    def __init__(self, topic: str, includes: Callable[[str], bool], changed: asyncio.Event) -> None:
        """Prepare the topics.

        Args:
            topic: Prefix of all topics.
            includes: Whether a feed is published.
            changed: Set when there is something to publish.
        """
        self._topic, self._includes, self._changed = topic, includes, changed
        self._reports: RuleReports | None = None
        self._firings: deque[Firing] = deque(maxlen=_MAX_FIRINGS)
        self._published: dict[tuple[str, str], str] = {}
        """The states that the broker has, by rule and feed; empty if they are unknown."""

    @property
    def filter(self) -> str:
        """The topic filter of all states."""
        return f"{self._topic}/+/rule/+/state"

    def follow(self, reports: RuleReports) -> Callable[[], None]:
        """Queue what the rules report; return how to end that."""
        self._reports = reports
        unsubscribe = (
            reports.firings.subscribe(self._on_firing),
            reports.changes.subscribe(lambda _: self._changed.set()),
        )

        def end() -> None:
            for each in unsubscribe:
                each()

        return end

    def reconnect(self) -> None:
        """Publish all states again: a broker that was restarted may have lost them."""
        self._published.clear()

    def rules_of(self, feed: str) -> list[str]:
        """Return the names of the rules that are published of a feed."""
        assert self._reports
        return [rule for rule in self._reports.rules if self._is_wanted(rule, feed)]

    def note_retained(self, topic: str) -> bool:
        """Note a state that the broker has; return whether the topic is one of a state."""
        match topic.removeprefix(f"{self._topic}/").split("/"):
            case [feed, "rule", rule, "state"] if topic == self._state_topic(rule, feed):
                if len(self._published) < _MAX_FOUND:
                    self._published.setdefault((rule, feed), "")
                    self._changed.set()
                return True
        return False

    def topics_of(self, feed: str) -> list[str]:
        """Return the topics of a feed that is not published any more, and forget them."""
        gone = [key for key in self._published if key[1] == feed]
        for key in gone:
            del self._published[key]
        return [self._state_topic(*key) for key in gone]

    async def publish(self, connection: MqttConnection) -> None:
        """Publish what the broker does not have; raises `MqttError`."""
        while self._firings:
            firing = self._firings[0]
            kind = {"event_type": FIRED if firing.ended is None else ENDED}
            await connection.publish(
                f"{self._topic}/{firing.feed}/rule/{firing.rule}/event",
                json.dumps({**kind, **firing.to_json()}),
                is_retained=False,
            )
            # Another one may have taken its place in a full queue.
            if self._firings and self._firings[0] is firing:
                self._firings.popleft()
        assert self._reports
        states = self._reports.states
        for (rule, feed), is_on in list(states.items()):
            state = _ON if is_on else _OFF
            if self._is_wanted(rule, feed) and self._published.get((rule, feed)) != state:
                self._published[rule, feed] = state
                await connection.publish(self._state_topic(rule, feed), state)
        for rule, feed in list(self._published):
            # The state of a rule that still exists is kept until its feed's next caption.
            if not self._is_wanted(rule, feed):
                await connection.publish(self._state_topic(rule, feed), "")
                del self._published[rule, feed]

    def _is_wanted(self, rule: str, feed: str) -> bool:
        assert self._reports
        return self._includes(feed) and self._reports.reaches(rule, feed, "mqtt")

    def _on_firing(self, firing: Firing) -> None:
        if self._is_wanted(firing.rule, firing.feed):
            self.dropped += len(self._firings) == _MAX_FIRINGS
            self._firings.append(firing)
            self._changed.set()

    def _state_topic(self, rule: str, feed: str) -> str:
        return f"{self._topic}/{feed}/rule/{rule}/state"
