"""Image files."""

import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageDraw

from stream.sources.image import ImageSource, decode_image, is_image, read_image
from stream.sources.source import SourceError
from tests.support.clips import CORNERS, corners, pixels
from tests.support.heic import write_heic

ORIENTATION_TAG = 0x0112

TURNS = {
    1: lambda image: image,
    2: np.fliplr,
    3: lambda image: np.rot90(image, 2),
    4: np.flipud,
    5: lambda image: np.swapaxes(image, 0, 1),
    6: lambda image: np.rot90(image, -1),
    7: lambda image: np.rot90(np.swapaxes(image, 0, 1), 2),
    8: lambda image: np.rot90(image, 1),
}
"""How to turn an image upright, by its EXIF orientation (CIPA DC-008, section 4.6.4)."""

_PEAK_MEMORY = """
import resource, sys
from pathlib import Path
from stream.sources.image import ImageSource
from stream.sources.source import SourceError
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    with ImageSource(Path(sys.argv[1])) as source:
        image = next(source.frames()).image
        print(f"{image.width}x{image.height}")
except SourceError as error:
    print(error)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
"""Prints the size of an image or the error, and the memory that it took, in MB."""


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


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "avif", "tiff"])
@pytest.mark.parametrize("orientation", TURNS)
def test_an_image_is_turned_upright(tmp_path: Path, suffix: str, orientation: int) -> None:
    path = tmp_path / f"phone.{suffix}"
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = orientation
    Image.fromarray(pixels()).save(path, exif=exif, quality=95)
    upright = TURNS[orientation](pixels())
    image = read_image(path)
    assert image.shape == upright.shape
    assert np.abs(image.astype(int) - upright).mean() < 6


@pytest.mark.parametrize(
    ("transformations", "orientation"),
    [
        ({}, 1),
        ({"quarter_turns": 3}, 6),
        # EXIF repeats what the file's own transformations say.
        ({"quarter_turns": 3, "orientation": 6}, 6),
        ({"quarter_turns": 2, "mirrored": True, "orientation": 4}, 4),
        ({"mirrored": True}, 2),
        ({"orientation": 6}, 6),
    ],
)
def test_a_photo_in_tiles_is_whole_and_upright(
    tmp_path: Path, transformations: dict[str, Any], orientation: int
) -> None:
    path = tmp_path / "IMG_0001.HEIC"
    path.write_bytes(write_heic(pixels(200, 150), **transformations))
    upright = TURNS[orientation](pixels(200, 150))
    assert is_image(path)
    image = read_image(path)
    assert image.shape == upright.shape
    assert np.abs(image.astype(int) - upright).mean() < 6


def test_a_photo_that_cannot_be_decoded_is_reported_by_its_format(tmp_path: Path) -> None:
    path = tmp_path / "IMG_0001.HEIC"
    path.write_bytes(write_heic(pixels(200, 150)).replace(b"hvc1", b"jxl1"))
    with pytest.raises(SourceError, match=r"HEIC image that cannot be decoded; convert it to JPEG"):
        ImageSource(path)


def _disc(mode: str) -> Image.Image:
    """Draw a black disc on transparency that is black, too."""
    image = Image.new("RGBA", (80, 60), (0, 0, 0, 0))
    ImageDraw.Draw(image).ellipse((20, 10, 60, 50), fill=(0, 0, 0, 255))
    return image.convert(mode)


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("disc.png", "RGBA"),
        ("disc.png", "LA"),
        ("disc.png", "P"),
        ("disc.webp", "RGBA"),
        ("disc.avif", "RGBA"),
        ("disc.gif", "RGBA"),
        ("disc.tiff", "RGBA"),
    ],
)
def test_a_transparent_image_is_composed_on_white(tmp_path: Path, name: str, mode: str) -> None:
    path = tmp_path / name
    _disc(mode).save(path, lossless=True)
    image = read_image(path)
    assert image[30, 40].max() < 10
    assert image[3, 3].min() > 245
    is_dark = (image < 128).all(axis=2)
    assert is_dark.mean() == pytest.approx(np.pi * 20**2 / (80 * 60), abs=0.02)


def test_half_transparent_samples_are_mixed_with_white(tmp_path: Path) -> None:
    path = tmp_path / "veil.png"
    Image.new("RGBA", (32, 24), (200, 0, 0, 128)).save(path)
    expected = [round(value * 128 / 255 + 127) for value in (200, 0, 0)]
    assert np.abs(read_image(path).astype(int) - expected).max() <= 1


@pytest.mark.parametrize("suffix", ["png", "tiff"])
@pytest.mark.parametrize("shape", [(24, 32), (24, 32, 3)])
def test_samples_of_16_bits_keep_their_brightness(
    tmp_path: Path, suffix: str, shape: tuple[int, ...]
) -> None:
    path = tmp_path / f"deep.{suffix}"
    cv2.imwrite(str(path), np.full(shape, 100 * 257, np.uint16))
    assert np.abs(read_image(path).astype(int) - 100).max() <= 1


def test_cmyk_is_converted(tmp_path: Path) -> None:
    path = tmp_path / "print.jpg"
    Image.new("CMYK", (32, 24), (0, 255, 255, 0)).save(path, quality=95)
    assert np.abs(read_image(path).astype(int) - [255, 0, 0]).max() <= 4


def test_the_colour_profile_is_applied(tmp_path: Path) -> None:
    path = tmp_path / "wide.png"
    # The profile of a display whose red is green and whose green is red.
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = profile.replace(b"rXYZ", b"tmp.").replace(b"gXYZ", b"rXYZ").replace(b"tmp.", b"gXYZ")
    image = Image.new("RGB", (32, 24), (220, 40, 90))
    image.save(path, icc_profile=swapped)
    assert np.abs(read_image(path).astype(int) - [40, 220, 90]).max() <= 2
    image.save(path, icc_profile=b"no profile")
    assert (read_image(path) == [220, 40, 90]).all()


def _animation(count: int = 10) -> list[Image.Image]:
    """Draw a white bar that moves to the right over grey."""
    frames = []
    for number in range(count):
        image = Image.new("RGB", (64, 48), (90, 90, 90))
        ImageDraw.Draw(image).rectangle((6 * number, 0, 6 * number + 5, 47), fill="white")
        frames.append(image)
    return frames


def _bar(image: NDArray[np.uint8]) -> int:
    """Return the number of the frame whose bar an image shows."""
    return int(image.astype(int).sum(axis=(0, 2)).reshape(-1)[:60].reshape(10, 6).sum(1).argmax())


@pytest.mark.parametrize("name", ["anim.gif", "anim.webp", "anim.png", "anim.avif"])
def test_an_animation_is_played_over_its_time(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    first, *rest = _animation()
    first.save(path, save_all=True, append_images=rest, duration=500)
    assert is_image(path)
    with ImageSource(path) as source:
        frames = list(source.frames())
    assert [frame.position_s for frame in frames] == pytest.approx([n / 2 for n in range(10)])
    assert [
        _bar(np.asarray(frame.image.to_ndarray(format="rgb24"), np.uint8)) for frame in frames
    ] == list(range(10))
    assert _bar(read_image(path)) == 0


def test_frames_without_a_duration_take_as_long_as_in_browsers(tmp_path: Path) -> None:
    path = tmp_path / "fast.gif"
    first, *rest = _animation()
    first.save(path, save_all=True, append_images=rest, duration=0)
    with ImageSource(path) as source:
        positions = [frame.position_s for frame in source.frames()]
    assert positions == pytest.approx([n / 10 for n in range(10)])


def test_a_damaged_animation_is_reported_where_it_ends(tmp_path: Path) -> None:
    path = tmp_path / "cut.webp"
    first, *rest = _animation()
    first.save(path, save_all=True, append_images=rest, duration=500, lossless=True)
    data = bytearray(path.read_bytes())
    last = data.rindex(b"ANMF")
    data[last + 40 :] = bytes(len(data) - last - 40)
    path.write_bytes(data)
    positions = []
    with (
        ImageSource(path) as source,
        pytest.raises(SourceError, match=r"cut\.webp cannot be read beyond 4\.5 s"),
    ):
        for frame in source.frames():
            positions.append(frame.position_s)
    assert positions[-1] == pytest.approx(4.0)


def test_a_damaged_image_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "cut.png"
    Image.fromarray(pixels()).save(path)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(SourceError, match=r"cut\.png is damaged"):
        ImageSource(path)


def test_a_large_image_is_scaled_down(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    Image.fromarray(pixels(900, 600)).save(path)
    image = read_image(path, 300 * 200)
    assert image.shape == (200, 300, 3)
    assert np.abs(image.astype(int) - pixels(300, 200)).mean() < 1


def _peak_memory(path: Path) -> tuple[str, int]:
    """Return what a process prints that opens an image, and the memory that it takes in MB."""
    run = subprocess.run(
        [sys.executable, "-c", _PEAK_MEMORY, path], check=True, capture_output=True, text=True
    )
    printed, memory = run.stdout.splitlines()
    return printed, int(memory)


@pytest.mark.parametrize("name", ["huge.png", "huge.bmp"])
def test_an_image_of_absurd_size_is_refused_without_being_decoded(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    if name == "huge.png":
        Image.new("1", (20_000, 20_000)).save(path)
    else:
        Image.new("L", (8, 8)).save(path)
        data = bytearray(path.read_bytes())
        data[18:26] = (20_000).to_bytes(4, "little") * 2
        path.write_bytes(data)
    printed, memory = _peak_memory(path)
    assert printed == (
        f"{name} has 20000x20000 pixels, more than the limit of 50 million; scale it down"
    )
    assert memory < 50


def test_a_very_large_photo_takes_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "108 MP.jpg"
    Image.new("RGB", (12_000, 9_000), (200, 30, 30)).save(path)
    printed, memory = _peak_memory(path)
    assert printed == "4096x3072"
    assert memory < 400


def test_a_closed_image_yields_no_frame(tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    Image.fromarray(pixels()).save(path)
    source = ImageSource(path)
    source.close()
    source.close()
    assert list(source.frames()) == []


def test_the_first_frame_of_a_long_animation_is_decoded_without_reading_the_others() -> None:
    pixel = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    head = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + bytes([200, 0, 0, 0, 0, 200])
    used_s = time.thread_time()
    image = decode_image(head + pixel * 1_300_000 + b"\x3b", "clip.gif")

    assert image.tolist() == [[[200, 0, 0]]]
    assert time.thread_time() - used_s < 1, "to count the frames takes ten times as long"


@pytest.mark.parametrize("name", ["image.jpg", "image.tiff"])
def test_an_image_in_memory_is_decoded_as_from_a_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    Image.linear_gradient("L").resize((64, 48)).convert("RGB").save(path)

    assert (decode_image(path.read_bytes(), "x") == read_image(path)).all()
    with pytest.raises(SourceError, match="the image is not an image"):
        decode_image(b"hello", "the image")
