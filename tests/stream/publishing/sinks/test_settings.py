"""Settings of the webhook and of MQTT."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from stream.publishing.sinks.settings import MqttSettings, WebhookSettings


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/hook",
        "https://user:pass@example.org:8443/hook?key=1",
        "http://127.0.0.1:8000/",
        "http://[::1]:8000/",
        "http://localhost/hook",
    ],
)
def test_allowed_webhook_urls(url: str) -> None:
    assert WebhookSettings.model_validate({"url": url}).url


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://example.org/", "unencrypted"),
        ("http://192.168.1.7/", "unencrypted"),
        ("http://localhost.example.org/", "unencrypted"),
        ("ftp://example.org/", "https://"),
        ("file:///etc/passwd", "https://"),
        ("example.org/", "https://"),
        ("https:", "https://"),
        ("https://host:port/", "https://"),
    ],
)
def test_forbidden_webhook_urls(url: str, message: str) -> None:
    with pytest.raises(ValidationError, match=message) as caught:
        WebhookSettings.model_validate({"url": f"{url}?key=plugh"})
    assert "plugh" not in str(caught.value)


def test_an_unencrypted_url_can_be_allowed() -> None:
    settings = {"url": "http://192.168.1.7/", "insecure": True}
    assert WebhookSettings.model_validate(settings).url


def test_a_secret_is_read_from_a_file_and_not_disclosed(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("opensesame\n")

    settings = WebhookSettings.model_validate({"secret_file": file, "url": "https://h/opensesame"})

    assert settings.signing_key == b"opensesame"
    assert "opensesame" not in repr(settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"secret": "a", "secret_file": "SECRET"},
        {"secret_file": "nowhere"},
        {"secret_file": "EMPTY"},
    ],
)
def test_invalid_secrets_are_refused(settings: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "SECRET").write_text("a")
    (tmp_path / "EMPTY").write_text("\n")
    if "secret_file" in settings:
        settings = {**settings, "secret_file": str(tmp_path / settings["secret_file"])}
    with pytest.raises(ValidationError):
        WebhookSettings.model_validate(settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"topic": "a/#"},
        {"topic": ""},
        {"topic": "/a"},
        {"topic": "a/#", "discovery": ""},
        {"discovery": "home assistant"},
        {"password": "a"},
        {"tls_ca": "/a.pem"},
        {"port": 70_000},
    ],
)
def test_invalid_mqtt_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        MqttSettings.model_validate({"host": "broker", **settings})


def test_discovery_can_be_turned_off() -> None:
    assert MqttSettings(host="broker", discovery="").discovery == ""
