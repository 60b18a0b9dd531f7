"""The reference of the HTTP API, and the page where there is none, in Chromium."""

from playwright.async_api import Page, expect

from tests.support.page.feed_page import assert_fits, serve_feeds


async def test_the_api_is_linked_and_its_commands_are_copied(page: Page) -> None:
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    async with serve_feeds(feeds={}) as here:
        await page.goto(f"{here.url}/no/such/page")
        await expect(page.get_by_role("heading", name="Page not found")).to_be_visible()
        await assert_fits(page, "/no/such/page")
        await page.get_by_role("link", name="Go to the live page").click()
        await page.get_by_role("link", name="HTTP API").click()
        await page.locator("summary", has_text="List feeds").click()
        await page.get_by_role("button", name="Copy").click()
        await expect(page.get_by_role("button", name="Copied")).to_be_visible()
        copied = await page.evaluate("() => navigator.clipboard.readText()")
        assert copied == f"curl {here.url}/api/feeds"
        await assert_fits(page, "/api")
