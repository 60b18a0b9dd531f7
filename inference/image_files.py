"""Image files as arrays: upright, in sRGB, on white, and of a bounded size."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np
import pi_heif
from numpy.typing import NDArray
from PIL import Image, ImageCms

from models.preprocessing import fit_size

MAX_PIXELS: Final = 4096 * 3072
"""Width times height above which images are scaled down."""

_SIGNATURES = re.compile(
    rb"\xff\xd8\xff"  # JPEG
    rb"|\x89PNG\r\n\x1a\n"
    rb"|GIF8[79]a"
    rb"|RIFF....WEBP"
    rb"|BM.{4}\0{4}"  # BMP
    rb"|II\*\0|MM\0\*"  # TIFF
    rb"|....ftyp(avi[fs]|hei[cxms]|mif[12])",  # AVIF, HEIC
    re.DOTALL,
)
"""Leading bytes of image files."""

_SIGNATURE_BYTES = 16

_FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "HEIF")
"""Pillow's names of the same formats."""

_ANIMATED_FORMATS = {"GIF", "PNG", "WEBP", "AVIF"}

_MAX_DECODED_PIXELS = 50_000_000
"""Maximum size of an image that has to be decoded whole, at about 10 bytes per pixel."""

_MAX_SCALED_PIXELS = 2**28
"""Maximum size of a JPEG whose decoder scales it down, which takes little memory."""

_ORIENTATION_TAG = 0x0112

_TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""How to turn an image upright, by its EXIF orientation."""

_HEIF_TRANSFORMATIONS = re.compile(rb"irot|imir")

_SRGB = ImageCms.createProfile("sRGB")

Image.init()
pi_heif.register_heif_opener()
# The sizes are checked here, before an image is decoded.
Image.MAX_IMAGE_PIXELS = None


class ImageError(ValueError):
    """An image cannot be read; the message says why and what to do."""


def is_image(path: Path) -> bool:
    """Return whether a file is an image, by its first bytes.

    Raises:
        ImageError: If the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return _SIGNATURES.match(file.read(_SIGNATURE_BYTES)) is not None
    except OSError as error:
        raise ImageError(f"{path.name} cannot be read: {error.strerror}") from error


def read_image(path: Path, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Read an image file; of an animation the first frame.

    Args:
        path: The file.
        max_pixels: Maximum width times height; a larger image is scaled down.

    Returns:
        RGB, uint8 [H, W, 3], upright, in sRGB and on white where it is transparent.

    Raises:
        ImageError: If the file does not exist, is not an image, or cannot be read.
    """
    if not path.is_file():
        reason = "is not a file" if path.exists() else "does not exist"
        raise ImageError(f"{path} {reason}; use an image file (JPEG, PNG, WebP, ...)")
    return decode_image(read_bytes(path), path.name, max_pixels)


def read_bytes(path: Path) -> bytes:
    """Read a file.

    Raises:
        ImageError: If it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise ImageError(f"{path.name} cannot be read: {error.strerror}") from error


def decode_image(data: bytes, name: str, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Decode an image file in memory; of an animation the first frame.

    Args:
        data: The file.
        name: What to call it in error messages.
        max_pixels: Maximum width times height; a larger image is scaled down.

    Returns:
        As `read_image`.

    Raises:
        ImageError: If it is not an image, or cannot be decoded, or is too large to be decoded.
    """
    if not _SIGNATURES.match(data[:_SIGNATURE_BYTES]):
        raise ImageError(f"{name} is not an image; use JPEG, PNG, WebP or a similar format")
    with _describing_failures(data, name):
        image = _open(data, name)
        orientation = _read_orientation(image, data)
        # To count the frames of a GIF, Pillow reads all of them. It opens at the first one.
        number = 0 if image.format == "GIF" else _first_number(image, _frame_count(image))
        return np.array(_decode(image, number, orientation, max_pixels), np.uint8)


def convert_pillow_image(image: Image.Image, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Convert an image of Pillow, opened or made, as `read_image` does.

    Raises:
        ImageError: If it cannot be decoded.
    """
    with _describing_failures(b"", "the image"):
        # A copy, since decoding to a smaller size would change the caller's image.
        copy = image.copy()
        # Pillow's copies have no format; its HEIF and TIFF images are upright already.
        upright = image.format in ("HEIF", "TIFF")
        orientation = 1 if upright else _read_orientation(copy, b"")
        return np.array(_decode(copy, 0, orientation, max_pixels), np.uint8)


class ImageFile:
    """An image file in memory, whose frames are decoded one by one."""

    count: int
    """Number of frames."""
    first: int
    """Number of the first one that is shown."""

    def __init__(self, data: bytes, name: str, max_pixels: int) -> None:
        """Open the file; see `decode_image`."""
        self._data, self._name, self._max_pixels = data, name, max_pixels
        with _describing_failures(data, name):
            self._image = _open(data, name)
            self._orientation = _read_orientation(self._image, data)
            self.count = _frame_count(self._image)
            self.first = _first_number(self._image, self.count)

    @property
    def duration_s(self) -> float:
        """Duration of the frame that was decoded last, in seconds; 0 if the file has none."""
        return float(self._image.info.get("duration") or 0) / 1000

    def decode_first(self) -> Image.Image:
        """Decode the first frame: RGB, upright, in sRGB, on white.

        Raises:
            ImageError: If the file is damaged.
        """
        with _describing_failures(self._data, self._name):
            frame = self.decode(self.first)
            if self.count == 1:
                # Frees the samples in their original size.
                self._image.close()
        return frame

    def decode(self, number: int) -> Image.Image:
        """Decode a frame, as `decode_first`; raises any exception if the file is damaged."""
        return _decode(self._image, number, self._orientation, self._max_pixels)


@contextmanager
def _describing_failures(data: bytes, name: str) -> Iterator[None]:
    """Turn the many kinds of exceptions that Pillow raises at damaged files into `ImageError`."""
    try:
        yield
    except ImageError:
        raise
    except Exception as error:
        raise ImageError(f"{name} {_describe_failure(data)}") from error


def _open(data: bytes, name: str) -> Image.Image:
    """Open an image without decoding it, and check its size."""
    image = Image.open(io.BytesIO(data), formats=_FORMATS)
    # MPO is a JPEG that contains previews too.
    is_scaled = image.format in ("JPEG", "MPO") and "progressive" not in image.info
    limit = _MAX_SCALED_PIXELS if is_scaled else _MAX_DECODED_PIXELS
    if image.width * image.height > limit:
        raise ImageError(
            f"{name} has {image.width}x{image.height} pixels, more than the limit of "
            f"{limit / 1e6:.0f} million; scale it down"
        )
    return image


def _decode(image: Image.Image, number: int, orientation: int, max_pixels: int) -> Image.Image:
    """Decode a frame: RGB, upright, in sRGB, on white."""
    if number:
        image.seek(number)
    # A JPEG is scaled down by its decoder, to at least this size.
    image.draft(None, fit_size(image.width, image.height, max_pixels))
    image.load()
    flat = _flatten(_resize(image, max_pixels))
    transposition = _TRANSPOSITIONS.get(orientation)
    return flat if transposition is None else flat.transpose(transposition)


def _frame_count(image: Image.Image) -> int:
    # The further images of other formats are pages, previews and variants.
    return getattr(image, "n_frames", 1) if image.format in _ANIMATED_FORMATS else 1


def _first_number(image: Image.Image, count: int) -> int:
    # The first image of an animated PNG may be only for software that shows no animations.
    return 1 if count > 1 and image.info.get("default_image") else 0


def _read_orientation(image: Image.Image, data: bytes) -> int:
    """Return the EXIF orientation that has to be applied, 1 for none."""
    if image.format == "HEIF":
        # The decoder has applied the file's own transformations, which EXIF then only repeats.
        if _HEIF_TRANSFORMATIONS.search(data[: _heif_header_bytes(data)]):
            return 1
        return int(image.info.get("original_orientation") or 1)
    if image.format == "TIFF":
        # Pillow turns it upright itself.
        return 1
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:
        # Malformed EXIF data; the image itself may be intact.
        return 1


def _heif_header_bytes(data: bytes) -> int:
    """Return the size of the boxes `ftyp` and `meta`, all but the samples (ISO/IEC 23008-12)."""
    start = int.from_bytes(data[:4])
    return start + int.from_bytes(data[start : start + 4])


def _resize(image: Image.Image, max_pixels: int) -> Image.Image:
    size = fit_size(image.width, image.height, max_pixels)
    if image.mode.startswith("I"):
        # Pillow would clip samples of 16 bits, and scales them slowly.
        grey = Image.fromarray((np.asarray(image).clip(0, 65535) // 257).astype(np.uint8))
        grey.info = image.info
        image = grey
    if image.size == size:
        return image
    if image.mode in ("P", "PA", "1"):
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    return image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)


def _flatten(image: Image.Image) -> Image.Image:
    """Convert an image to sRGB, and compose it on white where it is transparent."""
    if not image.has_transparency_data:
        return _to_srgb(image)
    whole = image.convert("RGBA")
    white = Image.new("RGB", image.size, "white")
    return Image.composite(_to_srgb(whole.convert("RGB")), white, whole.getchannel("A"))


def _to_srgb(image: Image.Image) -> Image.Image:
    """Convert an image without transparency to RGB in sRGB, from its colour profile if any."""
    profile = image.info.get("icc_profile")
    if not profile:
        return image.convert("RGB")
    if image.mode not in ("RGB", "CMYK", "L"):
        image = image.convert("RGB")
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted = ImageCms.profileToProfile(image, source, _SRGB, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        # A damaged profile, or one for another kind of image; browsers ignore it too.
        return image.convert("RGB")
    assert converted is not None
    return converted


def _describe_failure(data: bytes) -> str:
    if data[4:8] == b"ftyp" and data[8:12] not in (b"avif", b"avis"):
        return "is a HEIC image that cannot be decoded; convert it to JPEG"
    return "is damaged or truncated; save or copy it again"
