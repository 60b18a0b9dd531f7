"""Home Assistant's MQTT discovery: each stream is a device with one sensor, its caption.

https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery
"""

import json
from typing import Any

_MAX_STATE_LENGTH = 255
"""Maximum characters of a state in Home Assistant."""

_MAX_MESSAGE_BYTES = 2**14
_ESCAPES = str.maketrans({"-": "--", "_": "-u", "/": "-s"})


def discovery_message(topic: str, name: str, title: str) -> dict[str, Any]:
    """Return the discovery message of a stream's sensor; its state is the caption.

    Args:
        topic: Prefix of all topics.
        name: Name of the stream.
        title: Display name of the stream.
    """
    return {
        "name": "Caption",
        "unique_id": f"{device_id(topic, name)}_caption",
        "state_topic": f"{topic}/{name}/caption",
        "value_template": f"{{{{ value_json.said[:{_MAX_STATE_LENGTH}] }}}}",
        "json_attributes_topic": f"{topic}/{name}/caption",
        "availability": [
            {"topic": f"{topic}/status"},
            {"topic": f"{topic}/{name}/availability"},
        ],
        "availability_mode": "all",
        "icon": "mdi:subtitles-outline",
        "device": {
            "identifiers": [device_id(topic, name)],
            "name": title,
            "manufacturer": "Sightline",
            "model": "Captioned camera",
        },
        "origin": {"name": "Sightline"},
    }


def discovery_topic(discovery: str, topic: str, name: str) -> str:
    """Return the topic of a stream's discovery message; `discovery` is the discovery prefix."""
    return f"{discovery}/sensor/{device_id(topic, name)}/caption/config"


def discovery_filters(discovery: str) -> list[str]:
    """Return filters for the topics of discovery messages: of this prefix, and of all in one level.

    So a message is also found that was published before the prefix was changed.
    """
    prefixes = ["+", discovery] if "/" in discovery else ["+"]
    return [f"{prefix}/sensor/+/caption/config" for prefix in prefixes]


def announced_stream(topic: str, body: bytes) -> str | None:
    """Return the name of the stream that a discovery message announces.

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
        case {"origin": {"name": "Sightline"}, "state_topic": str(state_topic)}:
            name = state_topic.removeprefix(f"{topic}/").removesuffix("/caption")
            return name if state_topic == f"{topic}/{name}/caption" else None
    return None


def device_id(topic: str, name: str) -> str:
    """Return the id of a stream: constant, and unique among all topics and names.

    Home Assistant allows letters, digits, `_` and `-`. The first `_` ends the escaped topic, in
    which `-` begins an escape.
    """
    return f"{topic.translate(_ESCAPES)}_{name}"
