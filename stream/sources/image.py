"""A picture file as a source of one frame."""

import re
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from stream.sources.source import Source, SourceError, SourceFrame

SIGNATURES = re.compile(
    rb"\xff\xd8\xff"  # JPEG
    rb"|\x89PNG\r\n\x1a\n"
    rb"|GIF8[79]a"
    rb"|RIFF....WEBP"
    rb"|BM.{4}\0{4}"  # BMP
    rb"|II\*\0|MM\0\*"  # TIFF
    rb"|....ftypavi[fs]",  # AVIF
    re.DOTALL,
)
"""How files begin that are pictures. OpenCV can tell too, but not of every file: a name that is not
Unicode kills the process."""


def is_image(path: Path) -> bool:
    """Tell by its first bytes whether a file is a picture.

    Raises:
        SourceError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return SIGNATURES.match(file.read(16)) is not None
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from error


def read_image(path: Path) -> NDArray[np.uint8]:
    """Read a picture file.

    Returns:
        RGB, uint8 [H, W, 3], turned the way that its EXIF data asks for.

    Raises:
        SourceError: there is no such file, it is no picture, or it cannot be read.
    """
    if not path.is_file():
        raise SourceError(f"there is no file {path}: give a picture (JPEG, PNG, WebP or the like)")
    if not is_image(path):
        raise SourceError(f"{path} is no picture: give a JPEG, PNG, WebP or the like")
    with ImageSource(path) as source:
        (frame,) = source.frames()
        return frame.image.to_ndarray(format="rgb24").astype(np.uint8, copy=False)


class ImageSource(Source):
    """One picture (JPEG, PNG, WebP and the like), turned the way that its EXIF data asks for."""

    live = False

    def __init__(self, path: Path) -> None:
        """Read and decode the file.

        Args:
            path: the file.

        Raises:
            SourceError: the file cannot be read or holds no whole picture.
        """
        self.name = path.name
        try:
            data = np.frombuffer(path.read_bytes(), np.uint8)
            pixels = cv2.imdecode(data, cv2.IMREAD_COLOR)
        except OSError as error:
            raise SourceError(f"{path} cannot be read: {error.strerror}") from error
        except cv2.error as error:
            raise SourceError(
                f"{path} cannot be decoded: it is damaged or far too large, save it again"
            ) from error
        if pixels is None:
            raise SourceError(f"{path} is a damaged picture: save or copy it again")
        image = av.VideoFrame.from_ndarray(pixels.astype(np.uint8, copy=False), format="bgr24")
        image.pts, image.time_base = 0, Fraction(1, 1000)
        self._frame: SourceFrame | None = SourceFrame(image, 0.0, time.time())

    def frames(self) -> Iterator[SourceFrame]:
        """Give the picture, once."""
        if self._frame is not None:
            yield self._frame

    def close(self) -> None:
        """Let the picture go."""
        self._frame = None
