"""Image files."""

from pathlib import Path

import pytest
from PIL import Image

from stream.sources.image import ImageSource, is_image
from stream.sources.source import SourceError
from tests.support.clips import CORNERS, corners, pixels

ORIENTATION_TAG = 0x0112
ROTATE_270 = 6
"""EXIF orientation of an image that has to be rotated by 90 degrees clockwise."""


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("image.png", "RGB"),
        ("image.png", "RGBA"),
        ("image.jpg", "RGB"),
        ("image.webp", "RGB"),
        ("image.bmp", "RGB"),
        ("image.tiff", "RGB"),
        ("image.gif", "P"),
        ("image without extension", "RGB"),
    ],
)
@pytest.mark.parametrize("size", [(96, 64), (97, 65)])
def test_an_image_is_one_frame(tmp_path: Path, name: str, mode: str, size: tuple[int, int]) -> None:
    path = tmp_path / name
    kind = None if path.suffix else "png"
    Image.fromarray(pixels(*size)).convert(mode).save(path, kind)
    assert is_image(path)
    with ImageSource(path) as source:
        assert not source.live
        assert source.name == name
        (frame,) = source.frames()
    assert (frame.image.width, frame.image.height) == size
    assert corners(frame.image) == CORNERS
    assert frame.position_s == 0.0


def test_a_grey_image_stays_grey(tmp_path: Path) -> None:
    path = tmp_path / "grey.png"
    Image.new("L", (32, 24), 100).save(path)
    with ImageSource(path) as source:
        (frame,) = source.frames()
    assert (frame.image.to_ndarray(format="rgb24") == 100).all()


def test_an_image_from_a_phone_is_turned_upright(tmp_path: Path) -> None:
    path = tmp_path / "phone.jpg"
    sideways = Image.fromarray(pixels(96, 64)).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = ROTATE_270
    sideways.save(path, exif=exif, quality=95)
    with ImageSource(path) as source:
        (frame,) = source.frames()
    assert (frame.image.width, frame.image.height) == (96, 64)
    assert corners(frame.image) == CORNERS


def test_a_damaged_image_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "cut.png"
    Image.fromarray(pixels()).save(path)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(SourceError, match=r"cut\.png is damaged"):
        ImageSource(path)


def test_an_image_of_absurd_size_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "huge.bmp"
    Image.new("L", (8, 8)).save(path)
    data = bytearray(path.read_bytes())
    data[18:26] = (60_000).to_bytes(4, "little") * 2
    path.write_bytes(data)
    with pytest.raises(SourceError, match=r"huge\.bmp .* it again"):
        ImageSource(path)


def test_a_closed_image_yields_no_frame(tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    Image.fromarray(pixels()).save(path)
    source = ImageSource(path)
    source.close()
    source.close()
    assert list(source.frames()) == []
