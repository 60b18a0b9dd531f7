"""Sinks that captions are sent to: an HTTP webhook, and an MQTT broker (for Home Assistant)."""

from stream.publishing.sinks.hourly_summaries import HourlySummaries
from stream.publishing.sinks.mqtt import MqttSink
from stream.publishing.sinks.settings import MqttSettings, WebhookSettings
from stream.publishing.sinks.webhook import WEBHOOK_QUEUE_SIZE, WebhookSink

__all__ = [
    "WEBHOOK_QUEUE_SIZE",
    "HourlySummaries",
    "MqttSettings",
    "MqttSink",
    "WebhookSettings",
    "WebhookSink",
]
