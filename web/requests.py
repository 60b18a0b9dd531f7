"""Each request from without: an id that all lines of the log about it carry, and its count."""

import logging
import re
import secrets
import time

from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client import CollectorRegistry, Counter, Histogram

from stream.log_context import log_as
from web.locks.client_address import address_of, is_within
from web.locks.limits import LIMITS

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


REGISTRY = web.AppKey("registry", CollectorRegistry)
"""What is measured of an application."""
REQUEST_METRICS = web.AppKey("request metrics", RequestMetrics)
_REQUEST_ID = web.RequestKey("request id", str)


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
