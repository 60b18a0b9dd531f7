"""Maps over the moving picture: where they lie, when there are none, and what is told of them."""

import re
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.async_api import Browser, Page, expect

from inference.explanations.map import Map
from tests.support.captions import ScriptedCaptions, confident_caption, tags_fallback
from tests.support.page.scripted_page import (
    CELLS,
    SOON,
    ExplainedCaptions,
    announcements,
    cell_map,
    more_captions,
    serve_page,
    show_caption,
    show_page,
    with_maps,
)

GREY = 128
SPOTS = [(4, 7), (1, 1), (7, 4)]
"""Row and column of the one cell that each word of the caption looks at."""


DOG = with_maps(
    confident_caption("A dog runs", dog=0.92, ball=0.81),
    *(cell_map(*cell) for cell in SPOTS),
)


def grey_picture(path: Path, width: int, height: int) -> Path:
    """A picture on which everything that is drawn shows."""
    cv2.imwrite(str(path), np.full((height, width, 3), GREY, np.uint8))
    return path


async def seen(page: Page) -> NDArray[np.int16]:
    """What the page shows, RGB [H, W, 3] in CSS pixels."""
    png = await page.screenshot(scale="css")
    pixels = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    return np.asarray(pixels[..., ::-1], np.int16)


def picture_place(pixels: NDArray[np.int16], shape: float) -> tuple[float, float, float, float]:
    """Left, top, width and height of the grey picture among black bars."""
    grey = (np.abs(pixels - GREY) < 12).all(axis=2)
    rows, columns = np.nonzero(grey.mean(axis=1) > 0.15)[0], np.nonzero(grey.mean(axis=0) > 0.1)[0]
    width = columns[-1] - columns[0] + 1
    # Its lower end lies under the band with the caption.
    return float(columns[0]), float(rows[0]), float(width), float(width / shape)


def warm(pixels: NDArray[np.int16]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns where the upper end of the ramp is drawn: more green and red than blue."""
    stage = pixels[..., 2] < np.minimum(pixels[..., 0], pixels[..., 1]) - 35
    rows, columns = np.nonzero(stage)
    return rows, columns


@pytest.mark.parametrize(("width", "height"), [(640, 480), (960, 540), (360, 640), (1200, 300)])
async def test_a_words_map_lies_over_the_region_that_the_grid_says(
    page: Page, tmp_path: Path, width: int, height: int
) -> None:
    picture = grey_picture(tmp_path / "grey.png", width, height)
    async with show_page(page, DOG, picture):
        for window in ((1280, 900), (820, 1000), (360, 740)):
            await page.set_viewport_size({"width": window[0], "height": window[1]})
            await page.mouse.move(2, 2)
            await expect(page.locator("#map")).to_be_hidden()
            box = await page.locator("#stage").bounding_box()
            assert box
            x, y = round(box["x"]), round(box["y"])
            inside = np.s_[y : y + round(box["height"]), x : x + round(box["width"])]
            left, top, wide, high = picture_place((await seen(page))[inside], width / height)
            for index, (row, column) in enumerate(SPOTS):
                await page.hover(f"#caption .word >> nth={index}")
                await expect(page.locator("#map")).to_be_visible()
                rows, columns = warm((await seen(page))[inside])
                assert rows.size > 20
                across = (columns.mean() + 0.5 - left) / wide * CELLS
                down = (rows.mean() + 0.5 - top) / high * CELLS
                assert across == pytest.approx(column + 0.5, abs=0.25)
                assert down == pytest.approx(row + 0.5, abs=0.25)
                # And nowhere else.
                assert np.ptp(columns) < 1.6 * wide / CELLS
                assert np.ptp(rows) < 1.6 * high / CELLS


async def test_a_map_is_pointed_at_focused_or_tapped_and_goes_again(page: Page) -> None:
    async with show_page(page, DOG):
        canvas, detail = page.locator("#map"), page.locator("#word-detail")
        await expect(canvas).to_be_hidden()
        await page.hover("#caption .word >> nth=1")
        await expect(canvas).to_be_visible()
        await page.hover("h1")
        await expect(canvas).to_be_hidden()

        await page.focus("#caption .word")
        await page.keyboard.press("ArrowRight")
        await expect(canvas).to_be_visible()
        await expect(detail).to_have_text(
            "“dog” 85%. As the next word: 85%. Runners-up: thing 5%. Based on: mostly a small spot "
            "in the left third, top."
        )
        # A screen reader has it with the word itself.
        await expect(page.locator("#caption .word").nth(0)).to_have_attribute(
            "aria-description", re.compile("the right third, centre")
        )
        await page.keyboard.press("Shift+Tab")
        await expect(page.locator("#certainty")).to_be_focused()
        await expect(detail).to_contain_text("Whole caption. Based on:")
        await expect(canvas).to_be_visible()
        await page.locator("#certainty").blur()
        await expect(canvas).to_be_hidden()

        await page.locator("#caption .word").nth(2).click()
        await expect(canvas).to_be_visible()
        # It stays with the word while captions come.
        await more_captions(page)
        await expect(canvas).to_be_visible()
        await expect(detail).to_contain_text("the middle third, bottom")


async def test_the_legend_states_whose_map_it_is_and_the_method_behind_a_button(
    page: Page,
) -> None:
    words = with_maps(
        confident_caption("A dog runs", dog=0.92),
        cell_map(4, 1, 0.5),
        cell_map(4, 4, 2.0),
        cell_map(0, 8),
    )
    async with show_page(page, words):
        legend, details = page.locator("#map-legend"), page.locator("#map-details")
        await page.focus("#caption .word")
        await expect(legend).to_have_text("Where “a” came from, weak to strong")
        await page.keyboard.press("ArrowRight")
        await expect(legend).to_have_text("Where “dog” came from, weak to strong")
        assert await details.locator("p").all_text_contents() == [
            "Method: Grad-CAM. Unit: none.",
            "Scale: 0 to 2 none.",
            "Strength: the strongest word.",
        ]
        await page.keyboard.press("ArrowLeft")
        await page.click("#about-map")
        await expect(details).to_be_visible()
        await expect(details).to_contain_text("Scale: 0 to 0.5 none.Strength: 25% of the strongest")
        await page.keyboard.press("Escape")
        await expect(details).to_be_hidden()
        await page.hover("#certainty")
        await expect(legend).to_have_text("Where the caption came from, weak to strong")


def contrast(pixels: NDArray[np.int16]) -> float:
    """Return the contrast of light text and its dark background (WCAG 2.2), most of an area."""
    levels = pixels / 255
    linear = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)
    luminance = linear @ [0.2126, 0.7152, 0.0722]
    text, background = np.percentile(luminance, 99.5), np.median(luminance)
    return float((text + 0.05) / (background + 0.05))


@pytest.mark.parametrize(("width", "height"), [(640, 480), (320, 640)])
async def test_neither_map_nor_legend_covers_the_caption_in_the_video(
    page: Page, tmp_path: Path, width: int, height: int
) -> None:
    picture = tmp_path / "white.png"
    cv2.imwrite(str(picture), np.full((height, width, 3), 255, np.uint8))
    # The strongest at the bottom, where the caption is.
    caption = with_maps(confident_caption("A dog runs"), *[cell_map(8, 4)] * 3)
    async with show_page(page, caption, picture):
        for window in ((1280, 900), (360, 740)):
            await page.set_viewport_size({"width": window[0], "height": window[1]})
            await page.hover("#caption .word >> nth=1")
            await expect(page.locator("#map")).to_be_visible()
            # The frames with the text come a little later than the message about it.
            await page.wait_for_timeout(600)
            stage = await page.locator("#stage").bounding_box()
            legend = await page.locator("#map-legend").bounding_box()
            assert stage
            assert legend
            assert legend["y"] >= stage["y"] + stage["height"]
            middle, bottom = stage["x"] + stage["width"] / 2, stage["y"] + stage["height"]
            size = stage["height"] * min(1, width / height) / 20
            text = (await seen(page))[
                round(bottom - 1.6 * size) : round(bottom - 0.6 * size),
                round(middle - 1.5 * size) : round(middle + 1.5 * size),
            ]
            assert contrast(text) > 4.5


CAT = with_maps(confident_caption("A cat sleeps", cat=0.9), *(cell_map(1, 7) for _ in range(3)))


async def held(page: Page, captions: ScriptedCaptions, *, shown: str, newest: str) -> None:
    """Assert that the page holds a caption while the log shows newer ones."""
    await more_captions(page, 6)
    await expect(page.locator("#sentence")).to_have_text(shown)
    await expect(page.locator("#age")).to_have_text(re.compile(r" ago\. Held; live continues$"))
    await expect(page.locator("#screen")).to_have_attribute("data-age", "fresh")
    await expect(page.locator("#earlier .words").first).to_have_text(newest)


async def test_a_caption_is_held_while_a_part_of_it_is_pointed_at_or_focused(page: Page) -> None:
    async with show_page(page, ExplainedCaptions(DOG)) as captions:
        sentence, age = page.locator("#sentence"), page.locator("#age")
        await page.hover("#caption .word >> nth=1")
        captions.caption = CAT
        await held(page, captions, shown="A dog runs", newest="A cat sleeps")
        await expect(page.locator("#word-detail")).to_contain_text("the left third, top")
        await page.hover("h1")
        await expect(sentence).to_have_text("A cat sleeps")
        await expect(age).not_to_contain_text("Held")

        # From here on by the keyboard.
        await page.keyboard.press("Tab")
        for part in ("#caption .word", "#certainty", "#object-list button"):
            await page.focus(part)
            captions.caption = DOG
            await held(page, captions, shown="A cat sleeps", newest="A dog runs")
            if part == "#certainty":
                await page.keyboard.press("Escape")
            else:
                await page.locator(part).first.blur()
            await expect(sentence).to_have_text("A dog runs")
            await page.locator(part).first.blur()
            await show_caption(page, captions, CAT)
            await expect(sentence).to_have_text("A cat sleeps")


async def test_a_held_map_is_drawn_only_while_the_video_still_shows_its_word(page: Page) -> None:
    async with show_page(page, ExplainedCaptions(DOG)) as captions:
        legend, drawn = page.locator("#map-legend"), page.locator("#map")
        detail = page.locator("#word-detail")
        await page.hover("#caption .word >> nth=1")
        captions.caption = with_maps(
            confident_caption("Two dogs rest", dogs=0.9), *(cell_map(1, 7) for _ in range(3))
        )
        await held(page, captions, shown="A dog runs", newest="Two dogs rest")
        await expect(legend).to_contain_text("“dog”")
        await expect(drawn).to_be_visible()

        captions.caption = CAT
        await held(page, captions, shown="A dog runs", newest="A cat sleeps")
        await expect(drawn).to_be_hidden()
        await expect(legend).to_be_hidden()
        await expect(detail).to_contain_text("the video shows something else by now")
        await page.hover("h1")
        await expect(page.locator("#sentence")).to_have_text("A cat sleeps")
        await page.hover("#caption .word >> nth=1")
        await expect(drawn).to_be_visible()
        await expect(detail).not_to_contain_text("something else")


async def test_a_caption_that_comes_under_a_pointer_at_rest_is_not_held(page: Page) -> None:
    async with show_page(page, ExplainedCaptions(DOG)) as captions:
        await page.click("#caption .word >> nth=1")
        await page.hover("h1")
        await show_caption(page, captions, CAT)
        await expect(page.locator("#sentence")).to_have_text("A cat sleeps")
        await expect(page.locator("#age")).not_to_contain_text("Held")

        box = await page.locator("#caption").bounding_box()
        assert box
        await page.evaluate("document.getElementById('caption').style.visibility = 'hidden'")
        await page.mouse.move(box["x"] + 30, box["y"] + box["height"] / 2)
        await page.evaluate("document.getElementById('caption').style.visibility = ''")
        captions.caption = DOG
        await more_captions(page, 4)
        await expect(page.locator("#sentence")).to_have_text("A dog runs")


async def test_a_held_caption_can_be_frozen_however_old_it_is(page: Page) -> None:
    async with show_page(page, ExplainedCaptions(DOG)) as captions:
        await page.keyboard.press("Tab")
        await page.focus("#caption .word")
        captions.caption = CAT
        await held(page, captions, shown="A dog runs", newest="A cat sleeps")
        await page.click("#freeze")
        # Its frame is drawn, which the server would have dropped four captions later.
        await page.wait_for_function(
            """() => {
              const canvas = document.querySelector('.map-panel canvas');
              return canvas?.getContext('2d').getImageData(9, 9, 1, 1).data[3] === 255;
            }""",
            timeout=SOON,
        )
        await expect(page.locator("#frozen-heading")).to_have_text("A dog runs")
        await expect(page.locator("#frozen-notice")).to_be_empty()
        await page.keyboard.press("Escape")
        await expect(page.locator("#sentence")).to_have_text("A cat sleeps")
        # The focus is on the button again, which holds nothing by itself.
        await show_caption(page, captions, DOG)
        await expect(page.locator("#sentence")).to_have_text("A dog runs")


async def test_a_tap_holds_a_caption_until_a_tap_elsewhere(browser: Browser) -> None:
    context = await browser.new_context(has_touch=True)
    page = await context.new_page()
    async with show_page(page, ExplainedCaptions(DOG)) as captions:
        await page.tap("#caption .word >> nth=1")
        await expect(page.locator("#map")).to_be_visible()
        captions.caption = CAT
        await held(page, captions, shown="A dog runs", newest="A cat sleeps")
        await page.tap("h1")
        await expect(page.locator("#sentence")).to_have_text("A cat sleeps")
        await expect(page.locator("#map")).to_be_hidden()
    await context.close()


async def test_nothing_is_drawn_when_there_is_no_map_and_the_reason_is_told(page: Page) -> None:
    async with show_page(page, replace(DOG, maps=None)) as captions:
        detail = page.locator("#word-detail")
        await page.focus("#caption .word")
        await expect(detail).to_contain_text("No map")
        await expect(page.locator("#map")).to_be_hidden()
        await expect(page.locator("#map-legend")).to_be_hidden()

        await page.locator("#caption .word").first.blur()
        await show_caption(page, captions, DOG)
        await page.focus("#caption .word")
        await expect(page.locator("#map")).to_be_visible()
        await page.locator("#caption .word").first.blur()
        await page.select_option("#heat-maps", "none")
        await expect(page.locator("#confirmation")).to_have_text("Saved")
        await more_captions(page)
        await page.focus("#caption .word")
        await expect(detail).to_contain_text("No map: maps are turned off")
        await expect(page.locator("#map")).to_be_hidden()


async def test_a_busy_captioner_is_owned_up_to(page: Page) -> None:
    await page.add_init_script(
        """
        const parse = JSON.parse;
        JSON.parse = (text, ...rest) => {
          const message = parse(text, ...rest);
          if (message?.type === 'stats') {
            message.settings.explanations = 'all';
            message.explanations = { words_every: 1, saliency_every: 4 };
          }
          return message;
        };
        """
    )
    async with show_page(page, DOG):
        await expect(page.locator("#about-heat-maps")).to_have_text(
            "Fewer maps, because the captioner is busy. Pixel maps: one caption in 4."
        )


async def test_maps_and_overlay_are_set_and_confirmed_by_the_server(page: Page) -> None:
    async with show_page(page, DOG):
        confirmation = page.locator("#confirmation")
        for control, value in (
            ("#heat-maps", "video-saliency"),
            ("#heat-maps", "all"),
            ("#heat-maps", "video-words"),
        ):
            await page.select_option(control, value)
            await expect(confirmation).to_have_text("Saving…")
            await expect(confirmation).to_have_text("Saved")
            await expect(page.locator(control)).to_have_value(value)


async def test_an_object_is_asked_for_when_it_is_tapped(page: Page) -> None:
    captions = ExplainedCaptions(DOG)
    captions.heat_map = cell_map(4, 1)
    async with show_page(page, captions):
        chip = page.locator("#object-list button", has_text="ball")
        await chip.click()
        await expect(page.locator("#map")).to_be_visible()
        await expect(page.locator("#word-detail")).to_have_text(
            "Object “ball”. Based on: mostly a small spot in the left third, centre."
        )
        # A word that is pointed at goes first.
        await page.hover("#caption .word >> nth=2")
        await expect(page.locator("#word-detail")).to_contain_text("“runs”")
        await page.hover("h1")
        await expect(page.locator("#word-detail")).to_contain_text("“ball”")
        await chip.click()
        await expect(page.locator("#map")).to_be_hidden()

        await chip.click()
        await expect(page.locator("#map")).to_be_visible()
        await chip.blur()
        await page.hover("h1")
        await show_caption(page, captions, replace(DOG, tags=()))
        await expect(page.locator("#map")).to_be_hidden()


async def test_an_object_in_the_place_of_a_word_is_asked_for_too(page: Page) -> None:
    objects = ExplainedCaptions(tags_fallback("A man at a desk", laptop=0.83, desk=0.81))
    async with show_page(page, objects):
        word = page.locator("#caption .word").nth(1)
        await word.hover()
        await expect(page.locator("#word-detail")).to_contain_text("Select it to see where.")
        await word.click()
        await expect(page.locator("#map")).to_be_visible()
        await expect(page.locator("#word-detail")).to_contain_text("all over the frame")


async def test_maps_make_screen_readers_no_noise(page: Page) -> None:
    async with show_page(page, DOG):
        await page.focus("#caption .word")
        await page.keyboard.press("ArrowRight")
        await more_captions(page, 6)
        assert len(await announcements(page)) == 1


def thirds(*strong: tuple[int, int]) -> Map:
    """A grid of 3x3 places, each of 2x2 cells."""
    values = np.zeros((3, 3), np.float32)
    for row, column in strong:
        values[row, column] = 1
    return Map(np.kron(values, np.ones((2, 2), np.float32)))


WHERE = {
    "mostly the left third, centre": thirds((1, 0)),
    "mostly the left third, top": thirds((0, 0)),
    "mostly the right third, full height": thirds((0, 2), (1, 2), (2, 2)),
    "mostly the bottom, full width": thirds((2, 0), (2, 1), (2, 2)),
    "mostly the left and right thirds, centre": thirds((1, 0), (1, 2)),
    "mostly the middle and right thirds, centre and bottom": thirds((1, 1), (1, 2), (2, 1), (2, 2)),
    "all over the frame": Map(np.ones((9, 9), np.float32)),
    "all over the frame, strongest in the right third, centre": Map(
        np.ones((9, 9), np.float32) + cell_map(4, 7).values * 20
    ),
    "no particular region": Map(np.zeros((9, 9), np.float32)),
    "mostly a small spot in the middle third, bottom": cell_map(8, 4),
    "mostly the middle third, centre": Map(
        np.pad(np.ones((3, 3), np.float32), 3) + np.float32(0.02)
    ),
}


async def test_where_a_map_is_strong_is_told_in_words(page: Page) -> None:
    async with serve_page(ScriptedCaptions(DOG)) as url:
        await page.goto(url)
        texts = await page.evaluate(
            """async (maps) => {
              const { readHeatMap } = await import('/static/js/heatmaps/heat_map.js');
              const { locationText } = await import('/static/js/heatmaps/map_location.js');
              return maps.map((map) => locationText(readHeatMap(map)));
            }""",
            [each.to_json() for each in WHERE.values()],
        )
        assert texts == list(WHERE)


MALFORMED = [
    {"shape": [9, 9], "data": "", "peak": 1},
    {"shape": [9, 8], "data": cell_map(0, 0).to_json()["data"], "peak": 1},
    {"shape": [9], "data": cell_map(0, 0).to_json()["data"], "peak": 1},
    {"shape": [66, 66], "data": "A" * 5808, "peak": 1},
    {"shape": [9, 9], "data": "!" * 108, "peak": 1},
    {"shape": [9, 9], "data": cell_map(0, 0).to_json()["data"], "peak": -1},
    {"shape": [9, 9], "data": cell_map(0, 0).to_json()["data"], "peak": "1"},
    None,
]


async def test_malformed_maps_are_dropped_and_the_caption_is_not(page: Page) -> None:
    async with serve_page(ScriptedCaptions(DOG)) as url:
        await page.goto(url)
        good = cell_map(4, 4).to_json()
        read = """async (maps) => {
          const { readMessage } = await import('/static/js/session/messages.js');
          const word = { text: 'dog', prob: 1, alternatives: [] };
          const caption = { type: 'caption', seq: 1, text: 'Dog', words: [word], maps };
          return readMessage(JSON.stringify(caption));
        }"""
        whole = {"method": "gradcam", "words": [good], "caption": good}
        assert (await page.evaluate(read, whole))["maps"]["words"][0]["peak"] == 1
        for bad in MALFORMED:
            for maps in ({**whole, "words": [bad]}, {**whole, "caption": bad}):
                caption = await page.evaluate(read, maps)
                assert caption["maps"] is None, maps
                assert caption["text"] == "Dog"
        for words in ([], [good, good]):
            assert (await page.evaluate(read, {**whole, "words": words}))["maps"] is None
