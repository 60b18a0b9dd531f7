"""Tests of what a caption is about."""

import pytest

from models.language.content_words import content_words


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("A dog runs through the grass", "The dog is running in grass"),
        ("Two men sitting on a bench", "Two men sit on the bench"),
        ("A woman carries a bag", "The woman carrying her bag"),
        ("People stand next to the man's car", "People are standing beside a man car"),
        ("A boy rides a bike", "The boy is riding his bike"),
        ("A girl jumped", "The girl is jumping"),
    ],
)
def test_function_words_and_inflections_change_nothing(one: str, other: str) -> None:
    assert content_words(one) == content_words(other) != frozenset()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("A dog runs", "Two dogs run"),
        ("A dog runs", "A cat runs"),
        ("A man in a red shirt", "A man in a blue shirt"),
        ("A boy sits", "A boy jumps"),
        ("A man", "A man and a dog"),
        ("A man swims", "A man sings"),
    ],
)
def test_another_object_action_colour_or_number_is_other_content(one: str, other: str) -> None:
    assert content_words(one) != content_words(other)


def test_an_empty_caption_is_about_nothing() -> None:
    assert content_words("") == content_words("It is in the") == frozenset()
