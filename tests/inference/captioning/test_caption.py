from dataclasses import replace

import pytest

from inference.captioning.caption import (
    Caption,
    Tag,
    Timing,
    Word,
    low_confidence_fallback,
    word_ranks,
)


def make(text: str, probabilities: list[float], tags: tuple[Tag, ...] = ()) -> Caption:
    words = [Word(w, p, ()) for w, p in zip(text.lower().split(), probabilities, strict=True)]
    return Caption(text, 0.2, tuple(words), tags, None, "", False, Timing(1, 1))


def test_the_fallback_is_the_tags_if_there_are_any() -> None:
    tags = (Tag("laptop", 0.9), Tag("desk", 0.8))

    fallback = low_confidence_fallback(make("A man in a shirt", [0.9] * 5, tags), threshold=0.3)

    assert (fallback.text, fallback.fallback, fallback.words) == ("laptop, desk", "tags", ())
    assert fallback.guess == "A man in a shirt"
    assert fallback.tags == tags


@pytest.mark.parametrize(
    ("text", "probabilities", "beginning"),
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
def test_the_fallback_without_tags_is_the_likely_beginning(
    text: str, probabilities: list[float], beginning: str
) -> None:
    fallback = low_confidence_fallback(make(text, probabilities), threshold=0.3)

    assert (fallback.text, fallback.fallback, fallback.guess) == (beginning, "shorter", text)
    assert [word.text for word in fallback.words] == beginning.lower().split()


def test_the_fallback_is_empty_when_nothing_is_likely() -> None:
    fallback = low_confidence_fallback(make("A man in a shirt", [0.2] * 5), threshold=0.3)

    assert (fallback.text, fallback.words, fallback.guess) == ("", (), "A man in a shirt")


def test_words_are_ranked_by_probability_and_equal_ones_share_a_rank() -> None:
    words = make("A man in a shirt", [0.9, 0.2, 0.5, 0.9, 0.3]).words

    assert word_ranks(words) == (1, 5, 3, 1, 4)
    assert word_ranks((replace(words[0], prob=None), *words[1:3])) == (None, 2, 1)
