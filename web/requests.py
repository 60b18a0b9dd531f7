"""Each request from without: an id that all lines of the log about it carry, and its count.

Requests that expect something first (RFC 9110, section 10.1.1).

aiohttp answers before any middleware, and repeats what was expected: it fails at what is no text.

Requests that are no HTTP: aiohttp refuses them, and logs each as a failure of its own.
"""

import logging
import re
import secrets
import time

import aiohttp.web_urldispatcher
from aiohttp import HttpVersion11, web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler
from prometheus_client import CollectorRegistry, Counter, Histogram

from stream.context import log_as
from stream.rate_limit import RateLimit
from web.security import LIMITS, address_of, is_within

_HEADER = "X-Request-ID"
_ID = re.compile(r"[\w-]{1,64}", re.ASCII)
_ID_BYTES = 8
_GONE = 499
"""What is told when a client has gone before it was answered, as other servers do."""

_UNKNOWN = "unknown"
_METHODS = ("GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS", "PUT")
_ALL_THE_TIME = ("/static", "/healthz", "/readyz", "/metrics")
"""Asked for so often that a line each would bury the others."""

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

logger = logging.getLogger(__name__)

REGISTRY = web.AppKey("registry", CollectorRegistry)
"""What is measured of an application."""

_REQUEST_ID = web.RequestKey("request id", str)
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_TOLD_PER_S = 1 / 60


class RequestMetrics:
    """Counts requests by method, route and status: never by path, of which there are too many."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Count into a registry."""
        self._answered = Counter(
            "sightline_http_requests",
            "HTTP requests that were answered.",
            ("method", "route", "status"),
            registry=registry,
        )
        self._seconds = Histogram(
            "sightline_http_request_duration_seconds",
            "Time from the headers of an HTTP request to the end of its answer.",
            ("route",),
            buckets=_SECONDS,
            registry=registry,
        )

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        self._answered.labels(method, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)


REQUEST_METRICS = web.AppKey("request metrics", RequestMetrics)


@web.middleware
async def request_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give the request its id, and log and count it when it is answered."""
    request[_REQUEST_ID] = _id_of(request)
    log_as(request=request[_REQUEST_ID])
    begun, status = time.perf_counter(), _GONE
    try:
        response = await handler(request)
        status = response.status
        return response
    except web.HTTPException as redirection:
        status = redirection.status
        raise
    finally:
        _tell(request, status, time.perf_counter() - begun)


async def name_request(request: web.Request, response: web.StreamResponse) -> None:
    """Tell whoever asked under which id the log speaks of the request."""
    if identity := request.get(_REQUEST_ID):
        response.headers[_HEADER] = identity


def _tell(request: web.Request, status: int, seconds: float) -> None:
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
    level = logging.DEBUG if route.startswith(_ALL_THE_TIME) else logging.INFO
    told = "%(method)s %(route)s %(status)s in %(ms)s ms for %(address)s"
    logger.log(level, told, fields, extra={"fields": fields})


def _id_of(request: web.Request) -> str:
    """Take the id that a trusted proxy gave the request, or make one."""
    given = request.headers.get(_HEADER, "")
    trusted = is_within(request.remote or "", request.app[LIMITS].settings.proxies)
    return given if trusted and _ID.fullmatch(given) else secrets.token_hex(_ID_BYTES)


async def _meet(request: web.Request) -> None:
    if request.version != HttpVersion11:
        return
    if request.headers.get("Expect", "").lower() != "100-continue":
        raise web.HTTPExpectationFailed(text="nothing but 100-continue can be expected")
    await request.writer.write(_CONTINUE)
    # As aiohttp has it: the answer itself has not begun.
    request.writer.output_size = 0


def meet_expectations() -> None:
    """Let every route that is made from now on answer what a request expects."""
    aiohttp.web_urldispatcher._default_expect_handler = _meet


class UnreadableRequests(logging.Filter):
    """Has the log tell of them in a line, a few a minute: anybody may send any number."""

    def __init__(self) -> None:
        """Begin with none."""
        super().__init__()
        self._told = RateLimit(_TOLD_PER_S)
        self._count = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Let everything else pass as it is."""
        problem = record.exc_info[1] if record.exc_info else None
        if not isinstance(problem, HttpProcessingError | web.RequestPayloadError):
            return True
        self._count += 1
        record.levelno, record.levelname = logging.INFO, "INFO"
        record.msg, record.args = "a request could not be read (%d so far)", (self._count,)
        record.exc_info = record.exc_text = None
        return self._told.take()


def mute_unreadable() -> None:
    """Filter what aiohttp logs in this process."""
    logger = logging.getLogger("aiohttp.server")
    if not any(isinstance(each, UnreadableRequests) for each in logger.filters):
        logger.addFilter(UnreadableRequests())
