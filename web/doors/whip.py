"""`/whip/NAME`: an encoder publishes what it sends under a name (WHIP, RFC 9725).

It is sent neither video nor captions back: those are for who watches the name.
"""

from aiohttp import web

from stream.offer import InputKind
from web.doors import sdp_exchange
from web.doors.sdp_exchange import BEGUN, NAMED
from web.locks.access import admin_only, public

_PATH = "/whip"


def routes() -> list[web.AbstractRouteDef]:
    """`/whip/NAME`, and the sessions that begin there."""
    return [
        web.post(_PATH + NAMED, _publish),
        web.options(_PATH + NAMED, _options),
        web.patch(_PATH + BEGUN, _trickle),
        web.delete(_PATH + BEGUN, _end),
        web.options(_PATH + BEGUN, _options),
    ]


@admin_only
async def _publish(request: web.Request) -> web.Response:
    return await sdp_exchange.begin(request, InputKind.PEER)


@admin_only
async def _trickle(request: web.Request) -> web.Response:
    return await sdp_exchange.trickle(request, InputKind.PEER)


@admin_only
async def _end(request: web.Request) -> web.Response:
    return await sdp_exchange.end(request, InputKind.PEER)


@public
async def _options(request: web.Request) -> web.Response:
    return sdp_exchange.options(request)
