"""Whether the server lives, and whether it captions."""

from aiohttp import web

from inference.engine import EngineState
from web.errors import error
from web.keys import CAPTIONS, SESSIONS
from web.locks.access import public


def routes() -> list[web.AbstractRouteDef]:
    """`/healthz` and `/readyz`."""
    return [web.get("/healthz", _alive), web.get("/readyz", _ready)]


@public
async def _alive(request: web.Request) -> web.Response:
    return web.json_response({"status": "ok", "sessions": len(request.app[SESSIONS])})


@public
async def _ready(request: web.Request) -> web.Response:
    captions = request.app[CAPTIONS]
    if captions.state is not EngineState.READY:
        return error(503, "not-ready", captions.message, {"Retry-After": "2"})
    return web.json_response({"status": "ready"})
