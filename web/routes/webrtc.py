"""WebRTC signaling: `/offer`, `/api/ice`, WHIP (RFC 9725) and WHEP (draft-ietf-wish-whep-03).

`POST /offer` exchanges SDP as JSON for the page. `/whip/NAME` lets an encoder publish a session
under a name; it gets neither video nor captions back, which are for viewers. `/whep/NAME` lets a
player watch a feed or a published session; its captions are in the video and at
`/api/feeds/NAME/events`. A WHIP or WHEP session has a URL: PATCH adds candidates, DELETE ends it.
"""

import json

from aiohttp import web

from stream.ice import (
    FragmentError,
    IceRestart,
    SdpFragment,
    ice_servers,
    ice_servers_to_json,
    ice_servers_to_links,
)
from stream.media import SessionHandle
from stream.publishing import RemoteStream
from stream.settings import validate_stream_name
from stream.webrtc import InputKind, Offer, SessionGone
from web.cluster import elsewhere_response
from web.errors import error_response
from web.keys import MEDIA, PUBLICATIONS, SETTINGS
from web.routes.admission import ADMISSION_ERRORS, admission_error_response, admit
from web.routes.query import check_parameters
from web.security import (
    ROLE,
    TICKET_PARAMETER,
    TICKETS,
    Role,
    admin_only,
    public,
    public_url_of,
)

_SDP = "application/sdp"
_FRAGMENT = "application/trickle-ice-sdpfrag"
_NAME = "/{name}"
_SESSION = "/{name}/{session}"
_WHIP = "/whip"
_WHEP = "/whep"


def routes() -> list[web.AbstractRouteDef]:
    """Return the routes of `/offer`, `/api/ice`, `/whip` and `/whep`."""
    return [
        web.post("/offer", _offer),
        web.get("/api/ice", _list_ice_servers),
        web.post(_WHIP + _NAME, _publish),
        web.options(_WHIP + _NAME, _options),
        web.patch(_WHIP + _SESSION, _add_publisher_candidates),
        web.delete(_WHIP + _SESSION, _stop_publishing),
        web.options(_WHIP + _SESSION, _options),
        web.post(_WHEP + _NAME, _watch),
        web.options(_WHEP + _NAME, _options),
        web.patch(_WHEP + _SESSION, _add_viewer_candidates),
        web.delete(_WHEP + _SESSION, _stop_watching),
        web.options(_WHEP + _SESSION, _options),
    ]


async def _offer(request: web.Request) -> web.Response:
    try:
        body = json.loads(await request.read())
    except (ValueError, RecursionError) as error:
        return error_response(400, "bad-json", f"the body is not JSON: {error}")
    try:
        offer = Offer.from_json(body, request.app[SETTINGS].stream.sdp_bytes)
        if elsewhere := _find_elsewhere(request, offer):
            return elsewhere_response(request, elsewhere)
        stream, answer = await admit(request, offer)
    except ADMISSION_ERRORS as error:
        return admission_error_response(error)
    return web.json_response({"sdp": answer.sdp, "type": answer.type, "stream": stream})


async def _list_ice_servers(request: web.Request) -> web.Response:
    servers = ice_servers_to_json(ice_servers(request.app[SETTINGS].ice))
    return web.json_response({"ice_servers": servers}, headers={"Cache-Control": "no-store"})


@admin_only
async def _publish(request: web.Request) -> web.Response:
    return await _start_session(request, InputKind.PEER)


@admin_only
async def _add_publisher_candidates(request: web.Request) -> web.Response:
    return await _add_candidates(request, InputKind.PEER)


@admin_only
async def _stop_publishing(request: web.Request) -> web.Response:
    return await _end_session(request, InputKind.PEER)


async def _watch(request: web.Request) -> web.Response:
    return await _start_session(request, InputKind.FEED)


async def _add_viewer_candidates(request: web.Request) -> web.Response:
    return await _add_candidates(request, InputKind.FEED)


async def _stop_watching(request: web.Request) -> web.Response:
    return await _end_session(request, InputKind.FEED)


@public
async def _options(request: web.Request) -> web.Response:
    if "session" in request.match_info:
        headers = {"Allow": "DELETE, OPTIONS, PATCH", "Accept-Patch": _FRAGMENT}
    else:
        headers = {"Allow": "OPTIONS, POST", "Accept-Post": _SDP}
    return web.Response(status=204, headers=headers)


async def _start_session(request: web.Request, source: InputKind) -> web.Response:
    """Handle POST of an offer: publish under the name in the path, or watch what has that name."""
    if rejected := _reject_content_type(request, _SDP) or _reject_accept(request):
        return rejected
    try:
        name = validate_stream_name(request.match_info["name"])
        sdp = (await request.read()).decode()
        if not sdp.strip():
            message = "the body must be an SDP offer; this server makes no offers itself"
            return error_response(400, "no-offer", message)
        offer = _parse_offer(request, sdp, source, name)
        if elsewhere := _find_elsewhere(request, offer):
            return elsewhere_response(request, elsewhere)
        session, answer = await admit(request, offer)
    except ADMISSION_ERRORS as error:
        return admission_error_response(error)
    except ValueError as error:
        # An invalid name or parameter, or a body that is not UTF-8.
        return error_response(400, "bad-request", str(error))
    headers = {
        # Without a charset, which some clients reject.
        "Content-Type": _SDP,
        "Location": _session_url(request, session),
        "ETag": _etag(session),
        "Accept-Patch": _FRAGMENT,
    }
    response = web.Response(status=201, body=answer.sdp.encode(), headers=headers)
    for link in ice_servers_to_links(ice_servers(request.app[SETTINGS].ice)):
        response.headers.add("Link", link)
    return response


async def _add_candidates(request: web.Request, source: InputKind) -> web.Response:
    """Handle PATCH with trickled ICE candidates (RFC 8840)."""
    if rejected := _reject_content_type(request, _FRAGMENT):
        return rejected
    try:
        session = _find_session(request, source)
        match = request.headers.get("If-Match")
        if match is None:
            return error_response(428, "no-if-match", "send the session's ETag in If-Match")
        if not {"*", _etag(session.id)} & {tag.strip() for tag in match.split(",")}:
            message = "If-Match does not contain the session's ETag"
            return error_response(412, "other-etag", message)
        await session.add_candidates(SdpFragment.parse((await request.read()).decode()))
    except SessionGone as error:
        return error_response(404, "not-found", str(error))
    except IceRestart as error:
        # RFC 9725, section 4.3, requires 422 of a server without ICE restarts.
        return error_response(422, "no-ice-restart", str(error))
    except (FragmentError, UnicodeDecodeError) as error:
        return error_response(400, "bad-fragment", str(error))
    return web.Response(status=204, headers={"ETag": _etag(session.id)})


async def _end_session(request: web.Request, source: InputKind) -> web.Response:
    """Handle DELETE of a session."""
    try:
        session = _find_session(request, source)
        await request.app[MEDIA].sessions.end(session.id, "the client ended the session")
    except SessionGone as error:
        return error_response(404, "not-found", str(error))
    return web.Response()


def _parse_offer(request: web.Request, sdp: str, source: InputKind, name: str) -> Offer:
    sdp_bytes = request.app[SETTINGS].stream.sdp_bytes
    if source is InputKind.FEED:
        check_parameters(request, "caption", TICKET_PARAMETER)
        caption = request.query.get("caption", "on")
        if caption not in ("on", "off"):
            raise ValueError("caption must be on or off")
        return Offer.from_sdp(sdp, source, sdp_bytes, feed=name, captioned=caption == "on")
    return Offer.from_sdp(sdp, source, sdp_bytes, publish=name, returns_video=False)


def _find_elsewhere(request: web.Request, offer: Offer) -> RemoteStream | None:
    """Return the stream that an offer asks to watch, if another server captions it."""
    if offer.input is not InputKind.FEED:
        return None
    stream = request.app[PUBLICATIONS].find(offer.feed)
    is_elsewhere = request.app[PUBLICATIONS].is_stand_in(stream)
    return stream if is_elsewhere and isinstance(stream, RemoteStream) else None


def _session_url(request: web.Request, session: str) -> str:
    """Return the URL of a session; a client that was sent here gets a ticket for it, too."""
    path = f"{request.path}/{session}"
    ticket = None
    if TICKET_PARAMETER in request.query and TICKETS in request.app:
        settings, role = request.app[SETTINGS].stream, request[ROLE] or Role.VIEWER
        ticket = request.app[TICKETS].issue(role, path, settings.session_s)
    query = f"?{TICKET_PARAMETER}={ticket}" if ticket else ""
    return f"{public_url_of(request).prefix}{path}{query}"


def _find_session(request: web.Request, source: InputKind) -> SessionHandle:
    """Return the session in the path; it must have been started under this very path."""
    session = request.app[MEDIA].sessions.find(request.match_info["session"])
    offer = session.offer
    if offer.input is not source or (offer.feed or offer.publish) != request.match_info["name"]:
        raise SessionGone("there is no such session at this path")
    return session


def _etag(session: str) -> str:
    """Return the entity tag of the ICE session; there is one, since ICE is never restarted."""
    return f'"{session[:8]}"'


def _reject_content_type(request: web.Request, expected: str) -> web.Response | None:
    if request.content_type == expected:
        return None
    return error_response(415, "bad-type", f"the request needs Content-Type: {expected}")


def _reject_accept(request: web.Request) -> web.Response | None:
    accepted = request.headers.get("Accept", "*/*").lower()
    if any(kind in accepted for kind in (_SDP, "application/*", "*/*")):
        return None
    return error_response(406, "bad-accept", f"the response is {_SDP}; allow it in Accept")
