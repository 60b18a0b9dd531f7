"""The wall, in Chromium: several feeds at once, and no more of them than are looked at."""

import re

from playwright.async_api import Page, expect

from tests.support.captions import confident_caption
from tests.support.page.feed_page import HALL, YARD, FeedServer, assert_fits, serve_feeds

FEEDS = {"hall": HALL, "yard": YARD, "gate": {**HALL, "title": "The gate"}}
PLAYING = "() => [...document.querySelectorAll('.wall-tile video')].filter(v => v.videoWidth > 0)"
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
