"""Whether a frame still shows what another showed, and the recent frames that differ."""

import av
import cv2
import numpy as np
from av.video.reformatter import Interpolation
from numpy.typing import NDArray

from stream.video import converted

SIDE = 32
"""Cells of a thumbnail in a row and in a column."""


_BLACK = np.array([16, 128, 128], np.float32)
"""ITU-R BT.601, video range."""


_GAINS = (0.8, 1.25)
"""How far a change of exposure or contrast may go before it is news, as a factor."""


_OFFSET = 16.0
"""The same of brightness and of each colour difference, in grey levels."""


_SHIFT = 0.1
"""How far a camera may shake, in cells: 2 pixels of 640."""


_MEAN, _LARGEST = 1.0, 12.0
"""What may be left, in grey levels, over the picture and in a cell.

Of 29 still scenes, 30 s each, in VP8 at 500 kbit/s, the largest cell of any picture was at 4 with
a sensor noise of 4 grey levels and a flicker of 2 %, at 10 with 10 and 3 %; with a shake of half a
pixel 99 % were under 12. In footage of a person who speaks, of bicycles and of a cartoon no half
second stayed under 24.
"""


Thumbnail = NDArray[np.float32]


def thumbnail(image: av.VideoFrame) -> Thumbnail:
    """Average a picture over 32 x 32 cells, whatever its size.

    Args:
        image: In any pixel format; it is not written to.

    Returns:
        float32 [32, 32, 3]: Y above black, U and V about none, in grey levels of 8 bits.
    """
    small = converted(image, "yuv444p", (SIDE, SIDE), Interpolation.AREA)
    planes = [np.frombuffer(memoryview(plane), np.uint8) for plane in small.planes]
    lines = [plane.reshape(SIDE, -1)[:, :SIDE] for plane in planes]
    return np.stack(lines, axis=-1).astype(np.float32) - _BLACK


def is_still(anchor: Thumbnail, now: Thumbnail) -> bool:
    """Tell whether a picture hardly differs from an earlier one.

    To be asked of the picture that the caption was computed from, never of the last one seen: what
    moves slowly adds up only so.
    """
    left = np.maximum(np.abs(_unexplained(anchor, now)) - _SHIFT * _relief(anchor), 0)
    return bool(left.mean(axis=(0, 1)).max() <= _MEAN and left.max() <= _LARGEST)


def _unexplained(anchor: Thumbnail, now: Thumbnail) -> Thumbnail:
    """What no change of brightness, contrast or white balance makes of the anchor."""
    before, after = (picture - picture.mean(axis=(0, 1)) for picture in (anchor, now))
    # Where there is no contrast to go by, none has changed.
    gain = (np.vdot(before, after) + before.size) / (np.vdot(before, before) + before.size)
    left = now - np.clip(gain, *_GAINS) * anchor
    return np.asarray(left - np.clip(left.mean(axis=(0, 1)), -_OFFSET, _OFFSET), np.float32)


def _relief(picture: Thumbnail) -> Thumbnail:
    """How much the cells about each cell differ."""
    around = np.ones((3, 3), np.uint8)
    return np.asarray(cv2.dilate(picture, around) - cv2.erode(picture, around), np.float32)


MOST_PICTURES = 60
"""Of a session: 12 MB at 260 x 260."""


_APART_S = 2.0
"""Between two pictures at least. Nearer ones would be the same scene once more."""


class RecentPictures:
    """The newest pictures of a stream that show something new: no more, ever.

    Offered by one thread at a time, read by any.
    """

    def __init__(self) -> None:
        """Start with none."""
        self._pictures: tuple[NDArray[np.uint8], ...] = ()
        self._last: tuple[Thumbnail, float] | None = None

    def __len__(self) -> int:
        return len(self._pictures)

    def offer(self, picture: NDArray[np.uint8], small: Thumbnail, at_s: float) -> None:
        """Keep a picture, in place of the oldest, if it is new.

        Args:
            picture: RGB, uint8 [S, S, 3]; not to be changed from now on.
            small: Its thumbnail.
            at_s: Its time, of any clock that the stream keeps to.
        """
        if self._last:
            before, then_s = self._last
            if at_s - then_s < _APART_S or is_still(before, small):
                return
        self._last = small, at_s
        self._pictures = (*self._pictures, picture)[-MOST_PICTURES:]

    def all(self) -> tuple[NDArray[np.uint8], ...]:
        """All that are kept, the oldest first."""
        return self._pictures

    def clear(self) -> None:
        """Let all go."""
        self._pictures, self._last = (), None
