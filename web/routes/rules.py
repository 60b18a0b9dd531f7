"""`/api/rules`: list, edit and try rules, and list their firings."""

import time
from typing import Annotated, Any

from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stream.history import MAX_TIME, BadQuery, FiringQuery, HistoryQuery
from stream.rules import (
    NoSuchRule,
    Rule,
    RuleFileError,
    RuleName,
    RuleNotEditable,
    dry_run,
    first_problem,
)
from web.errors import error_response
from web.keys import HISTORY, PUBLICATIONS, RULE_WATCHER, RULES
from web.requests import until_disconnected
from web.routes.feeds import NAME
from web.routes.history import answers_history_errors, history_off_response, picture_path
from web.routes.query import check_parameters, parse_history_query, parse_name, parse_page
from web.routes.subscribers import SUBSCRIBERS
from web.security import admin_only, owner_of

_DRY_RUN_S = 24 * 3600.0
_HEADERS = {"Cache-Control": "no-store"}

Time = Annotated[float, Field(ge=0, le=MAX_TIME)]


class DryRunRequest(BaseModel):
    """What to try, and on which captions of the history."""

    model_config = ConfigDict(extra="forbid", title="DryRunRequest")

    name: RuleName = Field("rule", pattern="^[a-z0-9][a-z0-9_-]{0,39}$")
    """Name of the rule, for its messages."""
    settings: Rule
    begin: Time | None = Field(None, alias="from")
    """In seconds since the Unix epoch; a day before the end by default."""
    end: Time | None = Field(None, alias="to")
    """The same; now by default."""


def routes() -> list[web.AbstractRouteDef]:
    """Return the routes of rules, their firings and the dry run."""
    return [
        web.get("/api/rules", _list_rules),
        web.put(f"/api/rules/{NAME}", _put_rule),
        web.delete(f"/api/rules/{NAME}", _delete_rule),
        web.get("/api/firings", _list_firings),
        web.post("/api/dry-run", _dry_run),
    ]


def _answers_errors(handler: Handler) -> Handler:
    """Turn the exceptions of rules and of the history into responses."""

    @answers_history_errors
    async def wrapped(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except ValidationError as error:
            return error_response(400, "bad-request", first_problem(error), _HEADERS)
        except NoSuchRule as error:
            return error_response(404, "no-such-rule", str(error), _HEADERS)
        except RuleNotEditable as error:
            return error_response(409, "not-editable", str(error), _HEADERS)
        except RuleFileError as error:
            return error_response(503, "not-written", str(error), _HEADERS)

    return wrapped


async def _list_rules(request: web.Request) -> web.Response:
    app = request.app
    book, reports = app[RULES], app[PUBLICATIONS].rules
    body = {
        "rules": [_rule_json(request, name) for name in book.rules],
        "lasting": [firing.to_json() for firing in reports.lasting.values()],
        "read_only": book.read_only or None,
        "history": HISTORY in app,
    }
    return web.json_response(body, headers=_HEADERS)


@admin_only
@_answers_errors
async def _put_rule(request: web.Request) -> web.StreamResponse:
    name = request.match_info["name"]
    # Strict, so that nothing is taken for what it is not; JSON's lists are tuples all the same.
    rule = Rule.model_validate_json(await request.read(), strict=True)
    await request.app[RULES].put(name, rule)
    return web.json_response(_rule_json(request, name), headers=_HEADERS)


@admin_only
@_answers_errors
async def _delete_rule(request: web.Request) -> web.StreamResponse:
    await request.app[RULES].delete(request.match_info["name"])
    return web.Response(status=204, headers=_HEADERS)


@_answers_errors
async def _list_firings(request: web.Request) -> web.StreamResponse:
    check_parameters(request, "rule", "feed", "from", "to", "limit", "before")
    limit, before = parse_page(request)
    rule, where = parse_name(request, "rule"), parse_history_query(request)
    if HISTORY not in request.app:
        return history_off_response()
    query = FiringQuery(rule, where.feed, where.begin, where.end)
    history = request.app[HISTORY]
    found = await history.firings(query, limit, before, owner_of(request))
    body = {
        "firings": [each.to_json(picture_path(request)) for each in found],
        "before": found[-1].number if len(found) == limit else None,
    }
    return web.json_response(body, headers=_HEADERS)


@admin_only
@_answers_errors
async def _dry_run(request: web.Request) -> web.StreamResponse:
    wanted = DryRunRequest.model_validate_json(await request.read(), strict=True)
    end = time.time() if wanted.end is None else wanted.end
    begin = max(0.0, end - _DRY_RUN_S) if wanted.begin is None else wanted.begin
    if begin > end:
        raise BadQuery("to must not be before from")
    if HISTORY not in request.app:
        return history_off_response()
    owner = owner_of(request)
    pages = request.app[HISTORY].pages(HistoryQuery(begin=begin, end=end), owner)
    # It is as long as an export, which counts as a subscriber, too.
    with request.app[SUBSCRIBERS].admit(owner):
        run = dry_run(wanted.name, wanted.settings, pages, end)
        found = await until_disconnected(request, run)
    return web.json_response({"from": begin, "to": end, **found.to_json()}, headers=_HEADERS)


def _rule_json(request: web.Request, name: str) -> dict[str, Any]:
    book, watcher = request.app[RULES], request.app[RULE_WATCHER]
    return {
        "name": name,
        "origin": book.origin(name),
        "settings": book.rules[name].model_dump(mode="json"),
        "on": request.app[PUBLICATIONS].rules.on_feeds(name),
        "fired": watcher.fired.get(name, 0),
        "suppressed": watcher.suppressed.get(name, 0),
    }
