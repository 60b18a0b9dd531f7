"""Tests of the recognition of blank images."""

import numpy as np
import pytest
from numpy.typing import NDArray

from models.calibration import is_blank
from models.calibration.blank import blank_images
from tests.inference.conftest import photographs

DOWN, ACROSS = np.mgrid[-1:1:240j, -1:1:320j]
RANDOM = np.random.default_rng(3)


def grey(values: NDArray[np.floating]) -> NDArray[np.uint8]:
    return np.repeat(np.clip(values, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


@pytest.mark.parametrize(
    "image",
    [
        grey(0 * DOWN),
        grey(0 * DOWN + 128),
        grey(0 * DOWN + 255),
        grey(128 + 8 * ACROSS),
        grey(20 + RANDOM.normal(0, 6, DOWN.shape)),
        np.full((1, 1, 3), (200, 30, 10), np.uint8),
    ],
    ids=["black", "grey", "white", "nearly", "dark", "one pixel"],
)
def test_an_image_of_nearly_one_colour_is_blank(image: NDArray[np.uint8]) -> None:
    assert is_blank(image)


def sky(top: tuple[int, int, int], bottom: tuple[int, int, int]) -> NDArray[np.uint8]:
    """A gradient from the top to the bottom without any noise."""
    share = (DOWN[..., None] + 1) / 2
    return np.asarray((1 - share) * top + share * bottom, np.uint8)


@pytest.mark.parametrize(
    "image",
    [
        sky((60, 110, 200), (180, 210, 240)),
        sky((95, 150, 215), (125, 170, 225)),
        sky((60, 60, 120), (240, 150, 80)),
        grey(128 + 127 * ACROSS),
    ],
    ids=["day", "near the zenith", "sunset", "grey"],
)
def test_a_gradient_may_be_the_sky_and_is_not_blank(image: NDArray[np.uint8]) -> None:
    assert not is_blank(image)


def test_photographs_are_not_blank_nor_is_a_small_object_before_a_plain_wall() -> None:
    assert not any(map(is_blank, photographs(260)))
    wall = grey(0 * DOWN + 180)
    wall[100:108, 200:212] = 60
    assert not is_blank(wall)
    coloured = grey(0 * DOWN + 128)
    coloured[:, :160, 2] = 200
    assert not is_blank(coloured)


def test_some_examples_of_blank_images_are_recognised_and_gradients_and_static_are_not() -> None:
    found = [is_blank(image) for image in blank_images(260)]

    assert [index for index, blank in enumerate(found[:28]) if blank] == [0, 7, 14, 21]
    assert all(found[28:34]) and not any(found[-4:])
