"""Whether a frame shows anything new, compared by thumbnails, and the recent frames that do.

What a fixed camera adds by itself must not count: noise of the sensor and the codec, exposure and
white balance that hunt, a shake of a pixel. What enters the scene must count, however small. So
brightness and contrast are fitted away first, a cell may differ by what a slight shift would do to
it, and both the mean and the largest remaining difference are limited.
"""

import av
import cv2
import numpy as np
from av.video.reformatter import Interpolation
from numpy.typing import NDArray

from stream.video import convert_frame

SIDE = 32
"""Cells of a thumbnail in a row and in a column."""

MAX_RECENT_FRAMES = 60
"""Frames kept per session; they take 12 MB at 260 x 260."""

_MIN_SPACING_S = 2.0
"""Minimum time between two recent frames; closer ones would repeat the same scene."""

_BLACK = np.array([16, 128, 128], np.float32)
"""Black in Y, U and V (ITU-R BT.601, video range)."""

_GAIN_RANGE = (0.8, 1.25)
"""Factors within which a change of exposure or contrast does not count."""

_MAX_OFFSET = 16.0
"""The same for brightness and for each colour difference, in grey levels."""

_SHIFT = 0.1
"""Camera shake that does not count, in cells: 2 pixels of 640."""

_MAX_MEAN_DIFFERENCE, _MAX_CELL_DIFFERENCE = 1.0, 12.0
"""Limits of the remaining difference, in grey levels: mean over the frame, and in any cell.

Measured on 29 still scenes, 30 s each, in VP8 at 500 kbit/s: the largest cell of any frame was at 4
with a sensor noise of 4 grey levels and a flicker of 2 %, and at 10 with 10 and 3 %; with a shake
of half a pixel 99 % of the frames were under 12. In footage of a person speaking, of bicycles and
of a cartoon no half second stayed under 24.
"""

Thumbnail = NDArray[np.float32]


def thumbnail(image: av.VideoFrame) -> Thumbnail:
    """Average a frame over 32 x 32 cells.

    Args:
        image: Of any size and pixel format; it is only read.

    Returns:
        float32 [32, 32, 3]: Y above black, and U and V around 0, in grey levels of 8 bits.
    """
    small = convert_frame(image, "yuv444p", (SIDE, SIDE), Interpolation.AREA)
    planes = [np.frombuffer(memoryview(plane), np.uint8) for plane in small.planes]
    rows = [plane.reshape(SIDE, -1)[:, :SIDE] for plane in planes]
    return np.stack(rows, axis=-1).astype(np.float32) - _BLACK


def is_still(reference: Thumbnail, current: Thumbnail) -> bool:
    """Return whether a frame hardly differs from an earlier one.

    The reference must be the frame that the caption was computed from, not the previous frame:
    otherwise slow movement would never add up.
    """
    difference = np.abs(_residual(reference, current)) - _SHIFT * _local_range(reference)
    difference = np.maximum(difference, 0)
    return bool(
        difference.mean(axis=(0, 1)).max() <= _MAX_MEAN_DIFFERENCE
        and difference.max() <= _MAX_CELL_DIFFERENCE
    )


def _residual(reference: Thumbnail, current: Thumbnail) -> Thumbnail:
    """Return the difference that no change of brightness, contrast or white balance explains."""
    before, after = (image - image.mean(axis=(0, 1)) for image in (reference, current))
    # The size is added to both terms so that the gain of a frame without contrast is 1.
    gain = (np.vdot(before, after) + before.size) / (np.vdot(before, before) + before.size)
    difference = current - np.clip(gain, *_GAIN_RANGE) * reference
    offset = np.clip(difference.mean(axis=(0, 1)), -_MAX_OFFSET, _MAX_OFFSET)
    return np.asarray(difference - offset, np.float32)


def _local_range(image: Thumbnail) -> Thumbnail:
    """Return by how much the 3 x 3 cells around each cell differ."""
    neighbours = np.ones((3, 3), np.uint8)
    return np.asarray(cv2.dilate(image, neighbours) - cv2.erode(image, neighbours), np.float32)


class RecentFrames:
    """The newest frames of a stream that showed something new, at most `MAX_RECENT_FRAMES`.

    Kept as the captioner sees them. One thread at a time may add frames; any thread may read them.
    """

    def __init__(self) -> None:
        """Start empty."""
        self._images: tuple[NDArray[np.uint8], ...] = ()
        self._last: tuple[Thumbnail, float] | None = None

    def __len__(self) -> int:
        return len(self._images)

    def offer(self, image: NDArray[np.uint8], small: Thumbnail, at_s: float) -> None:
        """Add a frame if it shows something new; the oldest is dropped when there are too many.

        Args:
            image: RGB, uint8 [S, S, 3]; it must not be changed from now on.
            small: Its thumbnail.
            at_s: Its time in seconds, of any clock that the stream always uses.
        """
        if self._last:
            before, then_s = self._last
            if at_s - then_s < _MIN_SPACING_S or is_still(before, small):
                return
        self._last = small, at_s
        self._images = (*self._images, image)[-MAX_RECENT_FRAMES:]

    def images(self) -> tuple[NDArray[np.uint8], ...]:
        """Return the images of all kept frames, the oldest first."""
        return self._images

    def clear(self) -> None:
        """Drop all frames."""
        self._images, self._last = (), None
