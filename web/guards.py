"""What stands between a request and its handler, from the outermost on."""

from aiohttp import web
from prometheus_client import CollectorRegistry

from web.errors import error_middleware
from web.locks.access import ACCESS, Access, access_middleware
from web.locks.expectations import meet_expectations
from web.locks.limits import LIMITS, Limits, body_middleware, limits_middleware
from web.locks.origin import HOSTS, Hosts, cors_headers, origin_middleware
from web.locks.unreadable_requests import mute_unreadable
from web.requests import REGISTRY, REQUEST_METRICS, RequestMetrics, name_request, request_middleware
from web.settings import ServerSettings

MIDDLEWARES = (
    request_middleware,
    error_middleware,
    limits_middleware,
    origin_middleware,
    access_middleware,
    body_middleware,
)


def install(app: web.Application, settings: ServerSettings) -> None:
    """Give an application with these middlewares what they go by."""
    app[REGISTRY] = CollectorRegistry()
    app[REQUEST_METRICS] = RequestMetrics(app[REGISTRY])
    app[ACCESS] = Access(settings.access, secure=settings.https.wanted)
    app[LIMITS] = Limits(settings.limits)
    app[HOSTS] = Hosts(settings)
    mute_unreadable()
    meet_expectations()
    app.on_response_prepare.extend((cors_headers, name_request))
