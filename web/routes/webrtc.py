"""What WHIP (RFC 9725) and WHEP (draft-ietf-wish-whep) have in common: HTTP around an SDP.

An offer is posted and answered by 201; what was begun has an address of its own, by which
candidates are added and by which it is ended.

`/whip/NAME`: an encoder publishes what it sends under a name (WHIP, RFC 9725).

It is sent neither video nor captions back: those are for who watches the name.

`/whep/NAME`: a player watches a feed or a published session (WHEP, draft-ietf-wish-whep-03).

Its captions are in the video, and at /api/feeds/NAME/events.

`POST /offer`: an SDP offer comes, an answer goes, and a session begins.

`GET /api/ice`: which ICE servers a client is to use, asked for before it makes its offer.
"""

import json

from aiohttp import web

from stream.ice import FragmentError, IceRestart, SdpFragment, as_json, as_links, ice_servers
from stream.settings import check_stream_name
from stream.webrtc import InputKind, Offer, Session, SessionGone
from web.errors import error
from web.keys import SESSIONS, SETTINGS
from web.routes.admission import REFUSALS, admit, refusal
from web.security import admin_only, public

_SDP = "application/sdp"
_FRAGMENT = "application/trickle-ice-sdpfrag"
_NAMED = "/{name}"
_BEGUN = "/{name}/{session}"
_WHIP = "/whip"
_WHEP = "/whep"


def routes() -> list[web.AbstractRouteDef]:
    """Return the routes of `/offer`, `/api/ice`, `/whip` and `/whep`."""
    return [
        web.post("/offer", _open_session),
        web.get("/api/ice", _ice),
        web.post(_WHIP + _NAMED, _publish),
        web.options(_WHIP + _NAMED, _options),
        web.patch(_WHIP + _BEGUN, _add_publisher_candidates),
        web.delete(_WHIP + _BEGUN, _stop_publishing),
        web.options(_WHIP + _BEGUN, _options),
        web.post(_WHEP + _NAMED, _watch),
        web.options(_WHEP + _NAMED, _options),
        web.patch(_WHEP + _BEGUN, _add_viewer_candidates),
        web.delete(_WHEP + _BEGUN, _stop_watching),
        web.options(_WHEP + _BEGUN, _options),
    ]


async def _begin(request: web.Request, source: InputKind) -> web.Response:
    """Answer `POST` of an offer: to publish under the path's name, or to watch what has it."""
    if unfit := _of_another_type(request, _SDP) or _wants_another_type(request):
        return unfit
    try:
        name = check_stream_name(request.match_info["name"])
        text = (await request.read()).decode()
        if not text.strip():
            return error(400, "no-offer", "post an SDP offer: this server makes none")
        offer = _offer(text, source, name, request.app[SETTINGS].stream.sdp_bytes)
        session, answer = await admit(request, offer)
    except REFUSALS as problem:
        return refusal(problem)
    except ValueError as problem:
        # A name that is none, or bytes that are not UTF-8.
        return error(400, "bad-request", str(problem))
    headers = {
        # Without a charset, which some clients do not expect.
        "Content-Type": _SDP,
        "Location": f"{request.path}/{session}",
        "ETag": _tag(session),
        "Accept-Patch": _FRAGMENT,
    }
    response = web.Response(status=201, body=answer.sdp.encode(), headers=headers)
    for link in as_links(ice_servers(request.app[SETTINGS].ice)):
        response.headers.add("Link", link)
    return response


async def _trickle(request: web.Request, source: InputKind) -> web.Response:
    """Answer `PATCH` of candidates."""
    if unfit := _of_another_type(request, _FRAGMENT):
        return unfit
    try:
        session = _find(request, source)
        match = request.headers.get("If-Match")
        if match is None:
            return error(428, "no-if-match", "name the session's ETag in If-Match")
        if not {"*", _tag(session.id)} & {tag.strip() for tag in match.split(",")}:
            return error(412, "other-etag", "If-Match names another ETag than the session's")
        await session.trickle(SdpFragment.parse((await request.read()).decode()))
    except SessionGone as problem:
        return error(404, "not-found", str(problem))
    except IceRestart as problem:
        # What RFC 9725, section 4.3, asks of a server that does not restart ICE.
        return error(422, "no-ice-restart", str(problem))
    except (FragmentError, UnicodeDecodeError) as problem:
        return error(400, "bad-fragment", str(problem))
    return web.Response(status=204, headers={"ETag": _tag(session.id)})


async def _end(request: web.Request, source: InputKind) -> web.Response:
    """Answer `DELETE`."""
    try:
        session = _find(request, source)
        await request.app[SESSIONS].end(session.id, "the client ended the session")
    except SessionGone as problem:
        return error(404, "not-found", str(problem))
    return web.Response()


@public
async def _options(request: web.Request) -> web.Response:
    """Answer `OPTIONS`: what can be posted or patched here."""
    if "session" in request.match_info:
        headers = {"Allow": "DELETE, OPTIONS, PATCH", "Accept-Patch": _FRAGMENT}
    else:
        headers = {"Allow": "OPTIONS, POST", "Accept-Post": _SDP}
    return web.Response(status=204, headers=headers)


def _offer(text: str, source: InputKind, name: str, sdp_bytes: int) -> Offer:
    if source is InputKind.FEED:
        return Offer.of(text, source, sdp_bytes, feed=name)
    return Offer.of(text, source, sdp_bytes, publish=name, returns=False)


def _find(request: web.Request, source: InputKind) -> Session:
    """Find the session that the path names, if it was begun at such a path."""
    session = request.app[SESSIONS].find(request.match_info["session"])
    offer = session.offer
    if offer.input is not source or (offer.feed or offer.publish) != request.match_info["name"]:
        raise SessionGone("there is no such session here")
    return session


def _tag(session: str) -> str:
    """Its one ICE session's entity tag, since ICE is not restarted."""
    return f'"{session[:8]}"'


def _of_another_type(request: web.Request, wanted: str) -> web.Response | None:
    if request.content_type == wanted:
        return None
    return error(415, "bad-type", f"send Content-Type: {wanted}")


def _wants_another_type(request: web.Request) -> web.Response | None:
    accepted = request.headers.get("Accept", "*/*").lower()
    if any(kind in accepted for kind in (_SDP, "application/*", "*/*")):
        return None
    return error(406, "bad-accept", f"the answer is {_SDP}: accept it")


@admin_only
async def _publish(request: web.Request) -> web.Response:
    return await _begin(request, InputKind.PEER)


@admin_only
async def _add_publisher_candidates(request: web.Request) -> web.Response:
    return await _trickle(request, InputKind.PEER)


@admin_only
async def _stop_publishing(request: web.Request) -> web.Response:
    return await _end(request, InputKind.PEER)


async def _watch(request: web.Request) -> web.Response:
    return await _begin(request, InputKind.FEED)


async def _add_viewer_candidates(request: web.Request) -> web.Response:
    return await _trickle(request, InputKind.FEED)


async def _stop_watching(request: web.Request) -> web.Response:
    return await _end(request, InputKind.FEED)


async def _open_session(request: web.Request) -> web.Response:
    try:
        body = json.loads(await request.read())
    except (ValueError, RecursionError) as problem:
        return error(400, "bad-json", f"the body is not JSON: {problem}")
    try:
        offer = Offer.read(body, request.app[SETTINGS].stream.sdp_bytes)
        stream, answer = await admit(request, offer)
    except REFUSALS as problem:
        return refusal(problem)
    return web.json_response({"sdp": answer.sdp, "type": answer.type, "stream": stream})


async def _ice(request: web.Request) -> web.Response:
    servers = as_json(ice_servers(request.app[SETTINGS].ice))
    return web.json_response({"ice_servers": servers}, headers={"Cache-Control": "no-store"})
