"""Tests of the text of captions for display."""

from dataclasses import replace

import pytest

from inference.captioning.caption import Caption
from stream.captioning.event import display_parts, display_text
from tests.support.captions import (
    confident_caption,
    shorter_fallback,
    tags_fallback,
    uncalibrated_caption,
)

GUESS = "A man in a blue shirt is sitting at a table"


@pytest.mark.parametrize(
    ("caption", "parts", "line"),
    [
        (confident_caption("A dog runs", dog=0.9), ("", "A dog runs"), "A dog runs"),
        (
            tags_fallback(GUESS, laptop=0.84, desk=0.8),
            ("Not sure. Possibly:", "laptop, desk"),
            "Not sure. Possibly: laptop, desk",
        ),
        (
            shorter_fallback("A man in a blue shirt", GUESS),
            ("Not sure. Possibly:", "a man in a blue shirt"),
            "Not sure. Possibly: a man in a blue shirt",
        ),
        (
            tags_fallback(GUESS, laptop=0.85, desk=0.8),
            ("", "Laptop (85%). Possibly: desk"),
            "Laptop. Possibly: desk",
        ),
        (tags_fallback(GUESS, cat=0.997), ("", "Cat (over 99%)"), "Cat"),
        (
            shorter_fallback("A man in a blue shirt", GUESS, laptop=0.9),
            ("", "Laptop (90%). Possibly: a man in a blue shirt"),
            "Laptop. Possibly: a man in a blue shirt",
        ),
        (
            confident_caption("A dog runs", 0.39, cat=0.88),
            ("", "Cat (88%). Possibly: a dog runs"),
            "Cat. Possibly: a dog runs",
        ),
        (confident_caption("A dog runs", 0.4, cat=0.88), ("", "A dog runs"), "A dog runs"),
        (replace(tags_fallback(GUESS), text=""), ("Not sure.", ""), "Not sure."),
        (
            replace(tags_fallback(GUESS), text="", fallback="blank"),
            ("Nothing to describe: the frame is blank.", ""),
            "Nothing to describe: the frame is blank.",
        ),
        (
            replace(uncalibrated_caption("A"), text="", words=()),
            ("No caption for this frame.", ""),
            "No caption for this frame.",
        ),
    ],
)
def test_low_confidence_or_a_missing_caption_is_stated_before_the_text(
    caption: Caption, parts: tuple[str, str], line: str
) -> None:
    assert display_parts(caption) == parts
    assert display_text(caption) == line
