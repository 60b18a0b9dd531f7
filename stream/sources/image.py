"""Image files as sources: one frame, or the frames of an animation."""

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inference import image_files
from inference.image_files import ImageError, ImageFile
from stream.settings import MAX_FRAME_PIXELS
from stream.sources.source import Source, SourceError, SourceFrame

_MIN_DURATION_S, _DEFAULT_DURATION_S = 0.02, 0.1
"""Browsers show frames of a shorter duration for the default duration."""


def is_image(path: Path) -> bool:
    """See `inference.image_files.is_image`; raises SourceError."""
    with _as_source_error():
        return image_files.is_image(path)


def read_image(path: Path, max_pixels: int = MAX_FRAME_PIXELS) -> NDArray[np.uint8]:
    """See `inference.image_files.read_image`; raises SourceError."""
    with _as_source_error():
        return image_files.read_image(path, max_pixels)


def decode_image(data: bytes, name: str, max_pixels: int = MAX_FRAME_PIXELS) -> NDArray[np.uint8]:
    """See `inference.image_files.decode_image`; raises SourceError."""
    with _as_source_error():
        return image_files.decode_image(data, name, max_pixels)


class ImageSource(Source):
    """An image file (JPEG, PNG, WebP, HEIC, ...) as browsers show it.

    It is upright, in sRGB and on white where it is transparent. An animation has several frames.
    """

    live = False

    def __init__(self, path: Path, *, max_pixels: int = MAX_FRAME_PIXELS) -> None:
        """Open the file and decode its first frame.

        Args:
            path: The file.
            max_pixels: Maximum width times height; a larger image is scaled down.

        Raises:
            SourceError: If the file cannot be read or decoded, or is too large to be decoded.
        """
        self.name = path.name
        self._path = path
        with _as_source_error():
            # In memory, so that the file can be replaced or deleted meanwhile.
            data = image_files.read_bytes(path)
            self._file = ImageFile(data, path.name, max_pixels)
            self._first: Image.Image | None = self._file.decode_first()
        self._number = self._file.first
        self._closed = False

    def frames(self) -> Iterator[SourceFrame]:
        """Yield the image, or the frames of an animation.

        Raises:
            SourceError: If an animation is damaged.
        """
        position_s, image = 0.0, self._first
        while image is not None and not self._closed:
            duration_s = self._file.duration_s
            yield _to_source_frame(image, position_s)
            position_s += duration_s if duration_s >= _MIN_DURATION_S else _DEFAULT_DURATION_S
            self._number += 1
            image = self._read(position_s) if self._number < self._file.count else None

    def close(self) -> None:
        """End `frames`, and release the image."""
        self._closed = True
        self._first = None

    def _read(self, position_s: float) -> Image.Image:
        try:
            return self._file.decode(self._number)
        except Exception as error:
            raise SourceError(
                f"{self._path.name} cannot be read beyond {position_s:.1f} s: it is damaged; save "
                "or copy it again"
            ) from error


def _to_source_frame(image: Image.Image, position_s: float) -> SourceFrame:
    frame = av.VideoFrame.from_ndarray(np.asarray(image), format="rgb24")
    frame.pts, frame.time_base = round(position_s * 1000), Fraction(1, 1000)
    return SourceFrame(frame, position_s)


@contextmanager
def _as_source_error() -> Iterator[None]:
    try:
        yield
    except ImageError as error:
        raise SourceError(str(error)) from error
