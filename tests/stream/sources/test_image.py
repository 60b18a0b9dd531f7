"""Picture files."""

from pathlib import Path

import pytest
from PIL import Image

from stream.sources.image import ImageSource, is_image
from stream.sources.source import SourceError
from tests.stream.sources.clips import CORNERS, corners, pixels

ORIENTATION_TAG = 0x0112
ROTATE_270 = 6
"""EXIF's value for a picture that is to be turned right by a quarter."""


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("picture.png", "RGB"),
        ("picture.png", "RGBA"),
        ("picture.jpg", "RGB"),
        ("picture.webp", "RGB"),
        ("picture.bmp", "RGB"),
        ("picture.tiff", "RGB"),
        ("picture.gif", "P"),
        ("picture with no ending", "RGB"),
    ],
)
@pytest.mark.parametrize("size", [(96, 64), (97, 65)])
def test_a_picture_is_one_frame(
    tmp_path: Path, name: str, mode: str, size: tuple[int, int]
) -> None:
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


def test_a_grey_picture_is_grey(tmp_path: Path) -> None:
    path = tmp_path / "grey.png"
    Image.new("L", (32, 24), 100).save(path)
    with ImageSource(path) as source:
        (frame,) = source.frames()
    assert (frame.image.to_ndarray(format="rgb24") == 100).all()


def test_a_phone_s_picture_comes_out_upright(tmp_path: Path) -> None:
    path = tmp_path / "phone.jpg"
    lying = Image.fromarray(pixels(96, 64)).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = ROTATE_270
    lying.save(path, exif=exif, quality=95)
    with ImageSource(path) as source:
        (frame,) = source.frames()
    assert (frame.image.width, frame.image.height) == (96, 64)
    assert corners(frame.image) == CORNERS


def test_a_damaged_picture_is_told(tmp_path: Path) -> None:
    path = tmp_path / "cut.png"
    Image.fromarray(pixels()).save(path)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(SourceError, match=r"cut\.png is a damaged picture"):
        ImageSource(path)


def test_a_picture_of_absurd_size_is_told(tmp_path: Path) -> None:
    path = tmp_path / "huge.bmp"
    Image.new("L", (8, 8)).save(path)
    data = bytearray(path.read_bytes())
    data[18:26] = (60_000).to_bytes(4, "little") * 2
    path.write_bytes(data)
    with pytest.raises(SourceError, match=r"huge\.bmp .* it again"):
        ImageSource(path)


def test_a_closed_picture_gives_none(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    Image.fromarray(pixels()).save(path)
    source = ImageSource(path)
    source.close()
    source.close()
    assert list(source.frames()) == []
