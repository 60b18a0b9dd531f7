"""Open HTTP connections: their number, and the bytes that arrive on them."""

import asyncio
import socket
from collections import Counter
from typing import Protocol

from aiohttp import web

from web.security.client_address import client_network, is_within
from web.settings import LimitsSettings

_CONNECTION_REJECTED = (
    "HTTP/1.1 {status}\r\n"
    "Content-Type: application/json\r\n"
    "Content-Length: {length}\r\n"
    "Retry-After: 5\r\n"
    # No request was read, so it may be one of WHIP or WHEP by a page of another site.
    "Access-Control-Allow-Origin: *\r\n"
    "Access-Control-Expose-Headers: Retry-After\r\n"
    "Connection: close\r\n\r\n{body}"
)
_BODY = '{{"error": {{"code": "{code}", "message": "{message}; try again later"}}}}'


class ByteLimits(Protocol):
    """The limits that connections apply; `web.security.limits.Limits` implements them."""

    settings: LimitsSettings

    def count_bytes(self, address: str, count: int, *, image: bool = False) -> None:
        """Count bytes that were received."""

    def sent_too_much(self, address: str, *, image: bool = False) -> bool:
        """Whether an address has used up its bytes."""

    def is_blocked(self, address: str) -> bool:
        """Whether any request of an address would be rejected now."""


class Connections:
    """Limits and counts open HTTP connections and the bytes that they receive."""

    rejected: int
    """Connections that were rejected."""
    received_bytes: int
    """Bytes that were received on all connections."""

    def __init__(self, limits: ByteLimits) -> None:
        """Start without connections."""
        self.limits = limits
        self._open: Counter[str] = Counter()
        self.rejected = self.received_bytes = 0

    def __len__(self) -> int:
        return self._open.total()

    def protocol(self, inner: asyncio.Protocol) -> asyncio.Protocol:
        """Wrap a protocol so that it gets its connection only if that is admitted."""
        return Connection(self, inner)

    def admit(self, transport: asyncio.Transport, address: str) -> str | None:
        """Count a new connection; return the response to send instead if a limit is exceeded."""
        settings, client = self.limits.settings, client_network(address)
        if len(self) >= settings.all_connections:
            return _rejection("503 Service Unavailable", "busy", "too many connections")
        if not is_within(address, settings.proxies):
            if self._open[client] >= settings.connections:
                message = "this address has too many connections"
                return _rejection("429 Too Many Requests", "too-many-connections", message)
            if self.limits.is_blocked(address):
                message = "too many requests or bytes from this address"
                return _rejection("429 Too Many Requests", "too-many-requests", message)
        self._open[client] += 1
        _set_user_timeout(transport, settings.unread_s)
        return None

    def release(self, address: str) -> None:
        """Count an admitted connection as closed."""
        client = client_network(address)
        self._open[client] -= 1
        if not self._open[client]:
            del self._open[client]


class Connection(asyncio.Protocol):
    """Passes an admitted connection on to another protocol, and counts the bytes received.

    They count against the address of the peer. Those from a trusted proxy count against the client
    of the current request, once its headers have named it.
    """

    def __init__(self, connections: Connections, inner: asyncio.Protocol) -> None:
        """Wait for `connection_made`."""
        self._connections, self._inner = connections, inner
        self._transport: asyncio.Transport
        self._peer = ""
        self._client: str | None = None
        """Whose bytes they are; None while a trusted proxy has not named the client."""
        self._unassigned_bytes = 0
        self._admitted = self._was_warned = self._receives_image = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Pass an admitted connection on; reject any other, and close it."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._peer = (transport.get_extra_info("peername") or ("",))[0]
        rejection = self._connections.admit(transport, self._peer)
        self._admitted = rejection is None
        if rejection is None:
            self.end_request()
            self._inner.connection_made(transport)
        else:
            self._connections.rejected += 1
            transport.write(rejection.encode())
            transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        """Count the connection as closed."""
        if self._admitted:
            self._connections.release(self._peer)
            self._inner.connection_lost(error)

    def data_received(self, data: bytes) -> None:
        """Count the bytes and pass them on, unless the client has sent too many."""
        if not self._admitted:
            return
        self._connections.received_bytes += len(data)
        limits = self._connections.limits
        if self._client is None:
            self._unassigned_bytes += len(data)
        else:
            image = self._receives_image
            sent_too_much = limits.sent_too_much(self._client, image=image)
            limits.count_bytes(self._client, len(data), image=image)
            if sent_too_much and self._was_warned:
                self._transport.abort()
                return
            # The first time the request is rejected with a response.
            self._was_warned = sent_too_much
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        """Pass the end of the stream on."""
        return self._inner.eof_received() if self._admitted else None

    def pause_writing(self) -> None:
        """Pass flow control on."""
        if self._admitted:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        """Pass flow control on."""
        if self._admitted:
            self._inner.resume_writing()

    def begin_request(self, client: str) -> None:
        """Count the bytes of a request, from its beginning on, against the client's address."""
        self._client = client
        if self._unassigned_bytes:
            self._connections.limits.count_bytes(client, self._unassigned_bytes)
            self._unassigned_bytes = 0

    def receive_image(self) -> None:
        """Count the bytes that arrive as an image's, until the end of the request."""
        self._receives_image = True

    def end_request(self) -> None:
        """Wait for the next request, which a proxy may send for another client."""
        proxies = self._connections.limits.settings.proxies
        self._client = None if is_within(self._peer, proxies) else self._peer
        self._receives_image = False


def connection_of(request: web.Request) -> Connection | None:
    """Return the connection of a request; None if it is closed or was not accepted by `serve`."""
    protocol = request.transport.get_protocol() if request.transport else None
    return protocol if isinstance(protocol, Connection) else None


def _rejection(status: str, code: str, message: str) -> str:
    body = _BODY.format(code=code, message=message)
    return _CONNECTION_REJECTED.format(status=status, length=len(body), body=body)


def _set_user_timeout(transport: asyncio.Transport, seconds: float) -> None:
    """Close the connection if its peer acknowledges no data for so long (tcp(7), RFC 5482)."""
    opened = transport.get_extra_info("socket")
    if opened is not None and hasattr(socket, "TCP_USER_TIMEOUT"):
        milliseconds = int(seconds * 1000)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
