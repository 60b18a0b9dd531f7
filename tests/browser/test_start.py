"""The start page, in Chromium: an example that explains itself, and three ways to start."""

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from playwright.async_api import Page, expect

from tests.support.page.feed_page import assert_fits, serve_feeds

STATIC = Path(__file__).parents[2] / "web" / "static"
STARTS = ("#start-camera", "#start-demo", "#start-file")
WORDS = "#example-words .word"
TURNED_TO = (
    "(word) => document.querySelector('#example-words [data-inspected]')?.textContent === word"
)
STRONGEST = """() => {
  const canvas = document.getElementById('example-map');
  const { width, height } = canvas;
  const { data } = canvas.getContext('2d').getImageData(0, 0, width, height);
  // Yellow, the top of the colour map, has the most green; the contour is black and white.
  const greens = Array.from({ length: width * height }, (_, at) =>
    data[4 * at + 2] > 120 ? 0 : data[4 * at + 1]);
  const most = greens.reduce((one, other) => Math.max(one, other));
  const top = greens.flatMap((green, at) => (green === most ? [at] : []));
  const mean = (of) => top.reduce((sum, at) => sum + of(at), 0) / top.length;
  return [mean((at) => at % width) / width, mean((at) => Math.floor(at / width)) / height];
}"""


async def test_each_word_of_the_example_shows_its_map_in_turn(page: Page) -> None:
    words = json.loads((STATIC / "example.json").read_text())
    told = [each for each in words["words"] if each["confidence"] is not None]
    async with serve_feeds(feeds={}) as here:
        await page.goto(here.url)
        await expect(page.locator("#example-words")).to_have_text(words["text"])
        await expect(page.locator("#example-map")).to_have_attribute("data-painted", "true")
        for word in told[:3]:
            await page.wait_for_function(TURNED_TO, arg=word["text"])
            place = await page.evaluate(STRONGEST)
            levels = map_of(words, word)
            row, column = np.unravel_index(levels.argmax(), levels.shape)
            # The colours are interpolated between the centres of the cells.
            assert abs(place[0] * levels.shape[1] - column - 0.5) < 1, word["text"]
            assert abs(place[1] * levels.shape[0] - row - 0.5) < 1, word["text"]

        last = page.locator(WORDS).last
        await last.hover()
        detail = f"“{told[-1]['text']}” {told[-1]['confidence']:.0%}"
        await expect(page.locator("#example-detail")).to_have_text(detail)
        await page.wait_for_timeout(2_500)
        assert await last.get_attribute("data-inspected") is not None
        await page.mouse.move(0, 0)
        await page.wait_for_function(TURNED_TO, arg=told[0]["text"])

        await page.get_by_role("button", name="Pause the example").click()
        await page.wait_for_timeout(2_500)
        assert await page.evaluate(TURNED_TO, told[0]["text"])
        await page.keyboard.press("Tab")
        await page.keyboard.press("End")
        await expect(last).to_be_focused()
        await page.keyboard.press("Home")
        await expect(page.locator("#example-detail")).to_have_text("“a”")


def map_of(caption: dict[str, Any], word: dict[str, Any]) -> NDArray[np.uint8]:
    """Return the stored levels of a word's map."""
    stored = caption["maps"]["words"][caption["words"].index(word)]
    return np.frombuffer(base64.b64decode(stored["data"]), np.uint8).reshape(stored["shape"])


async def test_the_example_stands_still_for_those_who_want_no_motion(page: Page) -> None:
    await page.emulate_media(reduced_motion="reduce")
    async with serve_feeds(feeds={}) as here:
        await page.goto(here.url)
        await expect(page.locator("#example-map")).to_have_attribute("data-painted", "true")
        first = await page.locator("#example-detail").inner_text()
        await page.wait_for_timeout(2_500)
        assert await page.locator("#example-detail").inner_text() == first
        await expect(page.locator("#example-pause")).to_be_hidden()
        await page.locator(WORDS).last.hover()
        await expect(page.locator("#example-detail")).not_to_have_text(first)


async def test_the_picture_and_all_ways_to_start_are_in_the_first_view(page: Page) -> None:
    async with serve_feeds(feeds={}) as here:
        for width, height in ((1280, 720), (1920, 1080)):
            await page.set_viewport_size({"width": width, "height": height})
            await page.goto(here.url)
            for shown in ("#example-photograph", "#example-words", *STARTS):
                await expect(page.locator(shown)).to_be_in_viewport(ratio=1)
        await assert_fits(page, "/")


def test_the_example_is_small() -> None:
    assert sum((STATIC / name).stat().st_size for name in ("example.webp", "example.json")) < 60e3
