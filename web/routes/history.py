"""`/api/history`: search, count, summarize, export and delete past captions; pictures."""

import logging
import time
from dataclasses import replace
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from stream.history import (
    EXPORT_FORMATS,
    MATCHES,
    MAX_BUCKETS,
    MAX_HOURS_S,
    MAX_SUMMARY_S,
    BadQuery,
    History,
    HistoryBusy,
    HistoryError,
    HistoryQuery,
    Match,
    Picture,
    Span,
    summary_text,
    synonyms_in,
    with_match,
    with_synonyms,
)
from stream.quota import QuotaExceeded
from web.errors import error_response
from web.keys import HISTORY
from web.routes.query import (
    check_parameters,
    parse_bool,
    parse_choice,
    parse_history_query,
    parse_int,
    parse_page,
)
from web.routes.subscribers import SUBSCRIBERS
from web.security import (
    ROLE,
    Role,
    admin_only,
    owner_of,
    public_url_of,
    quota_exceeded_response,
)

_DEFAULT_BUCKETS = 60
_DEFAULT_SUMMARY_S = 3600.0
_LISTS: dict[str, tuple[Match, ...]] = {
    "exact": MATCHES[:1],
    "all": MATCHES,
    "similar": MATCHES[1:],
    "partial": MATCHES[2:],
}
"""What a search returns for each `match`, one list after the other."""
_HEADERS = {"Cache-Control": "no-store"}
_RETRY = {"Retry-After": "5"}
_PICTURE_HEADERS = {
    # A picture never changes, but may be deleted.
    "Cache-Control": "private, max-age=3600, immutable",
    "Cross-Origin-Resource-Policy": "same-origin",
}

logger = logging.getLogger(__name__)


def routes() -> list[web.AbstractRouteDef]:
    """Return the routes of `/api/history` and below it."""
    return [
        web.get("/api/history/search", _search),
        web.get("/api/history/timeline", _timeline),
        web.get("/api/history/summary", _summary),
        web.get("/api/history/export", _export, allow_head=False),
        web.get("/api/history/{span:[0-9]{1,18}}/picture", _get_picture),
        web.get("/api/history/{span:[0-9]{1,18}}/maps", _get_maps),
        web.delete("/api/history", _delete),
    ]


def sees_pictures(request: web.Request) -> bool:
    """Return whether the client may see stored pictures."""
    history = request.app.get(HISTORY)
    if history is None:
        return False
    return request[ROLE] is Role.ADMIN or history.settings.pictures_for == "viewer"


def picture_path(request: web.Request) -> str:
    """Return the path below which pictures are; empty if the client may not see them."""
    return f"{public_url_of(request).prefix}/api/history" if sees_pictures(request) else ""


def history_off_response() -> web.Response:
    """Build the response to what needs a history, if there is none."""
    message = "the history is off; set path in [history] to keep captions and firings of rules"
    return error_response(404, "history-off", message, _HEADERS)


def answers_history_errors(handler: Handler) -> Handler:
    """Turn the exceptions of the history into responses."""

    async def wrapped(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except BadQuery as error:
            return error_response(400, "bad-request", str(error), _HEADERS)
        except QuotaExceeded as error:
            return quota_exceeded_response(error)
        except HistoryBusy as error:
            return error_response(503, "busy", str(error), {**_HEADERS, **_RETRY})
        except HistoryError as error:
            return error_response(503, "history-failed", str(error), {**_HEADERS, **_RETRY})

    return wrapped


def _with_history(handler: Handler) -> Handler:
    """Answer requests while the history is off, and turn its exceptions into responses."""

    @answers_history_errors
    async def wrapped(request: web.Request) -> web.StreamResponse:
        return await handler(request) if HISTORY in request.app else history_off_response()

    return wrapped


@_with_history
async def _search(request: web.Request) -> web.StreamResponse:
    check_parameters(request, "q", "feed", "from", "to", "match", "limit", "before", "pictured")
    limit, before = parse_page(request)
    query, match = parse_history_query(request), parse_choice(request, "match", [*_LISTS])
    query = replace(query, pictured=parse_bool(request, "pictured"))
    history, owner = request.app[HISTORY], owner_of(request)
    path = picture_path(request)
    found: list[dict[str, Any]] = []
    following: str | None = None
    # Whoever may not see pictures does not learn either which captions have one.
    for each in () if query.pictured and not path else _LISTS[match]:
        if wanted := with_match(query, each):
            spans = await history.search(wanted, limit - len(found), before, owner)
            found += [{**span.to_json(path), "match": each} for span in spans]
        if len(found) == limit:
            following = match if each == _LISTS[match][0] else each
            break
        # The cursor is that of the first list.
        before = None
    body = {
        "spans": found,
        "before": found[-1]["id"] if following else None,
        "next_match": following,
        "synonyms": [] if match == "exact" else synonyms_in(query),
    }
    return web.json_response(body, headers=_HEADERS)


@_with_history
async def _timeline(request: web.Request) -> web.StreamResponse:
    check_parameters(request, "q", "feed", "from", "to", "match", "buckets")
    buckets = parse_int(request, "buckets", 1, MAX_BUCKETS) or _DEFAULT_BUCKETS
    query = _parse_widened(request)
    body = await request.app[HISTORY].timeline(query, buckets, owner_of(request))
    return web.json_response(body, headers=_HEADERS)


def _parse_widened(request: web.Request) -> HistoryQuery:
    """Parse a query and `match`, which adds what synonyms find; raises `BadQuery`."""
    query = parse_history_query(request)
    is_exact = parse_choice(request, "match", ("exact", "all")) == "exact"
    return query if is_exact else with_synonyms(query)


@_with_history
async def _summary(request: web.Request) -> web.StreamResponse:
    check_parameters(request, "feed", "from", "to", "hours")
    by_hour = parse_bool(request, "hours")
    query = _with_period(parse_history_query(request), MAX_HOURS_S if by_hour else MAX_SUMMARY_S)
    body = await request.app[HISTORY].summary(query, owner_of(request), by_hour=by_hour)
    for feed in body["feeds"]:
        for summary in (feed, *feed["hours"]):
            summary["text"] = summary_text(summary)
    return web.json_response(body, headers=_HEADERS)


def _with_period(query: HistoryQuery, max_s: float) -> HistoryQuery:
    """Return a query of an hour, unless it has begin and end, and until now, unless it has an end.

    Raises:
        BadQuery: If it is longer than `max_s`.
    """
    begin, end = query.begin, query.end
    if end is None:
        end = time.time() if begin is None else max(begin, time.time())
    if begin is None:
        begin = max(0.0, end - _DEFAULT_SUMMARY_S)
    if end - begin > max_s:
        raise BadQuery(f"choose at most {max_s / 3600:.0f} hours between from and to")
    return replace(query, begin=begin, end=end)


@_with_history
async def _export(request: web.Request) -> web.StreamResponse:
    check_parameters(request, "format", "q", "feed", "from", "to", "match")
    name = request.query.get("format", "")
    if name not in EXPORT_FORMATS:
        raise BadQuery(f"format must be one of {', '.join(EXPORT_FORMATS)}")
    query = _parse_widened(request)
    with request.app[SUBSCRIBERS].admit(owner_of(request)):
        return await _write_export(request, request.app[HISTORY], query, name)


async def _write_export(
    request: web.Request, history: History, query: HistoryQuery, name: str
) -> web.StreamResponse:
    export_format = EXPORT_FORMATS[name]
    writer = export_format.writer(query.begin, query.feed is None, picture_path(request))
    pages = history.pages(query, owner_of(request))
    # Read the first page before the response starts, so that errors still get a status code.
    first: list[Span] = await anext(pages, [])
    response = web.StreamResponse(
        headers={
            **_HEADERS,
            "Content-Type": f"{export_format.content_type}; charset=utf-8",
            "Content-Disposition": f'attachment; filename="sightline.{name}"',
        }
    )
    await response.prepare(request)
    await response.write((writer.head() + writer.write(first)).encode())
    try:
        async for page in pages:
            await response.write(writer.write(page).encode())
        await response.write(writer.tail().encode())
    except (HistoryBusy, HistoryError) as error:
        logger.warning("export aborted: %s", error)
        # Without its last chunk the response is incomplete (RFC 9112, section 8), so that clients
        # do not take a part of the file for the whole.
        if request.transport:
            request.transport.abort()
        return response
    await response.write_eof()
    return response


@_with_history
async def _get_picture(request: web.Request) -> web.StreamResponse:
    picture = await _read_picture(request)
    if isinstance(picture, web.Response):
        return picture
    return web.Response(body=picture.image, content_type="image/webp", headers=_PICTURE_HEADERS)


@_with_history
async def _get_maps(request: web.Request) -> web.StreamResponse:
    picture = await _read_picture(request)
    if isinstance(picture, web.Response):
        return picture
    if not picture.maps:
        message = "no maps were computed for the caption of this picture"
        return error_response(404, "no-maps", message, _HEADERS)
    return web.Response(
        text=picture.maps, content_type="application/json", headers=_PICTURE_HEADERS
    )


async def _read_picture(request: web.Request) -> Picture | web.Response:
    """Return the picture that the path names, or a response without it."""
    check_parameters(request)
    if not sees_pictures(request):
        message = "stored pictures are for the admin; see pictures_for in [history]"
        return error_response(403, "not-allowed", message, _HEADERS)
    span = int(request.match_info["span"])
    picture = await request.app[HISTORY].picture(span, owner_of(request))
    if picture is None:
        message = "this caption has no picture: none was stored, or it was deleted"
        return error_response(404, "no-picture", message, _HEADERS)
    return picture


@admin_only
@_with_history
async def _delete(request: web.Request) -> web.StreamResponse:
    check_parameters(request, "feed", "from", "to", "all")
    query, everything = parse_history_query(request), parse_bool(request, "all")
    if everything == (query != HistoryQuery()):
        raise BadQuery("name what to delete: feed, from or to; or all=true for everything")
    deleted = await request.app[HISTORY].delete(query)
    return web.json_response({"deleted": deleted}, headers=_HEADERS)
