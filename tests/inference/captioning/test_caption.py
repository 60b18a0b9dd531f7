"""Tests of what is left of a doubtful caption."""

import pytest

from inference.captioning.caption import Caption, Tag, Timing, Word, without_doubt


def made(text: str, probabilities: list[float], tags: tuple[Tag, ...] = ()) -> Caption:
    words = [Word(w, p, ()) for w, p in zip(text.lower().split(), probabilities, strict=True)]
    return Caption(text, 0.2, tuple(words), tags, None, "", False, Timing(1, 1))


def test_tags_are_said_where_there_are_any() -> None:
    tags = (Tag("laptop", 0.9), Tag("desk", 0.8))

    left = without_doubt(made("A man in a shirt", [0.9] * 5, tags), beginning=0.3)

    assert (left.text, left.fallback, left.words) == ("laptop, desk", "tags", ())
    assert left.guess == "A man in a shirt"
    assert left.tags == tags


@pytest.mark.parametrize(
    ("text", "probabilities", "left"),
    [
        ("A man in a shirt", [0.9, 0.8, 0.9, 0.2, 0.1], "A man"),
        (
            "A man is riding a bike on a hill",
            [0.9] * 5 + [0.95] + [0.1] * 3,
            "A man is riding a bike",
        ),
        ("Two brown dogs running in snow", [0.9, 0.9, 0.9, 0.4, 0.2, 0.1], "Two brown dogs"),
    ],
)
def test_sure_beginning_is_said_without_tags(
    text: str, probabilities: list[float], left: str
) -> None:
    said = without_doubt(made(text, probabilities), beginning=0.3)

    assert (said.text, said.fallback, said.guess) == (left, "shorter", text)
    assert [word.text for word in said.words] == left.lower().split()


def test_nothing_is_said_when_nothing_is_sure() -> None:
    left = without_doubt(made("A man in a shirt", [0.2] * 5), beginning=0.3)

    assert (left.text, left.words, left.guess) == ("", (), "A man in a shirt")
