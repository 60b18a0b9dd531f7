"""STUN and TURN servers: their settings, their credentials, and the formats that clients get."""

import hmac
import re
import time
from base64 import b64encode
from typing import Annotated, Any, Self

from aiortc import RTCIceServer
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

from stream.settings import SecretInFile

_STUN = re.compile(r"stuns?:[^\s?:/]+(:(?P<port>\d{1,5}))?")
_TURN = re.compile(r"turns?:[^\s?:/]+(:(?P<port>\d{1,5}))?(\?transport=(udp|tcp))?")
_PORTS = re.compile(r"(\d{1,5})-(\d{1,5})")
_MIN_PORT, _MAX_PORT = 1024, 65_535
_TURN_USER = "sightline"

_Secret = Annotated[SecretStr, Field(min_length=1)]


def _check_stun_url(value: object) -> str:
    if not isinstance(value, str) or not _matches(_STUN, value):
        raise ValueError("must be a STUN URL: stun:HOST or stun:HOST:PORT (RFC 7064)")
    return value


def _check_turn_url(value: object) -> str:
    if not isinstance(value, str) or not _matches(_TURN, value):
        raise ValueError(
            "must be a TURN URL: turn:HOST:PORT, turn:HOST:PORT?transport=tcp or turns:HOST:PORT "
            "(RFC 7065)"
        )
    return value


def _matches(pattern: re.Pattern[str], url: str) -> bool:
    found = pattern.fullmatch(url)
    return found is not None and 0 < int(found["port"] or 1) <= _MAX_PORT


def _check_ports(value: object) -> str:
    found = _PORTS.fullmatch(value) if isinstance(value, str) else None
    if value == "":
        return ""
    if not found or not _MIN_PORT <= int(found[1]) <= int(found[2]) <= _MAX_PORT:
        raise ValueError(
            f"must be a range FIRST-LAST within {_MIN_PORT}-{_MAX_PORT}, such as 50000-50100"
        )
    return found[0]


class IceSettings(BaseModel):
    """Settings of ICE (RFC 8445).

    By default no STUN or TURN server is used, so nothing outside is contacted. Media then flows
    within one network, or to a server with a public address.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    stun: tuple[Annotated[str, BeforeValidator(_check_stun_url)], ...] = Field((), max_length=4)
    """STUN servers (RFC 8489), such as "stun:stun.example.org:3478", from which clients and this
    server learn their public address. This server uses the first one. While it cannot be reached,
    each session starts up to 5 s later."""
    turn: tuple[Annotated[str, BeforeValidator(_check_turn_url)], ...] = Field((), max_length=4)
    """TURN servers (RFC 8656), such as "turn:turn.example.org:3478", which relay media where no
    direct connection is possible. This server uses the first one."""
    turn_username: str = Field("", max_length=512)
    """User name at the TURN servers, with a fixed password. Both are sent to every client."""
    turn_password: _Secret | None = None
    """Password of that user."""
    turn_password_file: SecretInFile | None = None
    """A file that contains the password."""
    turn_secret: _Secret | None = None
    """Secret shared with the TURN servers (coturn's `static-auth-secret`), from which temporary
    credentials are derived for each client."""
    turn_secret_file: SecretInFile | None = None
    """A file that contains the secret."""
    turn_credential_s: float = Field(24 * 3600, ge=60, le=30 * 24 * 3600)
    """Lifetime of temporary credentials, in seconds: at least as long as a session may last."""
    ports: Annotated[str, BeforeValidator(_check_ports)] = ""
    """UDP ports for media, such as "50000-50100", for a firewall to open; any free ports when
    empty. A session uses one at each address of the machine."""

    @model_validator(mode="after")
    def _check_credentials(self) -> Self:
        for name in ("turn_password", "turn_secret"):
            if getattr(self, name) and getattr(self, f"{name}_file"):
                raise ValueError(f"set either {name} or {name}_file, not both")
        if self.secret and (self.turn_username or self.password):
            raise ValueError("set either turn_secret, or turn_username and its password, not both")
        if bool(self.turn_username) != bool(self.password):
            raise ValueError(
                "turn_username requires turn_password or turn_password_file, and vice versa"
            )
        if self.turn and not (self.secret or self.password):
            raise ValueError("turn requires turn_secret, or turn_username and turn_password")
        return self

    @property
    def password(self) -> str | None:
        """The fixed password, from the configuration or from its file."""
        return _reveal(self.turn_password or self.turn_password_file)

    @property
    def secret(self) -> str | None:
        """The shared secret, from the configuration or from its file."""
        return _reveal(self.turn_secret or self.turn_secret_file)

    @property
    def port_range(self) -> range | None:
        """The UDP ports for media; None for any."""
        if not self.ports:
            return None
        first, last = map(int, self.ports.split("-"))
        return range(first, last + 1)


def ice_servers(settings: IceSettings) -> list[RTCIceServer]:
    """Return the servers, with credentials that are valid from now on.

    The result is never None, which aiortc would take as permission to use a public STUN server.
    """
    servers = []
    if settings.stun:
        servers.append(RTCIceServer(list(settings.stun)))
    if settings.turn:
        username, credential = _turn_credentials(settings)
        servers.append(RTCIceServer(list(settings.turn), username, credential))
    return servers


def ice_servers_to_json(servers: list[RTCIceServer]) -> list[dict[str, Any]]:
    """Convert to the `iceServers` of a browser's `RTCPeerConnection`."""
    return [
        {"urls": list(server.urls)}
        | (
            {"username": server.username, "credential": server.credential}
            if _has_credentials(server)
            else {}
        )
        for server in servers
    ]


def ice_servers_to_links(servers: list[RTCIceServer]) -> list[str]:
    """Convert to values of the HTTP header `Link`, one per URL (RFC 9725, section 4.6)."""
    return [
        f'<{url}>; rel="ice-server"' + (_link_params(server) if _has_credentials(server) else "")
        for server in servers
        for url in server.urls
    ]


def _has_credentials(server: RTCIceServer) -> bool:
    return server.username is not None


def _link_params(server: RTCIceServer) -> str:
    username, credential = _quote(server.username or ""), _quote(server.credential or "")
    return f'; username={username}; credential={credential}; credential-type="password"'


def _quote(text: str) -> str:
    """Return a quoted string (RFC 9110, section 5.6.4), without unprintable characters."""
    printable = "".join(character for character in text if character.isprintable())
    return '"' + printable.replace("\\", r"\\").replace('"', r"\"") + '"'


def _turn_credentials(settings: IceSettings) -> tuple[str, str]:
    """Return the user name and the password for the TURN servers.

    With a shared secret they follow draft-uberti-behave-turn-rest-00, section 2.2: the user name is
    the expiry time, and the password is the HMAC-SHA1 of that name.
    """
    if settings.secret is None:
        return settings.turn_username, settings.password or ""
    username = f"{int(time.time() + settings.turn_credential_s)}:{_TURN_USER}"
    digest = hmac.digest(settings.secret.encode(), username.encode(), "sha1")
    return username, b64encode(digest).decode()


def _reveal(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None
