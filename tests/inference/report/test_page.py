import re
from collections import Counter
from dataclasses import replace
from functools import cache
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import UndefinedError

from inference.report import Document, render_page
from inference.report.page import _environment
from tests.inference.report.examples import (
    ExampleCaptioner,
    adversarial,
    caption,
    concepts,
    example_image,
    example_page,
)
from tests.support.html_tree import Element, read

FETCHING = {"src", "srcset", "href", "data", "action", "poster", "background", "xlink:href"}
ACTIVE = {"script", "link", "iframe", "object", "embed", "form", "base", "foreignobject"}


def test_a_page_is_valid_and_accessible() -> None:
    page = example_page()
    (document,) = page.all("html")
    everything = page.everything()

    assert document.attributes["lang"] == "en"
    assert [len(page.all(name)) for name in ("title", "h1", "main")] == [1, 1, 1]
    assert all(image.attributes["alt"] for image in page.all("img"))
    assert all(len(table.all("caption")) == 1 for table in page.all("table"))
    assert all(head.attributes["scope"] in ("col", "row") for head in page.all("th"))
    for table in page.all("table"):
        assert len({len(row.inside) for row in table.all("tr")}) == 1
    for drawing in page.all("svg"):
        assert drawing.attributes.get("aria-label") or drawing.attributes["aria-hidden"] == "true"
    levels = [int(each.name[1]) for each in everything if re.fullmatch("h[1-6]", each.name)]
    assert all(after <= before + 1 for before, after in pairwise(levels))
    ids = Counter(each.attributes["id"] for each in everything if "id" in each.attributes)
    assert set(ids.values()) == {1}
    for each in everything:
        if "aria-labelledby" in each.attributes:
            assert each.attributes["aria-labelledby"] in ids
        if each.name in ("a", "use"):
            assert str(each.attributes["href"]).removeprefix("#") in ids


def test_a_page_fetches_nothing_and_runs_nothing() -> None:
    page = example_page()

    for each in page.everything():
        assert each.name not in ACTIVE
        for name, value in each.attributes.items():
            assert not name.startswith("on")
            assert name != "style"
            assert "url(" not in str(value)
            if name in FETCHING:
                assert str(value).startswith(("data:image/webp;base64,", "#"))
    (style,) = page.all("style")
    assert not re.search(r"url\(|@import|image-set|expression", style.text)
    assert "prefers-color-scheme: dark" in style.text
    assert "@media print" in style.text


_words = st.text(min_size=1, max_size=20).filter(lambda text: text.split() == [text])
_hostile = st.one_of(
    st.sampled_from(
        ["<script>alert(1)</script>", "</style><img/src=x>", '"onload="x', "'><b>", "&lt;i&gt;"]
    ),
    st.sampled_from(["{{7*7}}", "{%if%}", "$x_1$", "]]>", "<!--"]),
    _words,
)


@cache
def _plain_shape() -> list[tuple[str, list[str]]]:
    return _shape(_page(("a", "dog", "on", "grass"), "b", "c", "d", "e", "f"))


def _page(words: tuple[str, ...], *texts: str) -> Element:
    unknown, note, licence, data, name = texts
    findings = adversarial(words, words[3])
    # What is left out has no text of its own and takes the most time.
    curve = replace(findings.curve, epsilons=())
    attacked = replace(findings, pictures={}, curve=curve)
    found = concepts(words[:2], unknown, each=1)
    return example_page(
        attacked,
        replace(found, pictures={}, notes=(f"A note: {note}",)),
        caption(" ".join(words)),
        ExampleCaptioner("a", licence, data),
        name,
        width=8,
    )


@settings(max_examples=25, deadline=None)
@given(
    words=st.tuples(_hostile, _hostile, _hostile, _hostile),
    texts=st.tuples(*[st.text()] * 5),
)
def test_no_text_becomes_markup(words: tuple[str, ...], texts: tuple[str, ...]) -> None:
    page = _page(words, *texts)

    assert _shape(page) == _plain_shape()
    (heading,) = page.all("h1")
    printable = [word for word in words if word.isprintable() and "\ufffd" not in word]
    assert all(word in heading.text for word in printable)


def test_text_stays_as_it_is_in_attributes_too() -> None:
    text = "\"'<b>&amp;"
    page = example_page(attacked=adversarial(("a", text, "on", "grass")))
    alts = [str(image.attributes["alt"]) for image in page.all("img")]

    assert f"Regions that change “{text}” on their own: 0 (top left), 3 (bottom right)" in alts


@pytest.mark.parametrize("character", ["\x00", "\x1b", "\ud800", "\uffff"])
def test_characters_that_no_page_may_contain_are_replaced(character: str) -> None:
    page = example_page(captioned=caption(f"a{character}b"))

    assert page.all("h1")[0].text == "a\ufffdb"


def test_a_name_that_a_template_misspells_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        _environment().from_string("{{ document.titel }}").render(document=object())


def test_a_caption_of_low_confidence_is_shown_with_its_fallback() -> None:
    page = example_page(captioned=caption("dog, grass", guess="A dog on grass"))

    assert page.all("h1")[0].text == "A dog on grass"
    assert "Low confidence, shown instead: dog, grass" in page.text


def test_a_caption_of_an_uncalibrated_captioner_has_no_percentage() -> None:
    page = example_page(captioned=replace(caption(), confidence=None, tags=()))

    assert "confidence not calibrated" in page.all("ul")[0].text
    assert "%" not in page.all("ul")[0].text


def test_a_page_lists_its_sections_if_there_are_several() -> None:
    whole = example_page()
    document = Document(
        "", example_image(), ExampleCaptioner(), caption(), None, concepts(), maps=()
    )
    single = read("".join(render_page(document)))

    titles = ["How easily is it fooled?", "Which concepts does it use?", "What it was based on"]
    assert [each.text for each in whole.all("h2")] == titles
    assert [each.text for each in whole.all("nav")[0].all("a")] == titles
    assert [each.text for each in single.all("h2")] == titles[1:2]
    assert not single.all("nav")


def test_a_large_page_comes_in_slices_and_stays_small() -> None:
    words = tuple(f"word{number}" for number in range(12))
    attacked = adversarial(words)
    attacked = replace(
        attacked, words=tuple(replace(each, regions=(0, 1)) for each in attacked.words)
    )
    found = concepts(words[:10], each=8)
    document = Document("", example_image(), ExampleCaptioner(), caption(), attacked, found)
    slices = list(render_page(document))

    assert len("".join(slices).encode()) < 3_000_000
    assert max(each.count("<img") for each in slices) <= 2
    assert max(each.count('role="img"') for each in slices) <= 1


def _shape(page: Element) -> list[tuple[str, list[str]]]:
    return [(each.name, list(each.attributes)) for each in page.everything()]
