"""When, within a recording, a picture is shown."""

import av
from av.video.stream import VideoStream

ASSUMED_RATE = 25.0
"""Frames a second where a file states neither times nor a rate."""


class MediaTime:
    """The positions of a stream's pictures, in seconds since its start.

    Pictures without a timestamp follow the one before at the stream's frame rate, and so do those
    whose timestamps start afresh, as at the seam of a spliced recording.
    """

    def __init__(self, video: VideoStream) -> None:
        """Begin at the start.

        Args:
            video: the stream that the pictures come from.
        """
        self._interval_s = 1.0 / float(video.average_rate or ASSUMED_RATE)
        self._origin_s: float | None = None
        if video.start_time is not None and video.time_base is not None:
            self._origin_s = float(video.start_time * video.time_base)
        self._position_s = 0.0
        self._following_s = 0.0

    def of(self, picture: av.VideoFrame) -> float:
        """Give the position of the next picture; ask once for each, in order."""
        position_s = self._following_s
        if picture.pts is not None and picture.time_base is not None:
            shown_s = float(picture.pts * picture.time_base)
            if self._origin_s is None or shown_s - self._origin_s < self._position_s:
                self._origin_s = shown_s - self._following_s
            position_s = shown_s - self._origin_s
        self._position_s = position_s
        self._following_s = position_s + self._interval_s
        return position_s
