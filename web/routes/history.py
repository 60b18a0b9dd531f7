"""`/api/history`: what feeds have said, to be searched, counted, taken away and deleted."""

import logging

from aiohttp import web
from aiohttp.typedefs import Handler

from stream.history import (
    FORMS,
    MOST_BUCKETS,
    MOST_SPANS,
    BadQuery,
    History,
    HistoryBusy,
    HistoryError,
    Span,
    Wanted,
)
from web.errors import error
from web.keys import HISTORY
from web.routes import query
from web.routes.subscribers import READERS, TooManyReaders, too_many
from web.security import admin_only

_SPANS = 50


_BUCKETS = 60


_LATEST_ID = 10**18 - 1


_HEADERS = {"Cache-Control": "no-store"}


_RETRY = {"Retry-After": "5"}


logger = logging.getLogger(__name__)


def routes() -> list[web.AbstractRouteDef]:
    """`/api/history` and what is below it."""
    return [
        web.get("/api/history/search", _search),
        web.get("/api/history/timeline", _timeline),
        web.get("/api/history/export", _export, allow_head=False),
        web.delete("/api/history", _delete),
    ]


def _with_history(handler: Handler) -> Handler:
    """Answer for the history what is the same whatever is asked of it."""

    async def answer(request: web.Request) -> web.StreamResponse:
        if HISTORY not in request.app:
            told = "captions are not kept: set `path` in [history] to keep them"
            return error(404, "history-off", told, _HEADERS)
        try:
            return await handler(request)
        except BadQuery as problem:
            return error(400, "bad-request", str(problem), _HEADERS)
        except HistoryBusy as problem:
            return error(503, "busy", str(problem), {**_HEADERS, **_RETRY})
        except HistoryError as problem:
            return error(503, "history-failed", str(problem), {**_HEADERS, **_RETRY})

    return answer


@_with_history
async def _search(request: web.Request) -> web.StreamResponse:
    query.check_known(request, "q", "feed", "from", "to", "limit", "before")
    limit = query.number(request, "limit", 1, MOST_SPANS) or _SPANS
    before = query.number(request, "before", 0, _LATEST_ID)
    spans = await request.app[HISTORY].search(query.wanted(request), limit, before)
    more = spans[-1].id if len(spans) == limit else None
    body = {"spans": [span.to_json() for span in spans], "before": more}
    return web.json_response(body, headers=_HEADERS)


@_with_history
async def _timeline(request: web.Request) -> web.StreamResponse:
    query.check_known(request, "q", "feed", "from", "to", "buckets")
    buckets = query.number(request, "buckets", 1, MOST_BUCKETS) or _BUCKETS
    body = await request.app[HISTORY].timeline(query.wanted(request), buckets)
    return web.json_response(body, headers=_HEADERS)


@_with_history
async def _export(request: web.Request) -> web.StreamResponse:
    query.check_known(request, "format", "q", "feed", "from", "to")
    form = request.query.get("format", "")
    if form not in FORMS:
        raise BadQuery(f"format is one of {', '.join(FORMS)}")
    wanted = query.wanted(request)
    try:
        with request.app[READERS].admit():
            return await _write(request, request.app[HISTORY], wanted, form)
    except TooManyReaders as problem:
        return too_many(problem)


async def _write(
    request: web.Request, history: History, wanted: Wanted, name: str
) -> web.StreamResponse:
    form = FORMS[name]
    writer = form.writer(wanted.begin, wanted.feed is None)
    pages = history.all(wanted)
    # Before the response begins, so that what goes wrong at once can be said.
    first: list[Span] = await anext(pages, [])
    response = web.StreamResponse(
        headers={
            **_HEADERS,
            "Content-Type": f"{form.content_type}; charset=utf-8",
            "Content-Disposition": f'attachment; filename="sightline.{name}"',
        }
    )
    await response.prepare(request)
    await response.write((writer.head() + writer.write(first)).encode())
    try:
        async for page in pages:
            await response.write(writer.write(page).encode())
    except (HistoryBusy, HistoryError) as problem:
        logger.warning("an export was broken off: %s", problem)
        # Half a file must not pass for a whole one: without its last chunk it does not (RFC 9112).
        if request.transport:
            request.transport.abort()
        return response
    await response.write_eof()
    return response


@admin_only
@_with_history
async def _delete(request: web.Request) -> web.StreamResponse:
    query.check_known(request, "feed", "from", "to", "all")
    wanted, everything = query.wanted(request), query.flag(request, "all")
    if everything == (wanted != Wanted()):
        raise BadQuery("say what to delete: feed, from and to; or all=true for everything")
    return web.json_response(
        {"deleted": await request.app[HISTORY].delete(wanted)}, headers=_HEADERS
    )
