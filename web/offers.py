"""`POST /offer`: an SDP offer comes, an answer goes, and a session begins."""

import json

from aiohttp import web

from stream.offer import Offer, OfferError
from stream.publications import NameTaken, NoSuchStream
from stream.sessions import ServerFull
from web.errors import error
from web.keys import SESSIONS, SETTINGS

_STATUS = {"too-large": 413}


def routes() -> list[web.AbstractRouteDef]:
    """`/offer`."""
    return [web.post("/offer", _offer)]


async def _offer(request: web.Request) -> web.Response:
    try:
        body = json.loads(await request.read())
    except (ValueError, RecursionError) as problem:
        return error(400, "bad-json", f"the body is not JSON: {problem}")
    try:
        offer = Offer.read(body, request.app[SETTINGS].stream.sdp_bytes)
        stream, answer = await request.app[SESSIONS].accept(offer)
    except OfferError as problem:
        return error(_STATUS.get(problem.code, 400), problem.code, str(problem))
    except NoSuchStream as problem:
        return error(404, "not-found", str(problem))
    except NameTaken as problem:
        return error(409, "name-taken", str(problem))
    except ServerFull as problem:
        retry = {"Retry-After": str(problem.retry_after_s)}
        return error(503, "server-full", f"{problem}; try again later", retry)
    return web.json_response({"sdp": answer.sdp, "type": answer.type, "stream": stream})
