"""How the page shows whatever a captioner may say, in Chromium, over a real session."""

import re
from dataclasses import replace

import pytest
from playwright.async_api import Dialog, Page, expect

from stream.sources.demo import SCENES
from tests.support.captions import (
    ScriptedCaptions,
    confident_caption,
    shorter_fallback,
    tags_fallback,
    uncalibrated_caption,
)
from tests.support.page.scripted_page import (
    SOON,
    announcements,
    more_captions,
    serve_page,
    show_caption,
    show_page,
)

GUESS = "A man in a blue shirt is sitting at a table"
DOG = confident_caption("A dog runs", dog=0.92, ball=0.81)
OBJECTS = tags_fallback(GUESS, laptop=0.83, desk=0.81)
BEGINNING = shorter_fallback("A man in a blue shirt", GUESS, laptop=0.83)


async def height(page: Page) -> float:
    """Of the place where the caption stands."""
    found: float = await page.evaluate(
        "() => document.querySelector('.caption-panel').getBoundingClientRect().height"
    )
    return found


async def test_objects_are_shown_with_how_sure_they_are_or_not_at_all(page: Page) -> None:
    async with show_page(page, DOG) as captions:
        chips = page.locator("#object-list > li")
        assert await chips.all_inner_texts() == ["dog 92%", "ball 81%"]
        await expect(page.get_by_role("list", name="Objects")).to_be_visible()
        with_objects = await height(page)

        await show_caption(page, captions, replace(DOG, tags=()))
        await expect(page.locator("#objects")).to_be_hidden()
        assert await height(page) == with_objects


async def test_objects_keep_their_places_while_their_probabilities_change(page: Page) -> None:
    async with show_page(page, DOG) as captions:
        await show_caption(
            page, captions, confident_caption("A dog runs", tree=0.97, ball=0.94, dog=0.88)
        )

        chips = page.locator("#object-list > li")
        assert await chips.all_inner_texts() == ["dog 88%", "ball 94%", "tree 97%"]


async def test_the_demo_has_credits_and_states_which_scene_is_a_mistake(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stream.sources.demo.SCENE_S", 0.5)
    note, credits = page.locator("#caption-note"), page.locator("#demo-credits")
    async with serve_page(ScriptedCaptions(DOG)) as url:
        await page.goto(url)
        await credits.get_by_text("Images in the demo").click()
        await expect(credits.get_by_role("link", name="CC BY 2.0").first).to_be_visible()
        await page.click("#start-demo")
        await expect(note).to_have_text(SCENES[-1].note, timeout=SOON)
        await expect(note).to_have_text("", timeout=SOON)
        await expect(credits).to_be_visible()
        await page.click("#start-camera")
        await expect(credits).to_be_hidden(timeout=SOON)
        await page.click("#stop")


@pytest.mark.parametrize(
    ("confidence", "told"),
    [
        (0.91, "Sure, 91%"),
        (0.72, "Fairly sure, 72%"),
        (0.45, "Unsure, 45%"),
        (0.2, "Very unsure, 20%"),
    ],
)
async def test_confidence_is_told_in_words_and_numbers(
    page: Page, confidence: float, told: str
) -> None:
    async with show_page(page, confident_caption("A dog runs", confidence)):
        await expect(page.locator("#certainty")).to_have_text(told)


async def test_a_doubtful_caption_gives_way_to_the_objects(page: Page) -> None:
    async with show_page(page, OBJECTS):
        await expect(page.locator("#lead")).to_have_text("Not sure. Possibly:")
        words = page.locator("#caption .word")
        assert await words.all_inner_texts() == ["laptop", "desk"]
        assert await words.first.get_attribute("aria-label") == "laptop, 83% sure"
        await expect(page.locator("#caption")).to_have_text("laptop, desk")
        await expect(page.locator("#sentence")).to_have_text("Not sure. Possibly: laptop, desk")
        await expect(page.locator("#certainty")).to_have_text("Not sure, 31%")
        # They are the caption now, and need not stand beside it too.
        await expect(page.locator("#objects")).to_be_hidden()


async def test_a_doubtful_caption_gives_way_to_its_beginning(page: Page) -> None:
    async with show_page(page, BEGINNING) as captions:
        await expect(page.locator("#lead")).to_have_text("Not sure. Possibly:")
        await expect(page.locator("#caption")).to_have_text("a man in a blue shirt")
        await expect(page.locator("#objects")).to_contain_text("laptop 83%")

        await show_caption(page, captions, confident_caption("A man in a blue shirt"))
        await expect(page.locator("#lead")).to_be_hidden()
        await expect(page.locator("#doubt")).to_be_hidden()
        await expect(page.locator("#caption")).to_have_text("A man in a blue shirt")


async def test_a_certain_object_leads_a_doubtful_caption(page: Page) -> None:
    doubtful = shorter_fallback("A man in a blue shirt", GUESS, cat=0.88)
    async with show_page(page, doubtful) as captions:
        lead, sentence = page.locator("#leading-tag"), page.locator("#sentence")
        await expect(lead).to_have_text("Cat (88%)")
        await expect(page.locator("#lead")).to_have_text("Possibly:")
        await expect(page.locator("#caption")).to_have_text("a man in a blue shirt")
        await expect(sentence).to_have_text("Cat. Possibly: a man in a blue shirt")
        assert await announcements(page) == ["Cat. Possibly: a man in a blue shirt"]

        await show_caption(page, captions, tags_fallback(GUESS, cat=0.88, desk=0.7))
        await expect(lead).to_have_text("Cat (88%)")
        await expect(page.locator("#caption")).to_have_text("desk")
        await expect(page.locator("#objects")).to_contain_text("cat 88%")

        await show_caption(page, captions, confident_caption("A dog runs", 0.39, cat=0.849))
        await expect(lead).to_be_hidden()
        await expect(sentence).to_have_text("A dog runs")


async def test_a_doubt_with_nothing_left_to_say_is_owned_up_to(page: Page) -> None:
    async with show_page(page, replace(tags_fallback(GUESS), text="")):
        await expect(page.locator("#lead")).to_have_text("Not sure.")
        assert await announcements(page) == ["Not sure."]


async def test_a_caption_without_words_is_no_blank_line(page: Page) -> None:
    empty = replace(uncalibrated_caption("A"), text="", words=())
    async with show_page(page, empty) as captions:
        await expect(page.locator("#lead")).to_have_text("No caption for this frame.")
        await expect(page.locator("#lead")).to_be_visible()
        assert await announcements(page) == ["No caption for this frame."]

        await show_caption(page, captions, DOG)
        await expect(page.locator("#lead")).to_be_hidden()
        rows = page.locator("#earlier > li .words")
        assert await rows.all_inner_texts() == ["A dog runs", "No caption for this frame."]


async def test_the_guess_is_opened_by_keyboard_and_the_focus_never_lost(page: Page) -> None:
    async with show_page(page, OBJECTS) as captions:
        toggle, guess = page.locator("#show-guess"), page.locator("#guess")
        assert "Show best guess" in await toggle.inner_text()
        await expect(guess).to_be_hidden()
        await page.focus("#caption .word")
        # A pointer that rests elsewhere does not draw the tabulator there.
        await page.hover("#caption .word >> nth=1")
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await expect(toggle).to_have_attribute("aria-expanded", "true")
        await expect(guess).to_have_text(f"“{GUESS}”")

        # A pointer on a word holds the caption.
        await page.hover("h1")
        await show_caption(page, captions, DOG)
        await expect(toggle).to_be_focused()
        await expect(guess).to_have_text("")
        await page.keyboard.press("Tab")
        await expect(toggle).to_be_hidden()
        await page.locator("#object-list button").first.blur()

        await show_caption(page, captions, BEGINNING)
        await expect(guess).to_have_text(f"“{GUESS}”")


async def test_a_guess_opened_by_pointer_leaves_nothing_behind(page: Page) -> None:
    async with show_page(page, OBJECTS) as captions:
        await page.click("#show-guess")
        await expect(page.locator("#guess")).to_be_visible()
        await show_caption(page, captions, DOG)
        await expect(page.locator("#doubt")).to_be_hidden()


async def test_earlier_captions_show_doubt_and_keeps_the_guess(page: Page) -> None:
    async with show_page(page, OBJECTS) as captions:
        await show_caption(page, captions, DOG)
        rows = page.locator("#earlier > li")
        assert await rows.locator(".words").all_inner_texts() == [
            "A dog runs",
            "Not sure. Possibly: laptop, desk",
        ]
        await rows.locator("summary").click()
        await expect(rows.nth(1)).to_contain_text(f"Best guess: “{GUESS}”")


async def test_a_screen_reader_is_told_of_doubt_and_once_of_objects(page: Page) -> None:
    async with show_page(page, DOG) as captions:
        # The caption itself speaks of the dog.
        assert await announcements(page) == ["A dog runs. Objects: ball 81 percent"]
        await show_caption(page, captions, confident_caption("A dog is running", ball=0.78))
        await show_caption(page, captions, DOG)
        await show_caption(page, captions, confident_caption("A dog runs", tree=0.7, ball=0.78))
        await page.wait_for_function("() => window.told.length > 1", timeout=10_000)
        await show_caption(page, captions, confident_caption("A dog runs", lamp=0.9))
        await page.wait_for_function("() => window.told.length > 2", timeout=10_000)
        # Told already, and the caption still means the same.
        captions.caption = confident_caption("A dog runs", tree=0.7, ball=0.78)
        await more_captions(page, 20)
        await show_caption(page, captions, OBJECTS)
        await page.wait_for_function("() => window.told.length > 3", timeout=10_000)
        assert (await announcements(page))[1:] == [
            "Objects: tree 70 percent",
            "Objects: lamp 90 percent",
            "Not sure. Possibly: laptop, desk",
        ]


async def test_the_voice_says_captions_and_doubt_but_no_objects(page: Page) -> None:
    await page.add_init_script(
        """
        window.spoken = [];
        speechSynthesis.speak = (utterance) => {
          window.spoken.push(utterance.text);
          utterance.onend();
        };
        """
    )
    async with show_page(page, DOG) as captions:
        await page.check("#speak")
        await show_caption(page, captions, BEGINNING)
        await page.wait_for_function("() => window.spoken.length > 1", timeout=10_000)

        assert await page.evaluate("() => window.spoken") == [
            "A dog runs",
            "Not sure. Possibly: a man in a blue shirt",
        ]


async def test_an_equal_caption_is_no_news(page: Page) -> None:
    async with show_page(page, DOG):
        await more_captions(page, 20)

        assert len(await announcements(page)) == 1
        rows = page.locator("#earlier > li")
        await expect(rows).to_have_count(1)
        assert re.search(r"\d\d times$", await rows.inner_text())


async def test_a_kept_caption_stays_fresh_and_is_no_news(page: Page) -> None:
    async with show_page(page, DOG) as captions:
        repeats = page.locator("#earlier .repeats")
        await show_caption(page, captions, replace(DOG, kept=True))
        counted = await repeats.inner_text()
        await more_captions(page, 12)

        await expect(page.locator("#age")).to_have_text(
            re.compile(r"^0\.\d s ago, unchanged for ([2-9]|\d\d) s$")
        )
        await expect(page.locator("#screen")).to_have_attribute("data-age", "fresh")
        await expect(page.locator("#earlier > li")).to_have_count(1)
        assert await repeats.inner_text() == counted
        assert len(await announcements(page)) == 1


async def test_nothing_is_cut_off_on_a_small_screen(page: Page) -> None:
    await page.set_viewport_size({"width": 360, "height": 740})
    long = confident_caption(
        "Two young women in brightly coloured dresses are standing next to a table with food",
        **{"dining table": 0.97, "coffee mug": 0.9, "person": 0.8, "laptop": 0.8, "lamp": 0.7},
    )
    async with show_page(page, long) as captions:
        for caption in (long, DOG, OBJECTS, BEGINNING, replace(DOG, kept=True)):
            await show_caption(page, captions, caption)
            wider = "() => document.documentElement.scrollWidth - innerWidth"
            assert await page.evaluate(wider) <= 0
            # The caption itself is all in view: it needs no scrolling.
            hidden = "(words) => words.scrollHeight - words.clientHeight"
            assert await page.locator("#caption").evaluate(hidden) <= 0


LONG = replace(
    confident_caption(
        "Two young women in brightly coloured dresses are standing next to a table with food",
        **{"dining table": 0.97, "coffee mug": 0.9, "person": 0.8, "laptop": 0.8, "lamp": 0.7},
    ),
    instead_of="Two women who are standing at a table on which there is a large amount of food",
)


async def places(page: Page) -> list[float]:
    """Return where the parts around the caption are, from the top and the left of the page."""
    found: list[float] = await page.evaluate(
        """() => ['#stage', '#caption', '.legend-row', '#freeze', '#stop', '#earlier-section',
          '.views', '.settings'].flatMap((selector) => {
            const { top, left } = document.querySelector(selector).getBoundingClientRect();
            return [top + scrollY, left];
          })"""
    )
    return found


async def test_nothing_moves_when_the_caption_or_the_state_changes(page: Page) -> None:
    async with show_page(page, DOG) as captions:
        for size in ((1280, 900), (390, 844)):
            await page.set_viewport_size({"width": size[0], "height": size[1]})
            await show_caption(page, captions, DOG)
            before = await places(page)
            for caption in (LONG, OBJECTS, BEGINNING, tags_fallback(GUESS, cat=0.9, desk=0.7)):
                await show_caption(page, captions, caption)
                # The prefix of a doubtful caption is above its words.
                after = await places(page)
                assert (after[:2], after[4:]) == (before[:2], before[4:])
            page_state = "(state) => { document.documentElement.dataset.state = state; }"
            await page.evaluate(page_state, "paused")
            await page.evaluate("document.querySelector('#state').textContent = 'Paused'")
            assert await places(page) == after
            await page.evaluate(page_state, "live")


@pytest.mark.parametrize("size", [(390, 664), (844, 390), (640, 450)])
async def test_freeze_and_stop_are_in_reach_in_small_windows(
    page: Page, size: tuple[int, int]
) -> None:
    """As on a phone, upright and on its side, and on a desktop at 200 %."""
    await page.set_viewport_size({"width": size[0], "height": size[1]})
    async with show_page(page, LONG):
        await page.evaluate("scrollTo(0, 0)")
        for button in ("#freeze", "#stop"):
            await expect(page.locator(button)).to_be_in_viewport(ratio=1)
            in_front = await page.locator(button).evaluate(
                """(button) => {
                  const { x, y, width, height } = button.getBoundingClientRect();
                  return button.contains(
                    document.elementFromPoint(x + width / 2, y + height / 2));
                }"""
            )
            assert in_front
        await expect(page.locator("#stage")).to_be_in_viewport(ratio=0.9)


async def test_settings_last_and_leaving_a_live_session_asks(page: Page) -> None:
    asked: list[str] = []

    async def accept(dialog: Dialog) -> None:
        asked.append(dialog.type)
        await dialog.accept()

    page.on("dialog", accept)
    async with show_page(page, DOG):
        await page.locator("#interval").fill("0.5")
        await page.select_option("#heat-maps", "words")
        await page.select_option("#caption-size", "133")
        await page.check("#speak")
        await expect(page.locator("#confirmation")).to_have_text("Saved")
        await page.reload()
        assert asked == ["beforeunload"]

        await page.click("#start-camera")
        await more_captions(page)
        await expect(page.locator("#confirmation")).to_have_text("Saved")
        await expect(page.locator("#interval-text")).to_have_text("0.5 s")
        await expect(page.locator("#heat-maps")).to_have_value("words")
        await expect(page.locator("#caption-size")).to_have_value("133")
        await expect(page.locator("#speak")).to_be_checked()
        await page.click("#stop")
        await page.reload()
        assert asked == ["beforeunload"]

        # Neither storage that is blocked nor nonsense in it gets in the way.
        await page.evaluate(
            """() => localStorage.setItem('sightline.preferences', JSON.stringify({
              settings: { interval_s: 99, beam_width: 'x', explanations: [] }, captionSize: {},
            }))"""
        )
        await page.reload()
        await page.click("#start-camera")
        await more_captions(page)
        await expect(page.locator("#interval-text")).to_have_text("0.25 s")
        await expect(page.locator("#caption-size")).to_have_value("100")
        await page.add_init_script(
            "Object.defineProperty(window, 'localStorage', { get() { throw new Error('no'); } });"
        )
        await page.reload()
        await page.click("#start-camera")
        await more_captions(page)
        await page.select_option("#caption-size", "75")


async def test_shortcuts_have_a_list_and_can_be_turned_off(page: Page) -> None:
    async with show_page(page, DOG):
        listed, frozen = page.locator("#shortcuts"), page.locator("#frozen")
        await page.keyboard.press("?")
        await expect(listed).to_be_visible()
        await page.keyboard.press("k")
        await page.keyboard.press("Escape")
        await expect(listed).to_be_hidden()
        await expect(frozen).to_be_hidden()
        await page.keyboard.press("k")
        await expect(frozen).to_be_visible()
        await page.keyboard.press("Escape")

        await page.keyboard.press("f")
        await page.wait_for_function("() => document.fullscreenElement?.id === 'screen'")
        stage = await page.locator("#returned-video").bounding_box()
        panel = await page.locator(".caption-panel").bounding_box()
        assert stage
        assert panel
        assert stage["y"] + stage["height"] <= panel["y"] + 1
        for button in ("#freeze", "#stop"):
            await expect(page.locator(button)).to_be_in_viewport(ratio=1)
        await page.keyboard.press("f")
        await page.wait_for_function("() => document.fullscreenElement === null")
        await page.keyboard.press("+")
        await expect(page.locator("#caption-size")).to_have_value("133")

        # Not while a name is typed, with another key held, or once they are turned off.
        await page.focus("#publish-name")
        await page.keyboard.type("sk?")
        await page.locator("#publish-name").blur()
        await page.keyboard.press("Alt+k")
        await page.click("#open-shortcuts")
        await page.uncheck("#shortcuts-on")
        await page.click("#close-shortcuts")
        for key in "ks?":
            await page.keyboard.press(key)
        await expect(listed).to_be_hidden()
        await expect(frozen).to_be_hidden()
        await expect(page.locator("html")).to_have_attribute("data-state", "live")


async def saved(page: Page, button: str) -> tuple[str, str]:
    """Save the captions; return the file's name and its text."""
    async with page.expect_download() as download:
        await page.click(button)
    file = await download.value
    return file.suggested_filename, (await file.path()).read_text(encoding="utf-8")


async def test_the_captions_of_the_session_are_copied_and_saved(page: Page) -> None:
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    async with show_page(page, DOG) as captions:
        await show_caption(page, captions, confident_caption("A <cat> & a dog"))
        await show_caption(page, captions, DOG)
        name, text = await saved(page, "#save-text")
        assert name == "captions.txt"
        lines = [line.split("  ") for line in text.splitlines()]
        assert [line for _, line in lines] == ["A dog runs", "A <cat> & a dog", "A dog runs"]
        assert all(re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", time) for time, _ in lines)

        name, text = await saved(page, "#save-webvtt")
        assert name == "captions.vtt"
        head, note, *cues = text.split("\n\n")
        assert head == "WEBVTT"
        assert note.startswith("NOTE ")
        times = [re.findall(r"00:00:(\d\d\.\d{3})", cue) for cue in cues]
        assert [cue.splitlines()[1] for cue in cues] == [
            "A dog runs",
            "A &lt;cat&gt; &amp; a dog",
            "A dog runs",
        ]
        # Each cue lasts until the next one begins.
        assert times[0][0] == "00.000"
        assert [end for _, end in times[:-1]] == [begin for begin, _ in times[1:]]
        assert all(float(begin) < float(end) for begin, end in times)

        await page.click("#copy-captions")
        await expect(page.locator("#export-status")).to_have_text("Copied.")
        assert (await page.evaluate("navigator.clipboard.readText()")).count("A dog runs") == 2
