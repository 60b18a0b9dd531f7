"""The page at a server of a cluster, in Chromium: the feed that it shows is at another server."""

from playwright.async_api import Browser, Page, expect

from tests.support.servers.cluster_apps import ClusterServer, ClusterServers, eventually

VIEWER = "viewer-token-0123456789"


async def watching(page: Page, feed: str = "yard") -> None:
    """Wait until the feed is watched, with its video and its caption."""
    await expect(page.locator("#state")).to_have_text(f"Watching: {feed}", timeout=20_000)
    await expect(page.locator("#sentence")).to_have_text("A dog runs", timeout=20_000)
    await page.wait_for_function("() => document.querySelector('#returned-video').videoWidth > 0")


async def start_other(servers: ClusterServers) -> ClusterServer:
    """Start one more server; return it once it knows the feed."""
    other = await servers.start()
    await eventually(lambda: other.captions)
    return other


async def test_the_page_follows_a_feed_to_its_server(page: Page, database_url: str) -> None:
    tokens = {"viewer_token": VIEWER}
    async with ClusterServers(database_url, access=tokens) as servers:
        holder = await servers.start()
        await eventually(lambda: holder.own)
        other = await start_other(servers)
        await eventually(lambda: other.cluster.urls)
        await page.goto(f"{other.url}/?feed=yard")
        await page.get_by_role("textbox").fill(VIEWER)
        await page.keyboard.press("Enter")
        await watching(page)

        # The page stays where it is; its frames come from the other server.
        assert page.url.startswith(other.url)
        assert holder.viewers == 1
        assert other.viewers == 0
        await page.click("#freeze")
        await expect(page.locator("#frozen-heading")).to_contain_text("A dog runs")
        await page.click("#leave-frozen")

        # The feed moves here when its server stops, and the page follows.
        await servers.stop(holder)
        await eventually(lambda: other.viewers == 1, within_s=30)
        await watching(page)


async def test_a_page_that_is_older_than_a_server_reloads(
    browser: Browser, database_url: str
) -> None:
    async with ClusterServers(database_url, ("yard", "zoo")) as servers:
        first = await servers.start()
        await eventually(lambda: len(first.own) > 2)
        # Not the fixture, since the browser reports what the policy forbids.
        page = await browser.new_page()
        await page.goto(f"{first.url}/?feed=zoo")
        await watching(page, "zoo")
        # One of the two feeds moves to a server that the page's policy does not know.
        second = await start_other(servers)
        await eventually(lambda: second.feeds == {"zoo"})
        await eventually(lambda: second.viewers == 1, within_s=30)
        await watching(page, "zoo")

        assert page.url.startswith(first.url)
        await page.close()
