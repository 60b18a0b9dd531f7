"""The wall, in Chromium: several feeds at once, and no more of them than are looked at."""

import re
from collections.abc import Awaitable, Callable

from playwright.async_api import Page, Route, expect

from tests.support.captions import confident_caption
from tests.support.page.feed_page import (
    HALL,
    WIDER,
    YARD,
    FeedServer,
    assert_fits,
    serve_feeds,
)

FEEDS = {"hall": HALL, "yard": YARD, "gate": {**HALL, "title": "The gate"}}
PLAYING = "() => [...document.querySelectorAll('.wall-tile video')].filter(v => v.videoWidth > 0)"
LONGER = "() => document.documentElement.scrollHeight - innerHeight"
FONT_SIZE = "(element) => parseFloat(getComputedStyle(element).fontSize)"
NEXT_FRAME = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
RECORD_ANNOUNCEMENTS = """() => {
  window.told = [];
  for (const region of document.querySelectorAll('[aria-live], [role=status], [role=alert]')) {
    new MutationObserver(() => window.told.push(region.textContent)).observe(
      region, { childList: true, characterData: true, subtree: true });
  }
}"""


async def viewers(page: Page, here: FeedServer, count: int) -> None:
    """Wait until so many videos are sent."""
    for _ in range(100):
        if here.viewers == count:
            return
        await page.wait_for_timeout(100)
    assert here.viewers == count


async def test_all_feeds_play_with_their_captions_and_announce_nothing(page: Page) -> None:
    async with serve_feeds(feeds=FEEDS) as here:
        await page.goto(f"{here.url}/?wall")
        await page.evaluate(RECORD_ANNOUNCEMENTS)
        hall = page.get_by_role("article", name="The hall")
        await expect(hall).to_contain_text("A dog runs")
        await expect(hall).to_contain_text(re.compile(r"Live · (\d+ s ago|just now)"))
        await page.wait_for_function(f"() => ({PLAYING})().length === 3")
        # Their captions are below, and not in the video too.
        videos = here.stream("hall").plain_video, here.stream("hall").shared_video
        assert [video.viewers for video in videos] == [1, 0]
        here.captions.caption = confident_caption("A cat sits")
        await expect(hall).to_contain_text("A cat sits")
        assert await page.evaluate("() => window.told") == []

        await page.get_by_label("Announce captions of").select_option("The yard")
        await expect(page.locator("#announcement")).to_have_text("A cat sits")
        await assert_fits(page, "/?wall")
        await page.get_by_role("link", name="The yard").click()
        await expect(page.locator("#state")).to_have_text("Watching: The yard")
        await viewers(page, here, 1)
        await page.go_back()
        await expect(page.get_by_role("article")).to_have_count(3)


async def test_full_screen_hides_all_but_the_tiles(page: Page) -> None:
    async with serve_feeds(feeds={}) as here:
        await page.route("**/api/feeds", answer(4))
        await page.goto(f"{here.url}/?wall")
        await expect(page.get_by_role("article")).to_have_count(4)
        await page.get_by_role("button", name="Full screen").focus()
        await page.keyboard.press("Enter")
        leave = page.get_by_role("button", name="Exit full screen")
        await expect(leave).to_be_focused()
        for hidden in (".masthead", "h1", "#announce-field"):
            await expect(page.locator(hidden)).to_be_hidden()
        await page.evaluate(NEXT_FRAME)
        assert await page.evaluate(LONGER) <= 0
        await expect(page.get_by_role("article").last).to_be_in_viewport(ratio=0.99)
        await page.keyboard.press("Enter")
        await expect(page.locator("h1")).to_be_visible()


async def test_only_what_is_in_view_plays(page: Page) -> None:
    await page.set_viewport_size({"width": 375, "height": 500})
    async with serve_feeds(feeds=FEEDS) as here:
        await page.goto(f"{here.url}/?wall")
        await page.wait_for_function(f"() => ({PLAYING})().length === 1")
        assert here.viewers == here.stream("hall").viewers == 1
        await page.get_by_role("article", name="The gate").scroll_into_view_if_needed()
        await page.evaluate("() => scrollTo(0, document.body.scrollHeight)")
        await viewers(page, here, 1)
        await page.wait_for_function(
            "() => document.querySelector('li:last-child video').videoWidth > 0"
        )
        assert here.stream("gate").viewers == 1
        assert here.stream("hall").viewers == 0
        # As a tab that is left for another does it.
        await page.evaluate(
            """() => {
              Object.defineProperty(document, 'hidden', { value: true });
              document.dispatchEvent(new Event('visibilitychange'));
            }"""
        )
        await viewers(page, here, 0)


async def test_tiles_fill_the_window_with_pictures_as_large_as_can_be(page: Page) -> None:
    async with serve_feeds(feeds={}) as here:
        for count in (1, 4, 5, 16):
            await page.route("**/api/feeds", answer(count))
            await page.goto(f"{here.url}/?wall")
            await expect(page.get_by_role("article")).to_have_count(count)
            for width, height in ((390, 844), (800, 1100), (1280, 720)):
                await page.set_viewport_size({"width": width, "height": height})
                await page.evaluate(NEXT_FRAME)
                await assert_tiles_fill(page, count, height)


async def assert_tiles_fill(page: Page, count: int, window: int) -> None:
    """Compare the size of the pictures with that of every other number of columns."""
    wall, tile, stage, words = [
        await page.locator(part).first.bounding_box()
        for part in ("#wall", ".wall-tile", ".wall-stage", ".wall-tile .words")
    ]
    assert wall and tile and stage and words
    assert words["y"] >= stage["y"] + stage["height"]
    assert await page.locator(".wall-tile .words").first.evaluate(FONT_SIZE) >= 15
    text, possible = tile["height"] - stage["height"], []
    for columns in range(1, count + 1):
        rows = -(-count // columns)
        across = (wall["width"] - 12 * (columns - 1)) / columns
        down = (window - wall["y"] - 60 - 12 * (rows - 1)) / rows
        possible.append(min(across, (down - text) * 4 / 3))
    picture = min(stage["width"], stage["height"] * 4 / 3)
    assert await page.evaluate(WIDER) <= 0
    if await page.evaluate(LONGER) > 0:
        # Only where the pictures would be too small.
        assert max(possible) < 140 <= picture, (count, picture, possible)
    else:
        assert picture > 0.9 * max(possible), (count, picture, possible)
        await expect(page.get_by_role("article").last).to_be_in_viewport(ratio=0.99)


def answer(count: int) -> Callable[[Route], Awaitable[None]]:
    """Return a handler that answers with so many feeds that have no video."""
    signal = {"state": "connecting", "since": 1.7e9, "message": ""}
    feeds = [{"name": f"gate-{each}", "signal": signal} for each in range(count)]

    async def fulfill(route: Route) -> None:
        await route.fulfill(json={"feeds": feeds, "history": False})

    return fulfill
