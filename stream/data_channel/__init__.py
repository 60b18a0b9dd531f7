"""The data channel `captions`: its messages, and the connection of one client to a stream."""

from stream.data_channel.channel import LABEL
from stream.data_channel.client import Client
from stream.data_channel.messages import SCHEMA_PATH
from stream.data_channel.model_json import model_json, source_json

__all__ = [
    "LABEL",
    "SCHEMA_PATH",
    "Client",
    "model_json",
    "source_json",
]
