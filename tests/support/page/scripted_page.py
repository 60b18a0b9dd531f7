"""The page in a real session with a scripted captioner."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from aiohttp.test_utils import TestServer
from numpy.typing import NDArray
from playwright.async_api import Page

from inference.captioning.caption import Caption
from inference.engine.service import CaptionService, ExplanationResult
from inference.explanations.map import CaptionMaps, Map
from inference.explanations.target import MethodCard, Target
from inference.progress import Progress, ProgressCallback
from stream.settings import StreamSettings
from tests.support.captions import ScriptedCaptions
from web.app import create_app
from web.settings.server import ServerSettings

HOST = "127.0.0.1"
SOON = 90_000

RECORD_ANNOUNCEMENTS = """() => {
  window.told = [];
  window.toldOfStudy = [];
  for (const [id, told] of [['announcement', window.told], ['frozen-status', window.toldOfStudy]]) {
    const region = document.getElementById(id);
    new MutationObserver(() => told.push(region.textContent)).observe(
      region, { childList: true, characterData: true, subtree: true });
  }
}"""


CELLS = 9


def cell_map(row: int, column: int, peak: float = 1.0) -> Map:
    """Return a 9x9 map with one cell set."""
    values = np.zeros((CELLS, CELLS), np.float32)
    values[row, column] = peak
    return Map(values)


def with_maps(caption: Caption, *maps: Map) -> Caption:
    """Return the caption with these maps of its words."""
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
            MethodCard("occlusion", "Occlusion", "a paper", "101 passes", "logit", _ALL),
            MethodCard("rise", "RISE", "a third paper", "400 passes", "probability", _ALL),
        ),
    )

    def __init__(self, says: Caption) -> None:
        super().__init__(says)
        self.targets: list[tuple[str, Target]] = []
        """What was asked for, by which method, in order."""
        self.cancelled = 0
        """How many were cancelled."""
        self.progress = Progress(0.4, "")
        """RISE's progress, until it `ends`; first half as much."""
        self.ends = asyncio.Event()

    async def explain(
        self,
        image: NDArray[np.uint8],
        tokens: tuple[int, ...],
        method: str,
        target: Target,
        progress: ProgressCallback | None = None,
        *,
        live: bool = False,
        before_requests: Callable[[int], Awaitable[None]] | None = None,
    ) -> ExplanationResult:
        """Explain at once; but RISE makes progress until it `ends`."""
        self.targets.append((method, target))
        reached = replace(self.progress, done=self.progress.done / 2)
        try:
            while method == "rise" and not self.ends.is_set():
                await asyncio.sleep(0.2)
                if progress:
                    progress(reached)
                reached = self.progress
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return ExplanationResult(self.heat_map, self.took_ms)


@asynccontextmanager
async def serve_page(captions: CaptionService) -> AsyncIterator[str]:
    """Serve the page and its sessions; yield the URL."""
    app = create_app(ServerSettings(stream=StreamSettings(interval_s=0.25)), captions)
    async with TestServer(app, host=HOST) as server:
        yield str(server.make_url("/"))


@asynccontextmanager
async def show_page(
    page: Page, caption: Caption | ScriptedCaptions, image: Path | None = None
) -> AsyncIterator[ScriptedCaptions]:
    """Open the page, start a session and wait for its captions.

    Args:
        page: A blank page.
        caption: The caption, or the service that returns it.
        image: The file to open; the camera if None.
    """
    captions = caption if isinstance(caption, ScriptedCaptions) else ScriptedCaptions(caption)
    async with serve_page(captions) as url:
        await page.goto(url)
        await page.evaluate(RECORD_ANNOUNCEMENTS)
        if image:
            await page.set_input_files("#file", str(image))
        else:
            await page.click("#start-camera")
        await more_captions(page)
        yield captions
        if await page.locator("#stop").is_visible():
            await page.evaluate("() => document.querySelector('#stop').click()")


async def more_captions(page: Page, count: int = 3) -> None:
    """Wait for `count` more captions, whether the page shows them or holds an older one."""
    seq = "() => Number(document.querySelector('#caption').dataset.newest ?? 0)"
    before = await page.evaluate(seq)
    await page.wait_for_function(f"{seq} >= {before} + {count}", timeout=SOON)


async def show_caption(page: Page, captions: ScriptedCaptions, caption: Caption) -> None:
    """Change the caption, and wait until the page shows it."""
    captions.caption = caption
    await more_captions(page)


async def announcements(page: Page, *, study: bool = False) -> list[str]:
    """Return all announcements to screen readers, in order: of captions, or of the frozen view."""
    texts: list[str] = await page.evaluate(f"() => window.{'toldOfStudy' if study else 'told'}")
    return texts
