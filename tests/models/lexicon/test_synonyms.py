"""Tests of what makes a word right."""

import pytest

from models.lexicon import is_right, stated_stems

CAPTIONS = ("A boy rides his bicycle.", "The kid is on a surf board near a sofa", "It is small")


@pytest.mark.parametrize(
    ("word", "right"),
    [
        ("riding", True),  # Another form of what is said.
        ("bike", True),
        ("couch", True),
        ("surfboard", True),  # Written in two words.
        ("person", True),  # More general.
        ("child", True),
        ("girl", False),
        ("man", False),
        ("toddler", False),  # More specific.
        ("cyclist", True),  # Who is on a bike, ...
        ("rider", True),
        ("little", True),
        # ... but "young", which equals "little", does not equal "small".
        ("young", False),
        ("dog", False),
    ],
)
def test_a_word_is_right_if_people_say_it_or_something_that_implies_it(
    word: str, right: bool
) -> None:
    assert is_right(word, stated_stems(CAPTIONS)) == right


def test_a_thing_does_not_imply_the_person_who_uses_it() -> None:
    stated = stated_stems(["A bike on the street"])

    assert is_right("cyclist", stated) and not is_right("person", stated)
