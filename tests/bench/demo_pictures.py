"""Make the pictures of the demo in README and on the start page anew.

`python -m tests.bench.demo_pictures` writes the example of the start page: a photograph of the
demo (`web/static/example.webp`), and its caption with the map of every word, which the shipped
captioner computes from that file (`web/static/example.json`). It then plays the demo in Chromium,
points at the longest word of the first scene, writes `web/screenshot.webp` (the page), and prints
what README's description of it repeats. `--only example` or `--only screenshot` makes one of them.
"""

import argparse
import asyncio
import io
import json
import time
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.async_api import Page, ViewportSize, async_playwright, expect

from inference.captioning import FrameRequest
from inference.engine import Engine
from models.catalogue import SHIPPED_FOLDER
from stream.sources.demo import SCENE_S, SCENES, DemoSource
from tests.browser.conftest import CHROMIUM, QUIET, running

_WEB = Path(__file__).parents[2] / "web"
_EXAMPLE_SCENE = "surfer.webp"
_EXAMPLE_AT_S = 5.5
"""Time in the scene. Of the demo, its words have the maps that differ most."""
_QUALITY = 80
_PAGE_SIZE = ViewportSize(width=1080, height=900)
_START_S = 180
_SECOND = 1000
_ROUND_MS = 1.5 * SCENE_S * len(SCENES) * _SECOND


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.demo_pictures")
    parser.add_argument("--only", choices=("example", "screenshot"))
    only = parser.parse_args().only
    if only != "screenshot":
        asyncio.run(_make_example(_WEB / "static" / "example"))
    if only != "example":
        _serve_and_screenshot()


async def _make_example(path: Path) -> None:
    """Write the photograph, as the demo shows it, and its caption, without the paths' suffixes."""
    scene = [each.file for each in SCENES].index(_EXAMPLE_SCENE)
    frame = DemoSource().frame_at(scene * SCENE_S + _EXAMPLE_AT_S)
    _save(Image.fromarray(frame.to_ndarray(format="rgb24")), path.with_suffix(".webp"))
    # What the page shows, with the losses of its compression.
    with Image.open(path.with_suffix(".webp")) as photograph:
        pixels = np.asarray(photograph.convert("RGB"))
    engine = Engine(SHIPPED_FOLDER)
    engine.start()
    try:
        await engine.wait_loaded()
        assert engine.info
        request = FrameRequest(engine.info.resizing.apply(pixels), None, refresh=True, maps=True)
        caption, _ = await engine.caption_frame(request, None)
    finally:
        await engine.stop()
    body = caption.to_json()
    shown = {name: body[name] for name in ("text", "confidence", "words", "maps")}
    path.with_suffix(".json").write_text(json.dumps(shown, indent=1) + "\n")
    print(f"{caption.text} ({caption.confidence:.0%}): {path.with_suffix('.json')}")


def _serve_and_screenshot() -> None:
    with running("--port", "0") as server:
        deadline = time.monotonic() + _START_S
        while not server.ready():
            assert time.monotonic() < deadline, "the captioner was not loaded"
            time.sleep(0.2)
        asyncio.run(_make_screenshot(server.url))


async def _make_screenshot(url: str) -> None:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        page = await browser.new_page(viewport=_PAGE_SIZE, color_scheme="dark")
        await page.goto(url)
        await page.click("#start-demo")
        await _await_second_round(page)
        words = page.locator("#caption .word")
        lengths = [len(word) for word in await words.all_text_contents()]
        await words.nth(lengths.index(max(lengths))).hover()
        await expect(page.locator("#map-legend")).to_be_visible()
        await page.wait_for_timeout(_SECOND)
        screenshot = await page.screenshot()
        print(await page.inner_text("#certainty"), "/", await page.inner_text("#word-detail"))
        await browser.close()
    _save(Image.open(io.BytesIO(screenshot)).convert("RGB"), _WEB / "screenshot.webp")


async def _await_second_round(page: Page) -> None:
    """Wait for the second showing of the first scene, when the video has its full quality."""
    note = page.locator("#caption-note")
    await expect(note).not_to_be_empty(timeout=_ROUND_MS)
    await expect(note).to_be_empty(timeout=_ROUND_MS)
    await page.wait_for_timeout(2 * _SECOND)


def _save(image: Image.Image, path: Path) -> None:
    image.save(path, quality=_QUALITY, method=6)
    print(f"{path} {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
