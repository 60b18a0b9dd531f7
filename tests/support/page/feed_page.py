"""The page over a server with feeds, whose captioner says what a test tells it to."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import Page

from stream.captioned_stream import CaptionedStream, Signal, SignalState
from tests.browser.showing import HOST
from tests.support.captions import ScriptedCaptions, sure
from web.app import create_app
from web.keys import PUBLICATIONS, SESSIONS
from web.settings.server import ServerSettings

HALL = {"source": "demo", "title": "The hall", "interval_s": 0.25, "explanations": "none"}
YARD = {**HALL, "title": "The yard"}
DOG = sure("A dog runs", dog=0.92)
WIDER = "() => document.documentElement.scrollWidth - innerWidth"


class Feeding:
    """A server with feeds of the demo."""

    def __init__(self, url: str, app: web.Application, captions: ScriptedCaptions) -> None:
        self.url, self.app, self.captions = url, app, captions

    def stream(self, name: str) -> CaptionedStream:
        """What is watched under this name."""
        return self.app[PUBLICATIONS].find(name)

    @property
    def viewers(self) -> int:
        """How many watch, all feeds together."""
        return self.app[SESSIONS].viewers

    def signal(self, name: str, state: SignalState, message: str = "") -> None:
        """Have a feed lose its signal, or find it again."""
        self.stream(name).signal = Signal(state, 1_700_000_000.0, message)


@asynccontextmanager
async def feeding(**settings: Any) -> AsyncIterator[Feeding]:
    """Serve the page with these settings; with one feed, `hall`, unless they say otherwise."""
    captions = ScriptedCaptions(DOG)
    app = create_app(ServerSettings(**{"feeds": {"hall": HALL}, **settings}), captions)
    async with TestServer(app, host=HOST) as server:
        yield Feeding(str(server.make_url("")).rstrip("/"), app, captions)


async def fits(page: Page, path: str) -> None:
    """See that nothing is cut off on a phone, in whichever colours."""
    await page.set_viewport_size({"width": 375, "height": 812})
    await page.emulate_media(color_scheme="dark", forced_colors="active")
    assert await page.evaluate(WIDER) <= 0, path
    await page.emulate_media(color_scheme="light", forced_colors="none")
    assert await page.evaluate(WIDER) <= 0, path
