"""The page of rules, in Chromium: an admin adds a rule, tries it, and is notified."""

import os
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.support.captions import ScriptedCaptions, confident_caption
from tests.support.page.feed_page import YARD, assert_fits, serve_feeds
from tests.support.page.scripted_page import SOON
from web.keys import HISTORY

RECORD = """() => {
  window.shown = [];
  window.Notification = class extends EventTarget {
    static permission = 'default';
    static async requestPermission() { return (this.permission = 'granted'); }
    constructor(title, { body, tag, image }) {
      super();
      window.shown.push([title, body, image ?? null, tag]);
    }
  };
}"""
"""Headless Chromium shows no notifications."""


async def test_an_admin_adds_tries_and_deletes_a_rule_and_is_notified(
    page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    settings: dict[str, Any] = {
        "feeds": {"yard": YARD},
        "history": {"path": tmp_path / "history.sqlite"},
        "rules": {"cats": {"any": ["cat"], "hours": "22:00-06:00", "days": ["fri"]}},
        "rules_file": tmp_path / "rules.toml",
    }
    async with serve_feeds(**settings) as here:
        await page.add_init_script(f"({RECORD})()")
        await page.goto(f"{here.url}/?rules")
        cats = page.get_by_role("listitem").filter(has=page.get_by_role("heading", name="cats"))
        await expect(cats).to_contain_text("any of cat")
        await expect(cats).to_contain_text("22:00-06:00 · Fri")
        await expect(cats).to_contain_text("From the configuration file")
        await expect(cats.get_by_role("button")).to_have_count(0)

        await page.get_by_label("Notify me when a rule fires").check()
        # What comes at once after it has connected is no news.
        await page.wait_for_timeout(1500)
        await page.get_by_role("button", name="Add a rule").click()
        editor = page.get_by_role("dialog")
        await editor.get_by_label("Name", exact=True).fill("dogs")
        await editor.get_by_role("button", name="Save").click()
        await expect(editor.get_by_role("alert")).to_contain_text("Set any, all or none")
        await editor.get_by_label("Any of").fill("dogs, puppy")
        await editor.get_by_label("Fires after, in seconds").fill("0")
        await editor.get_by_label("Text").fill("{words} at {feed}")
        # The history has the dog of the scripted captions.
        while not here.app[HISTORY].spans:
            await page.wait_for_timeout(50)
        await editor.get_by_role("button", name="Try").click()
        result = editor.locator("#dry-run")
        await expect(result).to_contain_text(
            "It would have fired 1 time in the last 24 hours:", timeout=SOON
        )
        await expect(result).to_contain_text("dogs at yard")
        await shoot(page, "editor")
        await page.set_viewport_size({"width": 360, "height": 780})
        await shoot(page, "editor-narrow")
        await page.set_viewport_size({"width": 1280, "height": 800})
        await editor.get_by_role("button", name="Save").click()
        await expect(editor).to_have_count(0)

        dogs = page.get_by_role("listitem").filter(has=page.get_by_role("heading", name="dogs"))
        await expect(dogs).to_contain_text("On: The yard", timeout=SOON)
        firings = page.get_by_role("region", name="Firings").get_by_role("listitem")
        await expect(firings).to_contain_text(["dogs at yard"], timeout=SOON)
        await expect(firings).to_contain_text(["dogs · The yard · still on"])
        await page.wait_for_function("() => window.shown.length === 1")
        ((*shown, _),) = await page.evaluate("() => window.shown")
        assert shown == ["dogs: yard", "dogs at yard", None]
        await assert_fits(page, "/?rules")
        await shoot(page, "rules")

        await page.get_by_role("link", name="All feeds").click()
        await expect(page.get_by_role("article", name="The yard")).to_contain_text(
            "Rule: dogs", timeout=SOON
        )
        await shoot(page, "wall")
        here.captions.caption = confident_caption("A cat sits")
        await page.get_by_role("link", name="Rules").click()
        await dogs.get_by_role("button", name="Edit dogs").click()
        await expect(editor.get_by_label("Name", exact=True)).not_to_be_editable()
        await editor.get_by_label("In use").uncheck()
        await editor.get_by_role("button", name="Save").click()
        await expect(dogs).to_contain_text("Not in use")
        await dogs.get_by_role("button", name="Delete dogs").click()
        await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        await expect(dogs).to_have_count(0)
        # Its firing stays in the history.
        await expect(firings).to_have_count(1, timeout=SOON)
        assert "[rules." not in (tmp_path / "rules.toml").read_text()


async def test_firings_and_notifications_show_their_picture(
    page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    settings: dict[str, Any] = {
        "feeds": {"yard": YARD},
        "history": {"path": tmp_path / "history.sqlite", "pictures": "rules"},
        "rules": {"dogs": {"any": ["dog"], "present_s": 0}},
    }
    async with serve_feeds(ScriptedCaptions(confident_caption("A cat sits")), **settings) as here:
        await page.add_init_script(f"({RECORD})()")
        await page.goto(f"{here.url}/?rules")
        await page.get_by_label("Notify me when a rule fires").check()
        # What comes at once after it has connected is no news.
        await page.wait_for_timeout(1500)
        here.captions.caption = confident_caption("A dog runs")
        firing = page.get_by_role("region", name="Firings").get_by_role("listitem")
        picture = firing.get_by_role("button", name="A dog runs")
        image = picture.get_by_role("img")
        await expect(image).to_have_js_property("complete", value=True)
        assert await image.evaluate("image => image.naturalWidth") > 100
        await page.wait_for_function("() => window.shown.length === 2")
        first, second = await page.evaluate("() => window.shown")
        assert first[:3] == ["dogs: yard", "A dog runs", None]
        # The second replaces the first.
        assert second[:2] == first[:2] and second[3] == first[3]
        (path,) = await image.evaluate("image => [image.getAttribute('src')]")
        assert second[2] == path

        await assert_fits(page, "/?rules")
        await shoot(page, "firings-narrow")
        await page.set_viewport_size({"width": 1280, "height": 800})
        await shoot(page, "firings")
        await picture.click()
        dialog = page.get_by_role("dialog", name="Picture")
        await expect(dialog.get_by_role("img", name="A dog runs")).to_be_visible()
        # The list is loaded again meanwhile, and keeps its buttons.
        await page.wait_for_timeout(2500)
        await shoot(page, "firing")
        await page.keyboard.press("Escape")
        await expect(picture).to_be_focused()


async def shoot(page: Page, name: str) -> None:
    """Keep a screenshot where somebody wants to look at it."""
    if folder := os.environ.get("SCREENSHOTS"):
        await page.screenshot(path=f"{folder}/{name}.png", full_page=True)
