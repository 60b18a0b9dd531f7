"""Sections of the settings that belong to the HTTP server, with their defaults."""

import contextlib
import re
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

from models.catalogue import state_folder
from stream.settings import UserPath, read_secret

_TOKEN = re.compile(r"[!-~]{16,256}")
_TOKEN_RULE = (
    "16 to 256 printable ASCII characters without spaces; create one with: openssl rand -hex 24"
)
_ORIGIN = re.compile(
    r"https?://([a-z0-9][a-z0-9.-]{0,252}|\[[0-9a-f:.]+\])(:(?P<port>[0-9]{1,5}))?"
)
_MAX_PORT = 65535
_HOST_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")


def _validate_token(value: object) -> SecretStr:
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    if not isinstance(text, str) or not _TOKEN.fullmatch(text):
        raise ValueError(f"a token must have {_TOKEN_RULE}")
    return SecretStr(text)


def _read_token(value: object) -> SecretStr:
    token = read_secret(value)
    if not _TOKEN.fullmatch(token.get_secret_value()):
        raise ValueError(f"{value} contains no valid token: it must have {_TOKEN_RULE}")
    return token


def _validate_host_name(value: object) -> str:
    if not isinstance(value, str) or not _HOST_NAME.fullmatch(value.lower()):
        raise ValueError("use host names as in a browser's address bar, without port or https://")
    return value.lower()


def _validate_origin(value: object) -> str:
    found = _ORIGIN.fullmatch(value.lower()) if isinstance(value, str) else None
    if not found or int(found["port"] or 0) > _MAX_PORT:
        raise ValueError("use scheme, host and port only, such as https://home.example:8123")
    return found[0]


def _validate_network(value: object) -> IPv4Network | IPv6Network:
    if isinstance(value, IPv4Network | IPv6Network):
        return value
    if not isinstance(value, str):
        raise ValueError("use addresses or networks as text, such as '10.0.0.0/8'")
    try:
        return ip_network(value)
    except ValueError:
        message = "use addresses or networks with their mask, such as '127.0.0.1' or '10.0.0.0/8'"
        with contextlib.suppress(ValueError):
            message += f"; did you mean {str(ip_network(value, strict=False))!r}?"
        raise ValueError(message) from None


Token = Annotated[SecretStr, BeforeValidator(_validate_token)]
TokenInFile = Annotated[SecretStr, BeforeValidator(_read_token)]
"""Configured as a path; its value is the file's content when the settings were read."""
HostName = Annotated[str, BeforeValidator(_validate_host_name)]
Origin = Annotated[str, BeforeValidator(_validate_origin)]
Network = Annotated[IPv4Network | IPv6Network, BeforeValidator(_validate_network)]


class AccessSettings(BaseModel):
    """Tokens, and host names of the server.

    Tokens have no command line option, since other users of a machine can read command lines.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    admin_token: Token | None = None
    """Allows everything."""
    admin_token_file: TokenInFile | None = None
    """File that contains the admin token instead."""
    viewer_token: Token | None = None
    """Allows watching feeds and reading their captions."""
    viewer_token_file: TokenInFile | None = None
    """File that contains the viewer token instead."""
    caption_token: Token | None = None
    """Allows programs to request captions of images, and nothing else."""
    caption_token_file: TokenInFile | None = None
    """File that contains the caption token instead."""
    open: bool = False
    """Allow access without a token: as a viewer if there is an admin token, else as an admin."""
    hosts: tuple[HostName, ...] = Field((), max_length=100)
    """Host names of the server, besides IP addresses and the machine's own names."""
    embedders: tuple[Origin, ...] = Field((), max_length=100)
    """Origins of the sites whose pages may embed the wall and the feeds' pictures."""
    login_s: float = Field(7 * 24 * 3600, ge=60, le=366 * 24 * 3600)
    """How long a browser stays logged in, in seconds."""

    @model_validator(mode="after")
    def _check_tokens(self) -> Self:
        for kind in ("admin", "viewer", "caption"):
            if getattr(self, f"{kind}_token") and getattr(self, f"{kind}_token_file"):
                raise ValueError(f"set {kind}_token or {kind}_token_file, not both")
        tokens = [token for token in (self.admin, self.viewer, self.caption) if token]
        if len(set(tokens)) < len(tokens):
            raise ValueError("the admin, viewer and caption tokens must differ")
        return self

    @property
    def admin(self) -> str | None:
        """The admin token, from either setting."""
        return _reveal(self.admin_token or self.admin_token_file)

    @property
    def viewer(self) -> str | None:
        """The viewer token, from either setting."""
        return _reveal(self.viewer_token or self.viewer_token_file)

    @property
    def caption(self) -> str | None:
        """The caption token, from either setting."""
        return _reveal(self.caption_token or self.caption_token_file)

    @property
    def has_tokens(self) -> bool:
        """Whether any token is set."""
        return bool(self.admin or self.viewer or self.caption)


def _reveal(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None


class HttpsSettings(BaseModel):
    """HTTPS and its certificate."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    on: bool = False
    """Use HTTPS only, with a self-signed certificate that the server creates and renews."""
    certificate: UserPath | None = None
    """Your own certificate with its chain instead, as PEM."""
    key: UserPath | None = None
    """Its private key, as PEM without a passphrase."""
    folder: UserPath = Field(default_factory=state_folder)
    """Folder of the self-signed certificate and its key."""

    @model_validator(mode="after")
    def _check_pair(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("set both certificate and key, or neither")
        return self

    @property
    def enabled(self) -> bool:
        """Whether the server uses HTTPS."""
        return self.on or self.certificate is not None


class LimitsSettings(BaseModel):
    """Limits of the HTTP interface; the addresses of an IPv6 /64 network count as one.

    The page loads about a hundred files when it is first opened, so rates allow a burst of ten
    seconds' worth.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    connections: int = Field(100, ge=1)
    """Open HTTP connections per address."""
    all_connections: int = Field(1000, ge=1)
    """Open HTTP connections in total."""
    requests_per_s: float = Field(100, gt=0)
    """Requests per second and address, on average."""
    all_requests_per_s: float = Field(1000, gt=0)
    """Requests per second in total, on average."""
    bytes_per_s: float = Field(100_000, ge=1000)
    """Bytes received per second from an address, on average: headers and bodies, also of requests
    that are rejected."""
    all_bytes_per_s: float = Field(1_000_000, ge=1000)
    """Bytes received per second from all addresses, on average, without what an address sends
    beyond its own limit; beyond it, requests with a body are rejected."""
    image_bytes: int = Field(20_000_000, ge=100_000, le=100_000_000)
    """Maximum size of an image file that a program sends for a caption, in bytes."""
    image_bytes_per_s: float = Field(4_000_000, ge=1000)
    """Bytes received per second from an address, on average, in bodies of caption requests."""
    all_image_bytes_per_s: float = Field(8_000_000, ge=1000)
    """The same from all addresses; beyond either, caption requests are rejected."""
    sessions: int = Field(32, ge=1)
    """Live sessions per address, viewers included."""
    share: float = Field(0.5, gt=0, le=1)
    """The largest share of all viewers, sessions, subscribers, explanations, history requests,
    caption requests and logins that one address may have; it does not limit admins."""
    headers_s: float = Field(20, ge=1, le=3600)
    """Timeout for the headers of a request, and for idle connections, in seconds; a change needs a
    restart."""
    body_s: float = Field(20, ge=1, le=3600)
    """Timeout for the body of a request, in seconds."""
    unread_s: float = Field(30, ge=1, le=3600)
    """Timeout for a connection whose peer reads nothing, in seconds."""
    proxies: tuple[Network, ...] = Field((), max_length=100)
    """Addresses or networks of trusted reverse proxies, whose X-Forwarded-For, -Host, -Proto
    and -Prefix are used."""


class LogSettings(BaseModel):
    """The log, which goes to standard error."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The lowest level that is logged."""
    format: Literal["text", "json"] = "text"
    """Plain text, or a JSON object per line."""


class SubscribersSettings(BaseModel):
    """Subscribers: clients that follow captions over HTTP."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    limit: int = Field(100, ge=1, le=10_000)
    """Subscribers at once; more get 503 and Retry-After."""
    heartbeat_s: float = Field(15, ge=0.1, le=300)
    """Seconds without an update after which a heartbeat is sent."""
    unread_s: float = Field(30, ge=0.1, le=3600)
    """Seconds after which a subscriber that reads nothing is disconnected."""
