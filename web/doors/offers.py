"""`POST /offer`: an SDP offer comes, an answer goes, and a session begins."""

import json

from aiohttp import web

from stream.offer import Offer
from web.errors import error
from web.keys import SETTINGS
from web.locks.admission import REFUSALS, admit, refusal


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
        stream, answer = await admit(request, offer)
    except REFUSALS as problem:
        return refusal(problem)
    return web.json_response({"sdp": answer.sdp, "type": answer.type, "stream": stream})
