"""`/whep/NAME`: a player watches a feed or a published session (WHEP, draft-ietf-wish-whep-03).

Its captions are in the video, and at /api/feeds/NAME/events.
"""

from aiohttp import web

from stream.offer import InputKind
from web.doors import sdp_exchange
from web.doors.sdp_exchange import BEGUN, NAMED
from web.locks.access import public

_PATH = "/whep"


def routes() -> list[web.AbstractRouteDef]:
    """`/whep/NAME`, and the sessions that begin there."""
    return [
        web.post(_PATH + NAMED, _watch),
        web.options(_PATH + NAMED, _options),
        web.patch(_PATH + BEGUN, _trickle),
        web.delete(_PATH + BEGUN, _end),
        web.options(_PATH + BEGUN, _options),
    ]


async def _watch(request: web.Request) -> web.Response:
    return await sdp_exchange.begin(request, InputKind.FEED)


async def _trickle(request: web.Request) -> web.Response:
    return await sdp_exchange.trickle(request, InputKind.FEED)


async def _end(request: web.Request) -> web.Response:
    return await sdp_exchange.end(request, InputKind.FEED)


@public
async def _options(request: web.Request) -> web.Response:
    return sdp_exchange.options(request)
