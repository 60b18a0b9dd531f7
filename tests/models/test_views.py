"""Tests of the ways in which a picture is shown."""

import numpy as np
import pytest
from numpy.typing import NDArray

from models.preprocessing import is_mirrored, look


@pytest.fixture
def picture() -> NDArray[np.uint8]:
    """Every pixel tells where it is: red its row, green its column."""
    rows, columns = np.mgrid[:60, :100]
    return np.stack([rows, columns, np.zeros_like(rows)], axis=-1).astype(np.uint8)


def test_first_two_views_are_the_picture_and_its_mirror_image(picture: NDArray[np.uint8]) -> None:
    np.testing.assert_array_equal(look(picture, "a.jpg", 0), picture)
    np.testing.assert_array_equal(look(picture, "a.jpg", 1), picture[:, ::-1])


@pytest.mark.parametrize("view", range(2, 10))
def test_other_views_are_crops_of_about_the_same_shape(
    picture: NDArray[np.uint8], view: int
) -> None:
    for name in map(str, range(50)):
        shown = look(picture, name, view)
        height, width = shown.shape[:2]
        assert 0.58 <= height * width / 6000 <= 1.0
        assert 0.83 <= (width / height) / (100 / 60) <= 1.2
        upright = shown[:, ::-1] if is_mirrored(view) else shown
        top, left = upright[0, 0, :2].tolist()
        part = picture[top : top + height, left : left + width]
        np.testing.assert_array_equal(upright, part)


def test_view_is_the_same_again_and_another_for_another_picture(
    picture: NDArray[np.uint8],
) -> None:
    np.testing.assert_array_equal(look(picture, "a.jpg", 2), look(picture, "a.jpg", 2))
    crops = {look(picture, f"{n}.jpg", view).tobytes() for n in range(20) for view in (2, 4)}
    assert len(crops) > 35
