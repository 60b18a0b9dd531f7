"""The history on the page, in Chromium: what was seen when, found by words, feed and time."""

import re
import time
from dataclasses import replace
from pathlib import Path

from playwright.async_api import Page, expect

from tests.support.captions import caption_event, confident_caption
from tests.support.page.feed_page import HALL, YARD, assert_fits, listed, serve_feeds
from web.keys import PUBLICATIONS


async def test_what_was_seen_is_found_by_a_question(page: Page, tmp_path: Path) -> None:
    async with serve_feeds(history={"path": tmp_path / "history.db"}) as here:
        await page.goto(here.url)
        hall = listed(page, "The hall")
        await expect(hall).to_contain_text("A dog runs")
        here.captions.caption = confident_caption("A cat sits <img src=x onerror='window.ran = 1'>")
        await expect(hall).to_contain_text("A cat sits")
        here.captions.caption = confident_caption("A bus stops")
        await expect(hall).to_contain_text("A bus stops")

        await page.goto(f"{here.url}/?history")
        found = page.locator("#found li")
        await expect(found).to_have_count(3)
        await expect(page.locator("#found")).to_contain_text("<img src=x")
        await expect(page.locator("#found h3")).to_have_count(1)
        assert await page.evaluate("() => window.ran") is None

        await page.get_by_label("Search captions").fill("when was there a dog?")
        await page.keyboard.press("Enter")
        await expect(found).to_have_count(1)
        await expect(found).to_contain_text(re.compile(r"\d:\d\d:\d\d.*A dog runs.*The hall"))
        await expect(found.locator("mark")).to_have_text("dog")
        await expect(page.locator("#found-count")).to_have_text("1 result, newest first")
        await page.reload()
        await expect(found).to_have_count(1)
        await found.get_by_role("link", name=re.compile(r"\d:\d\d:\d\d")).click()
        # What was before and after it, of its feed.
        await expect(found).to_have_count(3)
        await expect(page.get_by_label("Feed")).to_have_value("hall")
        bars = page.get_by_role("toolbar", name="Timeline").get_by_role("button")
        assert await bars.count() in (11, 12, 22, 24, 44, 48)
        feed = found.first.get_by_role("link", name="The hall")
        assert await feed.get_attribute("href") == "./?feed=hall"
        await page.go_back()
        await expect(found).to_have_count(1)

        exported = tmp_path / "history.srt"
        async with page.expect_download() as downloading:
            await page.get_by_role("link", name="SRT").click()
        await (await downloading.value).save_as(exported)
        assert "A dog runs" in exported.read_text()
        assert "A bus" not in exported.read_text()
        await page.go_back()
        await expect(found).to_have_count(3)

        await page.get_by_role("button", name="Last hour").click()
        await expect(bars).to_have_count(60)
        await expect(found).to_have_count(3)
        await page.get_by_role("button", name="Last 7 days").click()
        # Of three hours each.
        await expect(bars).to_have_count(56)
        await page.get_by_label("Search captions").fill("giraffe")
        await page.keyboard.press("Enter")
        await expect(page.get_by_text("No matches")).to_be_visible()
        await expect(page.get_by_text("Export:")).to_be_hidden()
        await page.get_by_role("button", name="Clear the search").click()
        await expect(found).to_have_count(3)
        await assert_fits(page, "/?history")


async def test_the_timeline_is_gone_through_by_keyboard_and_mouse(
    page: Page, tmp_path: Path
) -> None:
    async with serve_feeds(history={"path": tmp_path / "history.db"}) as here:
        await page.goto(here.url)
        hall = listed(page, "The hall")
        await expect(hall).to_contain_text("A dog runs")
        await page.wait_for_timeout(2500)
        here.captions.caption = confident_caption("A bus stops")
        await expect(hall).to_contain_text("A bus stops")
        await page.wait_for_timeout(500)

        await page.goto(f"{here.url}/?history")
        bars = page.get_by_role("toolbar", name="Timeline").get_by_role("button")
        await expect(bars.first).to_have_accessible_name(re.compile(r": \d+ captions?, mostly:"))
        assert await page.locator("#bars [tabindex='0']").count() == 1
        await bars.first.focus()
        await page.keyboard.press("ArrowRight")
        await expect(bars.nth(1)).to_be_focused()
        await page.keyboard.press("Home")
        await expect(page.locator("#bar-detail")).to_contain_text(re.compile("mostly: .*dog"))
        await page.keyboard.press("Enter")
        found = page.locator("#found li")
        await expect(found).to_have_count(1)
        await expect(found).to_contain_text("A dog runs")
        await page.get_by_role("button", name="All times").click()
        await expect(found).to_have_count(2)

        detail = page.locator("#bar-detail")
        await page.get_by_label("Search captions").focus()
        await expect(detail).to_contain_text("in total")
        # The coloured bar itself, at its foot.
        box = await bars.first.locator("i").bounding_box()
        assert box
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] - 2
        await page.mouse.move(x, y)
        await expect(detail).to_contain_text(re.compile("mostly: .*dog"))
        await page.mouse.click(x, y)
        await expect(found).to_have_count(1)
        await expect(found).to_contain_text("A dog runs")


async def test_a_history_that_is_off_says_how_to_turn_it_on(page: Page) -> None:
    async with serve_feeds() as here:
        await page.goto(f"{here.url}/?history")
        await expect(page.get_by_role("heading", name="History is off")).to_be_visible()
        await expect(page.get_by_text("[history]")).to_be_visible()
        await expect(page.locator("#history")).to_be_hidden()
        await assert_fits(page, "/?history, off")


async def test_an_admin_deletes_what_is_shown_once_it_is_confirmed(
    page: Page, tmp_path: Path
) -> None:
    feeds = {"hall": HALL, "yard": YARD}
    async with serve_feeds(feeds=feeds, history={"path": tmp_path / "history.db"}) as here:
        await page.goto(here.url)
        for title in ("The hall", "The yard"):
            await expect(listed(page, title)).to_contain_text("A dog runs")
        for name in feeds:
            here.app[PUBLICATIONS].remove(here.stream(name))

        await page.goto(f"{here.url}/?history")
        found = page.locator("#found li")
        await expect(found).to_have_count(2)
        await page.get_by_label("Search captions").fill("dog")
        await page.keyboard.press("Enter")
        delete = page.get_by_role("button", name="Delete…")
        await expect(delete).to_be_hidden()
        await page.get_by_label("Search captions").fill("")
        await page.get_by_label("Feed").select_option("hall")
        await expect(found).to_have_count(1)

        await delete.click()
        dialog = page.get_by_role("dialog", name="Delete these captions?")
        await expect(dialog).to_contain_text("deletes 1 result of hall.")
        await expect(dialog.get_by_role("textbox")).to_be_hidden()
        await expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
        await assert_fits(page, "/?history, deleting")
        await page.keyboard.press("Escape")
        await expect(dialog).to_be_hidden()
        await expect(found).to_have_count(1)
        await delete.click()
        await dialog.get_by_role("button", name="Delete 1 result").click()
        await expect(page.get_by_text("1 result deleted.")).to_be_visible()
        await expect(found).to_have_count(0)
        await page.get_by_label("Feed").select_option("All")
        await expect(found).to_have_count(1)
        await expect(found).to_contain_text("yard")

        await delete.click()
        await expect(dialog).to_contain_text("the whole history: 1 result of all feeds")
        confirm = dialog.get_by_role("button", name="Delete 1 result")
        await expect(confirm).to_be_disabled()
        await dialog.get_by_role("textbox", name="type “delete all”").fill("delete")
        await page.keyboard.press("Enter")
        await expect(confirm).to_be_disabled()
        await assert_fits(page, "/?history, deleting all")
        await dialog.get_by_role("textbox").fill("Delete all")
        await page.keyboard.press("Enter")
        await expect(dialog).to_be_hidden()
        await expect(page.get_by_text("1 result deleted.")).to_be_visible()
        await expect(page.get_by_text("No captions yet.")).to_be_visible()
        await expect(page.locator("#timeline")).to_be_hidden()
        assert "1970" not in await page.content()


async def test_words_in_operators_are_found_and_marked(page: Page, tmp_path: Path) -> None:
    async with serve_feeds(feeds={}, history={"path": tmp_path / "history.db"}) as here:
        publish, now = here.app[PUBLICATIONS].captions.publish, time.time()
        texts = ("A red jacket", "A dog in snow", "A cat sits", "A bird of the future")
        for text, ahead_s in zip(texts, (-9, -6, -3, 86_400), strict=True):
            publish(replace(caption_event(text), captured=now + ahead_s))

        await page.goto(f"{here.url}/?history")
        found = page.locator("#found li .words")
        await expect(found).to_have_text(["A cat sits", "A dog in snow", "A red jacket"])
        for words, shown, marked in (
            ("jack* OR cat", ["A cat sits", "A red jacket"], ["cat", "jacket"]),
            ("-dog -cat", ["A red jacket"], []),
            ('"in snow" NOT cat', ["A dog in snow"], ["snow"]),
        ):
            await page.get_by_label("Search captions").fill(words)
            await page.keyboard.press("Enter")
            await expect(found).to_have_text(shown)
            await expect(page.locator("#found mark")).to_have_text(marked)
        await page.get_by_label("Search captions").fill("")
        await page.keyboard.press("Enter")
        await page.get_by_role("button", name="Show").click()
        await expect(found).to_have_text(["A bird of the future"])
        await expect(page.get_by_text("dated ahead")).to_be_hidden()


async def test_a_summary_states_what_was_there_and_links_to_hours(
    page: Page, tmp_path: Path
) -> None:
    async with serve_feeds(history={"path": tmp_path / "history.db"}) as here:
        publish, begin = here.app[PUBLICATIONS].captions.publish, time.time() - 7200
        scenes = ("An empty street", "A dog on a street", "An empty street", "A bus")
        for number in range(241):
            event = caption_event(scenes[number // 80], 20 * number, "porch")
            publish(replace(event, captured=begin + 20 * number))

        await page.goto(f"{here.url}/?history&feed=porch")
        await page.get_by_text("Summary", exact=True).click()
        summary = page.locator("#summaries")
        await expect(summary.locator("h3")).to_have_text("porch")
        await expect(summary).to_contain_text("Captions for 80 min")
        rows = summary.locator("tbody tr")
        await expect(rows).to_have_count(3)
        await expect(rows.nth(1)).to_contain_text(re.compile(r"dog27 min1"))
        changes = summary.locator(".changes li")
        await expect(changes).to_have_text([re.compile("Appeared: dog"), re.compile("Gone: dog")])
        await assert_fits(page, "/?history, summary")
        hours = summary.locator(".summary-hours a")
        count = await hours.count()
        await hours.first.click()
        # The summary of that hour alone is one click away.
        await expect(page.get_by_label("Feed")).to_have_value("porch")
        await page.get_by_text("Summary", exact=True).click()
        await expect(summary.locator("h3")).to_have_text("porch")
        await expect(hours).to_have_count(0)
        assert count in (2, 3)


async def test_similar_results_follow_the_exact_ones_and_are_labelled(
    page: Page, tmp_path: Path
) -> None:
    async with serve_feeds(feeds={}, history={"path": tmp_path / "history.db"}) as here:
        publish, now = here.app[PUBLICATIONS].captions.publish, time.time()
        texts = ("A puppy on a lawn", "A dog runs across grass", "A dog on a lawn with a ball")
        for number, text in enumerate(texts):
            publish(replace(caption_event(text), captured=now - 9 + 3 * number))

        await page.goto(f"{here.url}/?history&q=puppy+on+the+lawn")
        found = page.locator("#found .words")
        similar = [f"{text} similar" for text in reversed(texts[1:])]
        await expect(found).to_have_text([texts[0], *similar])
        headings = page.locator("#found .match-heading")
        await expect(headings).to_have_text(["Similar words"])
        await expect(page.locator("#found mark")).to_have_text(
            ["puppy", "lawn", "dog", "lawn", "dog", "grass"]
        )
        await expect(page.locator("#found-count")).to_have_text("3 results, exact ones first")
        await assert_fits(page, "/?history, similar results")
        await page.get_by_label("Exact only").check()
        await expect(found).to_have_text([texts[0]])
        await page.reload()
        await expect(page.get_by_label("Exact only")).to_be_checked()
        await expect(found).to_have_text([texts[0]])


async def test_a_viewer_cannot_delete(page: Page, tmp_path: Path) -> None:
    access = {"admin_token": "a" * 24, "viewer_token": "v" * 24}
    async with serve_feeds(access=access, history={"path": tmp_path / "history.db"}) as here:
        await page.goto(f"{here.url}/login")
        await page.get_by_label("Token").fill("v" * 24)
        await page.keyboard.press("Enter")
        await expect(listed(page, "The hall")).to_contain_text("A dog runs")
        await page.goto(f"{here.url}/?history")
        await expect(page.locator("#found li")).not_to_have_count(0)
        await expect(page.get_by_role("button", name="Delete…")).to_be_hidden()
