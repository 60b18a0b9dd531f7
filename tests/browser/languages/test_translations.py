"""The page in other languages, in Chromium: nothing is left in English but captions."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

import web.page
from tests.support.captions import confident_caption
from tests.support.page.feed_page import HALL, WIDER, FeedServer, serve_feeds
from tests.support.page.scripted_page import ExplainedCaptions, cell_map, with_maps
from web.translations import LANGUAGES, Catalogue, catalogue
from web.translations.catalogue import CONTEXT_SEPARATOR
from web.translations.maintenance import extracted_messages

SOON = 60_000
DOG = with_maps(
    confident_caption("A dog runs", dog=0.92), cell_map(0, 0), cell_map(4, 4, 2.0), cell_map(8, 8)
)
FEEDS = {name: {**HALL, "title": f"{number}"} for number, name in enumerate(("hall", "yard"))}
STAND_IN = "zh-Hans"
"""Its numbers and dates have no Latin letters, so that all of these are of the page."""

UNTRANSLATED = """() => {
  const others = '[lang="en"], script, noscript, style, svg, code, kbd, .brand, #language, #camera';
  const attributes = ['aria-label', 'aria-description', 'aria-valuetext', 'alt', 'placeholder',
    'title', 'label'];
  // Names of formats and products, and those of the scripted captioner and its methods.
  const names = new RegExp(['WebVTT', 'SRT', 'CSV', 'JSON Lines', 'MQTT', 'Apprise', 'Sightline',
    'scripted', 'shipped', 'none', 'Grad-CAM, total', 'Attention'].join('|'), 'g');
  const left = (text) => {
    let [before, after] = ['', text];
    while (before !== after) [before, after] = [after, after.replace(/⟦[^⟦⟧]*⟧/g, '')];
    return after.replace(names, '');
  };
  const isEnglish = (text) => /[A-Za-z]{2,}/.test(text);
  const nodes = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const texts = [];
  while (nodes.nextNode()) {
    const { parentElement, data } = nodes.currentNode;
    if (!parentElement.closest(others)) texts.push(data);
  }
  const labels = [...document.body.querySelectorAll('*')]
    .filter((element) => !element.closest(others))
    .flatMap((element) => attributes.map((name) => left(element.getAttribute(name) ?? '')))
    .filter(isEnglish);
  const lines = left([document.title, ...texts].join('\\n')).split('\\n').filter(isEnglish);
  return [...lines, ...labels];
}"""

PERCENT = "\N{NO-BREAK SPACE}%"

# The language of the innermost element with a text.
LANGUAGE_OF = """(element) => {
  const texts = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  const [text] = iterate(texts);
  return text.parentElement.closest('[lang]').lang;
  function* iterate(walker) {
    while (walker.nextNode()) if (walker.currentNode.data.trim() !== '') yield walker.currentNode;
  }
}"""


@pytest.fixture
def pseudo_language(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Replace the translations of a language by the English messages in brackets."""

    def bracketed(language: str) -> Catalogue:
        if language != STAND_IN:
            return catalogue(language)
        messages: dict[str, str] = {}
        scripts: dict[str, str | list[str]] = {}
        for message in extracted_messages():
            forms = [message.id] if isinstance(message.id, str) else list(message.id)
            key = (
                forms[0]
                if message.context is None
                else message.context + CONTEXT_SEPARATOR + forms[0]
            )
            messages[key] = f"⟦{forms[-1]}⟧"
            scripts[key] = messages[key] if len(forms) == 1 else [messages[key]]
        return Catalogue(messages, scripts)

    def clear() -> None:
        web.page._environment.cache_clear()
        web.page._rendered.cache_clear()

    monkeypatch.setattr("web.page.catalogue", bracketed)
    clear()
    yield
    clear()


async def start_demo_and_freeze(page: Page, here: FeedServer, query: str = "") -> None:
    await page.goto(f"{here.url}/{query}")
    await page.click("#start-demo")
    await expect(page.locator("#caption .word")).to_have_count(3, timeout=SOON)
    await page.locator("#caption .word").nth(1).hover()
    await expect(page.locator("#word-detail")).not_to_be_empty()
    await page.click("#freeze")
    await expect(page.locator(".tile")).to_have_count(5)
    await expect(page.locator("#check-verdict")).not_to_be_empty(timeout=SOON)


async def test_no_english_is_left_in_another_language(
    page: Page, pseudo_language: None, tmp_path: Path
) -> None:
    history = {"path": tmp_path / "history.db"}
    rules = {"7": {"any": ["dog"], "present_s": 0, "feeds": ["hall"]}}
    settings = {"history": history, "rules": rules, "rules_file": tmp_path / "rules.toml"}
    async with serve_feeds(ExplainedCaptions(DOG), feeds=FEEDS, **settings) as here:
        query = f"?lang={STAND_IN}"
        await page.goto(f"{here.url}/{query}")
        await expect(page.locator("#captioner-facts dt").first).to_be_visible()
        await expect(page.locator("#feed-list li")).to_have_count(2)
        assert await page.evaluate(UNTRANSLATED) == []
        await start_demo_and_freeze(page, here, query)
        assert await page.evaluate(UNTRANSLATED) == []
        await page.click("#attack-tab")
        await page.keyboard.press("Escape")
        await page.evaluate("() => document.querySelector('#stop').click()")

        await page.goto(f"{here.url}/?wall&lang={STAND_IN}")
        await expect(page.locator(".wall-tile .words", has_text="A dog runs")).to_have_count(2)
        assert await page.evaluate(UNTRANSLATED) == []
        await page.goto(f"{here.url}/?history&lang={STAND_IN}")
        await expect(page.locator("#found li").first).to_contain_text("A dog runs")
        assert await page.evaluate(UNTRANSLATED) == []
        await page.goto(f"{here.url}/?rules&lang={STAND_IN}")
        await expect(page.locator("#rules li")).to_contain_text("dog")
        await expect(page.locator("#firing-list li")).to_have_count(1)
        await page.click("#add")
        assert await page.evaluate(UNTRANSLATED) == []
        await page.goto(f"{here.url}/login{query}")
        await page.click("#enter")
        await expect(page.locator("#fault")).not_to_be_empty()
        assert await page.evaluate(UNTRANSLATED) == []


async def test_a_german_browser_gets_a_german_page_with_english_captions(browser: Browser) -> None:
    context = await browser.new_context(locale="de-AT", viewport={"width": 1280, "height": 900})
    page = await context.new_page()
    async with serve_feeds(ExplainedCaptions(DOG), feeds=FEEDS) as here:
        await start_demo_and_freeze(page, here)
        assert await page.evaluate("document.documentElement.lang") == "de"
        await expect(page.locator("#state")).to_have_text("Live: Demo")
        await expect(page.locator("#certainty")).to_have_text(f"Ziemlich sicher, 72{PERCENT}")
        await expect(page.locator("#chosen")).to_have_text(f"„dog“ 85{PERCENT}")
        await expect(page.locator("#check-verdict")).to_have_text("Hält stand")
        assert await page.locator("#frozen-heading").get_attribute("lang") == "en"
        for name, language in {
            "#caption .word": "en",
            "#object-list button": "en",
            "#earlier .words": "en",
            ".tile .tile-name": "en",
            "#chosen": "de",
            "#certainty": "de",
        }.items():
            assert await page.locator(name).first.evaluate(LANGUAGE_OF) == language, name
        word = page.locator("#caption .word").nth(1)
        await expect(word).to_have_attribute("aria-label", f"dog, zu 85{PERCENT} sicher")
        await page.keyboard.press("Escape")
        # German has the widest buttons.
        detail, controls = [
            await page.locator(part).bounding_box() for part in (".detail-row", ".controls")
        ]
        assert detail and controls and detail["x"] + detail["width"] <= controls["x"]
        await page.click("#stop")

        await page.get_by_label("Sprache").select_option("Français")
        await expect(page.locator("html")).to_have_attribute("lang", "fr")
        await expect(page.get_by_label("Langue")).to_have_value("fr")
        for language in LANGUAGES:
            await context.add_cookies(
                [{"name": "sightline-language", "value": language, "url": here.url}]
            )
            for path in ("/", "/?wall", "/?history", "/?rules", "/login"):
                await page.set_viewport_size({"width": 360, "height": 780})
                await page.goto(here.url + path)
                assert await page.evaluate("document.documentElement.lang") == language
                assert await page.evaluate(WIDER) <= 0, (language, path)
    await context.close()
