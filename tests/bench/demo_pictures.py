"""Make the pictures of the demo in README and on the start page anew.

`python -m tests.bench.demo_pictures` plays the demo in Chromium, points at the longest word of the
first scene, and writes `web/screenshot.webp` (the page) and
`web/static/example.webp` (the video with the map). It prints the caption as HTML, to be pasted into
`example-caption` of `web/static/index.html`, and what README's description of the picture repeats.
"""

import asyncio
import io
import time
from pathlib import Path

from PIL import Image
from playwright.async_api import Page, ViewportSize, async_playwright, expect

from stream.sources.demo import SCENE_S, SCENES
from tests.browser.conftest import CHROMIUM, QUIET, running

_WEB = Path(__file__).parents[2] / "web"
_PAGE_SIZE = ViewportSize(width=1080, height=900)
_EXAMPLE_SIZE = (360, 270)
_START_S = 180
_SECOND = 1000
_ROUND_MS = 1.5 * SCENE_S * len(SCENES) * _SECOND

_CAPTION = """() => [...document.querySelectorAll('#caption .word')].map((word) => ({
  text: word.textContent,
  certainty: word.dataset.certainty,
}))"""
"""The words of the caption with the form of their underlines."""

_HIDE = """() => {
  for (const element of document.querySelectorAll('#map-legend, #note')) {
    element.style.visibility = 'hidden';
  }
}"""


def main() -> None:
    """Run the command line."""
    with running("--port", "0") as server:
        deadline = time.monotonic() + _START_S
        while not server.ready():
            assert time.monotonic() < deadline, "the captioner was not loaded"
            time.sleep(0.2)
        asyncio.run(_make_pictures(server.url))


async def _make_pictures(url: str) -> None:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        page = await browser.new_page(viewport=_PAGE_SIZE, color_scheme="dark")
        await page.goto(url)
        await page.click("#start-demo")
        await _await_second_round(page)
        lengths = [len(word["text"]) for word in await page.evaluate(_CAPTION)]
        word = lengths.index(max(lengths))
        await page.locator("#caption .word").nth(word).hover()
        await expect(page.locator("#map-legend")).to_be_visible()
        await page.wait_for_timeout(_SECOND)
        _save(await page.screenshot(), _WEB / "screenshot.webp")
        words = await page.evaluate(_CAPTION)
        print(await page.inner_text("#certainty"), "/", await page.inner_text("#word-detail"))
        await page.evaluate(_HIDE)
        stage = await page.locator("#stage").screenshot()
        _save(stage, _WEB / "static" / "example.webp", _EXAMPLE_SIZE)
        await browser.close()
    for index, each in enumerate(words):
        inspected = " data-inspected" if index == word else ""
        certainty = each["certainty"]
        sample = f' class="sample" data-certainty="{certainty}"' if certainty else ""
        print(f"<span{sample}{inspected}>{each['text']}</span>")


async def _await_second_round(page: Page) -> None:
    """Wait for the second showing of the first scene, when the video has its full quality."""
    note = page.locator("#caption-note")
    await expect(note).not_to_be_empty(timeout=_ROUND_MS)
    await expect(note).to_be_empty(timeout=_ROUND_MS)
    await page.wait_for_timeout(2 * _SECOND)


def _save(png: bytes, path: Path, size: tuple[int, int] | None = None) -> None:
    image = Image.open(io.BytesIO(png)).convert("RGB")
    image = image.resize(size, Image.Resampling.LANCZOS) if size else image
    image.save(path, quality=80, method=6)
    print(f"{path} {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
