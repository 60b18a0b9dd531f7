import pytest

from models.word_kinds import word_kind


@pytest.mark.parametrize(
    "word", ["man", "dogs", "shirt", "grass", "water", "bicycle", "cat", "helmet", "skis"]
)
def test_objects(word: str) -> None:
    assert word_kind(word) == "object"


@pytest.mark.parametrize("word", ["running", "red", "two", "playing", "orange", "snowy", "wearing"])
def test_content_words_that_name_no_object(word: str) -> None:
    assert word_kind(word) == "other"


@pytest.mark.parametrize("word", ["a", "the", "of", "through", "front", "and", "is", "'s"])
def test_function_words(word: str) -> None:
    assert word_kind(word) == "function"
