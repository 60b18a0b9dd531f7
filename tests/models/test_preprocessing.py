"""Tests of resizing and augmented views."""

import numpy as np
import pytest
from numpy.typing import NDArray

from models.preprocessing import augmented_view, is_mirrored, resize_to_square


def test_whole_image_is_resized_to_a_square() -> None:
    wide = np.zeros((40, 120, 3), np.uint8)
    wide[:, 60:] = (200, 100, 50)

    square = resize_to_square(wide, 20)

    assert square.shape == (20, 20, 3)
    assert square.dtype == np.uint8
    assert (square[:, :10] == 0).all()
    assert (square[:, 10:] == (200, 100, 50)).all()


def test_shrinking_averages_pixels() -> None:
    checkers = np.indices((40, 40)).sum(axis=0) % 2 * 200
    image = np.repeat(checkers[..., None], 3, axis=-1).astype(np.uint8)

    np.testing.assert_allclose(resize_to_square(image, 10), 100, atol=1)


def test_growing_interpolates() -> None:
    image = np.zeros((2, 2, 3), np.uint8)
    image[:, 1] = 200

    row = resize_to_square(image, 8)[0, :, 0]

    assert row[0] == 0
    assert row[-1] == 200
    assert (np.diff(row.astype(int)) >= 0).all()
    assert 0 < row[4] < 200


def test_image_of_the_right_size_is_unchanged() -> None:
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)

    np.testing.assert_array_equal(resize_to_square(image, 16), image)


@pytest.fixture
def image() -> NDArray[np.uint8]:
    """An image whose pixels encode their position: red the row, green the column."""
    rows, columns = np.mgrid[:60, :100]
    return np.stack([rows, columns, np.zeros_like(rows)], axis=-1).astype(np.uint8)


def test_first_two_views_are_the_image_and_its_mirror_image(image: NDArray[np.uint8]) -> None:
    np.testing.assert_array_equal(augmented_view(image, "a.jpg", 0), image)
    np.testing.assert_array_equal(augmented_view(image, "a.jpg", 1), image[:, ::-1])


def corners(view: NDArray[np.uint8]) -> tuple[float, float]:
    """Return the bottom right minus the top left, per channel that numbers rows and columns."""
    first, last = view[0, 0].astype(float), view[-1, -1].astype(float)
    return last[0] - first[0], last[1] - first[1]


@pytest.mark.parametrize("view", range(2, 10))
def test_other_views_are_crops_in_another_light(image: NDArray[np.uint8], view: int) -> None:
    sizes, lights = [], set()
    for name in map(str, range(50)):
        view_image = augmented_view(image, name, view)
        height, width = view_image.shape[:2]
        assert 0.38 <= height * width / 6000 <= 1.0
        assert 0.73 <= (width / height) / (100 / 60) <= 1.37
        sizes.append(height * width / 6000)
        assert (corners(view_image)[1] < 0) == is_mirrored(view)
        lights.add(int(view_image.mean()))
    assert min(sizes) < 0.5
    assert max(sizes) > 0.9
    assert len(lights) > 20


def test_light_of_a_view_changes_no_hue() -> None:
    red = np.zeros((40, 40, 3), np.uint8)
    red[..., 0] = 160

    for name in map(str, range(20)):
        pixel = augmented_view(red, name, 2)[0, 0].astype(int)
        assert pixel[0] > pixel[1] == pixel[2]


def test_view_is_deterministic_and_depends_on_the_name(
    image: NDArray[np.uint8],
) -> None:
    np.testing.assert_array_equal(
        augmented_view(image, "a.jpg", 2), augmented_view(image, "a.jpg", 2)
    )
    crops = {
        augmented_view(image, f"{n}.jpg", view).tobytes() for n in range(20) for view in (2, 4)
    }
    assert len(crops) > 35
