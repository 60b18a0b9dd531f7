"""Sinks for captions and firings of rules: a webhook, an MQTT broker, and Apprise."""

from stream.publishing.sinks.apprise import AppriseSink, AppriseUnavailable
from stream.publishing.sinks.firing_pictures import MAX_WAIT_S, FiringPictures
from stream.publishing.sinks.hourly_summaries import HourlySummaries
from stream.publishing.sinks.mqtt import MqttSink
from stream.publishing.sinks.settings import AppriseSettings, MqttSettings, WebhookSettings
from stream.publishing.sinks.webhook import WEBHOOK_QUEUE_SIZE, WebhookSink

__all__ = [
    "MAX_WAIT_S",
    "WEBHOOK_QUEUE_SIZE",
    "AppriseSettings",
    "AppriseSink",
    "AppriseUnavailable",
    "FiringPictures",
    "HourlySummaries",
    "MqttSettings",
    "MqttSink",
    "WebhookSettings",
    "WebhookSink",
]
