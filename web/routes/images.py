"""`/api/caption` and `/api/explain`: captions of images that programs send, and why.

Results are JSON, a PNG or arrays (NPZ). Live captions go first.
"""

from collections.abc import Awaitable, Callable

from aiohttp import web

from inference.engine import EngineInfo, EngineUnavailable
from stream.analyses import RequestError
from stream.history import BadQuery
from stream.image_captions import ImageCaption, ImageCaptions
from stream.quota import Owner, QuotaExceeded
from stream.sources import SourceError
from web.errors import error_response
from web.images import (
    Explained,
    ImageFailure,
    ImageResult,
    MapsUnavailable,
    ResultFormat,
    TargetError,
    TargetQuery,
    UnsupportedFormat,
    Upload,
    UploadError,
    choose_format,
    encode_arrays,
    receive_upload,
)
from web.keys import CAPTIONS, IMAGE_CAPTIONS
from web.requests import until_disconnected
from web.routes.query import check_parameters, parse_bool, parse_int
from web.security import captions_only, owner_of, reads_image_body

_HEADERS = {"Cache-Control": "no-store", "Vary": "Accept"}
_RETRY_S = 2
_MAX_INDEX = 99
_MAX_TEXT = 60
_BAD, _BUSY, _TOO_MANY = 400, 503, 429
_STATUSES = {"captioner-paused": _BUSY, "busy": _BUSY, "limit-reached": _TOO_MANY}
"""Of the codes of `RequestError`; others mean that the request cannot be fulfilled."""

Explain = Callable[[EngineInfo, ImageCaption], Awaitable[Explained | None]]
"""Explains a captioned image, if the request asks for it."""


def routes() -> list[web.AbstractRouteDef]:
    """Return the routes of captions and explanations of images."""
    return [web.post("/api/caption", _caption), web.post("/api/explain", _explain)]


@captions_only
@reads_image_body
async def _caption(request: web.Request) -> web.StreamResponse:
    try:
        check_parameters(request, "maps", "format")
        format_ = _parse_format(request)
        maps = parse_bool(request, "maps") or format_ is not ResultFormat.JSON
    except BadQuery as error:
        return error_response(_BAD, "bad-request", str(error))
    except UnsupportedFormat as error:
        return error_response(406, "bad-accept", str(error))

    async def explain(info: EngineInfo, captioned: ImageCaption) -> None:
        return None

    return await _respond(request, format_, explain, maps=maps)


@captions_only
@reads_image_body
async def _explain(request: web.Request) -> web.StreamResponse:
    try:
        check_parameters(request, "word", "index", "instead_of", "tag", "method", "format")
        format_, query = _parse_format(request), _parse_target(request)
    except BadQuery as error:
        return error_response(_BAD, "bad-request", str(error))
    except UnsupportedFormat as error:
        return error_response(406, "bad-accept", str(error))
    captions, owner = request.app[IMAGE_CAPTIONS], owner_of(request)

    async def explain(info: EngineInfo, captioned: ImageCaption) -> Explained:
        target = query.target(captioned.caption)
        method = query.choose_method(target, info)
        result = await captions.explain(captioned, method.name, target, owner)
        return Explained(method, target, result)

    return await _respond(request, format_, explain, maps=False)


async def _respond(
    request: web.Request, format_: ResultFormat, explain: Explain, *, maps: bool
) -> web.StreamResponse:
    captions, owner = request.app[IMAGE_CAPTIONS], owner_of(request)
    try:
        with captions.admit(owner):
            upload = await receive_upload(request)
            if len(upload.images) > 1 and format_ is ResultFormat.PNG:
                raise UploadError("a PNG shows one image; send one, or choose json or npz")
            return await until_disconnected(
                request, _results(request, captions, owner, upload, format_, explain, maps)
            )
    except UploadError as error:
        return error_response(error.status, error.code, str(error))
    except QuotaExceeded as error:
        message = f"{error}; try again later"
        return error_response(_TOO_MANY, "too-many-requests", message, _retry())
    except EngineUnavailable as error:
        return error_response(_BUSY, "captioner-unavailable", str(error), _retry())
    except RequestError as error:
        status = _status_of(error)
        headers = None if status == _BAD else _retry()
        return error_response(status, error.code, str(error), headers)


async def _results(
    request: web.Request,
    captions: ImageCaptions,
    owner: Owner,
    upload: Upload,
    format_: ResultFormat,
    explain: Explain,
    maps: bool,
) -> web.Response:
    """Caption the images one after another, each in a turn of its own, and encode the results."""
    results: list[ImageResult | ImageFailure] = []
    for image in upload.images:
        try:
            async with captions.turn(owner):
                captioned = await captions.caption(image, maps=maps)
            info = request.app[CAPTIONS].info
            assert info
            explained = await explain(info, captioned)
            drawn = format_ is ResultFormat.PNG
            results.append(ImageResult.of(info, captioned, explained, maps=maps, drawn=drawn))
            del captioned
        except (SourceError, MapsUnavailable, TargetError, RequestError) as error:
            if isinstance(error, RequestError) and _status_of(error) != _BAD:
                raise
            results.append(ImageFailure(_code_of(error), str(error)))
    first = results[0]
    if isinstance(first, ImageFailure) and all(isinstance(each, ImageFailure) for each in results):
        return error_response(_BAD, first.code, first.message)
    return await captions.run(lambda: _encode(results, upload, format_))


def _encode(
    results: list[ImageResult | ImageFailure], upload: Upload, format_: ResultFormat
) -> web.Response:
    first = results[0]
    if format_ is ResultFormat.NPZ:
        body = encode_arrays(results, is_batch=upload.is_batch)
        return web.Response(body=body, content_type=format_.value, headers=_HEADERS)
    if format_ is ResultFormat.PNG:
        assert isinstance(first, ImageResult)
        return web.Response(body=first.draw(), content_type=format_.value, headers=_HEADERS)
    if upload.is_batch:
        each = [result.to_json() for result in results]
        return web.json_response({"results": each}, headers=_HEADERS)
    return web.json_response(first.to_json(), headers=_HEADERS)


def _code_of(error: Exception) -> str:
    match error:
        case SourceError():
            return "invalid-image"
        case MapsUnavailable():
            return "not-available"
        case RequestError():
            return error.code
    return "no-such-target"


def _status_of(error: RequestError) -> int:
    if isinstance(error.__cause__, TimeoutError):
        return _BUSY
    return _STATUSES.get(error.code, _BAD)


def _retry() -> dict[str, str]:
    return {"Retry-After": str(_RETRY_S)}


def _parse_format(request: web.Request) -> ResultFormat:
    """Parse `format`; without it, the header Accept decides.

    Raises:
        BadQuery: If it is unknown.
        UnsupportedFormat: As `choose_format`.
    """
    name = request.query.get("format")
    if name is None:
        return choose_format(",".join(request.headers.getall("Accept", [])))
    formats = {each.name.lower(): each for each in ResultFormat}
    if name not in formats:
        raise BadQuery(f"format must be one of {', '.join(formats)}")
    return formats[name]


def _parse_target(request: web.Request) -> TargetQuery:
    """Parse what to explain.

    Raises:
        BadQuery: If parameters are invalid, or exclude each other.
    """
    texts = {name: request.query.get(name) for name in ("word", "instead_of", "tag", "method")}
    for name, text in texts.items():
        if text is not None and not 0 < len(text) <= _MAX_TEXT:
            raise BadQuery(f"{name} must have 1 to {_MAX_TEXT} characters")
    index = parse_int(request, "index", 0, _MAX_INDEX)
    query = TargetQuery(index=index, **texts)
    if sum(each is not None for each in (query.word, query.index, query.tag)) > 1:
        raise BadQuery("word, index and tag exclude each other")
    if query.instead_of is not None and query.word is None and query.index is None:
        raise BadQuery("instead_of needs a word or an index")
    return query
