"""What WHIP (RFC 9725) and WHEP (draft-ietf-wish-whep) have in common: HTTP around an SDP.

An offer is posted and answered by 201; what was begun has an address of its own, by which
candidates are added and by which it is ended.
"""

from aiohttp import web

from stream.ice_servers import as_links, ice_servers
from stream.offer import InputKind, Offer
from stream.sdp_fragment import FragmentError, IceRestart, SdpFragment
from stream.session import Session
from stream.sessions import SessionGone
from stream.stream_name import check_stream_name
from web.errors import error
from web.keys import SESSIONS, SETTINGS
from web.locks.admission import REFUSALS, admit, refusal

SDP = "application/sdp"
FRAGMENT = "application/trickle-ice-sdpfrag"
NAMED = "/{name}"
BEGUN = "/{name}/{session}"


async def begin(request: web.Request, source: InputKind) -> web.Response:
    """Answer `POST` of an offer: to publish under the path's name, or to watch what has it."""
    if unfit := _of_another_type(request, SDP) or _wants_another_type(request):
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
        "Content-Type": SDP,
        "Location": f"{request.path}/{session}",
        "ETag": _tag(session),
        "Accept-Patch": FRAGMENT,
    }
    response = web.Response(status=201, body=answer.sdp.encode(), headers=headers)
    for link in as_links(ice_servers(request.app[SETTINGS].ice)):
        response.headers.add("Link", link)
    return response


async def trickle(request: web.Request, source: InputKind) -> web.Response:
    """Answer `PATCH` of candidates."""
    if unfit := _of_another_type(request, FRAGMENT):
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


async def end(request: web.Request, source: InputKind) -> web.Response:
    """Answer `DELETE`."""
    try:
        session = _find(request, source)
        await request.app[SESSIONS].end(session.id, "the client ended the session")
    except SessionGone as problem:
        return error(404, "not-found", str(problem))
    return web.Response()


def options(request: web.Request) -> web.Response:
    """Answer `OPTIONS`: what can be posted or patched here."""
    if "session" in request.match_info:
        headers = {"Allow": "DELETE, OPTIONS, PATCH", "Accept-Patch": FRAGMENT}
    else:
        headers = {"Allow": "OPTIONS, POST", "Accept-Post": SDP}
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
    if any(kind in accepted for kind in (SDP, "application/*", "*/*")):
        return None
    return error(406, "bad-accept", f"the answer is {SDP}: accept it")
