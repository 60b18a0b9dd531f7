"""Limits of the HTTP interface: rates of requests and received bytes, and the reading of bodies.

Each limit applies per client network and to all clients together. `Connections` counts the bytes;
the middlewares here reject requests by them.
"""

import asyncio
import math

from aiohttp import HttpVersion11, web
from aiohttp.typedefs import Handler

from stream.quota import QuotaExceeded, ShareExceeded
from stream.rate_limit import RateLimit
from web.errors import error_response
from web.security.client_address import ADDRESS, AddressTable, find_address
from web.security.connections import connection_of
from web.settings import LimitsSettings

_BURST_S = 10
_MAX_ADDRESSES = 10_000
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class LimitExceeded(Exception):
    """A limit was exceeded; the message is for the client."""

    def __init__(self, message: str, retry_after_s: float, status: int = 429) -> None:
        """Reject with 429 if this client exceeds its limit, with 503 if all clients do."""
        super().__init__(message)
        self.retry_after_s, self.status = max(1, math.ceil(retry_after_s)), status


class _Rates:
    """Rate limits of requests and of received bytes."""

    def __init__(self, requests_per_s: float, bytes_per_s: float) -> None:
        self.requests = RateLimit(requests_per_s, burst=_BURST_S * requests_per_s)
        self.bytes = RateLimit(bytes_per_s, burst=_BURST_S * bytes_per_s)


class Limits:
    """Rate limits of requests and received bytes."""

    rejected: int
    """Requests that were rejected."""

    def __init__(self, settings: LimitsSettings) -> None:
        """Start with nothing counted."""
        self.rejected = 0
        self.configure(settings)

    def configure(self, settings: LimitsSettings) -> None:
        """Apply new settings and reset all counts but `rejected`."""
        self.settings = settings
        self._total = _Rates(settings.all_requests_per_s, settings.all_bytes_per_s)
        self._per_client = AddressTable(
            lambda: _Rates(settings.requests_per_s, settings.bytes_per_s), _MAX_ADDRESSES
        )

    def count_request(self, address: str) -> None:
        """Count a request.

        Raises:
            LimitExceeded: If it exceeds a limit, or the address has sent too many bytes.
        """
        per_client = self._per_client[address]
        if not per_client.requests.take():
            raise self._reject("too many requests from this address", per_client.requests.wait_s())
        if self.sent_too_much(address):
            raise self._reject("too many bytes from this address", per_client.bytes.wait_s())
        if not self._total.requests.take():
            raise self._reject("the server is busy", self._total.requests.wait_s(), 503)

    def count_bytes(self, address: str, count: int) -> None:
        """Count bytes that were received; those beyond the client's limit only as the client's."""
        if not self.sent_too_much(address):
            self._total.bytes.charge(count)
        self._per_client[address].bytes.charge(count)

    def sent_too_much(self, address: str) -> bool:
        """Whether an address has used up its bytes, so that nothing more is read from it."""
        return self._per_client[address].bytes.remaining() <= 0

    def is_blocked(self, address: str) -> bool:
        """Whether any request of an address would be rejected now."""
        return not self._per_client[address].requests.remaining() or self.sent_too_much(address)

    def check_body(self, address: str, count: int) -> None:
        """Check that the rest of a body may be read.

        Args:
            address: The client's address.
            count: Bytes of the body that were not received yet; 0 if unknown.

        Raises:
            LimitExceeded: If they would exceed a limit.
        """
        per_client, total = self._per_client[address].bytes, self._total.bytes
        if per_client.remaining() < count:
            raise self._reject("too many bytes from this address", per_client.wait_s(count))
        if total.remaining() < count:
            raise self._reject("the server is busy", total.wait_s(count), 503)

    def _reject(self, message: str, retry_after_s: float, status: int = 429) -> LimitExceeded:
        self.rejected += 1
        return LimitExceeded(message, retry_after_s, status)


LIMITS = web.AppKey("limits", Limits)


@web.middleware
async def limits_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Set `request[ADDRESS]`, and reject the request if it exceeds a rate limit."""
    limits, connection = request.app[LIMITS], connection_of(request)
    address = request[ADDRESS] = find_address(request, limits.settings.proxies)
    if connection:
        connection.begin_request(address)
    try:
        limits.count_request(address)
        return await handler(request)
    except LimitExceeded as error:
        return _close_after(limit_exceeded_response(error))
    finally:
        if connection and request.content.is_eof():
            connection.end_request()


@web.middleware
async def body_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Read the whole body, which is small, before the handler runs, within a time limit.

    A body that will be rejected is not read: one with a content coding, which could expand to a
    thousand times its size, and one that its Content-Length declares to be too large.
    """
    limits = request.app[LIMITS]
    if not request.can_read_body or request.match_info.http_exception is not None:
        return await handler(request)
    codings = request.headers.getall("Content-Encoding", [])
    if any(coding.lower() not in ("", "identity") for coding in codings):
        message = "compressed bodies are not supported; send the body without Content-Encoding"
        return error_response(415, "bad-encoding", message, {"Accept-Encoding": "identity"})
    length = request.content_length or 0
    if length > request.client_max_size:
        message = f"the body has {length} bytes; send at most {request.client_max_size}"
        return error_response(413, "too-large", message)
    limits.check_body(request[ADDRESS], max(0, length - request.content.total_bytes))
    try:
        async with asyncio.timeout(limits.settings.body_s):
            await _send_continue(request)
            await request.read()
    except TimeoutError:
        message = f"the body took longer than {limits.settings.body_s:g} s"
        return error_response(408, "too-slow", message)
    return await handler(request)


async def close_unread_connection(request: web.Request, response: web.StreamResponse) -> None:
    """Close the connection after a response to a request whose body was not read to its end.

    The rest of the body would otherwise be read only to be discarded.
    """
    if not request.content.is_eof():
        _close_after(response)


def _close_after(response: web.StreamResponse) -> web.StreamResponse:
    # Both, since aiohttp may have set the headers already.
    response.force_close()
    response.headers["Connection"] = "close"
    return response


async def _send_continue(request: web.Request) -> None:
    """Let a client that waits for it send its body (RFC 9110, section 10.1.1)."""
    if request.version == HttpVersion11 and "Expect" in request.headers:
        await request.writer.write(_CONTINUE)
        # As in aiohttp's own handler: the response itself has not started yet.
        request.writer.output_size = 0


def limit_exceeded_response(error: LimitExceeded) -> web.Response:
    """Build the 429 or 503 response with Retry-After."""
    code = "too-many-requests" if error.status == 429 else "busy"
    retry = {"Retry-After": str(error.retry_after_s)}
    return error_response(error.status, code, f"{error}; try again later", retry)


def quota_exceeded_response(error: QuotaExceeded) -> web.Response:
    """Build the response with Retry-After: 429 for an address's share, 503 for the whole."""
    is_share = isinstance(error, ShareExceeded)
    status, code = (429, "too-many-requests") if is_share else (503, "server-full")
    retry = {"Retry-After": str(error.retry_after_s)}
    return error_response(status, code, f"{error}; try again later", retry)
