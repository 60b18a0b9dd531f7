"""Limits of the HTTP interface: rates of requests and body bytes, and open connections.

Each limit applies per client network and to all clients together.
"""

import asyncio
import math
import socket
from collections import Counter
from collections.abc import Callable

from aiohttp import web
from aiohttp.typedefs import Handler

from stream.rate_limit import RateLimit
from web.errors import error_response
from web.security.client_address import (
    ADDRESS,
    AddressTable,
    client_network,
    find_address,
    is_within,
)
from web.settings import LimitsSettings

_BURST_S = 10
_MAX_ADDRESSES = 10_000
_CONNECTION_REJECTED = (
    "HTTP/1.1 {status}\r\n"
    "Content-Type: application/json\r\n"
    "Content-Length: {length}\r\n"
    "Retry-After: 5\r\n"
    "Connection: close\r\n\r\n{body}"
)
_BODY = '{{"error": {{"code": "{code}", "message": "{message}; try again later"}}}}'


class LimitExceeded(Exception):
    """A limit was exceeded; the message is for the client."""

    def __init__(self, message: str, retry_after_s: float, status: int = 429) -> None:
        """Reject with 429 if this client exceeds its limit, with 503 if all clients do."""
        super().__init__(message)
        self.retry_after_s, self.status = max(1, math.ceil(retry_after_s)), status


class _Rates:
    """Rate limits of requests and of the bytes in their bodies."""

    def __init__(self, requests_per_s: float, body_bytes_per_s: float) -> None:
        self.requests = RateLimit(requests_per_s, burst=_BURST_S * requests_per_s)
        self.bytes = RateLimit(body_bytes_per_s, burst=_BURST_S * body_bytes_per_s)


class Limits:
    """Rate limits of requests and body bytes."""

    rejected: int
    """Requests that were rejected."""

    def __init__(self, settings: LimitsSettings) -> None:
        """Start with nothing counted."""
        self.rejected = 0
        self.configure(settings)

    def configure(self, settings: LimitsSettings) -> None:
        """Apply new settings and reset all counts but `rejected`."""
        self.settings = settings
        self._total = _Rates(settings.all_requests_per_s, settings.all_body_bytes_per_s)
        self._per_client = AddressTable(
            lambda: _Rates(settings.requests_per_s, settings.body_bytes_per_s), _MAX_ADDRESSES
        )

    def count_request(self, address: str) -> None:
        """Count a request.

        Raises:
            LimitExceeded: If it exceeds a limit.
        """
        self._take(self._per_client[address].requests, self._total.requests, 1, "requests")

    def count_bytes(self, address: str, count: int) -> None:
        """Count the bytes of a body.

        Raises:
            LimitExceeded: If they exceed a limit.
        """
        self._take(self._per_client[address].bytes, self._total.bytes, count, "bytes")

    def _take(self, per_client: RateLimit, total: RateLimit, count: int, unit: str) -> None:
        if not per_client.take(count):
            self.rejected += 1
            raise LimitExceeded(f"too many {unit} from this address", per_client.wait_s(count))
        if not total.take(count):
            self.rejected += 1
            raise LimitExceeded("the server is busy", total.wait_s(count), 503)


LIMITS = web.AppKey("limits", Limits)


@web.middleware
async def limits_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Set `request[ADDRESS]`, and reject the request if it exceeds a rate limit."""
    limits = request.app[LIMITS]
    request[ADDRESS] = find_address(request, limits.settings.proxies)
    try:
        limits.count_request(request[ADDRESS])
    except LimitExceeded as error:
        return limit_exceeded_response(error)
    return await handler(request)


@web.middleware
async def body_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Read the whole body, which is small, before the handler runs, within a time limit."""
    limits = request.app[LIMITS]
    if not request.can_read_body:
        return await handler(request)
    try:
        async with asyncio.timeout(limits.settings.body_s):
            body = await request.read()
        limits.count_bytes(request[ADDRESS], len(body))
    except TimeoutError:
        message = f"the body took longer than {limits.settings.body_s:g} s"
        # The rest of the body would otherwise be parsed as the next request.
        return error_response(408, "too-slow", message, {"Connection": "close"})
    except LimitExceeded as error:
        return limit_exceeded_response(error)
    return await handler(request)


def limit_exceeded_response(error: LimitExceeded) -> web.Response:
    """Build the 429 or 503 response with Retry-After."""
    code = "too-many-requests" if error.status == 429 else "busy"
    retry = {"Retry-After": str(error.retry_after_s)}
    return error_response(error.status, code, f"{error}; try again later", retry)


class Connections:
    """Limits and counts open HTTP connections."""

    rejected: int
    """Connections that were rejected."""

    def __init__(self, settings: Callable[[], LimitsSettings]) -> None:
        """Start without connections; `settings` returns the current settings."""
        self._settings = settings
        self._open: Counter[str] = Counter()
        self.rejected = 0

    def __len__(self) -> int:
        return self._open.total()

    def protocol(self, inner: asyncio.Protocol) -> asyncio.Protocol:
        """Wrap a protocol so that it gets its connection only if that is admitted."""
        return _AdmissionProtocol(self, inner)

    def admit(self, transport: asyncio.Transport, address: str) -> str | None:
        """Count a new connection; return the response to send instead if a limit is exceeded."""
        settings, client = self._settings(), client_network(address)
        if len(self) >= settings.all_connections:
            return _rejection("503 Service Unavailable", "busy", "too many connections")
        proxy = is_within(address, settings.proxies)
        if self._open[client] >= settings.connections and not proxy:
            message = "this address has too many connections"
            return _rejection("429 Too Many Requests", "too-many-connections", message)
        self._open[client] += 1
        _set_user_timeout(transport, settings.unread_s)
        return None

    def release(self, address: str) -> None:
        """Count an admitted connection as closed."""
        client = client_network(address)
        self._open[client] -= 1
        if not self._open[client]:
            del self._open[client]


class _AdmissionProtocol(asyncio.Protocol):
    """Passes an admitted connection on to another protocol."""

    def __init__(self, connections: Connections, inner: asyncio.Protocol) -> None:
        self._connections, self._inner = connections, inner
        self._address = ""
        self._admitted = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._address = (transport.get_extra_info("peername") or ("",))[0]
        rejection = self._connections.admit(transport, self._address)
        self._admitted = rejection is None
        if rejection is None:
            self._inner.connection_made(transport)
        else:
            self._connections.rejected += 1
            transport.write(rejection.encode())
            transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if self._admitted:
            self._connections.release(self._address)
            self._inner.connection_lost(error)

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


def _rejection(status: str, code: str, message: str) -> str:
    body = _BODY.format(code=code, message=message)
    return _CONNECTION_REJECTED.format(status=status, length=len(body), body=body)


def _set_user_timeout(transport: asyncio.Transport, seconds: float) -> None:
    """Close the connection if its peer acknowledges no data for so long (tcp(7), RFC 5482)."""
    opened = transport.get_extra_info("socket")
    if opened is not None and hasattr(socket, "TCP_USER_TIMEOUT"):
        milliseconds = int(seconds * 1000)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
