"""TODO."""

from stream.publishing.sinks.mqtt import Mqtt, MqttMissing
from stream.publishing.sinks.settings import MqttSettings, WebhookSettings
from stream.publishing.sinks.webhook import Webhook

__all__ = [
    "Mqtt",
    "MqttMissing",
    "MqttSettings",
    "Webhook",
    "WebhookSettings",
]
