"""Stored pictures on the page, in Chromium: said where feeds are seen, shown with their maps."""

import asyncio
import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
from playwright.async_api import Locator, Page, expect

from inference.explanations.map import CaptionMaps, Map
from tests.support.captions import confident_caption
from tests.support.page.feed_page import assert_fits, listed, serve_feeds
from web.keys import HISTORY

NOTICE = "Small pictures of the feeds are stored with their captions."
CELLS = np.eye(3, dtype=np.float32)


async def test_pictures_are_said_to_be_stored_and_show_where_words_were_found(
    page: Page, tmp_path: Path
) -> None:
    history = {"path": tmp_path / "history.db", "pictures": "changes"}
    async with serve_feeds(history=history) as here:
        maps = tuple(Map(np.diag(CELLS[each])) for each in range(3))
        explained = CaptionMaps("gradcam", maps, Map(CELLS))
        here.captions.caption = replace(confident_caption("A horse stands"), maps=explained)
        await page.goto(here.url)
        await expect(listed(page, "The hall")).to_contain_text("A horse stands")
        for notice in await page.get_by_text(NOTICE).all():
            await expect(notice).to_be_visible()
        assert await page.get_by_text(NOTICE).count() == 2
        await page.goto(f"{here.url}/?wall")
        await expect(page.get_by_text(NOTICE)).to_be_visible()
        kept = here.app[HISTORY]
        async with asyncio.timeout(20):
            while not kept.pictures.kept:
                await asyncio.sleep(0.02)

        await page.goto(f"{here.url}/?history")
        await expect(page.get_by_text(NOTICE)).to_be_visible()
        pictures = page.locator("#found").get_by_role("button")
        horse = pictures.and_(page.get_by_role("button", name="A horse stands")).first
        await expect(horse).to_be_visible()
        image = horse.get_by_role("img")
        await expect(image).to_have_js_property("complete", value=True)
        assert await image.evaluate("image => image.naturalWidth") > 100
        await assert_fits(page, "/?history")
        await horse.click()

        dialog = page.get_by_role("dialog", name="Picture")
        words = dialog.get_by_role("toolbar", name="Words of the caption").get_by_role("button")
        await expect(words).to_have_text(["A", "horse", "stands"])
        drawn = dialog.locator("#picture-map")
        await expect(drawn).to_have_attribute("data-painted", "false")
        await words.nth(1).click()
        await expect(drawn).to_have_attribute("data-painted", "true")
        detail = dialog.get_by_role("status")
        await expect(detail).to_have_text(re.compile("^“horse”: mostly .*the middle third, centre"))
        await page.keyboard.press("ArrowRight")
        await expect(words.nth(2)).to_be_focused()
        await expect(words.nth(2)).to_have_attribute("aria-pressed", "true")
        await expect(detail).to_have_text(re.compile("^“stands”: .*the right third, bottom"))
        await page.keyboard.press("Escape")
        await expect(dialog).to_be_hidden()
        await expect(horse).to_be_focused()


async def test_without_pictures_nothing_is_said(page: Page, tmp_path: Path) -> None:
    async with serve_feeds(history={"path": tmp_path / "history.db"}) as here:
        await page.goto(here.url)
        await expect(listed(page, "The hall")).to_contain_text("A dog runs")
        await expect(page.get_by_text(NOTICE).first).to_be_hidden()
        await page.goto(f"{here.url}/?history")
        await expect(page.locator("#found li").first).to_be_visible()
        await expect(page.get_by_text(NOTICE)).to_be_hidden()
        await expect(page.locator("#found img")).to_have_count(0)


async def test_bars_of_the_timeline_show_their_latest_picture(page: Page, tmp_path: Path) -> None:
    history = {"path": tmp_path / "history.db", "pictures": "changes"}
    async with serve_feeds(history=history) as here:
        kept, requests = here.app[HISTORY], list[str]()
        for count, text in enumerate(("A dog runs", "A bus stops"), 1):
            here.captions.caption = confident_caption(text)
            async with asyncio.timeout(20):
                while kept.pictures.kept < count:
                    await asyncio.sleep(0.02)
            await asyncio.sleep(1.5)
        page.on("request", lambda request: requests.append(request.url))
        await page.goto(f"{here.url}/?history")
        timeline = page.get_by_role("region", name="Timeline")
        bar = timeline.get_by_role("button", name=re.compile("mostly: .*dog"))
        empty = timeline.get_by_role("button", name=re.compile("no captions")).nth(8)
        picture = timeline.locator("#bar-picture")
        await expect(bar).to_have_count(1)
        await expect(picture).not_to_be_visible()
        before = await timeline.bounding_box()

        await bar.hover()
        await expect(picture).to_be_visible()
        await expect(picture).to_have_js_property("complete", value=True)
        assert await picture.evaluate("image => image.naturalWidth") > 100
        await expect(picture).to_have_attribute("alt", "A dog runs")
        assert await timeline.bounding_box() == before
        await shoot(page, "timeline")
        await empty.hover()
        await expect(picture).not_to_be_visible()
        await bar.focus()
        await page.mouse.move(0, 0)
        await expect(picture).to_be_visible()
        await page.keyboard.press("ArrowRight")
        await expect(picture).not_to_be_visible()

        fingers = await page.context.new_cdp_session(page)

        async def touch(kind: str, over: Locator) -> None:
            box = await over.bounding_box()
            assert box
            point = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
            touched = {"type": kind, "touchPoints": [point] if kind != "touchEnd" else []}
            await fingers.send("Input.dispatchTouchEvent", touched)

        await touch("touchStart", empty)
        await touch("touchMove", bar)
        await expect(picture).to_be_visible()
        await touch("touchEnd", bar)
        await expect(picture).to_be_visible()
        await expect(page).to_have_url(f"{here.url}/?history")
        # Whether there are any, and the one of the bar, once.
        assert len([url for url in requests if "pictured=true" in url]) == 2
        await assert_fits(page, "/?history, with a picture beside the timeline")
        await shoot(page, "timeline-narrow")


async def shoot(page: Page, name: str) -> None:
    """Keep a screenshot where somebody wants to look at it."""
    if folder := os.environ.get("SCREENSHOTS"):
        await page.screenshot(path=f"{folder}/{name}.png", full_page=True)
