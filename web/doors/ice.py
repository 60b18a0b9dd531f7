"""`GET /api/ice`: which ICE servers a client is to use, asked for before it makes its offer."""

from aiohttp import web

from stream.ice_servers import as_json, ice_servers
from web.keys import SETTINGS


def routes() -> list[web.AbstractRouteDef]:
    """`/api/ice`."""
    return [web.get("/api/ice", _ice)]


async def _ice(request: web.Request) -> web.Response:
    servers = as_json(ice_servers(request.app[SETTINGS].ice))
    return web.json_response({"ice_servers": servers}, headers={"Cache-Control": "no-store"})
