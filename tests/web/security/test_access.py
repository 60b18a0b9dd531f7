"""Access control: tokens, cookies, roles, and the limit of wrong tokens."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, CookieJar, web
from aiohttp.test_utils import TestClient, TestServer
from pydantic import ValidationError

from web.errors import error_middleware
from web.routes import login
from web.security.access import (
    ACCESS,
    ROLE,
    AccessControl,
    access_middleware,
    admin_only,
    public,
)
from web.security.limits import LIMITS, Limits, limits_middleware
from web.security.logins import Logins
from web.settings.sections import AccessSettings, LimitsSettings

ADMIN, VIEWER = "a" * 20, "v" * 20
Client = TestClient[web.Request, web.Application]


@admin_only
async def _administer(request: web.Request) -> web.Response:
    return web.json_response({"role": request[ROLE]})


async def _watch(request: web.Request) -> web.Response:
    return web.json_response({"role": request[ROLE]})


@public
async def _public(request: web.Request) -> web.Response:
    return web.Response(text="alive")


@asynccontextmanager
async def serving(**settings: Any) -> AsyncIterator[Client]:
    app = web.Application(middlewares=[error_middleware, limits_middleware, access_middleware])
    app[ACCESS] = AccessControl(AccessSettings(**settings))
    unlimited = {"requests_per_s": 1e6, "all_requests_per_s": 1e6}
    app[LIMITS] = Limits(LimitsSettings(proxies=("127.0.0.1",), **unlimited))
    app.add_routes(login.routes())
    app.add_routes([web.get("/admin", _administer), web.get("/", _watch), web.get("/x", _public)])
    app.add_routes([web.get("/deep/down", _watch)])
    async with TestClient(TestServer(app)) as client:
        yield client


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def statuses(client: Client, **headers: str) -> list[int]:
    """The statuses of a public, a viewer's and an admin's route."""
    return [(await client.get(path, headers=headers)).status for path in ("/x", "/", "/admin")]


async def test_each_role_reaches_its_routes_only() -> None:
    async with serving(admin_token=ADMIN, viewer_token=VIEWER) as client:
        assert await statuses(client) == [200, 401, 401]
        assert await statuses(client, **bearer("w" * 20)) == [200, 401, 401]
        assert await statuses(client, **bearer(VIEWER)) == [200, 200, 403]
        assert await statuses(client, **bearer(ADMIN)) == [200, 200, 200]
        assert (await client.get("/nothing")).status == 404


async def test_without_tokens_every_client_is_an_admin() -> None:
    async with serving() as client:
        assert await statuses(client) == [200, 200, 200]
        assert await (await client.get("/api/me")).json() == {"role": "admin", "tokens": False}


async def test_an_open_server_with_an_admin_lets_everyone_watch() -> None:
    async with serving(admin_token=ADMIN, open=True) as client:
        assert await statuses(client) == [200, 200, 403]
        assert await statuses(client, **bearer(ADMIN)) == [200, 200, 200]


async def test_a_browser_logs_in_once_and_out_again() -> None:
    async with serving(admin_token=ADMIN, viewer_token=VIEWER) as client:
        refused = await client.post("/login", json={"token": "w" * 20})
        assert refused.status == 401
        assert not refused.cookies
        let_in = await client.post("/login", json={"token": VIEWER})
        assert await let_in.json() == {"role": "viewer"}
        (cookie,) = let_in.cookies.values()
        assert cookie["httponly"]
        assert cookie["samesite"] == "Strict"
        assert VIEWER not in str(cookie)

        assert await statuses(client) == [200, 200, 403]
        assert await (await client.get("/api/me")).json() == {"role": "viewer", "tokens": True}
        assert (await client.post("/logout")).status == 204
        assert await statuses(client, Cookie=f"{cookie.key}={cookie.value}") == [200, 401, 401]


async def test_servers_on_two_ports_do_not_log_each_other_out() -> None:
    # Browsers send a host's cookies to all of its ports, as does this client.
    async with (
        serving(admin_token=ADMIN) as one,
        serving(admin_token=VIEWER) as other,
        ClientSession(cookie_jar=CookieJar(unsafe=True)) as browser,
    ):
        for client, token in ((one, ADMIN), (other, VIEWER)):
            url = client.make_url("/login")
            assert (await browser.post(url, json={"token": token})).status == 200
        for client in (one, other):
            assert (await browser.get(client.make_url("/admin"))).status == 200
        assert (await browser.post(other.make_url("/logout"))).status == 204
        assert (await browser.get(one.make_url("/admin"))).status == 200
        assert (await browser.get(other.make_url("/admin"))).status == 401


async def test_a_changed_token_ends_its_logins() -> None:
    async with serving(admin_token=ADMIN, viewer_token=VIEWER) as client:
        await client.post("/login", json={"token": VIEWER})
        access = client.server.app[ACCESS]  # type: ignore[attr-defined]
        access.configure(AccessSettings(admin_token=ADMIN, viewer_token=VIEWER, open=True))
        assert await statuses(client) == [200, 200, 403]
        access.configure(AccessSettings(admin_token=ADMIN, viewer_token="u" * 20))
        assert await statuses(client) == [200, 401, 401]


async def test_many_logins_of_an_address_log_out_nobody_else() -> None:
    async with serving(admin_token=ADMIN, viewer_token=VIEWER) as client:

        async def log_in(token: str, address: str) -> dict[str, str]:
            headers = {"X-Forwarded-For": address}
            async with client.post("/login", json={"token": token}, headers=headers) as response:
                client.session.cookie_jar.clear()
                (cookie,) = response.cookies.values()
                return {"Cookie": f"{cookie.key}={cookie.value}"}

        admin = await log_in(ADMIN, "2001:db8::1")
        viewer, first = await log_in(VIEWER, "192.0.2.1"), await log_in(VIEWER, "2001:db8::1")
        for number in range(1100):
            latest = await log_in(VIEWER, f"2001:db8::{number:x}")

        assert await statuses(client, **admin) == [200, 200, 200]
        assert await statuses(client, **viewer) == [200, 200, 403]
        assert await statuses(client, **latest) == [200, 200, 403]
        assert await statuses(client, **first) == [200, 401, 401]


async def test_a_program_gets_401_and_a_browser_is_redirected_to_the_login_page() -> None:
    async with serving(admin_token=ADMIN) as client:
        async with client.get("/") as refused:
            assert (await refused.json())["error"]["code"] == "no-token"
            assert refused.headers["WWW-Authenticate"].startswith("Bearer ")
        page = {"Accept": "text/html,*/*;q=0.8"}
        async with client.get("/", headers=page, allow_redirects=False) as redirect:
            assert (redirect.status, redirect.headers["Location"]) == (303, "login")
        async with client.get("/admin?a=/b&c", headers=page, allow_redirects=False) as redirect:
            assert redirect.headers["Location"] == "login?next=admin?a%3D/b%26c"
        async with client.get("/deep/down", headers=page, allow_redirects=False) as redirect:
            assert redirect.headers["Location"] == "../login?next=deep/down"


async def test_wrong_tokens_are_rate_limited() -> None:
    async with serving(admin_token=ADMIN) as client:
        guesses = [await client.post("/login", json={"token": f"{n:020}"}) for n in range(10)]
        assert {guess.status for guess in guesses} == {401}
        async with client.post("/login", json={"token": ADMIN}) as refused:
            assert refused.status == 429
            assert int(refused.headers["Retry-After"]) > 0
        assert (await client.get("/", headers=bearer(ADMIN))).status == 429


@pytest.mark.parametrize("body", [b"", b"[", b"[]", b'{"token": 1}', b'"' + b"[" * 9000])
async def test_an_invalid_login_body_is_refused(body: bytes) -> None:
    async with serving(admin_token=ADMIN) as client:
        assert (await client.post("/login", data=body)).status == 400


def test_a_token_is_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{ADMIN}\n")
    settings = AccessSettings.model_validate({"admin_token_file": str(file)})

    assert settings.admin == ADMIN
    assert ADMIN not in repr(settings)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"admin_token": "short"}, "openssl rand"),
        ({"admin_token": "with a space in its middle"}, "without spaces"),
        ({"admin_token_file": "/nowhere/token"}, "there is no such file; write the path"),
        ({"admin_token_file": 5}, "path"),
        ({"admin_token": ADMIN, "viewer_token": ADMIN}, "must differ"),
        ({"viewer_token": ADMIN, "caption_token": ADMIN}, "must differ"),
        ({"caption_token": "short"}, "openssl rand"),
        ({"hosts": ["https://camera.example"]}, "without port"),
        ({"embedders": ["https://home.example/path"]}, "scheme, host and port"),
        ({"embedders": ["home.example"]}, "scheme, host and port"),
        ({"embedders": ["https://home.example:99999"]}, "scheme, host and port"),
        ({"embedders": ["https://home.example; script-src *"]}, "scheme, host and port"),
    ],
)
def test_invalid_tokens_are_reported_without_their_value(
    wrong: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        AccessSettings.model_validate(wrong)

    (error,) = refused.value.errors(include_input=False)
    assert message in error["msg"]
    assert "a space in its middle" not in error["msg"]


def test_a_login_expires_while_the_machine_is_suspended(monkeypatch: pytest.MonkeyPatch) -> None:
    logins, running = Logins(), time.clock_gettime
    login_id = logins.add(b"digest", 3600, "192.0.2.1", 1.0)
    suspended_s = 3500.0

    def clock_gettime(clock: int) -> float:
        return running(clock) + suspended_s * (clock == time.CLOCK_BOOTTIME)

    monkeypatch.setattr(time, "clock_gettime", clock_gettime)
    monkeypatch.setattr(time, "time", lambda: 1e9)
    assert logins.find(login_id) == b"digest"
    suspended_s = 3601.0
    assert logins.find(login_id) is None
