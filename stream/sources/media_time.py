"""When, within a recording, a picture is shown."""

import av
from av.video.stream import VideoStream

ASSUMED_RATE = 25.0
"""Frames a second where a file states neither times nor a rate."""


class MediaTime:
    """The positions of a stream's pictures, in seconds since its first.

    Pictures without a timestamp follow the one before at the stream's frame rate, and so do those
    whose timestamps start afresh, as at the seam of a spliced recording.
    """

    def __init__(self, video: VideoStream) -> None:
        """Begin at the first picture.

        Args:
            video: the stream that the pictures come from.
        """
        self._interval_s = 1.0 / float(video.average_rate or ASSUMED_RATE)
        self._origin_s: float | None = None
        self._position_s = -self._interval_s

    def of(self, picture: av.VideoFrame) -> float:
        """Give the position of the next picture; ask once for each, in order."""
        following_s = self._position_s + self._interval_s
        if picture.pts is None or picture.time_base is None:
            self._position_s = following_s
        else:
            shown_s = float(picture.pts * picture.time_base)
            if self._origin_s is None or shown_s - self._origin_s < self._position_s:
                self._origin_s = shown_s - following_s
            self._position_s = shown_s - self._origin_s
        return self._position_s
