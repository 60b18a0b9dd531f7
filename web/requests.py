"""Request ids, log lines and metrics of HTTP requests, and the handling of malformed ones.

Also of those whose client has left.
"""

import asyncio
import logging
import re
import secrets
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

import aiohttp.web_urldispatcher
from aiohttp import HttpVersion11, web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler
from prometheus_client import CollectorRegistry, Counter, Histogram

from stream.context import bind_log_context
from stream.rate_limit import RateLimit
from web.errors import CLIENT_CLOSED
from web.security import LIMITS, address_of, is_within

_HEADER = "X-Request-ID"
_ID = re.compile(r"[\w-]{1,64}", re.ASCII)
_ID_BYTES = 8
_UNKNOWN = "unknown"
_METHODS = ("GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS", "PUT")
_FREQUENT = ("/static", "/healthz", "/readyz", "/metrics")
"""Routes requested so often that they are logged at debug level only."""

_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

_REQUEST_ID = web.RequestKey("request id", str)

_POLL_S = 0.25
"""How often a request that waits is checked for disconnection."""

Result = TypeVar("Result")

logger = logging.getLogger(__name__)


class RequestMetrics:
    """Request metrics by method, route and status; never by path, which is unbounded."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register the metrics."""
        self._requests = Counter(
            "sightline_http_requests",
            "HTTP requests handled.",
            ("method", "route", "status"),
            registry=registry,
        )
        self._seconds = Histogram(
            "sightline_http_request_duration_seconds",
            "Time from the headers of an HTTP request to the end of its response.",
            ("route",),
            buckets=_BUCKETS_S,
            registry=registry,
        )

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request that was handled."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)


REQUEST_METRICS = web.AppKey("request metrics", RequestMetrics)


@web.middleware
async def request_log_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Assign a request id to all log lines of the request; log and count the request itself."""
    request[_REQUEST_ID] = _request_id(request)
    bind_log_context(request=request[_REQUEST_ID])
    start, status = time.perf_counter(), CLIENT_CLOSED
    try:
        response = await handler(request)
        status = response.status
        return response
    except web.HTTPException as redirect:
        status = redirect.status
        raise
    finally:
        _record(request, status, time.perf_counter() - start)


async def add_request_id_header(request: web.Request, response: web.StreamResponse) -> None:
    """Return the request id in `X-Request-ID`, so that clients can refer to the log."""
    if request_id := request.get(_REQUEST_ID):
        response.headers[_HEADER] = request_id


def _request_id(request: web.Request) -> str:
    """Return the id set by a trusted proxy, or a new one."""
    given = request.headers.get(_HEADER, "")
    trusted = is_within(request.remote or "", request.app[LIMITS].settings.proxies)
    return given if trusted and _ID.fullmatch(given) else secrets.token_hex(_ID_BYTES)


def _record(request: web.Request, status: int, seconds: float) -> None:
    resource = request.match_info.route.resource
    route = resource.canonical if resource else _UNKNOWN
    method = request.method if request.method in _METHODS else _UNKNOWN
    request.app[REQUEST_METRICS].count(method, route, status, seconds)
    fields = {
        "method": method,
        "route": route,
        "status": status,
        "ms": round(seconds * 1e3, 1),
        "address": address_of(request),
    }
    level = logging.DEBUG if route.startswith(_FREQUENT) else logging.INFO
    message = "%(method)s %(route)s %(status)s in %(ms)s ms for %(address)s"
    logger.log(level, message, fields, extra={"fields": fields})


async def until_disconnected(request: web.Request, work: Coroutine[Any, Any, Result]) -> Result:
    """Wait for work, and cancel it if nobody waits for its result any more.

    Raises:
        ConnectionResetError: If the client has left.
    """
    task = asyncio.create_task(work)
    try:
        while not (await asyncio.wait({task}, timeout=_POLL_S))[0]:
            if request.transport is None or request.transport.is_closing():
                raise ConnectionResetError
        return task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


_LOG_LINES_PER_S = 1 / 60


def install_expect_handler() -> None:
    """Check the Expect header (RFC 9110, section 10.1.1) of every route added from now on.

    `body_middleware` sends 100 Continue, once it is certain that the body will be read.
    """
    aiohttp.web_urldispatcher._default_expect_handler = _handle_expect


def filter_malformed_request_log() -> None:
    """Add `MalformedRequestFilter` to aiohttp's logger, once per process."""
    logger = logging.getLogger("aiohttp.server")
    if not any(isinstance(each, MalformedRequestFilter) for each in logger.filters):
        logger.addFilter(MalformedRequestFilter())


class MalformedRequestFilter(logging.Filter):
    """Log malformed requests as one rate-limited line each, since any client can send many."""

    def __init__(self) -> None:
        """Start with a count of zero."""
        super().__init__()
        self._rate_limit = RateLimit(_LOG_LINES_PER_S)
        self._count = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Shorten records about malformed requests; pass all others unchanged."""
        error = record.exc_info[1] if record.exc_info else None
        if not isinstance(error, HttpProcessingError | web.RequestPayloadError):
            return True
        self._count += 1
        record.levelno, record.levelname = logging.INFO, "INFO"
        record.msg, record.args = "malformed request (%d so far)", (self._count,)
        record.exc_info = record.exc_text = None
        return self._rate_limit.take()


async def _handle_expect(request: web.Request) -> None:
    if request.version != HttpVersion11:
        return
    if request.headers.get("Expect", "").lower() != "100-continue":
        raise web.HTTPExpectationFailed(text="the only supported Expect value is 100-continue")
