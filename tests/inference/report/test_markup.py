import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.report.markup import Markup, element, join, text
from inference.report.wording import figure, listed
from tests.inference.report.reading import read


@given(st.text(), st.text())
def test_text_stays_text_inside_elements_and_attributes(content: str, attribute: str) -> None:
    root = read(element("p", content, title=attribute))
    (found,) = root.inside

    assert found.inside == []
    assert list(found.attributes) == ["title"]
    for given_text, shown in ((content, found.text), (attribute, found.attributes["title"])):
        if given_text.isprintable():
            assert shown == given_text


def test_markup_is_kept_and_nothing_is_left_out() -> None:
    made = join(element("b", "a & b"), " < ", 3, None)

    assert made == "<b>a &amp; b</b> &lt; 3"
    assert text(made) is made
    assert isinstance(made, Markup)


@pytest.mark.parametrize("character", ["\x00", "\x1b", "\ud800", "\uffff"])
def test_what_no_page_may_hold_is_replaced(character: str) -> None:
    assert text(f"a{character}b") == "a\ufffdb"


def test_attributes_are_written_as_html_names_them() -> None:
    made = element("th", class_="number", aria_label="a", hidden=True, scope=None, title=False)

    assert made == '<th class="number" aria-label="a" hidden></th>'


@pytest.mark.parametrize("name", ["img", "p onload=x", ""])
def test_what_is_no_element_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot hold"):
        element(name, "content")


@pytest.mark.parametrize(
    ("value", "written"),
    [(0.4, "0.4"), (0.0159, "0.016"), (1.0, "1"), (5.06, "5.1"), (104.4, "104"), (0, "0")],
)
def test_figures_have_two_digits_that_count(value: float, written: str) -> None:
    assert figure(value) == written


def test_lists_read_as_people_write_them() -> None:
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"]) == "a, b and c"
