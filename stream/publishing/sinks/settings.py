"""Whom captions are sent to, and how."""

import re
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from stream.settings import SecretInFile, is_loopback

_TOPIC = re.compile(r"[A-Za-z0-9_-]{1,40}(/[A-Za-z0-9_-]{1,40}){0,4}")


class WebhookSettings(BaseModel):
    """Settings of the webhook; without an address there is none."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    url: SecretStr | None = None
    """Each new caption is posted to it as JSON. Often it is a secret itself, so no log has it."""
    secret: SecretStr | None = None
    """What signs each post; better in `secret_file` or in the environment."""
    secret_file: SecretInFile | None = None
    """A file that holds the secret instead."""
    feeds: tuple[str, ...] = Field((), max_length=100)
    """The feeds whose captions are sent; all when empty."""
    timeout_s: float = Field(10, gt=0, le=120)
    """How long a post may take."""
    insecure: bool = False
    """Whether an address may be http, though it is not of this machine."""

    @property
    def key(self) -> bytes | None:
        """The secret, wherever it came from."""
        secret = self.secret or self.secret_file
        return secret.get_secret_value().encode() if secret else None

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.secret and self.secret_file:
            raise ValueError("give secret or secret_file, not both")
        if self.url:
            _check_address(self.url.get_secret_value(), self.insecure)
        return self


class MqttSettings(BaseModel):
    """Settings of MQTT; without a host there is none."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    host: str = ""
    """The broker's name or address."""
    port: int = Field(0, ge=0, le=65535)
    """The broker's port; 0 for the usual one, 8883 with TLS and 1883 without."""
    user: str = ""
    """Who logs in at the broker; nobody when empty."""
    password: SecretStr | None = None
    """The password; better in `password_file` or in the environment."""
    password_file: SecretInFile | None = None
    """A file that holds the password instead."""
    tls: bool = False
    """Whether the connection is encrypted, and the broker's certificate is checked."""
    tls_ca: Path | None = None
    """A file of certificates (PEM) to check the broker's by; the system's when not given."""
    topic: str = "sightline"
    """What the topics begin with; another one for each server at the same broker."""
    discovery: str = "homeassistant"
    """Where Home Assistant looks for devices; nothing is announced when empty."""
    feeds: tuple[str, ...] = Field((), max_length=100)
    """The feeds whose captions are sent; all when empty."""

    @property
    def login(self) -> str | None:
        """The password, wherever it came from."""
        secret = self.password or self.password_file
        return secret.get_secret_value() if secret else None

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.password and self.password_file:
            raise ValueError("give password or password_file, not both")
        if self.login and not self.user:
            raise ValueError("a password needs a user")
        for name in ("topic", "discovery"):
            if not _TOPIC.fullmatch(getattr(self, name)) and (name, self.discovery) != (name, ""):
                raise ValueError(f"{name} has letters, digits, - and _, and / between them")
        if self.tls_ca and not self.tls:
            raise ValueError("tls_ca is given, but tls is off")
        return self


def _check_address(url: str, insecure: bool) -> None:
    parts = urlsplit(url)
    try:
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if parts.scheme not in ("http", "https") or not host:
        raise ValueError("url is an address that begins with https://")
    if parts.scheme == "http" and not insecure and not is_loopback(host):
        raise ValueError("url would send captions unencrypted: use https, or set insecure = true")
