"""Tells a broker that it is there, until it is killed; run with the broker's port."""

import asyncio
import sys

from stream.publishing.publications import Publications
from stream.publishing.sinks.mqtt import Mqtt
from stream.publishing.sinks.settings import MqttSettings
from tests.stream.publishing.sinks.broker import PASSWORD, USER

if __name__ == "__main__":
    given = {"host": "127.0.0.1", "port": int(sys.argv[1]), "user": USER, "password": PASSWORD}
    asyncio.run(Mqtt(MqttSettings.model_validate(given)).run(Publications()))
