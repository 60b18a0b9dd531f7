"""Discovery by Home Assistant: its options, entities that last, and the blueprints."""

import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from stream.captioned_stream import CaptionedStream, Signal, SignalState
from stream.history import Firing
from stream.publishing import Publications, ReportedRule
from stream.publishing.sinks import MqttSettings, MqttSink
from stream.publishing.sinks.home_assistant import DiscoveryMessages, announced_stream
from stream.restart import Backoff
from tests.stream.publishing.sinks.broker import PASSWORD, USER, Broker
from tests.stream.publishing.sinks.test_mqtt import Subscriber, subscribed
from tests.stream.publishing.sinks.test_rules import running
from tests.support.captions import BASE_TIME, ScriptedCaptions, confident_caption
from tests.support.live_sessions import stream_context

OPTIONS = json.loads(Path(__file__).with_name("home_assistant_options.json").read_text("utf-8"))
BLUEPRINTS = Path(__file__).parents[4] / ".deploy/home-assistant"
DOGS = ReportedRule(frozenset({"yard"}), frozenset({"mqtt"}))
SENSOR = "homeassistant/binary_sensor/sightline_yard/rule_dogs/config"
ONLINE = "sightline/yard/availability"
EVENT = "homeassistant/event/sightline_yard/rule_dogs_event/config"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    broker = Broker(tmp_path)
    broker.start()
    yield broker
    broker.stop()


def messages_of(*rules: str, **options: bool) -> dict[str, dict[str, Any]]:
    """Return the messages of the feed `yard` by component and id."""
    found = DiscoveryMessages("homeassistant", "home/eyes").of_stream(
        "yard", "The yard", rules, **options
    )
    return {"/".join(topic.split("/")[1::2]): json.loads(body) for topic, body in found.items()}


def test_messages_have_the_options_that_home_assistant_knows() -> None:
    messages = messages_of("dog-at_door", has_picture=True, has_summary=True)

    assert list(messages) == [
        "sensor/caption",
        "sensor/summary",
        "image/picture",
        "binary_sensor/rule_dog-at_door",
        "event/rule_dog-at_door_event",
    ]
    for name, message in messages.items():
        options = OPTIONS[name.partition("/")[0]]
        assert set(options["required"]) <= message.keys()
        assert message.keys() <= {*options["required"], *options["optional"]}
    assert len({each["unique_id"] for each in messages.values()}) == len(messages)
    assert messages["binary_sensor/rule_dog-at_door"]["name"] == "Dog at door"
    assert messages["image/picture"]["image_topic"] == "home/eyes/yard/image"
    assert messages["image/picture"]["content_type"] == "image/webp"
    # In a topic, Home Assistant allows these characters for ids.
    topics = DiscoveryMessages("ha", "home/eyes").of_stream("yard", "", ["dog-at_door"])
    assert all(re.fullmatch("ha/[a-z_]+/[a-zA-Z0-9_-]+/[a-zA-Z0-9_-]+/config", t) for t in topics)


def test_each_message_is_recognized_as_that_of_its_stream() -> None:
    for message in messages_of("dogs", has_picture=True, has_summary=True).values():
        body = json.dumps(message).encode()
        assert announced_stream("home/eyes", body) == "yard"
        assert announced_stream("home", body) == "eyes"
        assert announced_stream("other", body) is None


def has_event(topic: str, kind: str, topics: dict[str, str]) -> bool:
    return f'"event_type": "{kind}"' in topics.get(topic, "")


async def fire(subscriber: Subscriber, publications: Publications) -> str:
    """Let the rule fire and end, as Home Assistant sees it; return the topic of its state."""
    await subscriber.until(lambda topics: topics.keys() >= {SENSOR, EVENT})
    await subscriber.until(lambda topics: topics.get(ONLINE) == "online")
    sensor, event = (json.loads(subscriber.topics[each]) for each in (SENSOR, EVENT))
    state, fired = str(sensor["state_topic"]), event["state_topic"]
    subscriber.topics.pop(fired, None)
    publications.rules.set_state("dogs", "yard", True)
    await subscriber.until(lambda topics: topics.get(state) == "ON")
    firing = Firing("dogs", "yard", BASE_TIME, None, "A dog!", "A dog runs", ("dog",))
    for each, kind in ((firing, "fired"), (firing.at_end(BASE_TIME + 9), "ended")):
        publications.rules.report(each)
        await subscriber.until(partial(has_event, fired, kind))
        message = json.loads(subscriber.topics[fired])
        assert message["event_type"] in event["event_types"]
        assert message["message"] == "A dog!"
    return state


async def test_the_entities_of_a_rule_follow_it_and_survive_a_restart(broker: Broker) -> None:
    publications = Publications()
    publications.rules.set_rules({"dogs": DOGS, "cats": DOGS})
    settings = MqttSettings.model_validate(
        {"host": "127.0.0.1", "port": broker.port, "user": USER, "password": PASSWORD}
    )
    async with stream_context(ScriptedCaptions(confident_caption("A dog"))) as context:
        stream = CaptionedStream("yard", context, title="The yard")
        other = CaptionedStream("door", context, title="The door")
        stream.signal = Signal(SignalState.LIVE)
        for each in (stream, other):
            publications.add(each)
        async with subscribed(broker) as subscriber:
            for _ in range(2):
                # As the server starts again: before any caption, and with what the broker has.
                async with running(MqttSink(settings, Backoff(0.05, 0.1), 0.3).run(publications)):
                    state = await fire(subscriber, publications)
            assert not subscriber.deleted
            assert not any("door" in topic and "rule_" in topic for topic in subscriber.topics)

            async with running(MqttSink(settings, Backoff(0.05, 0.1)).run(publications)):
                await subscriber.until(lambda topics: topics.get(ONLINE) == "online")
                publications.rules.set_rules({"cats": DOGS})
                gone = {SENSOR, EVENT, state}
                await subscriber.until(lambda topics: all(topics[each] == "" for each in gone))
            assert subscriber.deleted == gone
            assert subscriber.topics[SENSOR.replace("dogs", "cats")]
        for each in (stream, other):
            publications.remove(each)
            await each.close()


class _Loader(yaml.SafeLoader):
    """Reads `!input NAME` as Home Assistant does."""


class _Input(str):
    __slots__ = ()


_Loader.add_constructor("!input", lambda _, node: _Input(node.value))


def inputs_in(value: Any) -> set[str]:
    match value:
        case _Input():
            return {str(value)}
        case dict():
            return set().union(*(inputs_in(each) for each in value.values()))
        case list():
            return set().union(*(inputs_in(each) for each in value))
    return set()


@pytest.mark.parametrize("path", sorted(BLUEPRINTS.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_blueprint_uses_the_inputs_that_it_declares(path: Path) -> None:
    blueprint = yaml.load(path.read_text("utf-8"), _Loader)
    about = blueprint.pop("blueprint")

    assert about["domain"] == "automation"
    assert about["name"] and about["description"]
    assert inputs_in(blueprint) == about["input"].keys()
    assert blueprint.keys() == {"mode", "max_exceeded", "trigger", "condition", "action"} or (
        blueprint.keys() == {"mode", "trigger", "action"}
    )


def test_there_are_two_blueprints() -> None:
    assert {path.name for path in BLUEPRINTS.glob("*.yaml")} == {
        "notify-with-picture.yaml",
        "while-a-rule-is-on.yaml",
    }
