"""The page over a real session, whose captioner says what a test tells it to."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from aiohttp.test_utils import TestServer
from numpy.typing import NDArray
from playwright.async_api import Page

from inference.captioning.caption import Caption
from inference.engine.connection import Progress
from inference.engine.service import Explained
from inference.explanations.map import CaptionMaps, Map
from inference.explanations.target import MethodCard, Target
from inference.progress import Step
from stream.settings import StreamSettings
from tests.support.captions import ScriptedCaptions
from web.app import create_app
from web.settings.server import ServerSettings

HOST = "127.0.0.1"
SOON = 90_000

RECORD_ANNOUNCEMENTS = """() => {
  window.told = [];
  const region = document.querySelector('#announcement');
  new MutationObserver(() => window.told.push(region.textContent)).observe(
    region, { childList: true, characterData: true, subtree: true });
}"""


CELLS = 9


def spot(row: int, column: int, peak: float = 1.0) -> Map:
    """A map of one cell among 9x9."""
    values = np.zeros((CELLS, CELLS), np.float32)
    values[row, column] = peak
    return Map(values)


def mapped(caption: Caption, *maps: Map) -> Caption:
    """A caption that comes with these maps of its words."""
    whole = Map(np.sum([each.values for each in maps], axis=0))
    return replace(caption, maps=CaptionMaps("gradcam", maps, whole))


_ALL = ("word", "contrast", "caption", "tag")


class ExplainedCaptions(ScriptedCaptions):
    """A caption service with every kind of method, one of them slow."""

    info = replace(
        ScriptedCaptions.info,
        methods=(
            MethodCard("gradcam", "Grad-CAM", "a paper", "little", "logit", _ALL),
            MethodCard("gradcam-total", "Grad-CAM, total", "a paper", "little", "logit", _ALL),
            MethodCard("attention", "Attention", "another paper", "nothing", "share", ("word",)),
            MethodCard("rise", "RISE", "a third paper", "400 passes", "probability", _ALL),
        ),
    )

    def __init__(self, says: Caption) -> None:
        super().__init__(says)
        self.targets: list[tuple[str, Target]] = []
        """What was asked for, by which method, in order."""
        self.cancelled = 0
        """How many were cancelled."""

    async def explain(
        self,
        picture: NDArray[np.uint8],
        tokens: tuple[int, ...],
        method: str,
        target: Target,
        progress: Progress | None = None,
        *,
        live: bool = False,
    ) -> Explained:
        """Explain at once; but RISE makes progress and never ends."""
        self.targets.append((method, target))
        try:
            while method == "rise":
                await asyncio.sleep(0.2)
                if progress:
                    progress(Step(0.4, ""))
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return Explained(self.heat, self.took_ms)


@asynccontextmanager
async def serving(captions: ScriptedCaptions) -> AsyncIterator[str]:
    """Serve the page and its sessions as `web.app` does, and tell the address."""
    app = create_app(ServerSettings(stream=StreamSettings(interval_s=0.25)), captions)
    async with TestServer(app, host=HOST) as server:
        yield str(server.make_url("/"))


@asynccontextmanager
async def showing(
    page: Page, says: Caption | ScriptedCaptions, picture: Path | None = None
) -> AsyncIterator[ScriptedCaptions]:
    """Have the page show a caption, and then whatever the service is told to say.

    Args:
        page: Empty as yet.
        says: The caption, or the service.
        picture: What the page plays, the camera if None.
    """
    captions = says if isinstance(says, ScriptedCaptions) else ScriptedCaptions(says)
    async with serving(captions) as url:
        await page.goto(url)
        await page.evaluate(RECORD_ANNOUNCEMENTS)
        if picture:
            await page.set_input_files("#file", str(picture))
        else:
            await page.click("#start-camera")
        await more_captions(page)
        yield captions
        if await page.locator("#stop").is_visible():
            await page.evaluate("() => document.querySelector('#stop').click()")


async def more_captions(page: Page, count: int = 3) -> None:
    """Wait for some more captions."""
    seq = "() => Number(document.querySelector('#caption').dataset.seq ?? 0)"
    before = await page.evaluate(seq)
    await page.wait_for_function(f"{seq} >= {before} + {count}", timeout=SOON)


async def say(page: Page, captions: ScriptedCaptions, caption: Caption) -> None:
    """Say something else, and wait until the page shows it."""
    captions.says = caption
    await more_captions(page)


async def told(page: Page) -> list[str]:
    """All that screen readers were told, in order."""
    texts: list[str] = await page.evaluate("() => window.told")
    return texts
