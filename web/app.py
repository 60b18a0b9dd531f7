"""The HTTP application: its middlewares, background services and routes."""

from aiohttp import web
from prometheus_client import CollectorRegistry

from inference.engine import CaptionService
from web.background import install_services
from web.cluster import peer_middleware
from web.errors import error_middleware
from web.keys import METRICS_REGISTRY, SETTINGS
from web.page import not_found_middleware, page_routes, security_headers
from web.requests import (
    REQUEST_METRICS,
    RequestMetrics,
    add_request_id_header,
    filter_malformed_request_log,
    install_expect_handler,
    request_log_middleware,
)
from web.routes import api_routes, install_metrics
from web.security import (
    ACCESS,
    ALLOWED_HOSTS,
    LIMITS,
    AccessControl,
    AllowedHosts,
    Limits,
    access_middleware,
    add_cross_origin_headers,
    body_middleware,
    close_unread_connection,
    limits_middleware,
    origin_middleware,
)
from web.settings import ServerSettings

_BODY_OVERHEAD = 4096
"""Bytes of a request body besides its SDP, before JSON escaping."""

MIDDLEWARES = (
    request_log_middleware,
    not_found_middleware,
    error_middleware,
    limits_middleware,
    origin_middleware,
    access_middleware,
    body_middleware,
    peer_middleware,
)
"""From the outermost to the innermost."""


def create_app(settings: ServerSettings, captions: CaptionService | None = None) -> web.Application:
    """Assemble the application; it starts its services when it starts, and stops them with itself.

    Args:
        settings: The server's settings.
        captions: The captioning service; None starts an engine of the application's own.
    """
    app = web.Application(
        middlewares=MIDDLEWARES,
        # JSON may take two bytes for a character of the SDP: each line break is escaped.
        client_max_size=2 * settings.stream.sdp_bytes + _BODY_OVERHEAD,
    )
    app[SETTINGS] = settings
    install_middlewares(app, settings)
    install_services(app, settings, captions)
    install_metrics(app)
    app.on_response_prepare.append(security_headers)
    app.add_routes([*api_routes(), *page_routes()])
    return app


def install_middlewares(app: web.Application, settings: ServerSettings) -> None:
    """Add the state and the signal handlers of `MIDDLEWARES` to an application."""
    app[METRICS_REGISTRY] = CollectorRegistry()
    app[REQUEST_METRICS] = RequestMetrics(app[METRICS_REGISTRY])
    app[ACCESS] = AccessControl(settings.access)
    app[LIMITS] = Limits(settings.limits)
    app[ALLOWED_HOSTS] = AllowedHosts(settings)
    filter_malformed_request_log()
    install_expect_handler()
    app.on_response_prepare.extend(
        (close_unread_connection, add_cross_origin_headers, add_request_id_header)
    )
