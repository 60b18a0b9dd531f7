"""Feeds and shared sessions on the page, in Chromium: listed, watched, and lost sight of."""

import asyncio
import re
from pathlib import Path

from playwright.async_api import Browser, Page, Route, expect

from inference.captioning.caption import Caption
from inference.captioning.stream_state import FrameRequest, FrameResult
from stream.captioned_stream import SignalState
from stream.feeds.settings import FeedSettings
from tests.support.captions import ScriptedCaptions, confident_caption
from tests.support.page.feed_page import DOG, HALL, YARD, assert_fits, listed, serve_feeds
from web.keys import MEDIA, PUBLICATIONS, STREAM_CONTEXT

RECORD_NOTES = """() => {
  window.told = [];
  const note = document.querySelector('#note');
  new MutationObserver(() => note.textContent && window.told.push(note.textContent)).observe(
    note, { childList: true, characterData: true, subtree: true });
}"""


async def watching(page: Page, title: str = "The hall") -> None:
    """Wait until a feed is watched, with picture and caption."""
    await expect(page.locator("#state")).to_have_text(f"Watching: {title}")
    await expect(page.locator("#sentence")).to_have_text("A dog runs")
    await page.wait_for_function("() => document.querySelector('#returned-video').videoWidth > 0")


async def test_feeds_are_listed_with_what_they_say_and_whether_they_live(page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    async with serve_feeds(feeds={"hall": HALL, "yard": YARD}) as here:
        await page.goto(here.url)
        hall = page.get_by_role("link", name="The hall", exact=True)
        await expect(hall).to_have_accessible_description(
            re.compile("^Live A dog runs (.+ ago|just now)")
        )
        here.captions.caption = confident_caption("A cat <b>sits</b>")
        await expect(listed(page, "The hall")).to_contain_text("A cat <b>sits</b>")
        here.signal("hall", SignalState.LOST)
        await expect(listed(page, "The hall")).to_contain_text("No signal since")
        await assert_fits(page, "/")

        here.app[PUBLICATIONS].remove(here.stream("yard"))
        await expect(page.get_by_role("link", name="The yard")).to_have_count(0)
        assert all(url.startswith(here.url) for url in asked)


async def test_without_feeds_there_is_no_list_of_them(page: Page) -> None:
    async with serve_feeds(feeds={}) as here:
        async with page.expect_response("**/api/feeds"):
            await page.goto(here.url)
        await expect(page.locator("#feeds")).to_be_hidden()
        await page.goto(f"{here.url}/?wall")
        await expect(page.get_by_text("[feeds.hall]")).to_be_visible()


async def test_a_feed_is_watched_at_its_address_and_only_looked_at(page: Page) -> None:
    async with serve_feeds() as here:
        await page.goto(f"{here.url}/?feed=hall")
        await watching(page)
        await page.reload()
        await watching(page)

        assert await page.title() == "The hall · Sightline"
        await expect(page.get_by_label("Caption interval")).to_be_disabled()
        drawn = page.locator("#heat-maps option[value^=video]")
        assert await drawn.evaluate_all("(all) => all.every(({ disabled }) => disabled)")
        reason = re.compile("^Set by the server")
        await expect(page.locator("#interval")).to_have_accessible_description(reason)
        await page.get_by_label("Heat maps").select_option("none")
        await expect(page.locator("#confirmation")).to_have_text("Saved")
        await page.get_by_label("Heat maps").select_option("all")
        fewer = "This feed has fewer maps right now. Word maps: none. Pixel maps: none."
        await expect(page.locator("#about-heat-maps")).to_have_text(fewer)
        await expect(page.locator("#publishing")).to_be_hidden()

        await page.click("#freeze")
        await expect(page.locator("#frozen-heading")).to_contain_text("A dog runs")
        await page.click("#leave-frozen")
        await assert_fits(page, "/?feed=hall")


class LateCaptions(ScriptedCaptions):
    """A caption service that answers once it is allowed to."""

    def __init__(self, caption: Caption) -> None:
        """Hold the captions back until `may_answer` is set."""
        super().__init__(caption)
        self.may_answer = asyncio.Event()

    async def caption_frame(self, request: FrameRequest, beam_width: int | None) -> FrameResult:
        """Return the caption, late."""
        await self.may_answer.wait()
        return await super().caption_frame(request, beam_width)


async def test_nothing_can_be_frozen_before_the_first_caption(page: Page) -> None:
    captions = LateCaptions(DOG)
    async with serve_feeds(captions) as here:
        await page.goto(f"{here.url}/?feed=hall")
        await expect(page.locator("#state")).to_have_text("Watching: The hall")
        freeze = page.locator("#freeze")
        await expect(freeze).to_be_disabled()
        await freeze.focus()
        captions.may_answer.set()
        await expect(freeze).to_be_enabled()
        await expect(freeze).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.locator("#frozen-heading")).to_have_text("A dog runs")


async def test_back_leads_to_the_start_and_forward_to_the_feed(page: Page) -> None:
    async with serve_feeds() as here:
        await page.goto(here.url)
        await page.get_by_role("link", name="The hall").click()
        await watching(page)
        assert page.url == f"{here.url}/?feed=hall"
        await expect(page.get_by_role("link", name="The hall")).to_have_attribute(
            "aria-current", "page"
        )
        await page.go_back()
        await expect(page.locator("html")).to_have_attribute("data-state", "idle")
        await expect(page.get_by_role("link", name="The hall")).to_be_focused()
        await page.go_forward()
        await watching(page)
        await page.click("#stop")
        assert page.url == f"{here.url}/"


async def test_a_lost_signal_is_said_once_and_so_is_its_return(page: Page) -> None:
    async with serve_feeds() as here:
        await page.goto(f"{here.url}/?feed=hall")
        await watching(page)
        await page.evaluate(RECORD_NOTES)
        note = page.locator("#note")
        here.signal("hall", SignalState.LOST, "The camera is off.")
        await expect(note).to_have_text(re.compile("^No signal since .* The camera is off.$"))
        # The figures that come every second must not have it read again.
        await page.wait_for_timeout(1500)
        here.signal("hall", SignalState.LIVE)
        await expect(note).to_have_text("The signal is back.")
        await expect(note).to_have_text("", timeout=8000)

        told = await page.evaluate("() => window.told")
        assert len(told) == 2
        assert await note.get_attribute("role") == "status"


async def test_a_feed_that_is_set_up_anew_goes_on_and_one_that_is_gone_is_explained(
    page: Page,
) -> None:
    async with serve_feeds() as here:
        await page.goto(f"{here.url}/?feed=attic")
        await expect(page.locator("#overlay")).to_contain_text("Feed not found")
        await page.get_by_role("button", name="Home").click()
        await page.get_by_role("link", name="The hall").click()
        await watching(page)
        await here.app[MEDIA].feeds.reload(
            {"hall": FeedSettings(**{**HALL, "title": "The new hall"})}
        )
        await watching(page, "The new hall")
        await here.app[MEDIA].feeds.reload({})
        await expect(page.locator("#overlay")).to_contain_text("Feed not found")


async def test_what_a_busy_server_leaves_out_is_said_calmly(page: Page) -> None:
    async with serve_feeds() as here:
        await page.goto(f"{here.url}/?feed=hall")
        await watching(page)
        load = page.locator("#load")
        await expect(load).to_be_hidden()
        for _ in range(200):
            here.app[STREAM_CONTEXT].load.count_caption(60.0, 1.0)
        await expect(load).to_have_text("The server is busy. Saliency maps are off.", timeout=8000)
        assert await load.get_attribute("role") == "status"


async def test_a_server_that_asks_to_wait_is_asked_again_later(page: Page) -> None:
    refusal = {"error": {"code": "too-many-requests", "message": "too many requests"}}
    async with serve_feeds() as here:
        await page.route(
            "**/offer",
            lambda route: route.fulfill(status=429, headers={"Retry-After": "2"}, json=refusal),
            times=1,
        )
        await page.goto(f"{here.url}/?feed=hall")
        await expect(page.locator("#overlay")).to_contain_text("Too many requests")
        await expect(page.locator("#overlay-countdown")).to_contain_text("Retrying in 2 s")
        await watching(page)


async def test_a_phone_is_told_that_its_camera_needs_https(page: Page) -> None:
    await page.add_init_script(
        "Object.defineProperty(navigator, 'mediaDevices', { value: undefined });"
    )
    async with serve_feeds() as here:
        await page.goto(here.url)
        await expect(page.locator("#about-camera")).to_contain_text("--https")


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
        await expect(page.locator("#share-note")).to_contain_text("Only this computer can open")
        await expect(page.locator("#share-code")).to_be_hidden()
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


async def test_a_link_that_others_can_open_has_a_qr_code(page: Page) -> None:
    async with serve_feeds() as here:
        elsewhere = "http://cameras.example"

        async def relay(route: Route) -> None:
            """Answer as the server under a name that is not this computer's own."""
            if route.request.url.endswith("/events"):
                await route.abort()
                return
            sent = {n: v for n, v in route.request.headers.items() if n != "origin"}
            url = route.request.url.replace(elsewhere, here.url)
            response = await route.fetch(url=url, headers=sent)
            kept = {n: v for n, v in response.headers.items() if not n.startswith("cross-origin")}
            await route.fulfill(response=response, headers=kept)

        await page.route(f"{elsewhere}/**", relay)
        await page.goto(f"{elsewhere}/?feed=hall")
        await watching(page)
        await expect(page.get_by_role("link", name=f"{elsewhere}/?feed=hall")).to_be_visible()
        await expect(page.locator("#share-note")).to_be_empty()
        code = page.get_by_role("img", name="QR code of the link")
        await expect(code).to_be_visible()
        await page.wait_for_function(
            "() => document.querySelector('#share-code').naturalWidth > 0", timeout=60_000
        )
        await page.goto("about:blank")
        await page.unroute_all(behavior="ignoreErrors")


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
