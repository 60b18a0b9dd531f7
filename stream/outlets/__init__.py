"""Captions as other programs are sent them: a webhook, and MQTT."""
