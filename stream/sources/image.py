"""A picture file as a source of one frame."""

import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from stream.sources.source import Source, SourceError, SourceFrame


def is_image(path: Path) -> bool:
    """Tell by its first bytes whether a file is in a picture format that can be read."""
    return bool(cv2.haveImageReader(str(path)))


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
