"""The HTTP application: the page, and the door through which sessions come."""

from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import web

from inference.engine import Engine
from inference.quantized import Precision
from stream.sessions import Sessions
from stream.settings import StreamSettings
from web import analyses, health, offers, pictures
from web.errors import error_middleware
from web.keys import ENGINE, HOST, SESSIONS, SETTINGS
from web.origin import origin_middleware
from web.page import page_routes, security_headers

_BODY_OVERHEAD = 4096
"""What a request may have besides its SDP, before JSON's escapes."""


def create_app(
    settings: StreamSettings, captioner: Path, host: str, precision: Precision = "float32"
) -> web.Application:
    """Assemble the application; it starts the engine and ends all with itself.

    Args:
        settings: The bounds of sessions.
        captioner: The folder of the captioner to run.
        host: The address that the server is bound to.
        precision: What the captioner's encoder computes in.
    """
    app = web.Application(
        middlewares=[error_middleware, origin_middleware],
        # Each character of an SDP may take two bytes as JSON: a line's end does.
        client_max_size=2 * settings.sdp_bytes + _BODY_OVERHEAD,
    )
    app[SETTINGS] = settings
    app[HOST] = host
    app[ENGINE] = Engine(captioner, precision=precision)
    app[SESSIONS] = Sessions(settings, app[ENGINE], host)
    app.on_response_prepare.append(security_headers)
    app.on_shutdown.append(_end_sessions)
    app.cleanup_ctx.append(_engine)
    for part in (offers, pictures, analyses, health):
        app.add_routes(part.routes())
    app.add_routes(page_routes())
    return app


async def _engine(app: web.Application) -> AsyncIterator[None]:
    app[ENGINE].start()
    yield
    await app[ENGINE].stop()


async def _end_sessions(app: web.Application) -> None:
    await app[SESSIONS].close()
