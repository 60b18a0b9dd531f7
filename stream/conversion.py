"""Pictures in another size or pixel format, with nothing left behind.

PyAV keeps FFmpeg's converter with each frame that was converted, for as long as the frame lives:
some memory, and a thread for each core. Here a thread of ours has one for each kind of conversion.
"""

import threading
from collections import defaultdict

import av
from av.video.reformatter import Interpolation, VideoReformatter


class _Converters(threading.local):
    """What was made for a kind of conversion it does at once; for another it is made anew."""

    def __init__(self) -> None:
        """Begin with none, in each thread."""
        self.of: defaultdict[object, VideoReformatter] = defaultdict(VideoReformatter)


_converters = _Converters()


def converted(
    frame: av.VideoFrame,
    pixel_format: str,
    size: tuple[int, int] | None = None,
    interpolation: Interpolation = Interpolation.BILINEAR,
) -> av.VideoFrame:
    """Convert a frame, which is only read.

    Args:
        frame: Of any size and format.
        pixel_format: By FFmpeg's name.
        size: Width and height; the frame's own when None.
        interpolation: How a size is changed.

    Returns:
        A new frame; the frame itself if it is as it is to be.
    """
    width, height = size or (frame.width, frame.height)
    converter = _converters.of[pixel_format, size is None, interpolation]
    return converter.reformat(frame, width, height, pixel_format, interpolation=interpolation)
