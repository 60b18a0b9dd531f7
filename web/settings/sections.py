"""Who may use the server: what is set of it.

Whether the server speaks https, and with which certificate.

How much any one address may take of the server, and all of them together.

What is logged, and in which form.

How many programs may follow captions over HTTP.
"""

import os
import re
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

from stream.settings import read_secret

_TOKEN = re.compile(r"[!-~]{16,256}")
_FORM = "16 to 256 printable ASCII characters without spaces; make one with: openssl rand -hex 24"
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")


def _token(value: object) -> SecretStr:
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    if not isinstance(text, str) or not _TOKEN.fullmatch(text):
        raise ValueError(f"a token has {_FORM}")
    return SecretStr(text)


def _token_read(value: object) -> SecretStr:
    token = read_secret(value)
    if not _TOKEN.fullmatch(token.get_secret_value()):
        raise ValueError(f"{value} holds no token: it has {_FORM}")
    return token


def _host_name(value: object) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value.lower()):
        raise ValueError("give names as in a browser's address bar, without port and https://")
    return value.lower()


Token = Annotated[SecretStr, BeforeValidator(_token)]


TokenInFile = Annotated[SecretStr, BeforeValidator(_token_read)]
"""Set as a path; its value is what the file held when the settings were read."""


class AccessSettings(BaseModel):
    """Tokens, and the names by which the server may be called.

    There is no option for a token on the command line: other users of a machine see those.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    admin_token: Token | None = None
    """Who knows it may do everything."""
    admin_token_file: TokenInFile | None = None
    """A file that holds it instead."""
    viewer_token: Token | None = None
    """Who knows it may watch feeds and read their captions."""
    viewer_token_file: TokenInFile | None = None
    """A file that holds it instead."""
    open: bool = False
    """Let in who has no token: to watch where there is an admin's token, to all where there is
    none."""
    hosts: tuple[Annotated[str, BeforeValidator(_host_name)], ...] = Field((), max_length=100)
    """Names by which browsers reach the server, beyond addresses and the machine's own names."""
    login_s: float = Field(7 * 24 * 3600, ge=60, le=366 * 24 * 3600)
    """How long a browser stays logged in."""

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        for role in ("admin", "viewer"):
            if getattr(self, f"{role}_token") and getattr(self, f"{role}_token_file"):
                raise ValueError(f"give {role}_token or {role}_token_file, not both")
        if self.admin and self.admin == self.viewer:
            raise ValueError("the admin's and the viewers' tokens must differ")
        return self

    @property
    def admin(self) -> str | None:
        """The admin's token, wherever it came from."""
        return _revealed(self.admin_token or self.admin_token_file)

    @property
    def viewer(self) -> str | None:
        """The viewers' token, wherever it came from."""
        return _revealed(self.viewer_token or self.viewer_token_file)

    @property
    def tokens(self) -> bool:
        """Whether there is any token."""
        return bool(self.admin or self.viewer)


def _revealed(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None


def _state_folder() -> Path:
    """Where the state of a user's programs belongs (XDG Base Directory Specification)."""
    folder = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    if folder:
        # systemd's StateDirectory= names the service's own.
        return Path(folder)
    return Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state") / "sightline"


class HttpsSettings(BaseModel):
    """Settings of https, with their defaults."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    on: bool = False
    """Speak https and nothing else, with a certificate that the server makes itself."""
    certificate: Path | None = None
    """A certificate of yours instead, and those that lead to its issuer, as PEM."""
    key: Path | None = None
    """Its private key, as PEM without a passphrase."""
    folder: Path = Field(default_factory=_state_folder)
    """Where the certificate that the server makes is kept, with its key."""

    @model_validator(mode="after")
    def _key_belongs_to_certificate(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("give both, certificate and key, or neither")
        return self

    @property
    def wanted(self) -> bool:
        """Whether the server speaks https."""
        return self.on or self.certificate is not None


def _network(value: object) -> IPv4Network | IPv6Network:
    if isinstance(value, IPv4Network | IPv6Network):
        return value
    if not isinstance(value, str):
        raise ValueError("give addresses or networks as text, such as '10.0.0.0/8'")
    return ip_network(value)


Network = Annotated[IPv4Network | IPv6Network, BeforeValidator(_network)]


class LimitsSettings(BaseModel):
    """Limits of the HTTP interface, with their defaults; an IPv6 network of 64 bits is one address.

    A page asks for about a hundred files when it is first opened: rates allow ten seconds' worth
    at once.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    connections: int = Field(100, ge=1)
    """Open HTTP connections of one address."""
    all_connections: int = Field(1000, ge=1)
    """Open HTTP connections in all."""
    requests_per_s: float = Field(100, gt=0)
    """Requests of one address, on average."""
    all_requests_per_s: float = Field(1000, gt=0)
    """Requests in all, on average."""
    body_bytes_per_s: float = Field(100_000, ge=1000)
    """Bytes in the bodies of one address's requests, on average."""
    all_body_bytes_per_s: float = Field(1_000_000, ge=1000)
    """Bytes in the bodies of all requests, on average."""
    sessions: int = Field(32, ge=1)
    """Live sessions of one address, its own and those that it watches."""
    headers_s: float = Field(20, ge=1, le=3600)
    """How long the headers of a request may take, and a connection be open without a request; a
    change takes effect at the next start."""
    body_s: float = Field(20, ge=1, le=3600)
    """How long the body of a request may take."""
    unread_s: float = Field(30, ge=1, le=3600)
    """How long a connection may take nothing of what is sent to it."""
    proxies: tuple[Network, ...] = Field((), max_length=100)
    """Addresses or networks of reverse proxies, whose X-Forwarded-For is believed."""


class LogSettings(BaseModel):
    """Settings of the log, which goes to standard error."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least that is logged."""
    format: Literal["text", "json"] = "text"
    """Lines for people, or a JSON object a line."""


class DoorsSettings(BaseModel):
    """Settings of the doors through which programs follow captions, with their defaults."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    readers: int = Field(100, ge=1, le=10_000)
    """Programs that follow captions at once; more are refused with 503 and Retry-After."""
    heartbeat_s: float = Field(15, ge=0.1, le=300)
    """A reader who is told nothing for so long is told that the server is still there."""
    unread_s: float = Field(30, ge=0.1, le=3600)
    """A reader who takes nothing for so long is let go."""
