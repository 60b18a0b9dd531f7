"""An MQTT sink in a process that tests kill: `mqtt_process PORT`, with the broker's port."""

import asyncio
import sys

from stream.publishing.publications import Publications
from stream.publishing.sinks.mqtt import MqttSink
from stream.publishing.sinks.settings import MqttSettings
from tests.stream.publishing.sinks.broker import PASSWORD, USER

if __name__ == "__main__":
    settings = {"host": "127.0.0.1", "port": int(sys.argv[1]), "user": USER, "password": PASSWORD}
    asyncio.run(MqttSink(MqttSettings.model_validate(settings)).run(Publications()))
