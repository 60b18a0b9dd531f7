from dataclasses import replace

import pytest

from inference.captioning.caption import Caption
from stream.captioning.event import in_one_line, worded
from tests.support.captions import objects_only, shorter, sure

GUESS = "A man in a blue shirt is sitting at a table"


@pytest.mark.parametrize(
    ("caption", "parts", "line"),
    [
        (sure("A dog runs", dog=0.9), ("", "A dog runs"), "A dog runs"),
        (
            objects_only(GUESS, laptop=0.9, desk=0.8),
            ("Not sure. Perhaps:", "laptop, desk"),
            "Not sure. Perhaps: laptop, desk",
        ),
        (
            shorter("A man in a blue shirt", GUESS),
            ("Not sure. Perhaps:", "a man in a blue shirt"),
            "Not sure. Perhaps: a man in a blue shirt",
        ),
        (replace(objects_only(GUESS), text=""), ("Not sure.", ""), "Not sure."),
    ],
)
def test_doubt_is_owned_up_to_before_what_is_left(
    caption: Caption, parts: tuple[str, str], line: str
) -> None:
    assert worded(caption) == parts
    assert in_one_line(caption) == line
