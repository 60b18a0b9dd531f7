"""An image file as a source of one frame."""

import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from stream.sources.source import Source, SourceError, SourceFrame

_SIGNATURES = re.compile(
    rb"\xff\xd8\xff"  # JPEG
    rb"|\x89PNG\r\n\x1a\n"
    rb"|GIF8[79]a"
    rb"|RIFF....WEBP"
    rb"|BM.{4}\0{4}"  # BMP
    rb"|II\*\0|MM\0\*"  # TIFF
    rb"|....ftypavi[fs]",  # AVIF
    re.DOTALL,
)
"""Leading bytes of image files. OpenCV has a test of its own (`haveImageReader`), but a file name
that is not valid Unicode crashes the process there."""


def is_image(path: Path) -> bool:
    """Return whether a file is an image, by its first bytes.

    Raises:
        SourceError: If the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return _SIGNATURES.match(file.read(16)) is not None
    except OSError as error:
        raise SourceError(f"{path.name} cannot be read: {error.strerror}") from error


def read_image(path: Path) -> NDArray[np.uint8]:
    """Read an image file.

    Returns:
        RGB, uint8 [H, W, 3], oriented as its EXIF data specifies.

    Raises:
        SourceError: If the file does not exist, is not an image, or cannot be read.
    """
    if not path.is_file():
        reason = "is not a file" if path.exists() else "does not exist"
        raise SourceError(f"{path} {reason}; use an image file (JPEG, PNG, WebP, ...)")
    if not is_image(path):
        raise SourceError(f"{path} is not an image; use JPEG, PNG, WebP or a similar format")
    with ImageSource(path) as source:
        (frame,) = source.frames()
        return frame.image.to_ndarray(format="rgb24").astype(np.uint8, copy=False)


class ImageSource(Source):
    """An image file (JPEG, PNG, WebP, ...), oriented as its EXIF data specifies."""

    live = False

    def __init__(self, path: Path) -> None:
        """Read and decode the file.

        Args:
            path: The file.

        Raises:
            SourceError: If the file cannot be read or decoded.
        """
        self.name = path.name
        try:
            data = np.frombuffer(path.read_bytes(), np.uint8)
            pixels = cv2.imdecode(data, cv2.IMREAD_COLOR)
        except OSError as error:
            raise SourceError(f"{path.name} cannot be read: {error.strerror}") from error
        except cv2.error as error:
            raise SourceError(
                f"{path.name} cannot be decoded: it is damaged or too large; save it again"
            ) from error
        if pixels is None:
            raise SourceError(f"{path.name} is damaged; save or copy it again")
        image = av.VideoFrame.from_ndarray(pixels.astype(np.uint8, copy=False), format="bgr24")
        image.pts, image.time_base = 0, Fraction(1, 1000)
        self._frame: SourceFrame | None = SourceFrame(image, 0.0)

    def frames(self) -> Iterator[SourceFrame]:
        """Yield the image, once."""
        if self._frame is not None:
            yield self._frame

    def close(self) -> None:
        """Release the image."""
        self._frame = None
