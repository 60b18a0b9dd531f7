"""Detection of cuts: frames of which the one before shows another scene."""

import av
import numpy as np
from av.video.reformatter import Interpolation
from numpy.typing import NDArray

from stream.video.frame import convert_frame

_SIDE = 32
"""Cells of a thumbnail in a row and in a column."""

_MIN_DIFFERENCE = 26.0
"""Mean difference of the cells at a cut, in grey levels, apart from a change of brightness."""

_MAX_CORRELATION = 0.5
"""Correlation of the two thumbnails at a cut.

Measured frame by frame: the cuts of footage of bicycles are at a difference of 37 to 60 and a
correlation under 0.3, those of the demo at 37 to 126 and under 0.3; between cuts, cyclists who fill
the frame and ride by reach 20 and 0.56, a cartoon and a person in a moving car 5 and 0.97.
"""

_MAX_GAP_S = 3.0
"""Frames further apart are not compared: nobody watched in between."""


class CutDetector:
    """Compares each frame of a stream with the one before; call it from one thread at a time."""

    def __init__(self) -> None:
        """Start without a frame."""
        self._last: tuple[NDArray[np.float32], float] | None = None

    def is_cut(self, frame: av.VideoFrame, at_s: float) -> bool:
        """Return whether a frame begins another scene.

        Args:
            frame: The next frame, of any size and pixel format; it is only read.
            at_s: Its time in seconds, of any clock that the stream always uses.
        """
        luma = _luma(frame)
        last, self._last = self._last, (luma, at_s)
        if last is None or at_s - last[1] > _MAX_GAP_S:
            return False
        before = last[0]
        if np.abs(luma - before).mean() < _MIN_DIFFERENCE:
            return False
        norms = np.linalg.norm(before) * np.linalg.norm(luma)
        # A frame without contrast, such as a black one, resembles no scene.
        correlation = np.vdot(before, luma) / norms if norms else 0.0
        return bool(correlation < _MAX_CORRELATION)


def _luma(frame: av.VideoFrame) -> NDArray[np.float32]:
    """Average the luma over 32 x 32 cells, with a mean of 0."""
    small = convert_frame(frame, "gray", (_SIDE, _SIDE), Interpolation.AREA)
    plane = small.planes[0]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(_SIDE, plane.line_size)
    luma = rows[:, :_SIDE].astype(np.float32)
    return np.asarray(luma - luma.mean(), np.float32)
