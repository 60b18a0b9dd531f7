"""The HTTP application: the page, and the doors through which sessions and programs come."""

import asyncio
from collections.abc import AsyncIterator

from aiohttp import web

from inference.engine import Engine
from stream.caption_service import CaptionService
from stream.feeds.feeds import Feeds
from stream.publications import Publications
from stream.sessions import Sessions
from stream.surroundings import Surroundings
from web import guards
from web.doors import (
    analyses,
    api,
    behind,
    events,
    feeds,
    history,
    ice,
    live_captions,
    offers,
    pictures,
    whep,
    whip,
)
from web.keys import CAPTIONS, ENGINE, FEEDS, PUBLICATIONS, SESSIONS, SETTINGS, SURROUNDINGS
from web.locks import login
from web.operation import health, metrics
from web.page import page_routes, security_headers
from web.settings import ServerSettings

_BODY_OVERHEAD = 4096
"""What a request may have besides its SDP, before JSON's escapes."""


def create_app(settings: ServerSettings, captions: CaptionService | None = None) -> web.Application:
    """Assemble the application; it starts all that it needs, and ends all with itself.

    Args:
        settings: Of the server.
        captions: What captions; an engine of the application's own when None.
    """
    app = web.Application(
        middlewares=guards.MIDDLEWARES,
        # Each character of an SDP may take two bytes as JSON: a line's end does.
        client_max_size=2 * settings.stream.sdp_bytes + _BODY_OVERHEAD,
    )
    app[SETTINGS] = settings
    guards.install(app, settings)
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
    behind.install(app, settings)
    metrics.install(app)
    app.cleanup_ctx.append(_feeds)
    app.on_response_prepare.append(security_headers)
    app.on_shutdown.append(_end_sessions)
    for part in (
        login,
        ice,
        offers,
        pictures,
        analyses,
        health,
        feeds,
        events,
        live_captions,
        history,
        whip,
        whep,
        metrics,
        api,
    ):
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
