"""`/v1`: captions of images in the format of the OpenAI API, for programs that use that API."""

import json
import time
from typing import Any

from aiohttp import web

from inference.engine import EngineInfo, EngineUnavailable
from stream.image_captions import ImageCaptions
from stream.quota import Owner, QuotaExceeded
from stream.sources import SourceError
from web.completions import Completion, CompletionRequest, RequestError
from web.errors import OPENAI_PATH, error_response
from web.keys import CAPTIONS, IMAGE_CAPTIONS
from web.requests import until_disconnected
from web.security import captions_only, owner_of, read_image_body, reads_image_body

_ALIAS = "sightline"
"""Any captioner answers to this name."""

_STARTED = int(time.time())
_HEADERS = {"Cache-Control": "no-store"}
_EVENT_HEADERS = {**_HEADERS, "Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
_DONE = "data: [DONE]\n\n"
_RETRY_S = 2


def routes() -> list[web.AbstractRouteDef]:
    """Return the routes of chat completions and of the list of models."""
    return [
        web.post(f"{OPENAI_PATH}chat/completions", _complete),
        web.get(f"{OPENAI_PATH}models", _list_models),
        web.get(OPENAI_PATH + r"models/{model:.+}", _get_model),
    ]


class _NoSuchModel(Exception):
    """The server has no model of this name."""


@captions_only
async def _list_models(request: web.Request) -> web.Response:
    try:
        models = [_model_json(_captioner(request))]
    except EngineUnavailable as error:
        return _unavailable_response(error)
    return web.json_response({"object": "list", "data": models}, headers=_HEADERS)


@captions_only
async def _get_model(request: web.Request) -> web.Response:
    try:
        model = _find_model(request, request.match_info["model"])
    except EngineUnavailable as error:
        return _unavailable_response(error)
    except _NoSuchModel as error:
        return error_response(404, "model-not-found", str(error), param="model")
    return web.json_response(_model_json(model), headers=_HEADERS)


@captions_only
@reads_image_body
async def _complete(request: web.Request) -> web.StreamResponse:
    captions, owner = request.app[IMAGE_CAPTIONS], owner_of(request)
    try:
        with captions.admit(owner):
            body = await read_image_body(request)
            completion = await until_disconnected(request, _caption(request, captions, owner, body))
    except RequestError as error:
        return error_response(400, "invalid-request", str(error), param=error.param)
    except SourceError as error:
        return error_response(400, "invalid-image", str(error), param="messages")
    except _NoSuchModel as error:
        return error_response(404, "model-not-found", str(error), param="model")
    except QuotaExceeded as error:
        retry = {"Retry-After": str(_RETRY_S)}
        message = f"{error}; try again later"
        return error_response(429, "too-many-requests", message, retry)
    except EngineUnavailable as error:
        return _unavailable_response(error)
    if completion.request.stream:
        return await _stream(request, completion)
    return web.json_response(completion.to_json(), headers=_HEADERS)


async def _caption(
    request: web.Request, captions: ImageCaptions, owner: Owner, body: bytes
) -> Completion:
    async with captions.turn(owner):
        parsed = await captions.run(lambda: CompletionRequest.parse(body))
        model = _find_model(request, parsed.model)
        captioned = await captions.caption(await captions.run(parsed.image))
    return Completion.of(parsed, captioned.caption, model.name)


async def _stream(request: web.Request, completion: Completion) -> web.StreamResponse:
    """Send server-sent events, a chunk each."""
    events = [f"data: {json.dumps(chunk)}\n\n" for chunk in completion.chunks()]
    response = web.StreamResponse(headers=_EVENT_HEADERS)
    await response.prepare(request)
    await response.write("".join([*events, _DONE]).encode())
    await response.write_eof()
    return response


def _captioner(request: web.Request) -> EngineInfo:
    captions = request.app[CAPTIONS]
    if captions.info is None:
        raise EngineUnavailable(captions.message)
    return captions.info


def _find_model(request: web.Request, name: str) -> EngineInfo:
    info = _captioner(request)
    if name not in (info.name, _ALIAS):
        raise _NoSuchModel(f"there is no such model; use {info.name} or {_ALIAS}")
    return info


def _model_json(model: EngineInfo) -> dict[str, Any]:
    return {"id": model.name, "object": "model", "created": _STARTED, "owned_by": "sightline"}


def _unavailable_response(error: EngineUnavailable) -> web.Response:
    message, retry = str(error), {"Retry-After": str(_RETRY_S)}
    return error_response(503, "captioner-unavailable", message, retry)
