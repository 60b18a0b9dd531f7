"""Limits of the HTTP interface: rates of requests and received bytes, and the reading of bodies.

Each limit applies per client network and to all clients together. `Connections` counts the bytes;
the middlewares here reject requests by them.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

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
_IMAGE_BODY_OVERHEAD = 65_536
"""Bytes of a body besides its image."""
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


AnyHandler = TypeVar("AnyHandler", bound=Callable[..., Awaitable[web.StreamResponse]])

_image_handlers: set[object] = set()


class LimitExceeded(Exception):
    """A limit was exceeded; the message is for the client."""

    def __init__(self, message: str, retry_after_s: float, status: int = 429) -> None:
        """Reject with 429 if this client exceeds its limit, with 503 if all clients do."""
        super().__init__(message)
        self.retry_after_s, self.status = max(1, math.ceil(retry_after_s)), status


class BodyRejected(Exception):
    """The body of a request cannot be read; it ends the request with a response."""

    def __init__(self, response: web.Response) -> None:
        """End the request with this response."""
        super().__init__()
        self.response = response


class _Rates:
    """Rate limits of requests and of received bytes."""

    def __init__(self, requests_per_s: float, bytes_per_s: float, images: RateLimit) -> None:
        self.requests = RateLimit(requests_per_s, burst=_BURST_S * requests_per_s)
        self._bytes = RateLimit(bytes_per_s, burst=_BURST_S * bytes_per_s)
        self._images = images

    def bytes_of(self, *, image: bool) -> RateLimit:
        """Return the limit of bytes in bodies with an image, or of all others."""
        return self._images if image else self._bytes


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
        self._total = _Rates(
            settings.all_requests_per_s,
            settings.all_bytes_per_s,
            self._image_rate(settings.all_image_bytes_per_s),
        )
        self._per_client = AddressTable(
            lambda: _Rates(
                settings.requests_per_s,
                settings.bytes_per_s,
                self._image_rate(settings.image_bytes_per_s),
            ),
            _MAX_ADDRESSES,
        )

    @property
    def image_body_bytes(self) -> int:
        """Maximum size of a body with an image, which is in base64 (RFC 4648)."""
        return -(-self.settings.image_bytes // 3) * 4 + _IMAGE_BODY_OVERHEAD

    def _image_rate(self, per_s: float) -> RateLimit:
        # Whatever the rate, one image may have the maximum size.
        return RateLimit(per_s, burst=max(_BURST_S * per_s, 2 * self.image_body_bytes))

    def count_request(self, address: str, *, image: bool = False) -> None:
        """Count a request.

        Args:
            address: The client's address.
            image: Whether it may be a caption request. The first bytes of its body, which have
                been counted as any other's, are checked only once it is known whose it is.

        Raises:
            LimitExceeded: If it exceeds a limit, or the address has sent too many bytes.
        """
        per_client = self._per_client[address]
        if not per_client.requests.take():
            raise self._reject("too many requests from this address", per_client.requests.wait_s())
        if not image and self.sent_too_much(address):
            raise self._reject(
                "too many bytes from this address", per_client.bytes_of(image=False).wait_s()
            )
        if not self._total.requests.take():
            raise self._reject("the server is busy", self._total.requests.wait_s(), 503)

    def count_bytes(self, address: str, count: int, *, image: bool = False) -> None:
        """Count bytes that were received; those beyond the client's limit only as the client's.

        Args:
            address: The client's address.
            count: Number of bytes.
            image: Whether they belong to the body of a caption request that was admitted.
        """
        if not self.sent_too_much(address, image=image):
            self._total.bytes_of(image=image).charge(count)
        self._per_client[address].bytes_of(image=image).charge(count)

    def sent_too_much(self, address: str, *, image: bool = False) -> bool:
        """Whether an address has used up its bytes, so that nothing more is read from it."""
        return self._per_client[address].bytes_of(image=image).remaining() <= 0

    def is_blocked(self, address: str) -> bool:
        """Whether any request of an address would be rejected now."""
        return not self._per_client[address].requests.remaining() or self.sent_too_much(address)

    def check_body(self, address: str, count: int, *, image: bool = False) -> None:
        """Check that the rest of a body may be read.

        Args:
            address: The client's address.
            count: Bytes of the body that were not received yet; 0 if unknown.
            image: Whether it is the body of a caption request.

        Raises:
            LimitExceeded: If they would exceed a limit.
        """
        per_client = self._per_client[address].bytes_of(image=image)
        total = self._total.bytes_of(image=image)
        if per_client.remaining() < count:
            raise self._reject("too many bytes from this address", per_client.wait_s(count))
        if total.remaining() < count:
            raise self._reject("the server is busy", total.wait_s(count), 503)

    def count_as_image(self, address: str, count: int) -> None:
        """Count bytes of a body as an image's that have been counted as any other's."""
        self._per_client[address].bytes_of(image=False).charge(-count)
        self._total.bytes_of(image=False).charge(-count)
        self.count_bytes(address, count, image=True)

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
        limits.count_request(address, image=_reads_image_body(request))
        return await handler(request)
    except LimitExceeded as error:
        return _close_after(limit_exceeded_response(error))
    finally:
        if connection and request.content.is_eof():
            connection.end_request()


def reads_image_body(handler: AnyHandler) -> AnyHandler:
    """Let a handler read its body itself, by `read_image_body`."""
    _image_handlers.add(handler)
    return handler


@web.middleware
async def body_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Read the whole body, which is small, before the handler runs, within a time limit.

    A body that will be rejected is not read: one with a content coding, which could expand to a
    thousand times its size, and one that its Content-Length declares to be too large.
    """
    try:
        if _reads_image_body(request):
            _count_as_image(request)
        elif request.can_read_body and request.match_info.http_exception is None:
            await _read_body(request, image=False)
        return await handler(request)
    except BodyRejected as rejected:
        return rejected.response


def _reads_image_body(request: web.Request) -> bool:
    return request.match_info.handler in _image_handlers


def _count_as_image(request: web.Request) -> None:
    """Count the whole body as an image's: also the rest of one that will be rejected."""
    request.app[LIMITS].count_as_image(request[ADDRESS], request.content.total_bytes)
    if connection := connection_of(request):
        connection.receive_image()


async def read_image_body(request: web.Request, max_bytes: int | None = None) -> bytes:
    """Read the body of a caption request, which may be larger than other bodies.

    Args:
        request: The request.
        max_bytes: Maximum size; that of an image in base64 in JSON if None.

    Raises:
        BodyRejected: If it is too large, too slow or compressed.
        LimitExceeded: If the address, or all together, have sent too many bytes of images.
    """
    limit = request.app[LIMITS].image_body_bytes if max_bytes is None else max_bytes
    return await _read_body(request.clone(client_max_size=limit), image=True)


@asynccontextmanager
async def receiving_image_parts(request: web.Request) -> AsyncIterator[Callable[[], None]]:
    """Let the body of a caption request, which has several parts, be read while the context lasts.

    Yields a function that must be called as parts are read.

    Raises:
        BodyRejected: If the body is too large, too slow or compressed.
        LimitExceeded: As `read_image_body`.
    """
    limit = request.app[LIMITS].settings.image_bytes + _IMAGE_BODY_OVERHEAD

    def check_size() -> None:
        if request.content.total_bytes > limit:
            message = f"the body has more than {limit} bytes; send fewer or smaller images"
            raise BodyRejected(error_response(413, "too-large", message))

    async with _receiving(request.clone(client_max_size=limit), image=True):
        yield check_size


async def _read_body(request: web.Request, *, image: bool) -> bytes:
    async with _receiving(request, image=image):
        return await request.read()


@asynccontextmanager
async def _receiving(request: web.Request, *, image: bool) -> AsyncIterator[None]:
    """Check that a body may be read, and limit the time in which it is."""
    limits = request.app[LIMITS]
    codings = request.headers.getall("Content-Encoding", [])
    if any(coding.lower() not in ("", "identity") for coding in codings):
        message = "compressed bodies are not supported; send the body without Content-Encoding"
        headers = {"Accept-Encoding": "identity"}
        raise BodyRejected(error_response(415, "bad-encoding", message, headers))
    length = request.content_length or 0
    if length > request.client_max_size:
        message = f"the body has {length} bytes; send at most {request.client_max_size}"
        raise BodyRejected(error_response(413, "too-large", message))
    missing = max(0, length - request.content.total_bytes)
    limits.check_body(request[ADDRESS], missing, image=image)
    try:
        async with asyncio.timeout(limits.settings.body_s):
            await _send_continue(request)
            yield
    except TimeoutError:
        message = f"the body took longer than {limits.settings.body_s:g} s"
        raise BodyRejected(error_response(408, "too-slow", message)) from None


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
