"""The open HTTP connections: so many of an address, so many in all."""

import asyncio
import socket
from collections import Counter
from collections.abc import Callable

from web.locks.address_table import party
from web.locks.client_address import is_within
from web.locks.limits_settings import LimitsSettings

_REFUSAL = (
    "HTTP/1.1 {status}\r\n"
    "Content-Type: application/json\r\n"
    "Content-Length: {length}\r\n"
    "Retry-After: 5\r\n"
    "Connection: close\r\n\r\n{body}"
)
_BODY = '{{"error": {{"code": "{code}", "message": "{message}; try again later"}}}}'


class Connections:
    """Admits connections, and counts those that are open."""

    refused: int
    """Connections that were turned away."""

    def __init__(self, settings: Callable[[], LimitsSettings]) -> None:
        """Admit by the settings, which may change."""
        self._settings = settings
        self._open: Counter[str] = Counter()
        self.refused = 0

    def __len__(self) -> int:
        return self._open.total()

    def protocol(self, inner: asyncio.Protocol) -> asyncio.Protocol:
        """Make what admits a connection and then leaves it to the protocol given."""
        return _Admitting(self, inner)

    def admit(self, transport: asyncio.Transport, address: str) -> str | None:
        """Take note of a connection; return what to answer instead when there are too many."""
        settings = self._settings()
        if len(self) >= settings.all_connections:
            return _refusal("503 Service Unavailable", "busy", "the server has no room")
        proxy = is_within(address, settings.proxies)
        if self._open[party(address)] >= settings.connections and not proxy:
            told = "this address has too many connections"
            return _refusal("429 Too Many Requests", "too-many-connections", told)
        self._open[party(address)] += 1
        _give_up_after(transport, settings.unread_s)
        return None

    def left(self, address: str) -> None:
        """Take note that a connection is over."""
        self._open[party(address)] -= 1
        if not self._open[party(address)]:
            del self._open[party(address)]


class _Admitting(asyncio.Protocol):
    """Hands a connection that is admitted on to another protocol."""

    def __init__(self, connections: Connections, inner: asyncio.Protocol) -> None:
        self._connections, self._inner = connections, inner
        self._address = ""
        self._admitted = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._address = (transport.get_extra_info("peername") or ("",))[0]
        refusal = self._connections.admit(transport, self._address)
        self._admitted = refusal is None
        if refusal is None:
            self._inner.connection_made(transport)
        else:
            self._connections.refused += 1
            transport.write(refusal.encode())
            transport.close()

    def connection_lost(self, problem: Exception | None) -> None:
        if self._admitted:
            self._connections.left(self._address)
            self._inner.connection_lost(problem)

    def data_received(self, data: bytes) -> None:
        if self._admitted:
            self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received() if self._admitted else None

    def pause_writing(self) -> None:
        if self._admitted:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        if self._admitted:
            self._inner.resume_writing()


def _refusal(status: str, code: str, message: str) -> str:
    body = _BODY.format(code=code, message=message)
    return _REFUSAL.format(status=status, length=len(body), body=body)


def _give_up_after(transport: asyncio.Transport, seconds: float) -> None:
    """End the connection when its other end takes nothing for so long (tcp(7), RFC 5482)."""
    opened = transport.get_extra_info("socket")
    if opened is not None and hasattr(socket, "TCP_USER_TIMEOUT"):
        milliseconds = int(seconds * 1000)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
