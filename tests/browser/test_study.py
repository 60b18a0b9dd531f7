"""The frozen view: a caption and its exact picture, studied while the captions go on."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import numpy as np
from playwright.async_api import Locator, Page, expect

from inference.engine.service import EngineBusy
from inference.explanations import Check, RoughMap, Target
from tests.support.captions import confident_caption, tags_fallback
from tests.support.page.scripted_page import (
    ExplainedCaptions,
    announcements,
    cell_map,
    more_captions,
    serve_page,
    show_caption,
    show_page,
    with_maps,
)

SPOTS = (cell_map(0, 0, 0.5), cell_map(4, 4, 2.0), cell_map(8, 8))
DOG = with_maps(confident_caption("A dog runs", dog=0.92), *SPOTS)
SOON = 60_000

# How much of a canvas is drawn on, and how much of a picture is seen.
DRAWN = """(canvas) => {
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  return data.filter((_, at) => at % 4 === 3).reduce((sum, alpha) => sum + (alpha > 0), 0)
    / (canvas.width * canvas.height);
}"""
TOP = "(element) => element.getBoundingClientRect().top"


@asynccontextmanager
async def freezing(page: Page, captions: ExplainedCaptions) -> AsyncIterator[None]:
    """Have the page show a caption, and freeze it."""
    async with show_page(page, captions):
        await page.click("#freeze")
        await expect(page.locator("#frozen")).to_be_visible()
        yield
        if await page.locator("#frozen").is_visible():
            await page.keyboard.press("Escape")


def tile(page: Page, name: str) -> Locator:
    """What is chosen by its name."""
    return page.get_by_role("radio", name=re.compile(f"^{name}"))


async def test_every_word_has_a_tile_with_its_map_and_the_exact_picture(page: Page) -> None:
    captions = ExplainedCaptions(DOG)
    async with freezing(page, captions):
        tiles = page.locator(".tile")
        await expect(tiles).to_have_count(5)
        assert [re.sub(r"\s+", " ", text) for text in await tiles.all_inner_texts()] == [
            "a",
            "dog 85%",
            "runs 75%",
            "caption",
            "dog 92%",
        ]
        for index in range(5):
            canvases = tiles.nth(index).locator("canvas")
            await expect(canvases.nth(1)).to_have_attribute("data-painted", "true")
            assert 0 < await canvases.nth(1).evaluate(DRAWN) <= 1
        await page.wait_for_function(
            f"() => ({DRAWN})(document.querySelector('.map-panel canvas')) === 1", timeout=SOON
        )
        # The object was asked for; the maps of the words came with the caption.
        assert captions.targets == [("gradcam", Target("tag", text="dog"))]
        # The study begins with the word of the strongest map, which has the focus.
        await expect(tiles.nth(1)).to_be_focused()
        await expect(tiles.nth(1)).to_have_attribute("aria-checked", "true")
        panel = page.locator(".map-panel").first
        await expect(panel.locator(".map-location")).to_have_text(
            "Mostly a small spot in the middle third, centre."
        )
        await expect(panel.get_by_role("img")).to_have_attribute(
            "aria-label", re.compile("the map of “dog” by Grad-CAM: mostly a small spot")
        )


async def test_a_map_is_checked_in_words_and_as_bars(page: Page) -> None:
    async with freezing(page, ExplainedCaptions(DOG)):
        check, sentence = page.locator("#check"), page.locator("#check-sentence")
        # The verdict leads, as the word of the heading; then the figures, then what it rests on.
        heading = page.get_by_role("heading", name="Does the map hold up? Holds up", exact=True)
        await expect(heading).to_be_visible()
        await expect(sentence).to_have_text(
            "“dog” depends on this region more than on others of its shape (p = 0.02, 110 "
            "compared)."
        )
        await expect(page.locator("#frozen-status")).to_contain_text("Holds up. “dog” depends on")
        assert await check.locator("p, dt, dd").all_inner_texts() == [
            "Probability of “dog” as the next word:",
            "Original frame",
            "90%",
            "Map\u2019s top 20% blanked",
            "10%",
            "Blanked elsewhere",
            "80%\n(70% to 90%)",
            await sentence.inner_text(),
        ]
        parts = (check.locator("#check-verdict"), check.locator("dt").first, sentence)
        tops = [await each.evaluate(TOP) for each in parts]
        assert tops == sorted(tops)
        before = await check.bounding_box()
        await tile(page, "whole caption").click()
        await expect(page.locator("#check-sentence")).to_contain_text("Only words can be checked")
        await expect(page.locator("#check-bars > div")).to_have_count(0)
        await expect(page.locator("#check-verdict")).to_be_hidden()
        # What is below does not move.
        after = await check.bounding_box()
        assert before and after and abs(before["height"] - after["height"]) < 2


async def test_each_verdict_of_a_check_has_its_reason(page: Page) -> None:
    captions = ExplainedCaptions(DOG)
    held = await captions.check(np.zeros((1, 1, 3), np.uint8), (), "gradcam", 0)
    checks = {
        "a": replace(held, p=0.6, p_fails=0.01),
        "dog": replace(held, p=0.12),
        "runs": replace(held, p=None, p_fails=None, elsewhere=None, regions=3),
    }

    async def check(image: object, tokens: object, method: object, index: int, *_: object) -> Check:
        return list(checks.values())[index]

    captions.check = check  # type: ignore[assignment,method-assign]
    async with freezing(page, captions):
        for word, (text, reason) in {
            "a": ("Fails", "In most of 110 other places, a region of this shape matters as much"),
            "dog": ("Can\u2019t tell", "not clearly more than on others of its shape (p = 0.12"),
            "runs": ("Can\u2019t be checked", "too few other places for a region of this size"),
        }.items():
            await tile(page, word).first.click()
            await expect(page.locator("#check-verdict")).to_have_text(text)
            await expect(page.locator("#check-sentence")).to_contain_text(reason)
        await expect(page.locator("#check-bars > div")).to_have_count(2)


async def test_a_check_offers_occlusion_by_one_button(page: Page) -> None:
    captions = ExplainedCaptions(DOG)
    async with freezing(page, captions):
        button = page.get_by_role("button", name="Compare with occlusion")
        await button.click()
        panels = page.locator(".map-panel:visible")
        await expect(panels).to_have_count(2)
        await expect(panels.nth(1)).to_contain_text("Occlusion")
        await expect(panels.nth(1)).to_have_attribute("data-state", "shown")
        assert captions.targets[-1] == ("occlusion", Target("word", 1))
        # The verdict stays; what is shown is not offered again.
        await expect(page.locator("#check-verdict")).to_have_text("Holds up")
        await expect(button).to_be_hidden()


async def test_why_this_word_and_not_another_is_asked(page: Page) -> None:
    captions = ExplainedCaptions(DOG)
    async with freezing(page, captions):
        await page.get_by_role("button", name="instead of “thing” 5%").click()
        await expect(page.locator(".map-panel").first.get_by_role("img")).to_have_attribute(
            "aria-label", re.compile("“dog” instead of “thing”")
        )
        assert captions.targets[-1] == ("gradcam", Target("contrast", 1, "thing"))
        # Attention answers no such question.
        await page.get_by_text("More methods").click()
        await expect(page.get_by_role("radio", name="Attention")).to_be_disabled()


async def test_two_methods_are_seen_side_by_side(page: Page) -> None:
    async with freezing(page, ExplainedCaptions(DOG)):
        await page.select_option("#beside", "gradcam-total")
        panels = page.locator(".map-panel:visible")
        await expect(panels).to_have_count(2)
        await expect(panels.nth(0)).to_contain_text("Grad-CAM")
        await expect(panels.nth(1)).to_contain_text("Grad-CAM, total")
        await expect(panels.nth(1)).to_have_attribute("data-state", "shown")
        # The recommended method is shown, the others where one looks for more.
        assert await page.locator(".method:visible").all_inner_texts() == ["Grad-CAM"]
        await page.get_by_text("More methods").click()
        await expect(page.locator(".method:visible")).to_have_count(5)
        await page.click(".method:text('Attention')")
        await expect(panels.nth(0)).to_have_attribute("data-state", "shown")
        await expect(page.locator("#about-method")).to_contain_text("another paper")
        await expect(page.locator("#reading-title")).to_contain_text("not why")


async def test_two_frames_are_seen_side_by_side(page: Page) -> None:
    cat = with_maps(confident_caption("A small cat runs"), *SPOTS, cell_map(0, 8))
    captions = ExplainedCaptions(cat)
    async with freezing(page, captions):
        await page.wait_for_function(
            f"() => ({DRAWN})(document.querySelector('.map-panel canvas')) === 1", timeout=SOON
        )
        await page.keyboard.press("Escape")
        await show_caption(page, captions, DOG)
        await page.click("#freeze")
        await expect(page.locator("#frozen-heading")).to_have_text("A dog runs")
        group = page.locator("#beside optgroup[label='Another frame'] option")
        await expect(group).to_have_count(1)
        assert re.fullmatch(r"[\d:]+ .M “A small cat runs”", await group.inner_text())
        await tile(page, "runs").click()
        await page.select_option("#beside", await group.get_attribute("value"))
        panels = page.locator(".map-panel:visible")
        await expect(panels).to_have_count(2)
        image = panels.nth(1).get_by_role("img").last
        assert await panels.nth(1).locator("canvas").first.evaluate(DRAWN) == 1
        # The same word, if the other caption has it, with the map that came with that caption.
        words = panels.nth(1).get_by_role("radio")
        await expect(words.nth(3)).to_have_attribute("aria-checked", "true")
        await expect(image).to_have_attribute("aria-label", re.compile("“runs” .*right third, top"))
        await words.nth(2).click()
        await expect(image).to_have_attribute("aria-label", re.compile("“cat” .*right third, bot"))
        # Else the caption as a whole.
        await tile(page, "dog").first.click()
        await expect(words.nth(4)).to_have_attribute("aria-checked", "true")
        await expect(image).to_have_attribute("aria-label", re.compile("the whole caption"))
        await page.select_option("#beside", "")
        await expect(panels).to_have_count(1)


async def test_what_is_asked_is_chosen_by_tabs(page: Page) -> None:
    async with freezing(page, ExplainedCaptions(DOG)):
        why, fool, concepts = (
            page.get_by_role("tab", name=name) for name in ("Why", "Fool it", "Concepts")
        )
        await expect(why).to_have_attribute("aria-selected", "true")
        await expect(page.get_by_role("tabpanel", name="Why")).to_be_visible()
        await expect(page.get_by_role("tabpanel")).to_have_count(1)
        place = await why.bounding_box()
        await page.keyboard.press("Shift+Tab")
        await page.keyboard.press("Shift+Tab")
        await expect(why).to_be_focused()
        for key, tab, name in (
            ("ArrowRight", fool, "Fool it"),
            ("End", concepts, "Concepts"),
            ("ArrowRight", why, "Why"),
            ("ArrowLeft", concepts, "Concepts"),
        ):
            await page.keyboard.press(key)
            await expect(tab).to_be_focused()
            await expect(tab).to_have_attribute("aria-selected", "true")
            await expect(page.get_by_role("tabpanel", name=name)).to_be_visible()
            await expect(page.get_by_role("tabpanel")).to_have_count(1)
        assert await why.bounding_box() == place
        await page.keyboard.press("Tab")
        await expect(page.locator("#leave-frozen")).to_be_focused()


async def test_a_long_method_tells_its_progress_and_can_be_cancelled(page: Page) -> None:
    captions = ExplainedCaptions(DOG)
    async with freezing(page, captions):
        await page.get_by_text("More methods").click()
        await page.click(".method:text-is('RISE')")
        panel = page.locator(".map-panel").first
        await expect(panel).to_have_attribute("data-state", "working")
        await expect(panel).to_contain_text(re.compile(r"RISE: 40%, (about \d+ s|less.*) left"))
        assert await panel.get_by_role("progressbar").get_attribute("value") == "0.4"
        await panel.get_by_role("button", name="Cancel").click()
        await expect(panel).to_contain_text("Cancelled.")
        await more_captions(page)
        assert captions.cancelled == 1

        # Another word is not computed by it unless that is wanted, and is given up with the view.
        await tile(page, "runs").click()
        asked = len(captions.targets)
        await expect(panel).to_contain_text("400 passes")
        await panel.get_by_role("button", name="Compute for “runs”").click()
        await expect(panel).to_have_attribute("data-state", "working")
        assert captions.targets[asked:] == [("rise", Target("word", 2))]
        await page.keyboard.press("Escape")
        await more_captions(page)
        assert captions.cancelled == 2


async def test_a_rough_map_is_shown_and_refined_while_one_looks(page: Page) -> None:
    captions = ExplainedCaptions(DOG)
    captions.progress = RoughMap(0.1, "Rough map from 24 of 400 masks", cell_map(0, 0))
    captions.heat_map = replace(cell_map(4, 4), note="It is exact.")
    async with freezing(page, captions):
        await page.get_by_text("More methods").click()
        await page.click(".method:text-is('RISE')")
        panel = page.locator(".map-panel").first
        where, image = panel.locator(".map-location"), panel.get_by_role("img")
        await expect(panel).to_contain_text(
            re.compile(r"RISE: 10%, .* left\. Rough map from 24 of 400 masks\.")
        )
        await expect(where).to_have_text("So far mostly a small spot in the left third, top.")
        await expect(image).to_have_attribute(
            "aria-label",
            re.compile("a rough map of “dog” by RISE: mostly a small spot in the left"),
        )
        assert 0 < await panel.locator("canvas").last.evaluate(DRAWN) <= 1
        captions.progress = RoughMap(0.5, "Rough map from 192 of 400 masks", cell_map(8, 8))
        await expect(where).to_have_text("So far mostly a small spot in the right third, bottom.")
        await expect(panel).to_have_attribute("data-state", "working")
        await expect(panel.get_by_role("button", name="Cancel")).to_be_visible()

        captions.ends.set()
        await expect(panel).to_have_attribute("data-state", "shown")
        await expect(where).to_have_text("Mostly a small spot in the middle third, centre.")
        await expect(panel).to_contain_text("It is exact.")
        await expect(panel.get_by_role("button", name="Cancel")).to_be_hidden()
        # Refinements are not announced, only that there is a map, and where it is in the end.
        said = [
            each for each in await announcements(page, study=True) if each.startswith("“dog”, ")
        ]
        assert said == [
            "“dog”, rough map: mostly a small spot in the left third, top. Refining it.",
            "“dog”, final map: mostly a small spot in the middle third, centre. It is exact.",
        ]


async def test_it_is_studied_by_keyboard_and_left_by_escape(page: Page) -> None:
    async with show_page(page, ExplainedCaptions(DOG)):
        await page.focus("#freeze")
        await page.keyboard.press("Enter")
        await expect(page.locator(".tile").nth(1)).to_be_focused()
        await page.keyboard.press("ArrowRight")
        await expect(tile(page, "runs")).to_be_focused()
        await expect(page.locator("#chosen")).to_have_text("“runs” 75%")
        await expect(page.locator("#frozen-status")).to_contain_text("“runs” depends on this")
        await page.keyboard.press("Tab")
        await expect(page.locator("#check-map")).to_be_focused()
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("button", name="overall")).to_be_focused()
        await page.keyboard.press("Escape")
        await expect(page.locator("#frozen")).to_be_hidden()
        await expect(page.locator("#freeze")).to_be_focused()


async def test_captions_go_on_behind_and_nothing_is_announced_meanwhile(page: Page) -> None:
    captions = ExplainedCaptions(DOG)
    async with freezing(page, captions):
        before = await announcements(page)
        await show_caption(page, captions, confident_caption("Two children play in the snow"))
        await expect(page.locator("#frozen-heading")).to_have_text("A dog runs")
        await page.wait_for_timeout(4_500)
        assert await announcements(page) == before
        await page.keyboard.press("Escape")
        await page.wait_for_function("() => window.told.length > 1", timeout=SOON)
        assert (await announcements(page))[-1] == "Two children play in the snow"


async def test_leaving_lets_the_picture_go(page: Page) -> None:
    pictures: list[str] = []
    page.on("request", lambda request: pictures.append(request.url))
    async with show_page(page, ExplainedCaptions(DOG)):
        await page.click("#freeze")
        await expect(page.locator(".map-panel").first).to_have_attribute("data-state", "shown")
        await more_captions(page, 6)
        (picture,) = [url for url in pictures if "/pictures/" in url]
        get = "async (url) => (await fetch(url)).status"
        # It is not among the last few any more: it is kept since it is frozen.
        assert await page.evaluate(get, picture) == 200
        await page.click("#leave-frozen")
        await more_captions(page)
        assert await page.evaluate(get, picture) == 404


async def test_captions_without_maps_are_asked_about_when_they_are_frozen(page: Page) -> None:
    captions = ExplainedCaptions(replace(DOG, maps=None, tags=()))
    async with freezing(page, captions):
        await expect(page.locator(".tile .map[data-painted=true]")).to_have_count(4, timeout=SOON)
        asked = {(target.kind, target.index) for _, target in captions.targets}
        assert asked == {("word", 0), ("word", 1), ("word", 2), ("caption", None)}


async def test_a_caption_of_objects_alone_can_be_studied(page: Page) -> None:
    objects = tags_fallback("A man at a desk", laptop=0.93, desk=0.81)
    async with freezing(page, ExplainedCaptions(objects)):
        await expect(page.locator(".tile")).to_have_count(3)
        await tile(page, "object desk").click()
        await expect(page.locator("#chosen")).to_have_text("Object “desk” 81%")
        await expect(page.locator(".map-panel").first).to_have_attribute("data-state", "shown")


async def test_a_busy_captioner_can_be_asked_again(page: Page) -> None:
    class BusyOnce(ExplainedCaptions):
        async def check(self, *_: object, **__: object) -> object:  # type: ignore[override]
            raise EngineBusy("too many explanations are under way")

    async with freezing(page, BusyOnce(DOG)):
        await expect(page.locator("#check-sentence")).to_contain_text("busy")
        await expect(page.get_by_role("button", name="Check this map")).to_be_visible()


async def test_what_is_there_stays_readable_when_the_connection_is_lost(page: Page) -> None:
    captions = ExplainedCaptions(DOG)
    async with serve_page(captions) as url:
        await page.goto(url)
        await page.click("#start-camera")
        await more_captions(page)
        await page.click("#freeze")
        await expect(page.locator("#check-bars > div")).to_have_count(3, timeout=SOON)
    await expect(page.locator("#frozen-notice")).to_contain_text(
        "connection was lost", timeout=SOON
    )
    await tile(page, "runs").click()
    await expect(page.locator(".map-panel .map-location").first).to_contain_text(
        "the right third, bottom"
    )
    await expect(page.locator("#check-sentence")).to_contain_text("Not connected")
    await page.keyboard.press("Escape")
    await expect(page.locator("#frozen")).to_be_hidden()


async def test_nothing_is_cut_off_on_a_small_screen(page: Page) -> None:
    await page.set_viewport_size({"width": 360, "height": 740})
    long = confident_caption(
        "Two skateboarders in brightly coloured dresses are standing next to a refrigerator"
    )
    async with freezing(page, ExplainedCaptions(replace(long, tags=DOG.tags))):
        await expect(page.locator(".map-panel").first).to_have_attribute("data-state", "shown")
        wider = "(dialog) => dialog.scrollWidth - dialog.clientWidth"
        assert await page.locator("#frozen").evaluate(wider) <= 0
        await expect(page.locator("#leave-frozen")).to_be_in_viewport(ratio=1)
        cut = "(all) => all.filter((each) => each.scrollWidth > each.clientWidth).length"
        assert await page.locator(".tile, .tile-name, .bars > *").evaluate_all(cut) == 0
        # Whole words: each name is on one line.
        wrapped = "(all) => all.filter((each) => each.clientHeight > 30).length"
        assert await page.locator(".tile-name").evaluate_all(wrapped) == 0
        await page.locator("#beside").scroll_into_view_if_needed()
        await expect(page.locator("#leave-frozen")).to_be_in_viewport(ratio=1)
