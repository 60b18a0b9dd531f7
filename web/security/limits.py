"""The limits of the HTTP interface: how much is taken of whom, and what is refused.

The open HTTP connections: so many of an address, so many in all.
"""

import asyncio
import math
import socket
from collections import Counter
from collections.abc import Callable

from aiohttp import web
from aiohttp.typedefs import Handler

from stream.rate_limit import RateLimit
from web.errors import error
from web.security.client_address import ADDRESS, AddressTable, find_address, is_within, party
from web.settings import LimitsSettings

_BURST_S = 10
_MOST_ADDRESSES = 10_000
_REFUSAL = (
    "HTTP/1.1 {status}\r\n"
    "Content-Type: application/json\r\n"
    "Content-Length: {length}\r\n"
    "Retry-After: 5\r\n"
    "Connection: close\r\n\r\n{body}"
)

_BODY = '{{"error": {{"code": "{code}", "message": "{message}; try again later"}}}}'


class TooMuch(Exception):
    """More was asked for than may be; the message is for whoever asked."""

    def __init__(self, message: str, retry_after_s: float, status: int = 429) -> None:
        """Refuse for so many seconds; 429 when it is this address's doing, else 503."""
        super().__init__(message)
        self.retry_after_s, self.status = max(1, math.ceil(retry_after_s)), status


class _Rates:
    """How much may still come now, of requests and of the bytes in their bodies."""

    def __init__(self, requests_per_s: float, body_bytes_per_s: float) -> None:
        self.requests = RateLimit(requests_per_s, burst=_BURST_S * requests_per_s)
        self.bytes = RateLimit(body_bytes_per_s, burst=_BURST_S * body_bytes_per_s)


class Limits:
    """Counts requests and bytes, by address and in all."""

    refused: int
    """Requests that were refused."""

    def __init__(self, settings: LimitsSettings) -> None:
        """Limit by the settings."""
        self.refused = 0
        self.configure(settings)

    def configure(self, settings: LimitsSettings) -> None:
        """Go by other settings from now on; everyone starts anew."""
        self.settings = settings
        self._all = _Rates(settings.all_requests_per_s, settings.all_body_bytes_per_s)
        self._each = AddressTable(
            lambda: _Rates(settings.requests_per_s, settings.body_bytes_per_s), _MOST_ADDRESSES
        )

    def count_request(self, address: str) -> None:
        """Count a request.

        Raises:
            TooMuch: If it is one too many.
        """
        self._take(self._each[address].requests, self._all.requests, 1, "requests")

    def count_bytes(self, address: str, count: int) -> None:
        """Count the bytes of a body.

        Raises:
            TooMuch: If they are too many.
        """
        self._take(self._each[address].bytes, self._all.bytes, count, "bytes")

    def _take(self, own: RateLimit, everyones: RateLimit, count: int, unit: str) -> None:
        if not own.take(count):
            self.refused += 1
            raise TooMuch(f"too many {unit} came from this address", own.wait_s(count))
        if not everyones.take(count):
            self.refused += 1
            raise TooMuch("the server is busy", everyones.wait_s(count), 503)


LIMITS = web.AppKey("limits", Limits)


@web.middleware
async def limits_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Find out who asks, and refuse what is too much."""
    limits = request.app[LIMITS]
    request[ADDRESS] = find_address(request, limits.settings.proxies)
    try:
        limits.count_request(request[ADDRESS])
    except TooMuch as problem:
        return too_much(problem)
    return await handler(request)


@web.middleware
async def body_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Have the whole body before the handler runs: all bodies are small, and none may dawdle."""
    limits = request.app[LIMITS]
    if not request.can_read_body:
        return await handler(request)
    try:
        async with asyncio.timeout(limits.settings.body_s):
            body = await request.read()
        limits.count_bytes(request[ADDRESS], len(body))
    except TimeoutError:
        told = f"the body took longer than {limits.settings.body_s:g} s"
        # What remains of it would be taken for the next request.
        return error(408, "too-slow", told, {"Connection": "close"})
    except TooMuch as problem:
        return too_much(problem)
    return await handler(request)


def too_much(problem: TooMuch) -> web.Response:
    """Ask to come again later."""
    code = "too-many-requests" if problem.status == 429 else "busy"
    retry = {"Retry-After": str(problem.retry_after_s)}
    return error(problem.status, code, f"{problem}; try again later", retry)


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
