"""`/login`, `/logout` and `/api/me`: a browser exchanges its token for a cookie."""

import json

from aiohttp import web

from web.errors import error_response
from web.page import embedding_headers, page_response
from web.security import (
    ACCESS,
    ROLE,
    SHARED_LOGINS,
    TokenForPrograms,
    TooManyFailures,
    public,
    too_many_failures_response,
)

_NO_STORE = {"Cache-Control": "no-store"}


def routes() -> list[web.AbstractRouteDef]:
    """Return the routes of `/login`, `/logout` and `/api/me`."""
    return [
        web.get("/login", _page),
        web.post("/login", _log_in),
        web.post("/logout", _log_out),
        web.get("/api/me", _get_current_user),
    ]


@public
async def _page(request: web.Request) -> web.Response:
    # A browser that shows the wall in a frame is redirected here within the frame.
    return await page_response(request, "login.html.jinja", embedding_headers(request))


@public
async def _log_in(request: web.Request) -> web.Response:
    try:
        body = json.loads(await request.read())
    except (ValueError, RecursionError) as error:
        return error_response(400, "bad-json", f"the body is not JSON: {error}")
    if not isinstance(body, dict) or not isinstance(body.get("token"), str):
        return error_response(400, "bad-request", 'the body must be {"token": "..."}')
    response = web.Response(headers=_NO_STORE, content_type="application/json")
    try:
        role = request.app[ACCESS].log_in(body["token"], request, response)
    except TooManyFailures as error:
        return too_many_failures_response(error)
    except TokenForPrograms as error:
        return error_response(403, "not-allowed", str(error), _NO_STORE)
    if role is None:
        return error_response(401, "wrong-token", "wrong token", _NO_STORE)
    await _share(request)
    response.text = json.dumps({"role": role})
    return response


async def _share(request: web.Request) -> None:
    """Let the other servers of the cluster know, of which the next request may ask any."""
    if shared := request.app.get(SHARED_LOGINS):
        await shared.flush()


@public
async def _log_out(request: web.Request) -> web.Response:
    response = web.Response(status=204, headers=_NO_STORE)
    request.app[ACCESS].log_out(request, response)
    await _share(request)
    return response


@public
async def _get_current_user(request: web.Request) -> web.Response:
    role = request[ROLE]
    body = {"role": role, "tokens": request.app[ACCESS].has_tokens}
    return web.json_response(body, headers=_NO_STORE)
