"""Pages of other sites, in Chromium: what they can embed, and what they can read."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port
from playwright.async_api import Browser, Page, expect

from tests.support.page.feed_page import serve_feeds

ADMIN, VIEWER = "admin-" * 4, "viewer-" * 4

POST = """
async ([url, token]) => {
  const response = await fetch(url, {
    method: "POST",
    headers: { "Authorization": `Bearer ${token}`, "Content-Type": "application/sdp" },
    body: "v=0",
  });
  return [response.status, (await response.json()).error.code];
}
"""
WIDTH = "(image) => image.complete ? image.naturalWidth : -1"


@pytest_asyncio.fixture
async def page(browser: Browser) -> AsyncIterator[Page]:
    """A new visitor's page; it may be refused something, unlike that of other tests."""
    context = await browser.new_context()
    yield await context.new_page()
    await context.close()


async def go_to_blocked_frame(page: Page, url: str, framed: str) -> None:
    """Open a page, whose frame of another server Chromium must block."""
    async with page.expect_console_message(lambda each: "Framing" in each.text) as blocking:
        await page.goto(url)
    assert f"Framing '{framed}/' violates" in (await blocking.value).text


@asynccontextmanager
async def other_site(port: int, body: str = "") -> AsyncIterator[str]:
    """Serve a page; its host name makes it another site than 127.0.0.1."""

    async def get(_: web.Request) -> web.Response:
        return web.Response(text=f"<!doctype html>{body}", content_type="text/html")

    app = web.Application()
    app.router.add_get("/", get)
    async with TestServer(app, host="127.0.0.1", port=port):
        yield f"http://localhost:{port}/"


async def test_a_named_site_embeds_the_wall_and_pictures_and_no_other_page(page: Page) -> None:
    port = unused_port()
    named = {"open": True, "admin_token": ADMIN, "embedders": [f"http://localhost:{port}"]}
    async with serve_feeds(access=named) as here:
        body = f"""
            <iframe id=wall src="{here.url}/?wall" width=600 height=600></iframe>
            <iframe id=live src="{here.url}/"></iframe>
            <img id=picture src="{here.url}/api/feeds/hall/picture">"""
        async with other_site(port, body) as url:
            wall = page.locator("#wall").content_frame
            await go_to_blocked_frame(page, url, here.url)
            await expect(wall.get_by_role("article", name="The hall")).to_contain_text("A dog runs")
            await expect(wall.locator("video")).to_be_visible()
            # By now there is a first frame.
            await page.reload()
            assert await page.locator("#picture").evaluate(WIDTH) > 0
            # What the wall links to may not be embedded, so it opens in a tab of its own.
            async with page.context.expect_page() as opening:
                await wall.get_by_role("link", name="The hall").click()
            feed = await opening.value
            await expect(feed.locator("#state")).to_have_text("Watching: The hall")
            await feed.close()


async def test_by_default_no_site_embeds_anything(page: Page) -> None:
    async with serve_feeds(access={"open": True, "admin_token": ADMIN}) as here:
        body = f"""
            <iframe id=wall src="{here.url}/?wall"></iframe>
            <img id=picture src="{here.url}/api/feeds/hall/picture">"""
        async with other_site(unused_port(), body) as url:
            await go_to_blocked_frame(page, url, here.url)
            assert await page.locator("#picture").evaluate(WIDTH) == 0


async def test_a_player_on_another_site_reads_why_it_is_refused(page: Page) -> None:
    async with (
        serve_feeds(access={"viewer_token": VIEWER, "open": True}) as here,
        other_site(unused_port()) as url,
    ):
        await page.goto(url)
        whep = f"{here.url}/whep/hall"
        assert await page.evaluate(POST, [whep, "wrong"]) == [401, "no-token"]
        assert await page.evaluate(POST, [f"{here.url}/whip/mine", VIEWER]) == [403, "not-allowed"]
        assert await page.evaluate(POST, [f"{here.url}/whep/none", VIEWER]) == [400, "no-video"]
        assert await page.evaluate(POST, [whep, VIEWER]) == [400, "no-video"]
        for _ in range(9):
            await page.evaluate(POST, [whep, "wrong"])
        assert await page.evaluate(POST, [whep, VIEWER]) == [429, "too-many-failures"]
        # The people at its address can still log in.
        await page.goto(f"{here.url}/login")
        await page.get_by_label("Token").fill(VIEWER)
        await page.get_by_role("button", name="Log in").click()
        await expect(page.locator("#account")).to_contain_text("Viewer")
    async with serve_feeds() as here, other_site(unused_port()) as url:
        await page.goto(url)
        refused = await page.evaluate(POST, [f"{here.url}/whep/hall", VIEWER])
        assert refused == [403, "bad-origin"]
