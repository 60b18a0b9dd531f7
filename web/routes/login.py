"""`/login`, `/logout` and `/api/me`: a browser shows its token once, and a cookie from then on."""

import json

from aiohttp import web

from web.errors import error
from web.page import STATIC
from web.security import ACCESS, ROLE, TooManyFailures, public, too_many_failures

_PAGE = STATIC / "login.html"


_NO_STORE = {"Cache-Control": "no-store"}


def routes() -> list[web.AbstractRouteDef]:
    """`/login`, `/logout` and `/api/me`."""
    return [
        web.get("/login", _page),
        web.post("/login", _log_in),
        web.post("/logout", _log_out),
        web.get("/api/me", _me),
    ]


@public
async def _page(request: web.Request) -> web.FileResponse:
    return web.FileResponse(_PAGE)


@public
async def _log_in(request: web.Request) -> web.Response:
    try:
        body = json.loads(await request.read())
    except (ValueError, RecursionError) as problem:
        return error(400, "bad-json", f"the body is not JSON: {problem}")
    if not isinstance(body, dict) or not isinstance(body.get("token"), str):
        return error(400, "bad-request", 'send {"token": "..."}')
    response = web.Response(headers=_NO_STORE, content_type="application/json")
    try:
        role = request.app[ACCESS].log_in(body["token"], request, response)
    except TooManyFailures as problem:
        return too_many_failures(problem)
    if role is None:
        return error(401, "wrong-token", "that is no token of this server", _NO_STORE)
    response.text = json.dumps({"role": role.label})
    return response


@public
async def _log_out(request: web.Request) -> web.Response:
    response = web.Response(status=204, headers=_NO_STORE)
    request.app[ACCESS].log_out(request, response)
    return response


@public
async def _me(request: web.Request) -> web.Response:
    role = request[ROLE]
    told = {"role": role.label if role else None, "tokens": request.app[ACCESS].tokens}
    return web.json_response(told, headers=_NO_STORE)
