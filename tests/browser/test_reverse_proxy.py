"""The page and the API behind a real nginx: under a path prefix, and with a changed Host."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest_asyncio
from aiohttp import ClientSession
from aiortc import RTCSessionDescription
from playwright.async_api import Browser, Page, expect

from tests.browser.conftest import ROOT
from tests.browser.test_analyses import AnalysedCaptions
from tests.support.captions import confident_caption
from tests.support.event_stream import read_named_event
from tests.support.page.feed_page import FeedServer, serve_feeds
from tests.support.page.sample_findings import REPORT
from tests.support.page.scripted_page import SOON
from tests.support.peer import Peer
from tests.support.servers.nginx_proxy import nginx_proxy
from web.security import obtain_certificate
from web.settings import HttpsSettings

ADMIN = "admin-" * 4
BEARER = {"Authorization": f"Bearer {ADMIN}"}
TRUSTED = {"proxies": ["127.0.0.1"]}


class ProxiedServer:
    """A server and its URL at a proxy."""

    def __init__(self, server: FeedServer, url: str) -> None:
        self.server, self.url = server, url


def location_in_readme(upstream: str) -> str:
    """Return the README's configuration of nginx, for another upstream."""
    found = re.search(r"```nginx\n(.+?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert found and "http://127.0.0.1:4200" in found[1]
    return found[1].replace("http://127.0.0.1:4200", upstream)


@asynccontextmanager
async def behind_nginx(folder: Path, **settings: object) -> AsyncIterator[ProxiedServer]:
    """Serve at `https://127.0.0.1:PORT/captions/`, with the README's configuration of nginx."""
    certificate = folder / "https.pem"
    obtain_certificate(HttpsSettings(on=True, folder=folder), {"127.0.0.1"})
    async with serve_feeds(
        AnalysedCaptions(),
        access={"admin_token": ADMIN},
        history={"path": folder / "history.db"},
        limits=TRUSTED,
        **settings,
    ) as server:
        with nginx_proxy(folder, location_in_readme(server.url), certificate=certificate) as origin:
            yield ProxiedServer(server, f"{origin}/captions/")


@pytest_asyncio.fixture
async def page(browser: Browser) -> AsyncIterator[Page]:
    """A page that accepts any certificate, and on which nothing may go wrong unseen."""
    context = await browser.new_context(ignore_https_errors=True)
    page = await context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda problem: problems.append(str(problem)))
    page.on("response", lambda response: _collect(response.url, response.status, problems))
    yield page
    await context.close()
    assert not problems


def _collect(url: str, status: int, problems: list[str]) -> None:
    if status >= 400:
        problems.append(f"{url}: {status}")


async def test_the_whole_page_works_under_a_prefix(page: Page, tmp_path: Path) -> None:
    requested: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    async with behind_nginx(tmp_path) as here:
        # Login, which returns to the page that asked for it.
        await page.goto(f"{here.url}?feed=hall")
        assert page.url.startswith(f"{here.url}login?next=")
        await page.get_by_label("Token").fill(ADMIN)
        await page.get_by_role("button", name="Log in").click()
        await expect(page.locator("#state")).to_have_text("Watching: The hall", timeout=SOON)
        assert page.url == f"{here.url}?feed=hall"
        await page.wait_for_function(
            "() => document.querySelector('#returned-video').videoWidth > 0"
        )
        (cookie,) = await page.context.cookies(here.url)
        assert cookie["name"].startswith("__Secure-sightline-")
        assert (cookie["path"], cookie["secure"]) == ("/captions", True)
        assert not await page.context.cookies(urljoin(here.url, "/"))

        # A session of its own; its frame and the report of an analysis.
        await page.get_by_role("link", name="Live").click()
        await expect(page.locator("#state")).to_have_text("Ready")
        await page.get_by_role("button", name="Demo").click()
        await expect(page.locator("#sentence")).to_have_text("A dog runs", timeout=SOON)
        await page.click("#freeze")
        await expect(page.locator(".map-panel").first).to_have_attribute("data-state", "shown")
        await page.click("#attack-tab")
        await page.click("#attack-form button")
        link = page.get_by_role("link", name="Open report")
        await expect(link).to_be_visible(timeout=SOON)
        async with page.context.expect_page() as opening:
            await link.click()
        report = await opening.value
        await expect(report.locator("h1")).to_have_text(REPORT)
        await report.close()
        await page.reload()
        await expect(page.locator("#kept-list > li")).to_have_count(1)

        # The wall, whose events pass nginx one by one.
        await page.get_by_role("link", name="All feeds").click()
        hall = page.get_by_role("article", name="The hall")
        for text in ("A cat sits", "A bus stops", "A man waits"):
            here.server.captions.caption = confident_caption(text)
            await expect(hall).to_contain_text(text)

        # The history, and its export.
        await page.get_by_role("link", name="History").click()
        await page.get_by_label("Search captions").fill("cat")
        await page.keyboard.press("Enter")
        await expect(page.locator("#found li")).to_have_count(1)
        assert page.url == f"{here.url}?history&q=cat"
        async with page.expect_download() as downloading:
            await page.get_by_role("link", name="WebVTT").click()
        exported = tmp_path / "history.vtt"
        await (await downloading.value).save_as(exported)
        assert "A cat sits" in exported.read_text()

        # The documentation of the API.
        await page.goto(f"{here.url}api")
        await expect(page.get_by_role("heading", name="HTTP API")).to_be_visible()
        assert "sans" in await page.locator("body").evaluate(
            "(body) => getComputedStyle(body).fontFamily"
        )
        await page.get_by_role("link", name="Live", exact=True).click()
        await page.get_by_role("button", name="Log out").click()
        await expect(page.get_by_label("Token")).to_be_visible()
        assert page.url == f"{here.url}login"
        assert not await page.context.cookies(here.url)

    elsewhere = [url for url in requested if not url.startswith((here.url, "data:", "blob:"))]
    assert not elsewhere


async def test_the_api_works_under_a_prefix(tmp_path: Path) -> None:
    async with (
        behind_nginx(tmp_path) as here,
        ClientSession(headers=BEARER) as client,
        Peer(None, channel=False) as player,
    ):
        async with client.get(f"{here.url}api/feeds", ssl=False) as response:
            (feed,) = (await response.json())["feeds"]
        assert {urlsplit(link).path for link in feed["links"].values()} == {
            "/captions/api/feeds/hall/events",
            "/captions/api/feeds/hall/captions.jsonl",
            "/captions/api/feeds/hall/captions.vtt",
            "/captions/api/feeds/hall/picture",
            "/captions/whep/hall",
        }
        async with client.get(urljoin(here.url, feed["links"]["events"]), ssl=False) as events:
            for _ in range(3):
                assert (await read_named_event(events, "caption"))["data"]["feed"] == "hall"

        async with client.post(
            urljoin(here.url, feed["links"]["whep"]),
            data=(await player.offer()).sdp,
            headers={"Content-Type": "application/sdp"},
            ssl=False,
        ) as response:
            assert response.status == 201
            location = response.headers["Location"]
            assert re.fullmatch(r"/captions/whep/hall/[\w-]+", location)
            await player.accept(RTCSessionDescription(await response.text(), "answer"))
        await player.until(lambda: len(player.frames) > 3)
        async with client.delete(urljoin(here.url, location), ssl=False) as response:
            assert response.status == 200
        async with client.get(f"{here.url}openapi.json", ssl=False) as response:
            (server,) = (await response.json())["servers"]
            assert urljoin(str(response.url), server["url"]) == here.url


async def test_a_proxy_that_changes_host_and_adds_no_header_serves_the_page(
    page: Page, tmp_path: Path
) -> None:
    async with serve_feeds(feeds={}) as server:
        locations = f"location /x/ {{ proxy_pass {server.url}/; }}"
        with nginx_proxy(tmp_path, locations) as origin:
            await page.goto(f"{origin}/x/")
            await page.get_by_role("button", name="Demo").click()
            await expect(page.locator("#sentence")).to_have_text("A dog runs", timeout=SOON)


async def test_a_proxy_that_adds_the_port_serves_the_page(tmp_path: Path) -> None:
    async with (
        serve_feeds(feeds={}, access={"hosts": ["home.example"], "open": True}) as server,
        ClientSession() as client,
    ):
        locations = f"""
            location / {{
                proxy_pass {server.url}/;
                proxy_set_header Host $host:443;
            }}"""
        with nginx_proxy(tmp_path, locations) as origin:
            for page, status in {"https://home.example": 400, "https://other.example": 403}.items():
                headers = {"Host": "home.example", "Origin": page}
                async with client.post(f"{origin}/offer", json={}, headers=headers) as response:
                    assert response.status == status
