"""A server with feeds and a scripted captioner, for tests of the page."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import Locator, Page

from stream.captioned_stream import CaptionedStream, Signal, SignalState
from tests.support.captions import ScriptedCaptions, confident_caption
from tests.support.page.scripted_page import HOST
from web.app import create_app
from web.keys import MEDIA, PUBLICATIONS
from web.settings.server import ServerSettings

HALL = {"source": "demo", "title": "The hall", "interval_s": 0.25, "explanations": "none"}
YARD = {**HALL, "title": "The yard"}
DOG = confident_caption("A dog runs", dog=0.92)
WIDER = "() => document.documentElement.scrollWidth - innerWidth"


class FeedServer:
    """A running server with demo feeds."""

    def __init__(self, url: str, app: web.Application, captions: ScriptedCaptions) -> None:
        self.url, self.app, self.captions = url, app, captions

    def stream(self, name: str) -> CaptionedStream:
        """Return the stream that is published under a name."""
        return self.app[PUBLICATIONS].find_here(name)

    @property
    def viewers(self) -> int:
        """Number of viewers of all feeds."""
        return self.app[MEDIA].sessions.viewers

    def signal(self, name: str, state: SignalState, message: str = "") -> None:
        """Set a feed's signal."""
        self.stream(name).signal = Signal(state, 1_700_000_000.0, message)


@asynccontextmanager
async def serve_feeds(
    captions: ScriptedCaptions | None = None, **settings: Any
) -> AsyncIterator[FeedServer]:
    """Serve the page with these settings; by default with one feed, `hall`, and its `DOG`."""
    captions = captions or ScriptedCaptions(DOG)
    app = create_app(ServerSettings(**{"feeds": {"hall": HALL}, **settings}), captions)
    async with TestServer(app, host=HOST) as server:
        yield FeedServer(str(server.make_url("")).rstrip("/"), app, captions)


def listed(page: Page, title: str) -> Locator:
    """Return the row of a feed in the list of feeds."""
    return page.get_by_role("listitem").filter(has=page.get_by_role("link", name=title))


async def assert_fits(page: Page, path: str) -> None:
    """Assert that nothing is cut off at a phone's width, in dark and forced colours too."""
    await page.set_viewport_size({"width": 375, "height": 812})
    await page.emulate_media(color_scheme="dark", forced_colors="active")
    assert await page.evaluate(WIDER) <= 0, path
    await page.emulate_media(color_scheme="light", forced_colors="none")
    assert await page.evaluate(WIDER) <= 0, path
