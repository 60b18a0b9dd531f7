"""The limits of the HTTP interface: how much is taken of whom, and what is refused."""

import asyncio
import math

from aiohttp import web
from aiohttp.typedefs import Handler

from stream.rate_limit import RateLimit
from web.errors import error
from web.locks.address_table import AddressTable
from web.locks.client_address import ADDRESS, find_address
from web.locks.limits_settings import LimitsSettings

_BURST_S = 10
_MOST_ADDRESSES = 10_000


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
