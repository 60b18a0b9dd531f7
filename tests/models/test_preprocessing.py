"""Tests of the way from a picture to the encoder's input."""

import numpy as np

from models.preprocessing import squeeze


def test_whole_picture_is_squeezed_into_the_square() -> None:
    wide = np.zeros((40, 120, 3), np.uint8)
    wide[:, 60:] = (200, 100, 50)

    square = squeeze(wide, 20)

    assert square.shape == (20, 20, 3)
    assert square.dtype == np.uint8
    assert (square[:, :10] == 0).all()
    assert (square[:, 10:] == (200, 100, 50)).all()


def test_shrinking_takes_the_mean_of_what_falls_together() -> None:
    checkers = np.indices((40, 40)).sum(axis=0) % 2 * 200
    image = np.repeat(checkers[..., None], 3, axis=-1).astype(np.uint8)

    np.testing.assert_allclose(squeeze(image, 10), 100, atol=1)


def test_growing_interpolates() -> None:
    image = np.zeros((2, 2, 3), np.uint8)
    image[:, 1] = 200

    row = squeeze(image, 8)[0, :, 0]

    assert row[0] == 0
    assert row[-1] == 200
    assert (np.diff(row.astype(int)) >= 0).all()
    assert 0 < row[4] < 200


def test_picture_of_that_size_is_left_alone() -> None:
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)

    np.testing.assert_array_equal(squeeze(image, 16), image)
