from collections.abc import Sequence

import numpy as np
import pytest

from stream.captioning.stillness import MOST_PICTURES, SIDE, RecentPictures, Thumbnail

RANDOM = np.random.default_rng(0)


def scene() -> Thumbnail:
    """A thumbnail that is like no other."""
    return np.asarray(RANDOM.uniform(-90, 90, (SIDE, SIDE, 3)), np.float32)


def offer(pictures: RecentPictures, scenes: Sequence[Thumbnail], times: Sequence[float]) -> None:
    """Offer a picture of each scene, which is all one number: its place."""
    for place, (small, at_s) in enumerate(zip(scenes, times, strict=True)):
        pictures.offer(np.full((8, 8, 3), place % 256, np.uint8), small, at_s)


def kept(pictures: RecentPictures) -> list[int]:
    return [int(picture[0, 0, 0]) for picture in pictures.all()]


@pytest.fixture
def pictures() -> RecentPictures:
    return RecentPictures()


def test_keeps_what_is_new_the_oldest_first(pictures: RecentPictures) -> None:
    offer(pictures, [scene(), scene(), scene()], [0, 2, 4.5])

    assert kept(pictures) == [0, 1, 2]
    assert len(pictures) == 3


def test_what_comes_too_soon_is_left_out(pictures: RecentPictures) -> None:
    offer(pictures, [scene() for _ in range(5)], [0, 1, 1.9, 2.5, 3])

    assert kept(pictures) == [0, 3]


def test_what_shows_nothing_new_is_left_out_however_late_it_comes(pictures: RecentPictures) -> None:
    first, second = scene(), scene()
    offer(pictures, [first, first + 3, second, first], [0, 100, 200, 300])

    assert kept(pictures) == [0, 2, 3]


def test_never_more_than_so_many_and_none_when_cleared(pictures: RecentPictures) -> None:
    number = MOST_PICTURES + 7
    offer(pictures, [scene() for _ in range(number)], [2.0 * place for place in range(number)])

    assert kept(pictures) == list(range(7, number))
    before = pictures.all()
    pictures.clear()
    assert len(pictures) == 0
    assert pictures.all() == ()
    assert len(before) == MOST_PICTURES
