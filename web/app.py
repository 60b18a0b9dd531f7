"""The HTTP application: the page, and the doors through which sessions and programs come.

What stands between a request and its handler, from the outermost on.

What goes on behind the doors of captions: who reads, what is kept, and who is sent them.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

from aiohttp import web
from prometheus_client import CollectorRegistry

from inference.engine import CaptionService, Engine
from stream.context import Surroundings
from stream.feeds import Feeds
from stream.history import History
from stream.publishing import Publications, RecentSpans
from stream.publishing.sinks import Mqtt, Webhook
from stream.webrtc import Sessions
from web.errors import error_middleware
from web.keys import (
    CAPTIONS,
    ENGINE,
    FEEDS,
    HISTORY,
    MQTT,
    PUBLICATIONS,
    RECENT,
    SESSIONS,
    SETTINGS,
    SURROUNDINGS,
    WEBHOOK,
)
from web.page import page_routes, security_headers
from web.requests import (
    REGISTRY,
    REQUEST_METRICS,
    RequestMetrics,
    meet_expectations,
    mute_unreadable,
    name_request,
    request_middleware,
)
from web.routes import analyses, api, feeds, history, login, metrics, webrtc
from web.routes import captions as captions_routes
from web.routes.subscribers import READERS, Readers
from web.security import (
    ACCESS,
    HOSTS,
    LIMITS,
    Access,
    Hosts,
    Limits,
    access_middleware,
    body_middleware,
    cors_headers,
    limits_middleware,
    origin_middleware,
)
from web.settings import ServerSettings

_BODY_OVERHEAD = 4096
"""What a request may have besides its SDP, before JSON's escapes."""

MIDDLEWARES = (
    request_middleware,
    error_middleware,
    limits_middleware,
    origin_middleware,
    access_middleware,
    body_middleware,
)

_AGAIN_S = 10.0

logger = logging.getLogger(__name__)


def create_app(settings: ServerSettings, captions: CaptionService | None = None) -> web.Application:
    """Assemble the application; it starts all that it needs, and ends all with itself.

    Args:
        settings: Of the server.
        captions: What captions; an engine of the application's own when None.
    """
    app = web.Application(
        middlewares=MIDDLEWARES,
        # Each character of an SDP may take two bytes as JSON: a line's end does.
        client_max_size=2 * settings.stream.sdp_bytes + _BODY_OVERHEAD,
    )
    app[SETTINGS] = settings
    install_middlewares(app, settings)
    if captions is None:
        captions = app[ENGINE] = Engine(
            settings.captioner, precision=settings.precision, standby=settings.keeps_standby
        )
        app.cleanup_ctx.append(_engine)
    app[CAPTIONS] = captions
    app.cleanup_ctx.append(_surroundings)
    app[SURROUNDINGS] = Surroundings.prepare(settings.stream, captions, settings.host, settings.ice)
    app[PUBLICATIONS] = Publications()
    app[SESSIONS] = Sessions(app[SURROUNDINGS], app[PUBLICATIONS])
    app[FEEDS] = Feeds(app[SURROUNDINGS], app[PUBLICATIONS])
    _install_background(app, settings)
    metrics.install(app)
    app.cleanup_ctx.append(_feeds)
    app.on_response_prepare.append(security_headers)
    app.on_shutdown.append(_end_sessions)
    for part in (login, webrtc, analyses, feeds, captions_routes, history, metrics, api):
        app.add_routes(part.routes())
    app.add_routes(page_routes())
    return app


async def _engine(app: web.Application) -> AsyncIterator[None]:
    app[ENGINE].start()
    yield
    await app[ENGINE].stop()


async def _surroundings(app: web.Application) -> AsyncIterator[None]:
    measuring = asyncio.create_task(app[SURROUNDINGS].load.run(), name="load")
    yield
    measuring.cancel()
    await app[SURROUNDINGS].close()


async def _feeds(app: web.Application) -> AsyncIterator[None]:
    await app[FEEDS].reload(app[SETTINGS].feeds)
    yield
    await app[FEEDS].close()


async def _end_sessions(app: web.Application) -> None:
    await app[SESSIONS].close()


def install_middlewares(app: web.Application, settings: ServerSettings) -> None:
    """Give an application with these middlewares what they go by."""
    app[REGISTRY] = CollectorRegistry()
    app[REQUEST_METRICS] = RequestMetrics(app[REGISTRY])
    app[ACCESS] = Access(settings.access, secure=settings.https.wanted)
    app[LIMITS] = Limits(settings.limits)
    app[HOSTS] = Hosts(settings)
    mute_unreadable()
    meet_expectations()
    app.on_response_prepare.extend((cors_headers, name_request))


def _install_background(app: web.Application, settings: ServerSettings) -> None:
    """Give an application with publications what its doors need; before its feeds begin.

    Raises:
        MqttMissing: If MQTT is wanted and not installed.
    """
    app[READERS] = Readers(settings.doors)
    app[RECENT] = RecentSpans(app[PUBLICATIONS])
    app.on_shutdown.append(_end_readers)
    if settings.history.path:
        app[HISTORY] = History(settings.history)
        app.cleanup_ctx.append(_history)
    if settings.webhook.url:
        app[WEBHOOK] = Webhook(settings.webhook)
    if settings.mqtt.host:
        app[MQTT] = Mqtt(settings.mqtt)
    app.cleanup_ctx.append(_outlets)


async def _end_readers(app: web.Application) -> None:
    await app[READERS].close()


async def _history(app: web.Application) -> AsyncIterator[None]:
    """Keep captions; raises HistoryError at the start if that cannot be."""
    history = app[HISTORY]
    await history.open()
    captions = app[PUBLICATIONS].captions
    keeping = asyncio.create_task(_keep_going("history", lambda: history.keep(captions)))
    yield
    keeping.cancel()
    await asyncio.wait({keeping})
    await history.close()


async def _outlets(app: web.Application) -> AsyncIterator[None]:
    publications = app[PUBLICATIONS]
    tasks = set()
    if WEBHOOK in app:
        webhook = app[WEBHOOK]
        tasks.add(_keep_going("webhook", lambda: webhook.run(publications.captions)))
    if MQTT in app:
        mqtt = app[MQTT]
        tasks.add(_keep_going("mqtt", lambda: mqtt.run(publications)))
    running = [asyncio.create_task(task) for task in tasks]
    yield
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


async def _keep_going(name: str, work: Callable[[], Awaitable[None]]) -> None:
    """Begin again after what was not foreseen: it must not be the end for weeks."""
    while True:
        try:
            await work()
        except Exception:
            logger.exception("%s failed, and begins again in %g s", name, _AGAIN_S)
        await asyncio.sleep(_AGAIN_S)
