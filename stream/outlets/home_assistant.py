"""How a feed is announced to Home Assistant (its MQTT discovery): a device with a sensor."""

from typing import Any

_MOST_STATE = 255
"""Characters of a state of Home Assistant."""


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
