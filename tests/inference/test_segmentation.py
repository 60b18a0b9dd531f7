import numpy as np
import pytest
from numpy.typing import NDArray

from inference.segmentation import GREY, RESOLUTIONS, distinct, patch, segment
from tests.inference.conftest import photographs


@pytest.fixture(scope="module")
def image() -> NDArray[np.uint8]:
    return np.asarray(photographs(130)[0])


@pytest.mark.parametrize("count", [1, 15, 80])
def test_every_pixel_is_in_one_segment_and_no_number_is_missing(
    image: NDArray[np.uint8], count: int
) -> None:
    labels = segment(image, count)

    assert labels.shape == image.shape[:2]
    assert labels.dtype == np.int32
    assert set(np.unique(labels)) == set(range(labels.max() + 1))
    assert count / 2 <= labels.max() + 1 <= count * 1.5


def test_segments_follow_edges() -> None:
    halves = np.zeros((120, 120, 3), np.uint8)
    halves[:, 47:] = 255

    labels = segment(halves, 15)

    # The preceding blur moves an edge by two pixels at most.
    assert not set(labels[:, :45].flat) & set(labels[:, 49:].flat)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (7, 1), (2, 2), (3, 40)])
def test_the_smallest_images_have_segments_too(shape: tuple[int, int]) -> None:
    labels = segment(np.zeros((*shape, 3), np.uint8), 15)

    assert labels.shape == shape
    assert set(np.unique(labels)) == set(range(labels.max() + 1))


def test_an_invalid_image_or_count_is_refused(image: NDArray[np.uint8]) -> None:
    with pytest.raises(ValueError, match="uint8"):
        segment(image.astype(np.float32), 15)
    with pytest.raises(ValueError, match="must be at least 1, not 0"):
        segment(image, 0)


def test_segments_cover_every_pixel_once(image: NDArray[np.uint8]) -> None:
    """Including the last segment, which the authors' code leaves out."""
    masks = distinct([segment(image, 15)])

    assert (masks.sum(axis=0) == 1).all()


def test_patches_together_show_every_pixel(image: NDArray[np.uint8]) -> None:
    """Including the last row and column of each, which the authors' code leaves out."""
    rows, columns = np.indices((128, 128)) // 16
    labels = np.asarray(rows * 8 + columns, np.int32)
    pixels = image[:128, :128]

    patches = np.array([patch(pixels, mask, 16) for mask in distinct([labels])])

    again = patches.reshape(8, 8, 16, 16, 3).swapaxes(1, 2).reshape(128, 128, 3)
    np.testing.assert_array_equal(again, pixels)


def test_a_patch_is_its_segment_with_its_last_row_and_column_on_grey() -> None:
    pixels = np.arange(10 * 10 * 3, dtype=np.uint8).reshape(10, 10, 3)
    mask = np.zeros((10, 10), bool)
    mask[6:, 6:] = True
    mask[6, 6] = False

    cut = patch(pixels, mask, 4)

    assert (cut[0, 0] == GREY).all()
    np.testing.assert_array_equal(cut[1:], pixels[7:, 6:])
    np.testing.assert_array_equal(cut[0, 1:], pixels[6, 7:])


def test_a_patch_is_resized_to_a_square() -> None:
    mask = np.zeros((20, 20), bool)
    mask[5:7, :] = True

    cut = patch(np.full((20, 20, 3), 200, np.uint8), mask, 32)

    assert cut.shape == (32, 32, 3)
    assert (cut == 200).all()
    with pytest.raises(ValueError, match="the segment is empty"):
        patch(np.zeros((20, 20, 3), np.uint8), np.zeros((20, 20), bool), 32)


def test_segments_of_several_resolutions_are_taken_once(image: NDArray[np.uint8]) -> None:
    segmentations = [segment(image, count) for count in RESOLUTIONS]

    masks = distinct(segmentations)

    numbers = [labels.max() + 1 for labels in segmentations]
    assert numbers[0] < len(masks) < sum(numbers)
    for index, mask in enumerate(masks):
        for other in masks[:index]:
            assert (mask & other).sum() / (mask | other).sum() <= 0.5
    assert masks[: numbers[0]].sum(axis=0).min() == 1
    assert len(distinct([segmentations[0]] * 2)) == numbers[0]
