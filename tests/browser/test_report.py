"""The report of an analysis on paper."""

from dataclasses import replace
from typing import Any

from playwright.async_api import Page

from inference.progress import finish
from inference.report import analysis_files
from tests.inference.report.examples import adversarial, concepts, contents, example_image

WORDS = ("a", "skateboarder", "is", "doing", "a", "trick", "on", "a", "skateboard")

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


def report() -> str:
    """Return a report with long tables, many pictures and charts."""
    analysed = contents(example_image(height=480, width=640))
    (method,) = analysed.methods
    maps = tuple(replace(method.explanations[0], title=word) for word in WORDS)
    analysed = replace(analysed, methods=(replace(method, explanations=maps),))
    known = concepts(("skateboarder", "trick", "skateboard"), each=4)
    files = finish(analysis_files(analysed, adversarial(2 * WORDS), known))
    return files["report.html"].decode()


async def test_pages_break_between_things_and_never_after_a_heading(page: Page) -> None:
    await page.set_viewport_size({"width": 680, "height": 1002})
    await page.emulate_media(media="print")
    await page.set_content(report())
    found: dict[str, Any] = await page.evaluate(PAGES)

    assert found["pages"] > 5
    assert found["split"] == []
    assert found["lonely"] == []
    assert found["wide"] == []
    # No page but the last is left empty by much.
    assert found["empty"] == []
