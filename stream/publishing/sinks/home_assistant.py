"""Home Assistant's MQTT discovery: each stream is a device with a sensor, a picture and its rules.

https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery

An entity keeps the name, the area and the history that its user sees for as long as its message
stays at the broker, so messages are deleted only when a stream or a rule is gone for good.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

_MAX_STATE_LENGTH = 255
"""Maximum characters of a state in Home Assistant."""

_MAX_MESSAGE_BYTES = 2**14
_COMPONENTS = ("sensor", "image", "binary_sensor", "event")
_ESCAPES = str.maketrans({"-": "--", "_": "-u", "/": "-s"})

FIRED, ENDED = "fired", "ended"
"""Types of the events of a rule."""


class DiscoveryMessages:
    """Describes the entities of streams to Home Assistant."""

    def __init__(self, discovery: str, topic: str) -> None:
        """Prepare messages.

        Args:
            discovery: Home Assistant's discovery prefix; empty to announce nothing.
            topic: Prefix of all topics of this server.
        """
        self._discovery, self._topic = discovery, topic

    @property
    def filters(self) -> list[str]:
        """Filters for the topics of messages: of this prefix, and of all in one level.

        So a message is also found that was published before the prefix was changed.
        """
        prefixes = ["+"] + [self._discovery] * ("/" in self._discovery)
        return [f"{prefix}/{each}/+/+/config" for prefix in prefixes for each in _COMPONENTS]

    def of_stream(
        self,
        name: str,
        title: str,
        rules: Iterable[str] = (),
        *,
        has_picture: bool = False,
        has_summary: bool = False,
    ) -> dict[str, str]:
        """Return the messages of a stream as JSON, by topic.

        Args:
            name: Name of the stream.
            title: Display name of the stream.
            rules: Names of the rules that watch it.
            has_picture: Whether pictures of the stream are published.
            has_summary: Whether summaries of the stream are published.
        """
        if not self._discovery:
            return {}
        device = device_id(self._topic, name)
        return {
            f"{self._discovery}/{component}/{device}/{entity}/config": json.dumps(
                {
                    **options,
                    "unique_id": f"{device}_{entity}",
                    "availability": [
                        {"topic": f"{self._topic}/status"},
                        {"topic": f"{self._topic}/{name}/availability"},
                    ],
                    "availability_mode": "all",
                    "device": {
                        "identifiers": [device],
                        "name": title,
                        "manufacturer": "Sightline",
                        "model": "Captioned camera",
                    },
                    # By which `announced_stream` finds it again.
                    "origin": {"name": "Sightline"},
                }
            )
            for component, entity, options in self._entities(
                f"{self._topic}/{name}", rules, has_picture=has_picture, has_summary=has_summary
            )
        }

    def _entities(
        self, stream: str, rules: Iterable[str], *, has_picture: bool, has_summary: bool
    ) -> Iterable[tuple[str, str, Mapping[str, Any]]]:
        """Yield component, id and options of each entity of the stream with this topic."""
        caption = f"{stream}/caption"
        yield "sensor", "caption", _text_sensor("Caption", caption, "said", "subtitles-outline")
        if has_summary:
            summary = f"{stream}/summary"
            name = "Summary of the last hour"
            yield "sensor", "summary", _text_sensor(name, summary, "text", "text-box-outline")
        if has_picture:
            picture = {"image_topic": f"{stream}/image", "content_type": "image/webp"}
            yield "image", "picture", {"name": "Last picture", **picture}
        for rule in rules:
            topic, title = f"{stream}/rule/{rule}", _title(rule)
            state = {"state_topic": f"{topic}/state", "icon": "mdi:eye-check-outline"}
            yield "binary_sensor", f"rule_{rule}", {"name": title, **state}
            fired = {"state_topic": f"{topic}/event", "event_types": [FIRED, ENDED]}
            icon = "mdi:bell-ring-outline"
            yield "event", f"rule_{rule}_event", {"name": f"{title}: event", **fired, "icon": icon}


def announced_stream(topic: str, body: bytes) -> str | None:
    """Return the name of the stream that a discovery message announces an entity of.

    Args:
        topic: Prefix of all topics of this server.
        body: The message; anything, as it was received.

    Returns:
        None if the message is not one of this server's.
    """
    if len(body) > _MAX_MESSAGE_BYTES:
        return None
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        return None
    match message:
        case {"origin": {"name": "Sightline"}, "state_topic": str(of_entity)} | {
            "origin": {"name": "Sightline"},
            "image_topic": str(of_entity),
        }:
            name, slash, _ = of_entity.removeprefix(f"{topic}/").partition("/")
            return name if slash and of_entity.startswith(f"{topic}/{name}/") else None
    return None


def device_id(topic: str, name: str) -> str:
    """Return the id of a stream: constant, and unique among all topics and names.

    Home Assistant allows letters, digits, `_` and `-`. The first `_` ends the escaped topic, in
    which `-` begins an escape.
    """
    return f"{topic.translate(_ESCAPES)}_{name}"


def _text_sensor(name: str, topic: str, field: str, icon: str) -> dict[str, Any]:
    return {
        "name": name,
        "state_topic": topic,
        "value_template": f"{{{{ value_json.{field}[:{_MAX_STATE_LENGTH}] }}}}",
        "json_attributes_topic": topic,
        "icon": f"mdi:{icon}",
    }


def _title(rule: str) -> str:
    """Return the display name of a rule: `dog-at-door` is "Dog at door"."""
    words = rule.replace("-", " ").replace("_", " ").strip()
    return words[:1].upper() + words[1:] if words else rule
