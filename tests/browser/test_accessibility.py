"""The page for everybody, in Chromium: no rule of axe is broken, and focus is always seen.

The rules are those of axe-core for WCAG 2.2 at level AA, and its best practices.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from playwright.async_api import Page, expect

from inference.engine.service import AnalysisKind, AnalysisResult
from inference.progress import ProgressCallback
from tests.support.captions import confident_caption, tags_fallback
from tests.support.page.feed_page import HALL, serve_feeds
from tests.support.page.sample_findings import analysis_result, attack_findings, concept_findings
from tests.support.page.scripted_page import (
    SOON,
    ExplainedCaptions,
    cell_map,
    more_captions,
    show_caption,
    with_maps,
)

AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
DOG = with_maps(
    confident_caption("A dog runs", dog=0.92),
    cell_map(0, 0, 0.5),
    cell_map(4, 4, 2.0),
    cell_map(8, 8),
)
# Each violation as one line: the rule, what it says of the first element, and the elements.
VIOLATIONS = """async () => (await axe.run(document)).violations.map(({ id, nodes }) =>
  `${id}: ${nodes[0].failureSummary} ${nodes.map(({ target }) => target.join(' ')).join(', ')}`)"""

# What has the focus, whether it is seen whole, and whether it looks otherwise than without it.
FOCUSED = """() => {
  const at = document.activeElement;
  if (!at || at === document.body) return null;
  // Where a link covers a card, the card shows the focus.
  const look = (element) => [element, element.parentElement].flatMap((each) =>
    ['outlineStyle', 'outlineWidth', 'outlineColor', 'boxShadow', 'borderColor', 'backgroundColor']
      .map((name) => getComputedStyle(each)[name])).join();
  const box = at.getBoundingClientRect();
  const covered = () => {
    const top = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
    return Boolean(top) && !at.contains(top) && !top.contains(at);
  };
  const name = `${at.tagName.toLowerCase()}#${at.id} ${at.textContent.trim().slice(0, 30)}`;
  const focused = look(at);
  at.blur();
  const changed = look(at) !== focused;
  at.focus({ preventScroll: true, focusVisible: true });
  const inside = box.width > 0 && box.top >= -1 && box.bottom <= innerHeight + 1
    && box.left >= -1 && box.right <= innerWidth + 1;
  return { name, changed, seen: inside && !covered() };
}"""


class AnalysedCaptions(ExplainedCaptions):
    """A caption service whose analyses find something of every kind."""

    async def analyse(
        self,
        kind: AnalysisKind,
        image: NDArray[np.uint8],
        tokens: tuple[int, ...],
        params: Mapping[str, Any],
        frames: Sequence[NDArray[np.uint8]] = (),
        progress: ProgressCallback | None = None,
    ) -> AnalysisResult:
        """Find it at once."""
        found = attack_findings() if kind == "adversarial" else concept_findings()
        return analysis_result(found, "The caption gives way to 1.5 grey levels.")


async def assert_no_violations(page: Page, place: str) -> None:
    """Assert that axe finds nothing, in light and in dark colours."""
    if not await page.evaluate("() => 'axe' in window"):
        await page.evaluate(AXE.read_text())
    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme=scheme)
        assert await page.evaluate(VIOLATIONS) == [], (place, scheme)


async def test_axe_finds_nothing_from_the_start_to_a_studied_caption(page: Page) -> None:
    captions = AnalysedCaptions(DOG)
    async with serve_feeds(captions) as here:
        await page.goto(here.url)
        await expect(page.locator("#example-map")).to_have_attribute("data-painted", "true")
        await assert_no_violations(page, "start")

        await page.click("#start-camera")
        await more_captions(page)
        await assert_no_violations(page, "live")
        await page.locator("#caption .word").nth(1).focus()
        await expect(page.locator("#map-legend")).to_be_visible()
        await assert_no_violations(page, "map")
        await page.click("#about-map")
        await expect(page.locator("#map-details")).to_be_visible()
        await assert_no_violations(page, "about the map")
        await page.keyboard.press("Escape")
        await page.click("#open-shortcuts")
        await assert_no_violations(page, "shortcuts")
        await page.click("#close-shortcuts")
        await show_caption(page, captions, tags_fallback("A man at a table", laptop=0.9))
        await page.click("#show-guess")
        await assert_no_violations(page, "doubt")
        await show_caption(page, captions, DOG)

        await page.click("#freeze")
        await expect(page.locator("#check-verdict")).to_have_text("Holds up")
        await assert_no_violations(page, "why")
        await page.click("#more-methods-title")
        await page.locator("#beside").select_option(index=1)
        await assert_no_violations(page, "compared")
        for tab, form in (("#attack-tab", "#attack"), ("#concepts-tab", "#concepts")):
            await page.click(tab)
            await assert_no_violations(page, tab)
            await page.click(f"{form}-form button")
            await expect(page.locator(form)).to_have_attribute("data-state", "done", timeout=SOON)
            await assert_no_violations(page, f"{tab}, done")
        await page.click("#leave-frozen")
        await page.click("#stop")


async def test_axe_finds_nothing_on_the_other_pages(page: Page, tmp_path: Path) -> None:
    tokens = {"admin_token": "admin-" * 4, "viewer_token": "viewer-" * 4}
    history = {"path": tmp_path / "history.db", "pictures": "changes"}
    rules = {"dogs": {"any": ["dog"], "present_s": 0}}
    settings: dict[str, Any] = {
        "history": history,
        "rules": rules,
        "rules_file": tmp_path / "rules.toml",
    }
    async with serve_feeds(feeds={"hall": HALL}, access=tokens, **settings) as here:
        await page.goto(here.url)
        await assert_no_violations(page, "login")
        await page.get_by_label("Token").fill(tokens["admin_token"])
        await page.keyboard.press("Enter")
        await page.get_by_role("link", name="The hall").click()
        await expect(page.locator("#state")).to_have_text("Watching: The hall")
        await assert_no_violations(page, "feed")
        await page.goto(f"{here.url}/?wall")
        await expect(page.get_by_role("article")).to_contain_text("A dog runs")
        await assert_no_violations(page, "wall")
        await page.goto(f"{here.url}/?history")
        await expect(page.locator("#found li")).to_have_count(1)
        await expect(page.locator("#found img")).to_have_count(1)
        await assert_no_violations(page, "history")
        await page.get_by_role("button", name="A dog runs").click()
        await expect(page.locator("#picture-detail")).not_to_be_empty()
        await assert_no_violations(page, "picture")
        await page.goto(f"{here.url}/?history&q=giraffe")
        await expect(page.get_by_text("No matches")).to_be_visible()
        await assert_no_violations(page, "history without results")
        await page.goto(f"{here.url}/?rules")
        await expect(page.get_by_role("heading", name="dogs")).to_be_visible()
        await expect(page.locator("#firing-list li")).to_have_count(1)
        await assert_no_violations(page, "rules")
        await page.get_by_role("button", name="Add a rule").click()
        await assert_no_violations(page, "a new rule")
        for path in ("api", "no/such/page"):
            await page.goto(f"{here.url}/{path}")
            await assert_no_violations(page, path)


async def test_the_focus_is_seen_wherever_it_goes_in_all_colours(page: Page) -> None:
    captions = AnalysedCaptions(DOG)
    async with serve_feeds(captions) as here:
        await page.goto(here.url)
        await assert_focus_is_seen(page, "start", 10)
        await page.click("#start-camera")
        await more_captions(page)
        await assert_focus_is_seen(page, "live", 14)
        await page.set_viewport_size({"width": 390, "height": 844})
        await assert_focus_is_seen(page, "phone", 14)
        await page.set_viewport_size({"width": 1280, "height": 900})
        await page.click("#freeze")
        await expect(page.locator("#check-verdict")).to_have_text("Holds up")
        await assert_focus_is_seen(page, "frozen", 6)
        await page.keyboard.press("Escape")
        await expect(page.locator("#freeze")).to_be_focused()
        await page.click("#stop")


async def assert_focus_is_seen(page: Page, place: str, count: int) -> None:
    """Go through `count` places and more by the keyboard, in all colours."""
    for colours in ("none", "active"):
        await page.emulate_media(forced_colors=colours)
        await page.evaluate("() => { document.activeElement.blur(); scrollTo(0, 0); }")
        visited = set()
        for _ in range(40):
            await page.keyboard.press("Tab")
            focused = await page.evaluate(FOCUSED)
            if focused is None:
                continue
            assert focused["seen"] and focused["changed"], (place, colours, focused)
            if focused["name"] in visited:
                break
            visited.add(focused["name"])
        assert len(visited) >= count, (place, colours, visited)
    await page.emulate_media(forced_colors="none")
