"""`/api/captioner`: which captioner runs, where it comes from and what it can do."""

from aiohttp import web

from stream.data_channel import model_json, source_json
from web.keys import CAPTIONS, SETTINGS


def routes() -> list[web.AbstractRouteDef]:
    """Return the route of the captioner."""
    return [web.get("/api/captioner", _get_captioner)]


async def _get_captioner(request: web.Request) -> web.Response:
    captions, reference = request.app[CAPTIONS], request.app[SETTINGS].captioner
    model = captions.info and model_json(captions.info)
    body = {
        "state": captions.state.value,
        "message": captions.message,
        # Known before the captioner is loaded: a page states it before it opens a camera.
        "source": model["source"] if model else source_json(reference, reference.revision),
        "model": model,
    }
    return web.json_response(body, headers={"Cache-Control": "no-store"})
