"""A camera that its owner lets others watch, in Chromium."""

from pathlib import Path

from playwright.async_api import Browser, Page, expect

from tests.support.page.feed_page import assert_fits, serve_feeds


async def test_others_watch_a_camera_under_the_name_that_it_is_given(
    page: Page, browser: Browser, tmp_path: Path
) -> None:
    async with serve_feeds(history={"path": tmp_path / "history.db"}) as here:
        await page.goto(here.url)
        await page.click("#start-camera")
        name = page.get_by_label("Share this session")
        await expect(page.get_by_text("captions are also stored in the history")).to_be_visible()
        await name.fill("My phone!")
        await page.get_by_role("button", name="Share").click()
        await expect(page.locator("#publish-told")).to_contain_text("lowercase letters")
        await expect(name).to_be_focused()
        await name.fill("hall")
        await page.keyboard.press("Enter")
        await expect(page.locator("#publish-told")).to_contain_text("“hall” is taken")
        await name.fill("phone")
        await page.keyboard.press("Enter")

        link = page.get_by_role("link", name=f"{here.url}/?feed=phone")
        await expect(link).to_be_visible()
        await expect(page.locator("#published-viewers")).to_have_text("No viewers")
        await expect(page.get_by_role("link", name="phone", exact=True)).to_be_visible()
        await expect(page.get_by_text("Captions are stored in the history")).to_be_visible()
        await assert_fits(page, "shared")

        other = await browser.new_page()
        await other.goto(f"{here.url}/?feed=phone")
        await expect(other.locator("#sentence")).to_have_text("A dog runs")
        await expect(page.locator("#published-viewers")).to_have_text("1 viewer")
        await page.get_by_role("button", name="Stop sharing").click()
        await expect(other.locator("#overlay")).to_contain_text("Feed not found")
        await expect(name).to_be_visible()
        await expect(page.locator("#state")).to_contain_text("Live")
        await other.close()


async def test_a_name_that_somebody_else_took_first_is_told_beside_the_field(page: Page) -> None:
    async with serve_feeds() as here:
        await page.goto(here.url)
        # As if it had been taken since the page last looked.
        await page.route("**/api/feeds", lambda route: route.fulfill(json={"feeds": []}))
        await page.reload()
        await page.click("#start-camera")
        await page.get_by_label("Share this session").fill("hall")
        await page.keyboard.press("Enter")
        await expect(page.locator("#publish-told")).to_contain_text("hall")
        await expect(page.locator("#state")).to_contain_text("Live")
        await expect(page.get_by_label("Share this session")).to_be_visible()
        await expect(page.get_by_text("stored in the history")).to_have_count(2)
        for note in await page.get_by_text("stored in the history").all():
            await expect(note).to_be_hidden()
