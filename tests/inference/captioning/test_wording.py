import numpy as np
import pytest

from inference.captioning.wording import Wording, join_words
from tests.support.captioners.subwords import END, PIECES, SPECIAL, split

WORDING = Wording(PIECES, END, SPECIAL, split)


def tokens(*pieces: str) -> tuple[int, ...]:
    return tuple(PIECES.index(piece) for piece in pieces)


def test_tokens_join_to_words() -> None:
    caption = tokens("a", "snow", "##board", "##er", "'", "s", "t", "-", "shirt", "[END]", "dog")

    assert WORDING.words(caption) == (
        ("a", 0, 1),
        ("snowboarder", 1, 4),
        ("'s", 4, 6),
        ("t-shirt", 6, 9),
    )
    assert WORDING.text(caption) == "A snowboarder's t-shirt"
    assert WORDING.strip(caption) == caption[:9]


def test_padding_and_tokens_that_are_no_words_are_left_out() -> None:
    assert WORDING.texts([*tokens("a", "[UNK]", "dog"), 0, 0]) == ["a", "dog"]
    assert WORDING.words([END]) == ()


def test_a_continuation_at_the_beginning_is_a_word() -> None:
    assert WORDING.words(tokens("##er", "##board")) == (("erboard", 0, 2),)


@pytest.mark.parametrize("word", ["dog", "snowboarder", "'s", "snowman"])
def test_the_tokens_of_a_word_make_it(word: str) -> None:
    found = WORDING.tokens_of(word)

    assert WORDING.texts(found) == [word]


@pytest.mark.parametrize("word", ["zebra", "snowzebra", "[END]", "", None])
def test_a_word_that_cannot_be_said_is_refused(word: str | None) -> None:
    with pytest.raises(ValueError, match="is not in the captioner's vocabulary"):
        WORDING.tokens_of(word)
    with pytest.raises(ValueError, match="is not in the captioner's vocabulary"):
        Wording(("<pad>", "<end>", "dog"), 1, (0, 1)).tokens_of(word and f"{word}<end>")


def test_values_of_tokens_are_summed_over_words() -> None:
    caption = tokens("a", "snow", "##board", "dog", "[END]")
    values = np.arange(14, dtype=np.float32).reshape(2, 7)

    assert WORDING.word_sums(caption, values).tolist() == [[0, 3, 3], [7, 17, 10]]
    assert WORDING.word_sums([END], values).shape == (2, 0)


def test_punctuation_marks_follow_without_a_space() -> None:
    assert join_words(["a", "dog", ",", "a", "cat", "."]) == "A dog, a cat."
