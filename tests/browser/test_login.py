"""The login, in Chromium: who may come in, what is offered to whom, and how one leaves."""

from playwright.async_api import Page, expect

from tests.support.page.feed_page import assert_fits, serve_feeds

ADMIN, VIEWER = "admin-" * 4, "viewer-" * 4
TOKENS = {"admin_token": ADMIN, "viewer_token": VIEWER}


async def log_in(page: Page, token: str) -> None:
    """Show a token."""
    await page.get_by_label("Token").fill(token)
    await page.get_by_role("button", name="Log in").click()


async def test_a_viewer_is_offered_feeds_and_nothing_else(page: Page) -> None:
    async with serve_feeds(access=TOKENS) as here:
        await page.goto(f"{here.url}/?feed=hall")
        await expect(page.get_by_label("Token")).to_be_focused()
        await assert_fits(page, "/login")
        await log_in(page, "a wrong one, surely")
        await expect(page.get_by_role("alert")).to_have_text("Wrong token.")
        await log_in(page, VIEWER)
        await expect(page.locator("#state")).to_have_text("Watching: The hall")
        assert page.url == f"{here.url}/?feed=hall"
        await expect(page.locator("#account")).to_contain_text("Viewer")
        await expect(page.locator("#own-sources")).to_be_hidden()
        await page.click("#freeze")
        await expect(page.locator("#frozen-heading")).to_have_text("A dog runs")
        for analysis in ("Fool it", "Concepts"):
            await expect(page.get_by_role("tab", name=analysis)).to_be_hidden()
        await page.click("#leave-frozen")

        await page.get_by_role("button", name="Log out").click()
        await expect(page.get_by_label("Token")).to_be_visible()
        await page.goto(here.url)
        await expect(page.get_by_label("Token")).to_be_visible()


async def test_an_admin_is_offered_all_until_the_login_ends(page: Page) -> None:
    async with serve_feeds(access=TOKENS) as here:
        await page.goto(here.url)
        await log_in(page, ADMIN)
        await expect(page.locator("#account")).to_contain_text("Admin")
        await expect(page.get_by_role("button", name="Demo")).to_be_visible()
        await page.context.clear_cookies()
        await page.get_by_role("button", name="Demo").click()
        await expect(page.locator("#overlay")).to_contain_text("You are logged out")
        await page.locator("#overlay").get_by_role("button", name="Log in").click()
        await expect(page.get_by_label("Token")).to_be_visible()


async def test_no_other_site_is_led_to_after_the_login(page: Page) -> None:
    async with serve_feeds(access=TOKENS) as here:
        await page.goto(f"{here.url}/login?next=//127.0.0.1:9/")
        await log_in(page, ADMIN)
        await expect(page.locator("#account")).to_contain_text("Admin")
        assert page.url == f"{here.url}/"
