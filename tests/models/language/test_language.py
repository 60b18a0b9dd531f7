"""Tests of what is measured of a set of captions."""

import pytest

from models.language.content_words import describe


def test_captions_are_described() -> None:
    found = describe(["A dog runs on grass", "A dog runs on grass", "Two boys in a", "A red ball"])

    assert found.distinct == pytest.approx(3 / 4)
    assert found.words == pytest.approx((5 + 5 + 4 + 3) / 4)
    assert found.bad_endings == pytest.approx(1 / 4)


@pytest.mark.parametrize("caption", ["A dog runs on the", "A man with his", "A boy is", ""])
def test_caption_that_breaks_off_ends_badly(caption: str) -> None:
    assert describe([caption]).bad_endings == 1


@pytest.mark.parametrize("caption", ["A dog swims", "A man sits on a bench", "A girl looks on it"])
def test_whole_caption_does_not(caption: str) -> None:
    assert describe([caption]).bad_endings == 0
