"""Checks of the Host header, and of requests by pages of other sites."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from web.app import MIDDLEWARES, install_middlewares
from web.keys import SETTINGS
from web.routes import login
from web.security import LIMITS, admin_only, embeddable
from web.settings.sections import AccessSettings, LimitsSettings
from web.settings.server import ServerSettings

TOKEN, VIEWER = "a" * 20, "v" * 20
BEARER = {"Authorization": f"Bearer {TOKEN}"}
ELSEWHERE = {"Origin": "https://elsewhere.example"}
Client = TestClient[web.Request, web.Application]


async def _answer(request: web.Request) -> web.Response:
    return web.Response(text="yes")


@admin_only
async def _publish(request: web.Request) -> web.Response:
    return web.Response(text="yes")


@embeddable
async def _picture(request: web.Request) -> web.Response:
    headers = {"Cross-Origin-Resource-Policy": "same-origin"}
    return web.Response(body=b"JPEG", content_type="image/jpeg", headers=headers)


@asynccontextmanager
async def serving(
    host: str = "127.0.0.1", *, proxies: tuple[str, ...] = (), **access: Any
) -> AsyncIterator[Client]:
    settings = ServerSettings(
        host=host,
        access=AccessSettings(**access),
        limits=LimitsSettings.model_validate({"proxies": proxies}),
    )
    app = web.Application(middlewares=MIDDLEWARES)
    app[SETTINGS] = settings
    install_middlewares(app, settings)
    for path, handler in {
        "/": _answer,
        "/whep/yard": _answer,
        "/whip/yard": _publish,
        "/picture": _picture,
    }.items():
        app.router.add_route("*", path, handler)
    app.add_routes(login.routes())
    async with TestClient(TestServer(app)) as client:
        yield client


async def status(client: Client, path: str = "/", method: str = "GET", **headers: str) -> int:
    async with client.request(method, path, headers=headers) as response:
        return response.status


async def send(client: Client, head: bytes) -> bytes:
    """Send the head of a request as it is; return the response."""
    reader, writer = await asyncio.open_connection(client.host, client.port)
    writer.write(head + b"Connection: close\r\n\r\n")
    async with asyncio.timeout(10):
        response = await reader.read()
    writer.close()
    return response


async def test_on_the_loopback_only_loopback_names_are_allowed() -> None:
    async with serving() as client:
        for host in ("localhost:4200", "127.0.0.1", "[::1]:4200", "sub.localhost"):
            assert await status(client, Host=host) == 200
        for host in ("evil.example", "10.0.0.1", "[", "localhost.evil.example"):
            assert await status(client, Host=host) == 403


async def test_on_other_addresses_ip_addresses_and_configured_names_are_allowed() -> None:
    async with serving("0.0.0.0", open=True, hosts=["Camera.example"]) as client:
        for host in ("192.168.1.7:4200", "[fd00::1]", "camera.example:4200", "localhost"):
            assert await status(client, Host=host) == 200
        for host in ("evil.example", "camera.example.evil.example", ""):
            assert await status(client, Host=host) == 403


@pytest.mark.parametrize("hosts", [b"", b"Host: 127.0.0.1\r\nHost: evil.example\r\n"])
async def test_a_request_needs_exactly_one_host(hosts: bytes) -> None:
    async with serving() as client:
        assert b" 400 " in await send(client, b"GET / HTTP/1.1\r\n" + hosts)


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_pages_of_other_sites_are_refused(method: str) -> None:
    async with serving() as client:
        for origin in ("https://elsewhere.example", "null", "http://127.0.0.1:1"):
            assert await status(client, method=method, Origin=origin) == 403
        own = f"http://127.0.0.1:{client.port}"
        assert await status(client, method=method, Origin=own) == 200


async def test_other_sites_may_link_here_but_not_embed() -> None:
    async with serving() as client:
        for site in ("cross-site", "same-site"):
            fetch = {"Sec-Fetch-Site": site}
            assert await status(client, **fetch, **{"Sec-Fetch-Mode": "no-cors"}) == 403
            assert await status(client, **fetch, **{"Sec-Fetch-Mode": "navigate"}) == 200
        assert await status(client, **{"Sec-Fetch-Site": "same-origin"}) == 200


async def test_with_a_token_other_sites_may_use_whip_and_whep() -> None:
    async with serving(admin_token=TOKEN) as client:
        preflight = {"Access-Control-Request-Method": "POST", **ELSEWHERE}
        async with client.options("/whep/yard", headers=preflight) as response:
            assert response.status == 204
            assert response.headers["Access-Control-Allow-Origin"] == "*"
            assert "Authorization" in response.headers["Access-Control-Allow-Headers"]
        async with client.post("/whep/yard", headers={**BEARER, **ELSEWHERE}) as response:
            assert response.status == 200
            assert response.headers["Access-Control-Allow-Origin"] == "*"
            assert "Location" in response.headers["Access-Control-Expose-Headers"]
            assert "Access-Control-Allow-Credentials" not in response.headers
        async with client.post("/", headers={**BEARER, **ELSEWHERE}) as response:
            assert response.status == 403
            assert "Access-Control-Allow-Origin" not in response.headers


@pytest.mark.parametrize(
    "authorization", [None, "Basic x", "Bearer", "Bearer ", f"Bearer {'w' * 20}", f"Basic {TOKEN}"]
)
@pytest.mark.parametrize("path", ["/whep/yard", "/whip/yard", "/%77hep/yard", "/whep/none"])
async def test_another_site_needs_a_valid_token_even_if_the_server_is_open_or_logged_in_to(
    path: str, authorization: str | None
) -> None:
    async with serving(admin_token=TOKEN, viewer_token=VIEWER, open=True) as client:
        async with client.post("/login", json={"token": TOKEN}) as response:
            assert response.status == 200
        assert await status(client, "/whip/yard", "POST") == 200, "the cookie is sent"
        headers = {**ELSEWHERE, **({"Authorization": authorization} if authorization else {})}
        for method in ("POST", "OPTIONS"):
            async with client.request(method, path, headers=headers) as response:
                assert response.status == 401
                assert "valid token" in (await response.json())["error"]["message"]
                assert response.headers["Access-Control-Allow-Origin"] == "*"


async def test_another_site_has_the_role_of_its_token() -> None:
    async with serving(admin_token=TOKEN, viewer_token=VIEWER, open=True) as client:
        viewer = {"Authorization": f"Bearer {VIEWER}", **ELSEWHERE}
        assert await status(client, "/whep/yard", "POST", **viewer) == 200
        assert await status(client, "/whip/yard", "POST", **viewer) == 403
        assert await status(client, "/whip/yard", "POST", **BEARER, **ELSEWHERE) == 200


async def test_wrong_tokens_of_another_site_lock_nobody_out_but_are_limited() -> None:
    async with serving(admin_token=TOKEN) as client:
        wrong = {"Authorization": "Bearer wrong", **ELSEWHERE}
        guesses = [await status(client, "/whep/yard", "POST", **wrong) for _ in range(30)]
        assert guesses == [401] * 10 + [429] * 20
        async with client.post("/login", json={"token": "w" * 20}) as response:
            assert response.status == 401
        async with client.post("/login", json={"token": TOKEN}) as response:
            assert response.status == 200
        assert await status(client, **BEARER) == 200


async def test_another_site_can_read_every_refusal_of_whip_and_whep() -> None:
    async def refusal(client: Client, path: str, **headers: str) -> tuple[int, str]:
        async with client.post(path, headers={**ELSEWHERE, **headers}) as response:
            assert response.headers["Access-Control-Allow-Origin"] == "*", path
            assert "Access-Control-Allow-Credentials" not in response.headers
            return response.status, (await response.json())["error"]["message"]

    async with serving() as client:
        preflight = {"Access-Control-Request-Method": "POST", **ELSEWHERE}
        assert await status(client, "/whep/yard", "OPTIONS", **preflight) == 204
        refused = await refusal(client, "/whep/yard", **BEARER)
        assert refused[0] == 403
        assert "set admin_token or viewer_token" in refused[1]
    async with serving(admin_token=TOKEN) as client:
        assert (await refusal(client, "/whep/yard"))[0] == 401
        assert (await refusal(client, "/whep/yard/no/such", **BEARER))[0] == 404
        assert (await refusal(client, "/whep/yard", Host="evil.example", **BEARER))[0] == 403
        assert client.app
        client.app[LIMITS].configure(LimitsSettings(requests_per_s=0.001))
        assert await status(client, **BEARER) == 200
        assert (await refusal(client, "/whep/yard", **BEARER))[0] == 429


async def test_without_tokens_no_other_site_may_use_whip_and_whep() -> None:
    async with serving() as client:
        assert await status(client, "/whep/yard", "POST", **ELSEWHERE) == 403
        assert await status(client, "/whep/yard", "POST", **BEARER, **ELSEWHERE) == 403


@pytest.mark.parametrize(
    "origin",
    [
        *("", "http://[", "http://[::1", "http://h:99999", "http://h:-1", "http://127.0.0.1:x"),
        *("https://é.example", "http://℀.com", "http://a\uff0fb", "//", "://", "\ud800", "\xff"),
        *("http://user@127.0.0.1", "A" * 7000, "javascript:1", "http://127.0.0.1:80:80"),
    ],
)
async def test_a_malformed_origin_is_of_another_site(origin: str) -> None:
    async with serving(admin_token=TOKEN) as client:
        raw = origin.encode(errors="surrogatepass")
        head = b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n"
        response = await send(client, head + b"Origin: " + raw + b"\r\n")
        assert response.startswith((b"HTTP/1.1 403 ", b"HTTP/1.0 400 ", b"HTTP/1.1 400 "))


@pytest.mark.parametrize(
    ("proxy", "origin", "expected"),
    [
        # The proxy passes Host on: with nothing else, the scheme may be either.
        ({"Host": "camera.example"}, "https://camera.example", 200),
        ({"Host": "camera.example"}, "http://camera.example", 200),
        ({"Host": "camera.example:443"}, "https://camera.example", 200),
        ({"Host": "Camera.Example:8443"}, "https://camera.example:8443", 200),
        ({"Host": "camera.example:443"}, "http://camera.example", 403),
        ({"Host": "camera.example:8443"}, "https://camera.example", 403),
        ({"Host": "camera.example"}, "https://camera.example:8443", 403),
        ({"Host": "camera.example"}, "https://evil.camera.example", 403),
        ({"Host": "camera.example", "X-Forwarded-Proto": "https"}, "http://camera.example", 403),
        # The proxy changes Host.
        ({"X-Forwarded-Host": "camera.example"}, "https://camera.example", 200),
        ({"X-Forwarded-Host": "camera.example:443"}, "https://camera.example", 200),
        ({"X-Forwarded-Host": "camera.example"}, "https://elsewhere.example", 403),
        ({"X-Forwarded-Host": "camera.example, evil.example"}, "https://camera.example", 403),
        ({"X-Forwarded-Host": "evil.example"}, "https://evil.example", 403),
        ({"X-Forwarded-Host": "["}, "https://camera.example", 403),
        ({"Host": "upstream", "X-Forwarded-Host": "camera.example"}, "http://camera.example", 200),
        # It changes Host and does not send it; but the browser says where the page is from.
        ({"Sec-Fetch-Site": "same-origin"}, "https://camera.example", 200),
        ({"Sec-Fetch-Site": "same-origin"}, "https://evil.example", 403),
        ({"Sec-Fetch-Site": "same-site"}, "https://camera.example:8443", 403),
        ({}, "https://camera.example", 403),
    ],
)
async def test_behind_a_trusted_proxy_the_page_is_known_by_its_public_address(
    proxy: dict[str, str], origin: str, expected: int
) -> None:
    async with serving(hosts=["camera.example"], open=True, proxies=("127.0.0.1",)) as client:
        assert await status(client, method="POST", Origin=origin, **proxy) == expected


@pytest.mark.parametrize(
    ("forwarded", "name", "path"),
    [
        ({}, "sightline-", "/"),
        ({"X-Forwarded-Prefix": "/captions"}, "sightline-", "/captions"),
        ({"X-Forwarded-Prefix": "/a/b_c.d~1/"}, "sightline-", "/a/b_c.d~1"),
        ({"X-Forwarded-Prefix": "/evil, /captions"}, "sightline-", "/captions"),
        ({"X-Forwarded-Proto": "https"}, "__Host-sightline-", "/"),
        (
            {"X-Forwarded-Proto": "HTTPS", "X-Forwarded-Prefix": "/captions"},
            "__Secure-sightline-",
            "/captions",
        ),
        ({"X-Forwarded-Proto": "ftp", "X-Forwarded-Prefix": "/"}, "sightline-", "/"),
        *(
            ({"X-Forwarded-Prefix": prefix}, "sightline-", "/")
            for prefix in (
                "captions",
                "//evil.example",
                "/..",
                "/a/./b",
                "/a;b",
                "/%2e",
                "/é",
                "/a b",
            )
        ),
    ],
)
async def test_the_login_cookie_is_for_the_public_scheme_and_prefix(
    forwarded: dict[str, str], name: str, path: str
) -> None:
    async with serving(admin_token=TOKEN, proxies=("127.0.0.0/8",)) as client:
        async with client.post("/login", json={"token": TOKEN}, headers=forwarded) as response:
            (cookie,) = response.cookies.values()
            assert cookie.key.startswith(name)
            assert cookie["path"] == path
            assert bool(cookie["secure"]) == name.startswith("__")
        own = {"Cookie": f"{cookie.key}={cookie.value}", **forwarded}
        assert await status(client, **own) == 200
        async with client.post("/logout", headers=own) as response:
            (removed,) = response.cookies.values()
            assert (removed.key, removed["path"], removed["max-age"]) == (cookie.key, path, "0")
        assert await status(client, **own) == 401


async def test_only_trusted_proxies_change_the_public_address() -> None:
    forwarded = {"X-Forwarded-Host": "camera.example", "X-Forwarded-Proto": "https"}
    async with serving(hosts=["camera.example"], open=True, proxies=("10.0.0.1",)) as client:
        headers = {"Origin": "https://camera.example", **forwarded}
        async with client.post("/", headers=headers) as response:
            assert response.status == 403
            assert "[limits] proxies" in (await response.json())["error"]["message"]


async def test_only_named_sites_embed_pictures() -> None:
    image = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    home, other = {"Referer": "https://home.example:8123/"}, {"Referer": "https://other.example/"}
    async with serving(open=True, embedders=["https://HOME.example:8123"]) as client:

        async def load(path: str = "/picture", **headers: str) -> tuple[int, str | None]:
            async with client.get(path, headers=headers) as response:
                return response.status, response.headers.get("Cross-Origin-Resource-Policy")

        assert await load(**image, **home) == (200, "cross-origin")
        # Over plain HTTP browsers do not send Sec-Fetch-Site.
        assert await load(**home) == (200, "cross-origin")
        assert await load(**other) == (200, "same-origin")
        assert await load() == (200, "same-origin")
        assert (await load(**image, **other))[0] == 403
        assert (await load(**image))[0] == 403
        assert (await load("/", **image, **home))[0] == 403
        async with client.get("/picture", headers=image) as response:
            assert "embedders" in (await response.json())["error"]["message"]
    async with serving(open=True) as client:
        assert await status(client, "/picture", **image, **home) == 403
