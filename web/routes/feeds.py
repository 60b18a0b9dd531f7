"""`/api/feeds`: feeds and published sessions, their state, latest frames, and links as QR codes."""

import asyncio
from typing import Any

import cv2
import numpy as np
from aiohttp import web

from stream.captioning import FrameNotFound, feed_caption_json
from stream.history import BadQuery
from stream.publishing import NoSuchStream, PublishedStream
from web.errors import error_response
from web.keys import HISTORY, PUBLICATIONS
from web.routes.query import check_parameters
from web.security import TICKET_PARAMETER, embeddable, public_url_of

NAME = r"{name:[a-z0-9][a-z0-9_-]{0,39}}"
"""The path variable of a feed's name."""

_MAX_LINK = 300
"""Characters of a link that a QR code is drawn of: more would be too fine for a camera."""

_QUIET_ZONE = 2
"""Modules to add around a QR code of OpenCV, which has two of the four of ISO/IEC 18004."""

_HEADERS = {"Cache-Control": "no-store", "Cross-Origin-Resource-Policy": "same-origin"}


def routes() -> list[web.AbstractRouteDef]:
    """Return the routes of the feed list, each feed, and its frame."""
    return [
        web.get("/api/feeds", _list_feeds),
        web.get(f"/api/feeds/{NAME}", _get_feed),
        web.get(f"/api/feeds/{NAME}/picture", _get_frame),
        web.get(f"/api/feeds/{NAME}/qr.svg", _get_qr_code),
    ]


def find_feed(request: web.Request) -> PublishedStream:
    """Return the stream that the path names.

    Raises:
        NoSuchStream: If no feed or published session has this name.
    """
    return request.app[PUBLICATIONS].find(request.match_info["name"])


def no_such_feed_response(error: NoSuchStream) -> web.Response:
    """Build the response for a feed that does not exist."""
    return error_response(404, "no-such-feed", str(error), _HEADERS)


async def _list_feeds(request: web.Request) -> web.Response:
    streams = request.app[PUBLICATIONS].all()
    body = {
        "feeds": [_to_json(request, stream) for stream in streams],
        "history": HISTORY in request.app,
        "pictures": _stores_pictures(request.app),
    }
    return web.json_response(body, headers=_HEADERS)


async def _get_feed(request: web.Request) -> web.Response:
    try:
        stream = find_feed(request)
    except NoSuchStream as error:
        return no_such_feed_response(error)
    return web.json_response(_to_json(request, stream), headers=_HEADERS)


@embeddable
async def _get_frame(request: web.Request) -> web.Response:
    try:
        stream = find_feed(request)
        if TICKET_PARAMETER in request.query and request.app[PUBLICATIONS].is_stand_in(stream):
            # Another server asks, which must not be asked in turn.
            raise FrameNotFound("this server does not caption the feed any more")
        jpeg = await stream.picture()
    except NoSuchStream as error:
        return no_such_feed_response(error)
    except FrameNotFound as error:
        return error_response(404, "gone", str(error), _HEADERS)
    return web.Response(body=jpeg, content_type="image/jpeg", headers=_HEADERS)


async def _get_qr_code(request: web.Request) -> web.Response:
    url, scheme = public_url_of(request), request.query.get("scheme", request.scheme)
    try:
        check_parameters(request, "scheme")
        if scheme not in ("http", "https"):
            raise BadQuery("scheme must be http or https")
        name = find_feed(request).name
    except NoSuchStream as error:
        return no_such_feed_response(error)
    except BadQuery as error:
        return error_response(400, "bad-request", str(error), _HEADERS)
    link = f"{url.scheme or scheme}://{url.host}{url.prefix}/?feed={name}"
    if not url.host_name or len(link) > _MAX_LINK:
        message = "the request's Host is missing, malformed or too long; send the server's own"
        return error_response(400, "bad-host", message, _HEADERS)
    svg = await asyncio.to_thread(_draw_qr_code, link)
    return web.Response(text=svg, content_type="image/svg+xml", headers=_HEADERS)


def _draw_qr_code(text: str) -> str:
    """Return a QR code (ISO/IEC 18004) as SVG, black on white in every colour scheme."""
    modules = np.asarray(cv2.QRCodeEncoder.create().encode(text)) == 0
    modules = np.pad(modules, _QUIET_ZONE)
    side = len(modules)
    dark = "".join(f"M{x} {y}h1v1h-1z" for y, x in np.argwhere(modules))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {side} {side}" '
        f'shape-rendering="crispEdges"><path fill="#fff" d="M0 0h{side}v{side}H0z"/>'
        f'<path d="{dark}"/></svg>'
    )


def _to_json(request: web.Request, stream: PublishedStream) -> dict[str, Any]:
    app, prefix = request.app, public_url_of(request).prefix
    path = f"{prefix}/api/feeds/{stream.name}"
    caption = stream.latest_caption
    return {
        "name": stream.name,
        "title": stream.title,
        "kind": stream.kind,
        "signal": stream.signal.to_json(),
        "interval_s": stream.interval_s,
        "explanations": stream.explanations,
        "viewers": stream.viewers,
        "caption": feed_caption_json(caption) if caption else None,
        "history": HISTORY in app,
        "pictures": stream.kind == "feed" and _stores_pictures(app),
        "links": {
            "events": f"{path}/events",
            "captions": f"{path}/captions.jsonl",
            "subtitles": f"{path}/captions.vtt",
            "whep": f"{prefix}/whep/{stream.name}",
            "picture": f"{path}/picture",
        },
    }


def _stores_pictures(app: web.Application) -> bool:
    history = app.get(HISTORY)
    return history is not None and history.settings.pictures != "off"
