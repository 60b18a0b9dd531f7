"""Analyses of a frozen picture: asked for, followed, and shown, whatever the connection does."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from playwright.async_api import Locator, Page, expect

from inference.engine.service import AnalysisKind, AnalysisResult, EngineBusy, EngineUnavailable
from inference.progress import ProgressCallback, finish
from inference.report import analysis_files
from tests.inference.report.examples import adversarial, concepts, contents, example_image
from tests.support.captions import confident_caption
from tests.support.page.sample_findings import (
    REPORT,
    analysis_result,
    attack_findings,
    concept_findings,
)
from tests.support.page.scripted_page import (
    SOON,
    ExplainedCaptions,
    cell_map,
    more_captions,
    show_page,
    with_maps,
)

DOG = with_maps(
    confident_caption("A dog runs"),
    cell_map(0, 0, 0.5),
    cell_map(4, 4, 2.0),
    cell_map(8, 8),
)
SUMMARY = ("The caption gives way to 1.5 grey levels.", "Its dog is fragile.")

RECORD_STATUS = """() => {
  window.statuses = [];
  const region = document.querySelector('#frozen-status');
  new MutationObserver(() => window.statuses.push(region.textContent)).observe(
    region, { childList: true, characterData: true, subtree: true });
}"""

# Columns break as pages do: what is in the same one is on the same page of A4.
PAGES = """() => {
  document.body.style.cssText = 'columns: 680px; column-gap: 0; column-fill: auto; height: 1002px';
  const pagesOf = (element) => {
    const left = document.body.getBoundingClientRect().left;
    const page = (x) => Math.floor((x - left + 1) / 680);
    return [...new Set([...element.getClientRects()].map(({ left: x }) => page(x)))];
  };
  const name = (element) => `${element.tagName} ${element.textContent.trim().slice(0, 40)}`;
  const all = (selector) => [...document.querySelectorAll(selector)];
  const content = (element) => element.matches('.pictures, .charts, .cards, table, .scrolls')
    ? element.querySelector('figure, li, tr, caption') ?? element : element;
  return {
    pages: Math.max(...all('footer').map((each) => pagesOf(each)[0])) + 1,
    split: all('figure, tr, .cards > li, .captions > div, .screen')
      .filter((each) => pagesOf(each).length > 1).map(name),
    lonely: all('h2, h3, h4, caption').filter((heading) => {
      const next = heading.nextElementSibling;
      return next && pagesOf(heading).at(-1) !== pagesOf(content(next))[0];
    }).map(name),
    empty: [...all('main *').reduce((bottoms, each) => {
      const { left, bottom } = [...each.getClientRects()].at(-1) ?? { left: 0, bottom: 0 };
      const at = Math.floor((left - document.body.getBoundingClientRect().left + 1) / 680);
      return bottoms.set(at, Math.max(bottoms.get(at) ?? 0, bottom));
    }, new Map()).values()].slice(0, -1).filter((bottom) => bottom < 0.7 * 1002),
    wide: all('table, figure, .charts').filter((each) => each.scrollWidth > 680).map(name),
  };
}"""

_PRINTED = ("a", "skateboarder", "is", "doing", "a", "trick", "on", "a", "skateboard")
TOP = "(element) => element.getBoundingClientRect().top"
SHAPE = "(pane) => Number(pane.style.getPropertyValue('--shape'))"


class AnalysedCaptions(ExplainedCaptions):
    """A caption service whose analyses find what a test wants, or raise what it wants."""

    def __init__(self) -> None:
        super().__init__(DOG)
        self.report = analysis_result(attack_findings(), *SUMMARY)
        self.concepts = analysis_result(concept_findings(), "Concept dog-1 speaks for “dog”.")
        self.problem: Exception | None = None

    async def analyse(
        self,
        kind: AnalysisKind,
        image: NDArray[np.uint8],
        tokens: tuple[int, ...],
        params: Mapping[str, Any],
        frames: Sequence[NDArray[np.uint8]] = (),
        progress: ProgressCallback | None = None,
    ) -> AnalysisResult:
        """Find it, once it is told to go on."""
        if self.problem:
            raise self.problem
        try:
            found = await super().analyse(kind, image, tokens, params, frames, progress)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return found if kind == "adversarial" else self.concepts


@asynccontextmanager
async def freezing(page: Page, captions: AnalysedCaptions) -> AsyncIterator[None]:
    """Have the page show a caption, and freeze it."""
    async with show_page(page, captions):
        await freeze(page)
        yield
        if await page.locator("#frozen").is_visible():
            await page.keyboard.press("Escape")


async def freeze(page: Page) -> None:
    """Open the frozen view, whose picture has come."""
    await page.click("#freeze")
    await expect(page.locator(".map-panel").first).to_have_attribute("data-state", "shown")
    await page.evaluate(RECORD_STATUS)


def attack(page: Page) -> Locator:
    """The part that asks how easily it is fooled."""
    return page.locator("#attack")


async def begin_attack(page: Page) -> None:
    """Begin one, and wait until the server is at work."""
    await page.click("#attack-tab")
    await page.click("#attack-form button")
    await expect(attack(page).locator(".work")).to_contain_text("Looking closely", timeout=SOON)


async def ended(page: Page, section: Locator, state: str) -> None:
    """Wait until an analysis is over; the state is the page's."""
    await expect(section).to_have_attribute("data-state", state, timeout=SOON)


async def test_an_attack_is_followed_and_its_three_captions_stand_side_by_side(page: Page) -> None:
    captions = AnalysedCaptions()
    captions.finish_analyses.clear()
    async with freezing(page, captions):
        await page.click("#attack-tab")
        about = attack(page).locator(".about").first
        await expect(about).to_contain_text("The time left is shown while it runs.")
        words = "(list) => [...list.options].map(({ value }) => value)"
        assert await page.locator("#attack-lose-words").evaluate(words) == ["a", "dog", "runs"]
        assert await page.locator("#attack-say-words").evaluate(words) == ["thing"]
        await page.fill("#attack-say", " Cat ")
        await page.fill("#attack-lose", "dog")
        await page.locator("#attack-norms").get_by_text("total").click()
        await begin_attack(page)
        part = attack(page)
        await expect(part.locator(".work p")).to_have_text(
            re.compile(r"^Looking closely: 50%, (about \d+ s|less than a second) left\.$")
        )
        bar = part.get_by_role("progressbar", name="How easily is it fooled?")
        assert await bar.get_attribute("value") == "0.5"
        assert captions.analyses == [
            ("adversarial", {"norm": "l2", "say": "cat", "lose": "dog"}, 0)
        ]
        await expect(page.locator("#attack-form")).to_be_hidden()
        await more_captions(page)

        captions.finish_analyses.set()
        await ended(page, part, "done")
        assert await part.locator(".summary > li").all_inner_texts() == list(SUMMARY)
        sayings = part.locator(".caption-card")
        assert await sayings.locator("h4").all_inner_texts() == [
            "Original caption",
            "After the attack",
            "Captioner under a second attack",
            "Hardened model under this attack",
            "Control, trained on noise instead",
            "Made to say “cat”",
            "Could not make it drop “dog”",
        ]
        await expect(sayings.nth(0).locator("mark")).to_have_text("dog (fragile)")
        await expect(sayings.nth(1)).to_contain_text("at most 1.5 of 255 grey levels per pixel")
        await expect(sayings.nth(1).locator(".diff")).to_have_text(
            "a removed: dog added: cat runs added: fast"
        )
        await expect(sayings.nth(1)).to_contain_text("Lost when the image is stored in whole")
        await expect(sayings.nth(2)).to_contain_text("attacked by at most 0.5 of 255 grey levels")
        await expect(sayings.nth(3).locator(".diff")).to_have_text("a dog removed: runs")
        await expect(sayings.nth(4).locator(".diff")).to_have_text("a removed: dog added: cat runs")
        # Told by their form, too: struck out, framed, a wavy line.
        assert await styles(part.locator("del"), "textDecorationLine") == ["line-through"] * 4
        assert await styles(part.locator("ins"), "borderTopStyle") == ["solid"] * 5
        assert await styles(part.locator("mark"), "textDecorationStyle") == ["wavy"]
        await expect(sayings.nth(0)).to_contain_text("Rests on fragile features: “dog”.")
        await expect(sayings.nth(5)).to_contain_text("a cat sits")
        await expect(sayings.nth(6)).to_contain_text(
            "with a change of at most 16 of 255 grey levels"
        )
        # What it took is measured, and told to whom asks again.
        await page.keyboard.press("Escape")
        await more_captions(page)
        await page.click("#freeze")
        await page.click("#attack-tab")
        await expect(about).to_contain_text(re.compile(r"The last one took \d+ s\."))


async def styles(marks: Locator, name: str) -> list[str]:
    """How some elements look."""
    found: list[str] = await marks.evaluate_all(
        "(all, name) => all.map((each) => getComputedStyle(each)[name])", name
    )
    return found


async def test_the_report_is_opened_and_downloaded_and_never_scrolls_in_place(page: Page) -> None:
    async with freezing(page, AnalysedCaptions()):
        await page.click("#attack-tab")
        await page.click("#attack-form button")
        await ended(page, attack(page), "done")
        async with page.context.expect_page() as opening:
            await page.get_by_role("link", name="Open report").click()
        report = await opening.value
        await expect(report.locator("h1")).to_have_text(REPORT)
        await report.close()
        # The dialog is the only thing that scrolls.
        scrolling = """() => [...document.querySelectorAll('#frozen, #frozen *')].filter((each) =>
          each.scrollHeight > each.clientHeight + 1 && ['auto', 'scroll'].includes(
            getComputedStyle(each).overflowY)).map(({ id }) => id)"""
        assert set(await page.evaluate(scrolling)) <= {"frozen"}
        await expect(page.locator("#frozen iframe")).to_have_count(0)

        for label, name, content in (
            ("Download report", "report.html", REPORT),
            ("Download data", "report.json", "adversarial"),
        ):
            async with page.expect_download() as downloading:
                await page.get_by_role("link", name=label).click()
            download = await downloading.value
            assert download.suggested_filename == name
            assert content in (await download.path()).read_text()


async def test_concepts_speak_for_or_against_each_word_and_lie_over_the_picture(page: Page) -> None:
    captions = AnalysedCaptions()
    async with freezing(page, captions):
        part = page.locator("#concepts")
        await page.click("#concepts-tab")
        await expect(page.locator("#concept-word")).to_be_hidden()
        await page.click("#concepts-form button")
        await ended(page, part, "done")
        concepts = part.locator(".concept")
        await expect(concepts).to_have_count(3)
        assert await concepts.locator(".verdict").all_inner_texts() == [
            "▲ Concept dog-1: supports it",
            "▼ Concept dog-2: opposes it",
            "? Concept dog-3: not enough evidence",
        ]
        await expect(concepts.nth(0)).to_contain_text("Adds 0.82 to the word")
        await expect(concepts.nth(1)).to_contain_text("Subtracts 0.31 from the word")
        await expect(concepts.nth(0)).to_contain_text(
            "in 83% of 54 scenes; its mean effect is 3.1 times that of random concepts (p = 0.002)."
        )
        await expect(concepts.nth(0).get_by_role("img").last).to_have_attribute(
            "aria-label", re.compile("^Location of concept dog-1: mostly a small spot in the left")
        )
        # The verdict leads, then what the concept looks like, if that is known, and where it is.
        looks = part.get_by_role("img", name="What concept dog-1 looks like")
        assert (
            await looks.evaluate("(image) => image.decode().then(() => image.naturalWidth)") == 24
        )
        await expect(part.locator(".concept img")).to_have_count(1)
        parts = (concepts.nth(0).locator(".verdict"), looks, concepts.get_by_text("Adds"))
        tops = [await each.evaluate(TOP) for each in parts]
        assert tops == sorted(tops)
        await expect(part.locator(".map[data-painted=true]")).to_have_count(3)
        seen = (
            "(all) => all.map((canvas) => canvas.getContext('2d').getImageData(9, 9, 1, 1).data[3])"
        )
        pictures = part.locator(".map-image canvas:first-child")
        assert await pictures.evaluate_all(seen) == [255] * 3
        # The frozen picture keeps its shape, though the captioner saw it as a square.
        assert await part.locator(".map-image").first.evaluate(SHAPE) == 4 / 3
        await expect(part.locator(".word-concepts").nth(1)).to_contain_text("knows no “runs”")
        await expect(part).to_contain_text("6 scenes are too few for a test.")
        await expect(part).to_contain_text(
            "Checked with 16,000 random concepts: 96 of them were judged to matter, in 4.5% of "
            "2,000 tests of a word."
        )

        await part.get_by_role("button", name="Run again").click()
        await part.get_by_text("recent frames of this stream").click()
        await expect(page.locator("#concept-pictures")).to_have_text(re.compile(r"^\d+ frames?"))
        await page.select_option("#concept-word", "dog")
        await page.click("#concepts-form button")
        await ended(page, part, "done")
        assert [(kind, params) for kind, params, _ in captions.analyses] == [
            ("ace", {"scope": "bank"}),
            ("ace", {"scope": "frames", "word": "dog"}),
        ]


async def test_an_analysis_is_cancelled_at_once_and_can_be_begun_again(page: Page) -> None:
    captions = AnalysedCaptions()
    captions.finish_analyses.clear()
    async with freezing(page, captions):
        await begin_attack(page)
        await attack(page).get_by_role("button", name="Cancel").click()
        await expect(attack(page).locator(".analysis-message")).to_have_text("Cancelled.")
        await more_captions(page)
        assert captions.cancelled == 1
        await begin_attack(page)
        await expect(attack(page).locator(".analysis-message")).to_be_hidden()
        await page.keyboard.press("Escape")
        await page.locator("#kept").get_by_role("button", name="Cancel").click()
        await expect(page.locator("#kept")).to_be_hidden()
        await more_captions(page)
        assert captions.cancelled == 2


async def test_what_keeps_an_analysis_from_being_made_is_told_in_plain_words(page: Page) -> None:
    captions = AnalysedCaptions()
    problems = {
        "The captioner is paused. Try again when captions resume.": EngineUnavailable(""),
        "Too many analyses are under way; try again in a few seconds.": EngineBusy(
            "too many analyses are under way"
        ),
        "12 pictures are needed, and there are 3.": ValueError(
            "12 pictures are needed, and there are 3"
        ),
    }
    async with freezing(page, captions):
        section = page.locator("#concepts")
        await page.click("#concepts-tab")
        for text, captions.problem in problems.items():
            await section.locator("form button").click()
            await expect(section.locator(".analysis-message")).to_have_text(text, timeout=SOON)
            await expect(section.locator("form")).to_be_visible()
        await page.keyboard.press("Escape")
        # It was told of, and is no news on the page.
        await expect(page.locator("#kept")).to_be_hidden()


async def test_more_than_the_server_takes_at_once_are_refused(page: Page) -> None:
    captions = AnalysedCaptions()
    captions.finish_analyses.clear()
    async with freezing(page, captions):
        await begin_attack(page)
        await page.click("#concepts-tab")
        await page.click("#concepts-form button")
        await expect(page.locator("#concepts .work")).to_contain_text("Looking", timeout=SOON)
        await page.keyboard.press("Escape")
        await more_captions(page)
        await freeze(page)
        await page.click("#attack-tab")
        await page.click("#attack-form button")
        await expect(attack(page).locator(".analysis-message")).to_have_text(
            "Other analyses are running on the server. Try again in a moment.", timeout=SOON
        )
        await page.keyboard.press("Escape")
        await expect(page.locator("#kept li")).to_have_count(2)


async def test_a_picture_that_has_gone_is_told(page: Page) -> None:
    async with freezing(page, AnalysedCaptions()):
        await page.click("#attack-tab")
        await page.evaluate("() => document.querySelector('#stop').click()")
        await page.click("#attack-form button")
        await expect(attack(page).locator(".analysis-message")).to_contain_text("Not connected")


async def test_it_is_asked_and_read_by_keyboard_and_told_sparingly(page: Page) -> None:
    captions = AnalysedCaptions()
    captions.finish_analyses.clear()
    async with freezing(page, captions):
        await page.click("#attack-tab")
        await page.focus("#attack-say")
        await page.keyboard.type("cat")
        await page.keyboard.press("Enter")
        cancel = attack(page).get_by_role("button", name="Cancel")
        await expect(cancel).to_be_focused()
        await expect(attack(page).locator(".work")).to_contain_text("Looking closely", timeout=SOON)
        # Some words on how far it is, of which only the first is told.
        await more_captions(page, 12)
        captions.finish_analyses.set()
        await ended(page, attack(page), "done")
        found = page.get_by_role("group", name="Results: How easily is it fooled?")
        await expect(found).to_be_focused()
        told = await page.evaluate("() => window.statuses")
        assert [text for text in told if "fooled" in text] == [
            "How easily is it fooled? Starting…",
            f"How easily is it fooled? {' '.join(SUMMARY)}",
        ]
        await expect(found.get_by_role("link").first).to_be_visible()
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("link", name="Open report")).to_be_focused()


async def test_an_analysis_goes_on_when_the_view_is_left(page: Page) -> None:
    captions = AnalysedCaptions()
    captions.finish_analyses.clear()
    async with freezing(page, captions):
        await begin_attack(page)
        await page.keyboard.press("Escape")
        kept = page.locator("#kept")
        await expect(kept).to_contain_text("How easily is it fooled? “A dog runs”")
        await expect(kept).to_contain_text("50%")
        captions.finish_analyses.set()
        await expect(kept).to_contain_text("Done", timeout=SOON)
        await expect(page.locator("#kept-news")).to_contain_text("Done")
        await kept.get_by_role("button", name="Show").click()
        await expect(page.locator("#frozen-heading")).to_have_text("A dog runs")
        await expect(page.get_by_role("tab")).to_have_count(0)
        await expect(page.get_by_role("tabpanel")).to_have_count(1)
        await expect(attack(page).locator(".caption-card")).to_have_count(7)
        await page.keyboard.press("Escape")
        await kept.get_by_role("button", name="Dismiss").click()
        await expect(kept).to_be_hidden()


async def test_the_end_of_the_connection_does_not_end_an_analysis(page: Page) -> None:
    captions = AnalysedCaptions()
    captions.finish_analyses.clear()
    async with freezing(page, captions):
        await begin_attack(page)
        await page.evaluate("() => document.querySelector('#stop').click()")
        await expect(page.locator("html")).to_have_attribute("data-state", "idle")
        await more_asked(page)
        await expect(attack(page)).to_have_attribute("data-state", "running")
        captions.finish_analyses.set()
        await ended(page, attack(page), "done")
        await expect(attack(page).locator(".caption-card")).to_have_count(7)
        assert captions.cancelled == 0


async def more_asked(page: Page) -> None:
    """Wait until the page has asked how far an analysis is."""
    async with page.expect_response(lambda response: "/analyses/" in response.url):
        pass


async def test_a_reload_takes_an_analysis_up_again_and_cancels_it(page: Page) -> None:
    captions = AnalysedCaptions()
    captions.finish_analyses.clear()
    async with freezing(page, captions):
        await begin_attack(page)
        await page.reload()
        kept = page.locator("#kept")
        await expect(kept).to_contain_text("50%", timeout=SOON)
        captions.finish_analyses.set()
        await expect(kept).to_contain_text("Done", timeout=SOON)
        # What was found outlives another reload, until it is dismissed.
        await page.reload()
        await expect(kept).to_contain_text("Done", timeout=SOON)
        await kept.get_by_role("button", name="Show").click()
        await expect(attack(page).locator(".caption-card")).to_have_count(7)
        assert await attack(page).locator(".summary > li").all_inner_texts() == list(SUMMARY)
        await page.keyboard.press("Escape")
        async with page.expect_response(lambda response: response.request.method == "DELETE"):
            await kept.get_by_role("button", name="Dismiss").click()
        await page.reload()
        await expect(kept).to_be_hidden()


async def test_a_running_analysis_can_be_cancelled_after_a_reload(page: Page) -> None:
    captions = AnalysedCaptions()
    captions.finish_analyses.clear()
    async with freezing(page, captions):
        await begin_attack(page)
        await page.reload()
        kept = page.locator("#kept")
        await expect(kept).to_contain_text("50%", timeout=SOON)
        async with page.expect_response(lambda response: response.request.method == "DELETE"):
            await kept.get_by_role("button", name="Cancel").click()
        await expect(kept).to_be_hidden()
        assert captions.cancelled == 1


async def test_what_the_server_has_forgotten_is_not_offered_after_a_reload(page: Page) -> None:
    async with freezing(page, AnalysedCaptions()):
        await page.click("#attack-tab")
        await page.click("#attack-form button")
        await ended(page, attack(page), "done")
        path = await page.get_by_role("link", name="Open report").get_attribute("href")
        assert path
        gone = "(path) => fetch(path.replace('/report.html', ''), { method: 'DELETE' })"
        await page.evaluate(f"async (path) => {{ await ({gone})(path); }}", path)
        async with page.expect_response(lambda response: response.status == 404):
            await page.reload()
        await expect(page.locator("#kept")).to_be_hidden()


async def test_what_a_captioner_lacks_is_told(page: Page) -> None:
    captions = AnalysedCaptions()
    captions.info = replace(captions.info, hardened=False, concepts=False)
    captions.report = analysis_result(attack_findings(hardened=False), *SUMMARY)
    async with freezing(page, captions):
        await expect(page.locator("#attack-lack")).to_contain_text("no hardened model")
        await page.click("#concepts-tab")
        await expect(page.locator("#concepts-lack")).to_contain_text("no built-in concepts")
        await expect(page.locator("#concept-scope-field")).to_be_hidden()
        await expect(page.get_by_label("Learn concepts for")).to_be_visible()
        await page.click("#attack-tab")
        await page.click("#attack-form button")
        await ended(page, attack(page), "done")
        await expect(attack(page).locator(".caption-card").nth(2)).to_contain_text(
            "no hardened model"
        )


async def test_nothing_is_cut_off_on_a_small_screen(page: Page) -> None:
    await page.set_viewport_size({"width": 360, "height": 740})
    wider = "(dialog) => dialog.scrollWidth - dialog.clientWidth"
    captions = AnalysedCaptions()
    captions.finish_analyses.clear()
    async with freezing(page, captions):
        frozen = page.locator("#frozen")
        await page.click("#concepts-tab")
        await page.get_by_text("recent frames of this stream").click()
        assert await frozen.evaluate(wider) <= 0
        await begin_attack(page)
        assert await frozen.evaluate(wider) <= 0
        await page.click("#concepts-tab")
        await page.click("#concepts-form button")
        assert await frozen.evaluate(wider) <= 0
        captions.finish_analyses.set()
        for part in ("attack", "concepts"):
            await ended(page, page.locator(f"#{part}"), "done")
            await expect(page.locator(f"#{part} .results .actions")).to_have_count(1)
            await page.click(f"#{part}-tab")
            assert await frozen.evaluate(wider) <= 0
            # The marks of what is done move nothing: the tabs and the button stay in one row.
            bar = await page.locator(".frozen-bar").bounding_box()
            assert bar and bar["height"] < 80
        await page.keyboard.press("Escape")
        await expect(page.locator("#kept li")).to_have_count(2)
        assert await page.evaluate("() => document.documentElement.scrollWidth - innerWidth") <= 0


def _report() -> str:
    """Return a report with long tables, many pictures and charts."""
    analysed = contents(example_image(height=480, width=640))
    (method,) = analysed.methods
    maps = tuple(replace(method.explanations[0], title=word) for word in _PRINTED)
    analysed = replace(analysed, methods=(replace(method, explanations=maps),))
    known = concepts(("skateboarder", "trick", "skateboard"), each=4)
    files = finish(analysis_files(analysed, adversarial(2 * _PRINTED), known))
    return files["report.html"].decode()


async def test_pages_break_between_things_and_never_after_a_heading(page: Page) -> None:
    await page.set_viewport_size({"width": 680, "height": 1002})
    await page.emulate_media(media="print")
    await page.set_content(_report())
    found: dict[str, Any] = await page.evaluate(PAGES)

    assert found["pages"] > 5
    assert found["split"] == []
    assert found["lonely"] == []
    assert found["wide"] == []
    # No page but the last is left empty by much.
    assert found["empty"] == []
