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
def test_addresses_that_may_be_posted_to(url: str) -> None:
    assert WebhookSettings.model_validate({"url": url}).url


@pytest.mark.parametrize(
    ("url", "told"),
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
def test_addresses_that_may_not(url: str, told: str) -> None:
    with pytest.raises(ValidationError, match=told) as caught:
        WebhookSettings.model_validate({"url": f"{url}?key=plugh"})
    assert "plugh" not in str(caught.value)


def test_an_unencrypted_address_has_to_be_meant() -> None:
    given = {"url": "http://192.168.1.7/", "insecure": True}
    assert WebhookSettings.model_validate(given).url


def test_a_secret_comes_from_a_file_and_is_told_to_nobody(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("opensesame\n")

    settings = WebhookSettings.model_validate({"secret_file": file, "url": "https://h/opensesame"})

    assert settings.key == b"opensesame"
    assert "opensesame" not in repr(settings)


@pytest.mark.parametrize(
    "given",
    [
        {"secret": "a", "secret_file": "SECRET"},
        {"secret_file": "nowhere"},
        {"secret_file": "EMPTY"},
    ],
)
def test_secrets_that_cannot_be(given: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "SECRET").write_text("a")
    (tmp_path / "EMPTY").write_text("\n")
    if "secret_file" in given:
        given = {**given, "secret_file": str(tmp_path / given["secret_file"])}
    with pytest.raises(ValidationError):
        WebhookSettings.model_validate(given)


@pytest.mark.parametrize(
    "given",
    [
        {"topic": "a/#"},
        {"topic": ""},
        {"topic": "/a"},
        {"discovery": "home assistant"},
        {"password": "a"},
        {"tls_ca": "/a.pem"},
        {"port": 70_000},
    ],
)
def test_mqtt_that_cannot_be(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        MqttSettings.model_validate({"host": "broker", **given})


def test_mqtt_needs_no_discovery() -> None:
    assert MqttSettings(host="broker", discovery="").discovery == ""
