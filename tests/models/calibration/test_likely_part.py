"""Tests of the likely part of a caption."""

import pytest

from models.calibration.likely_part import likely_part
from models.language import content_words


def part(text: str, likely: str, threshold: float = 0.5) -> tuple[str, str]:
    """Return the kind and the words that are left if these content words are likely."""
    words = text.split()
    confidences = [
        (0.9 if w in likely.split() else 0.1) if content_words(w) else None for w in words
    ]
    found = likely_part(words, confidences, threshold)
    return found.kind, " ".join(words[place] for place in found.places)


@pytest.mark.parametrize(
    ("text", "likely", "beginning"),
    [
        ("a man in a shirt", "man", "a man"),
        ("a man is riding a bike on a hill", "man riding bike", "a man is riding a bike"),
        ("two brown dogs running in snow", "two brown dogs", "two brown dogs"),
        ("a dog runs", "dog runs", "a dog runs"),
        # Complete only after "shirt".
        ("a man in a red shirt", "man red", "a man"),
    ],
)
def test_it_is_the_longest_beginning_that_can_stand_alone(
    text: str, likely: str, beginning: str
) -> None:
    assert part(text, likely) == ("shorter", beginning)


@pytest.mark.parametrize(
    ("text", "likely", "objects"),
    [
        ("a group of people in the street", "people street", "people street"),
        ("a white dog is running", "dog running", "dog"),
        # A beginning without an object says nothing.
        ("two are playing with a ball", "two playing", ""),
        ("a dog on a dog", "", ""),
    ],
)
def test_otherwise_it_is_the_likely_objects(text: str, likely: str, objects: str) -> None:
    assert part(text, likely) == ("words", objects)


def test_an_object_is_listed_once() -> None:
    assert likely_part(["some", "dog", "near", "a", "dog"], [None, 0.1, None, None, 0.9], 0.5) == (
        "words",
        (4,),
    )
