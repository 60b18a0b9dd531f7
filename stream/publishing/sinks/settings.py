"""Settings of the webhook and of MQTT."""

import re
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from stream.settings import SecretInFile, UserPath, is_loopback

_TOPIC = re.compile(r"[A-Za-z0-9_-]{1,40}(/[A-Za-z0-9_-]{1,40}){0,4}")
_MAX_URLS = 20


class WebhookSettings(BaseModel):
    """Settings of the webhook; it is off without a URL."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    url: SecretStr | None = None
    """URL to post each new caption to, as JSON. Often a secret itself, so it is never logged."""
    secret: SecretStr | None = None
    """Secret that signs each post; better set by `secret_file` or the environment."""
    secret_file: SecretInFile | None = None
    """A file that contains the secret."""
    feeds: tuple[str, ...] = Field((), max_length=100)
    """Feeds whose captions to send; all when empty."""
    events: tuple[Literal["caption", "rule", "picture"], ...] = ("caption", "rule")
    """What to post: new captions, firings of rules, and the pictures that the history stores."""
    timeout_s: float = Field(10, gt=0, le=120)
    """Timeout for a post, in seconds."""
    retry_s: float = Field(60, ge=0, le=3600)
    """How long a post is repeated after temporary failures, in seconds."""
    insecure: bool = False
    """Whether to allow unencrypted http to another machine."""

    @property
    def signing_key(self) -> bytes | None:
        """The secret, from the configuration or from its file."""
        secret = self.secret or self.secret_file
        return secret.get_secret_value().encode() if secret else None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.secret and self.secret_file:
            raise ValueError("set either secret or secret_file, not both")
        if self.url:
            _check_url(self.url.get_secret_value(), self.insecure)
        return self


class AppriseSettings(BaseModel):
    """Settings of Apprise, which sends the firings of rules; it is off without URLs."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    urls: tuple[SecretStr, ...] = Field((), max_length=_MAX_URLS)
    """Apprise URLs of the services. They contain secrets, so they are never logged or shown."""
    urls_file: SecretInFile | None = None
    """A file with one such URL a line instead."""
    timeout_s: float = Field(30, gt=0, le=120)
    """Timeout for a notification, in seconds."""
    pictures: bool = False
    """Whether to attach the pictures that the history stores."""

    @property
    def all_urls(self) -> tuple[SecretStr, ...]:
        """The URLs, from the configuration or from the file."""
        if not self.urls_file:
            return self.urls
        lines = map(str.strip, self.urls_file.get_secret_value().splitlines())
        return tuple(SecretStr(line) for line in lines if line and not line.startswith("#"))

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.urls and self.urls_file:
            raise ValueError("set either urls or urls_file, not both")
        if len(self.all_urls) > _MAX_URLS:
            raise ValueError(f"urls_file contains more than {_MAX_URLS} URLs")
        return self


class MqttSettings(BaseModel):
    """Settings of MQTT; it is off without a host."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    host: str = ""
    """Host name or address of the broker."""
    port: int = Field(0, ge=0, le=65535)
    """Port of the broker; 0 for the default: 8883 with TLS and 1883 without."""
    user: str = Field("", max_length=1000)
    """User name at the broker; anonymous when empty."""
    password: SecretStr | None = None
    """Password of that user; better set by `password_file` or the environment."""
    password_file: SecretInFile | None = None
    """A file that contains the password."""
    tls: bool = False
    """Whether to encrypt the connection and verify the broker's certificate."""
    tls_ca: UserPath | None = None
    """A file of CA certificates (PEM) to verify the broker with; the system's when not set."""
    topic: str = "sightline"
    """Prefix of all topics; must differ between servers that share a broker."""
    pictures: bool = False
    """Whether to send the pictures that the history stores; the broker retains the latest one."""
    discovery: str = "homeassistant"
    """Discovery prefix of Home Assistant; no discovery when empty."""
    feeds: tuple[str, ...] = Field((), max_length=100)
    """Feeds whose captions to send; all when empty."""

    @property
    def broker_password(self) -> str | None:
        """The password, from the configuration or from its file."""
        secret = self.password or self.password_file
        return secret.get_secret_value() if secret else None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.password and self.password_file:
            raise ValueError("set either password or password_file, not both")
        if self.broker_password and not self.user:
            raise ValueError("password requires user")
        for name, topic in (("topic", self.topic), ("discovery", self.discovery or "off")):
            if not _TOPIC.fullmatch(topic):
                raise ValueError(
                    f"{name} may contain letters, digits, - and _, in levels separated by /"
                )
        if self.tls_ca and not self.tls:
            raise ValueError("tls_ca requires tls = true")
        return self


def _check_url(url: str, insecure: bool) -> None:
    parts = urlsplit(url)
    try:
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if parts.scheme not in ("http", "https") or not host:
        raise ValueError("url must begin with https:// and name a host")
    if parts.scheme == "http" and not insecure and not is_loopback(host):
        raise ValueError("url would send captions unencrypted; use https, or set insecure = true")
