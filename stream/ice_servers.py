"""The ICE servers that the server's own peers use, and that clients are told of."""

import hmac
import time
from base64 import b64encode
from typing import Any

from aiortc import RTCIceServer

from stream.ice_settings import IceSettings

_USER = "sightline"


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
