"""Tests of breaking text into lines."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.video.typesetting import ELLIPSIS, Paragraph, typeset

CAPTION = "a man in a red shirt is climbing a steep wall of rock above a lake"


def width_of(paragraph: Paragraph) -> float:
    return max(map(paragraph.font.getlength, paragraph.lines))


def test_a_short_text_stays_on_one_line_at_full_size() -> None:
    paragraph = typeset("a cup of coffee", 600, 300, 30, 4)
    assert paragraph.lines == ("a cup of coffee",)
    assert paragraph.font.size == 30
    assert paragraph.height == paragraph.line_height >= 30


def test_lines_hold_the_whole_text_and_are_about_equally_long() -> None:
    for width in (300, 400, 500, 700):
        paragraph = typeset(CAPTION, width, 300, 30, 4)
        assert " ".join(paragraph.lines) == CAPTION
        assert len(paragraph.lines) > 1
        lengths = [paragraph.font.getlength(line) for line in paragraph.lines]
        assert max(lengths) <= width
        assert max(lengths) - min(lengths) < 0.45 * max(lengths)


def test_balancing_needs_no_more_lines() -> None:
    paragraph = typeset(CAPTION, 500, 300, 30, 4)
    total = paragraph.font.getlength(CAPTION)
    assert len(paragraph.lines) == -(-total // 500)


def test_a_longer_text_is_set_smaller_before_it_is_truncated() -> None:
    paragraph = typeset(CAPTION, 390, 300, 30, 2)
    assert 24 <= paragraph.font.size < 30
    assert " ".join(paragraph.lines) == CAPTION


def test_too_long_a_text_ends_in_an_ellipsis_after_a_whole_word() -> None:
    paragraph = typeset(CAPTION * 10, 470, 300, 30, 3)
    assert paragraph.font.size == 24
    assert len(paragraph.lines) == 3
    text = " ".join(paragraph.lines)
    assert text.endswith(ELLIPSIS)
    assert (CAPTION * 10).startswith(text.removesuffix(ELLIPSIS) + " ")


def test_height_limits_the_number_of_lines_too() -> None:
    paragraph = typeset(CAPTION * 10, 470, 70, 30, 4)
    assert len(paragraph.lines) == 2
    assert paragraph.height <= 70


def test_a_word_wider_than_a_line_is_broken() -> None:
    word = "donaudampfschifffahrtsgesellschaftskapitaen"
    paragraph = typeset(word, 300, 300, 30, 4)
    assert len(paragraph.lines) > 1
    assert "".join(paragraph.lines) == word
    assert width_of(paragraph) <= 300


@pytest.mark.parametrize("text", ["", "   ", "\n\t", "\0\x1b"])
def test_nothing_to_print_gives_no_lines(text: str) -> None:
    assert typeset(text, 300, 300, 30, 4).lines == ()


def test_white_space_and_control_characters_separate_words() -> None:
    assert typeset(" a\tdog\n\nruns\x07fast ", 900, 300, 30, 4).lines == ("a dog runs fast",)


@settings(deadline=None)
@given(
    text=st.text(max_size=900),
    width=st.integers(1, 900),
    height=st.integers(1, 900),
    size=st.integers(1, 90),
    max_lines=st.integers(1, 5),
)
def test_lines_always_fit(text: str, width: int, height: int, size: int, max_lines: int) -> None:
    paragraph = typeset(text, width, height, size, max_lines)
    assert len(paragraph.lines) <= max_lines
    assert paragraph.height <= height or len(paragraph.lines) <= 1
    for line in paragraph.lines:
        assert line == line.strip() != ""
        # Words are measured one by one, without kerning at their ends.
        assert paragraph.font.getlength(line) <= width + 0.1 * size * (1 + line.count(" "))
