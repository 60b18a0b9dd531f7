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
        grey(128 + 127 * ACROSS),
        grey(128 + 90 * ACROSS + 90 * DOWN),
        grey(255 * (1 - np.hypot(DOWN, ACROSS) / 1.5)),
        grey(20 + RANDOM.normal(0, 6, DOWN.shape)),
        np.full((1, 1, 3), (200, 30, 10), np.uint8),
    ],
    ids=["black", "grey", "white", "across", "diagonal", "vignette", "dark", "one pixel"],
)
def test_an_image_without_structure_is_blank(image: NDArray[np.uint8]) -> None:
    assert is_blank(image)


def test_photographs_are_not_blank_nor_is_a_small_object_in_the_sky() -> None:
    assert not any(map(is_blank, photographs(260)))
    sky = grey(180 + 40 * DOWN)
    sky[100:108, 200:212] = 60
    assert not is_blank(sky)
    coloured = grey(0 * DOWN + 128)
    coloured[:, :160, 2] = 200
    assert not is_blank(coloured)


def test_examples_of_blank_images_are_blank_except_for_static() -> None:
    found = [is_blank(image) for image in blank_images(260)]

    assert all(found[:34]) and not any(found[-4:])
