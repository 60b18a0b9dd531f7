"""How media finds its way: STUN and TURN servers, and the UDP ports of the server's own end.

The ICE servers that the server's own peers use, and that clients are told of.
"""

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

_LOWEST_PORT, _HIGHEST_PORT = 1024, 65_535

Secret = Annotated[SecretStr, Field(min_length=1)]

_USER = "sightline"


def _stun_url(value: object) -> str:
    if not isinstance(value, str) or not _is_url(_STUN, value):
        raise ValueError("a STUN server is given as stun:HOST or stun:HOST:PORT (RFC 7064)")
    return value


def _turn_url(value: object) -> str:
    if not isinstance(value, str) or not _is_url(_TURN, value):
        raise ValueError(
            "a TURN server is given as turn:HOST:PORT, turn:HOST:PORT?transport=tcp or "
            "turns:HOST:PORT (RFC 7065)"
        )
    return value


def _is_url(form: re.Pattern[str], text: str) -> bool:
    found = form.fullmatch(text)
    return found is not None and 0 < int(found["port"] or 1) <= _HIGHEST_PORT


def _port_range(value: object) -> str:
    found = _PORTS.fullmatch(value) if isinstance(value, str) else None
    if value == "":
        return ""
    if not found or not _LOWEST_PORT <= int(found[1]) <= int(found[2]) <= _HIGHEST_PORT:
        raise ValueError(
            f"ports are given as FIRST-LAST, such as 50000-50100, in {_LOWEST_PORT}-{_HIGHEST_PORT}"
        )
    return found[0]


class IceSettings(BaseModel):
    """Settings of ICE (RFC 8445).

    There is no server in it by default: nothing outside is asked for anything, and media finds its
    way within one network, or to a server that has an address which everybody reaches.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    stun: tuple[Annotated[str, BeforeValidator(_stun_url)], ...] = Field((), max_length=4)
    """STUN servers (RFC 8489), such as "stun:stun.example.org:3478": they tell a client, and this
    server, the address that others see of it. This server asks the first one. While one that is
    set cannot be reached, every session begins up to 5 s later."""
    turn: tuple[Annotated[str, BeforeValidator(_turn_url)], ...] = Field((), max_length=4)
    """TURN servers (RFC 8656), such as "turn:turn.example.org:3478": they relay media where there
    is no direct way. This server asks the first one."""
    turn_username: str = Field("", max_length=512)
    """User at the TURN servers, if the password is fixed. Every client is told both."""
    turn_password: Secret | None = None
    """The password of that user."""
    turn_password_file: SecretInFile | None = None
    """A file that holds it instead."""
    turn_secret: Secret | None = None
    """What is shared with the TURN servers (coturn's `static-auth-secret`): each client is told a
    user and a password made of it, which are good for a while only."""
    turn_secret_file: SecretInFile | None = None
    """A file that holds it instead."""
    turn_credential_s: float = Field(24 * 3600, ge=60, le=30 * 24 * 3600)
    """How long those are good for: as long as a session may last, or longer."""
    ports: Annotated[str, BeforeValidator(_port_range)] = ""
    """UDP ports for media, such as "50000-50100", for a firewall to let in; any free ones when
    empty. A session takes one for each address of the machine."""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        for name in ("turn_password", "turn_secret"):
            if getattr(self, name) and getattr(self, f"{name}_file"):
                raise ValueError(f"give {name} or {name}_file, not both")
        if self.secret and (self.turn_username or self.password):
            raise ValueError("give turn_secret, or turn_username and its password, not both")
        if bool(self.turn_username) != bool(self.password):
            raise ValueError("turn_username needs turn_password or turn_password_file, and they it")
        if self.turn and not (self.secret or self.password):
            raise ValueError("TURN servers need turn_secret, or turn_username and turn_password")
        return self

    @property
    def password(self) -> str | None:
        """The fixed password at the TURN servers, wherever it came from."""
        return _revealed(self.turn_password or self.turn_password_file)

    @property
    def secret(self) -> str | None:
        """The secret shared with the TURN servers, wherever it came from."""
        return _revealed(self.turn_secret or self.turn_secret_file)

    @property
    def port_range(self) -> range | None:
        """The ports that media may take; None for any."""
        if not self.ports:
            return None
        first, last = map(int, self.ports.split("-"))
        return range(first, last + 1)


def _revealed(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None


def ice_servers(settings: IceSettings) -> list[RTCIceServer]:
    """Give the servers with credentials that are good from now on.

    It is a list always: aiortc takes none at all as leave to ask a public STUN server.
    """
    servers = []
    if settings.stun:
        servers.append(RTCIceServer(list(settings.stun)))
    if settings.turn:
        username, credential = _credentials(settings)
        servers.append(RTCIceServer(list(settings.turn), username, credential))
    return servers


def as_json(servers: list[RTCIceServer]) -> list[dict[str, Any]]:
    """Give the servers as `RTCPeerConnection` of a browser takes them in `iceServers`."""
    return [
        {"urls": list(server.urls)}
        | ({"username": server.username, "credential": server.credential} if _needs(server) else {})
        for server in servers
    ]


def as_links(servers: list[RTCIceServer]) -> list[str]:
    """Give the servers as values of HTTP's `Link`, one a URL (RFC 9725, section 4.6)."""
    return [
        f'<{url}>; rel="ice-server"' + (_link_credentials(server) if _needs(server) else "")
        for server in servers
        for url in server.urls
    ]


def _needs(server: RTCIceServer) -> bool:
    return server.username is not None


def _link_credentials(server: RTCIceServer) -> str:
    username, credential = _quoted(server.username or ""), _quoted(server.credential or "")
    return f'; username={username}; credential={credential}; credential-type="password"'


def _quoted(text: str) -> str:
    """Quote as RFC 9110, section 5.6.4; what no header may carry is left out."""
    printable = "".join(character for character in text if character.isprintable())
    return '"' + printable.replace("\\", r"\\").replace('"', r"\"") + '"'


def _credentials(settings: IceSettings) -> tuple[str, str]:
    """Name a user and a password for a TURN server.

    Of a shared secret they are made as draft-uberti-behave-turn-rest-00, section 2.2, says: the
    user is called by when it ends, and the password is that name's HMAC-SHA1.
    """
    if settings.secret is None:
        return settings.turn_username, settings.password or ""
    username = f"{int(time.time() + settings.turn_credential_s)}:{_USER}"
    digest = hmac.digest(settings.secret.encode(), username.encode(), "sha1")
    return username, b64encode(digest).decode()
