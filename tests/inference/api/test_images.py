"""Images as programs have them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from inference.api.images import to_array
from tests.inference.conftest import photographs

PHOTOGRAPH = photographs(48)[0][:32]
_ORIENTATION = 0x0112


def test_an_array_of_any_layout_is_copied() -> None:
    mirrored = PHOTOGRAPH[:, ::-1]

    found = to_array(mirrored)

    assert np.array_equal(found, mirrored)
    assert found.flags.c_contiguous
    assert not np.shares_memory(found, PHOTOGRAPH)


def test_an_object_that_numpy_converts_is_an_image() -> None:
    class Tensor:
        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
            return np.array(PHOTOGRAPH, dtype=dtype, copy=copy)

    assert np.array_equal(to_array(Tensor()), PHOTOGRAPH)


def test_a_photograph_that_lies_on_its_side_is_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[_ORIENTATION] = 6
    path = tmp_path / "side.png"
    Image.fromarray(PHOTOGRAPH).save(path, exif=exif)

    with Image.open(path) as opened:
        for given in (opened, path):
            assert np.array_equal(to_array(given), np.rot90(PHOTOGRAPH, -1))
        # Pillow's image is as it was.
        assert np.array_equal(np.asarray(opened), PHOTOGRAPH)


def test_what_is_transparent_lies_on_white() -> None:
    image = Image.fromarray(np.dstack([PHOTOGRAPH, np.zeros((32, 48), np.uint8)]), "RGBA")

    assert np.array_equal(to_array(image), np.full_like(PHOTOGRAPH, 255))


def test_grey_images_of_pillow_are_converted() -> None:
    grey = PHOTOGRAPH[..., 0]
    expected = np.stack([grey] * 3, axis=-1)

    assert np.array_equal(to_array(Image.fromarray(grey)), expected)
    assert np.array_equal(to_array(Image.fromarray(grey.astype(np.uint16) * 257)), expected)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (PHOTOGRAPH[None], r"not uint8 \[1, 32, 48, 3\]; pass several images as a list"),
        (PHOTOGRAPH[..., 0], "np.stack"),
        (PHOTOGRAPH.transpose(2, 0, 1), r"image.transpose\(1, 2, 0\)"),
        (PHOTOGRAPH / 255, r"not float64 .*\(255 \* image\).round\(\).astype"),
        (np.dstack([PHOTOGRAPH, PHOTOGRAPH[..., 0]]), r"image\[..., :3\]"),
        (PHOTOGRAPH[:0], r"not uint8 \[0, 48, 3\]$"),
        (PHOTOGRAPH.astype(np.int64), r"not int64 \[32, 48, 3\]$"),
        (None, "an image is a path, an image of Pillow, or an array .*, not NoneType"),
        (b"\xff\xd8\xff", "not bytes"),
        ("nothing.png", "nothing.png does not exist; use an image file"),
        (Path(__file__), "test_images.py is not an image; use JPEG"),
    ],
)
def test_what_is_no_image_is_refused_with_what_to_do(image: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        to_array(image)
