"""Read the images to search for concepts: a folder of images, or the frames of a video file."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from models.datasets import DatasetError, decode_image
from models.preprocessing import Resizing

_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})


class FootageError(ValueError):
    """The source holds no images that can be read."""


@dataclass(frozen=True, slots=True, eq=False)
class Footage:
    """Images of a folder or a video."""

    images: tuple[NDArray[np.uint8], ...]
    """RGB, uint8 [S, S, 3] each, as the captioner takes them; at least one."""
    video: bool
    """Whether they are frames of one video, in order: neighbours may show the same scene."""


def read_footage(source: Path, resizing: Resizing, interval_s: float, limit: int) -> Footage:
    """Read images.

    Args:
        source: A folder of images (its subfolders are ignored), or a video file.
        resizing: The captioner's.
        interval_s: Time between the frames that are taken from a video, above 0.
        limit: Maximum number of images, from the first on.

    Raises:
        FootageError: If the source does not exist, has no image, or one cannot be read.
    """
    if source.is_dir():
        images = tuple(_read_images(source, resizing, limit))
        if not images:
            raise FootageError(f"{source} has no images (JPEG, PNG, WebP, BMP or TIFF)")
        return Footage(images, video=False)
    if not source.is_file():
        raise FootageError(f"{source} does not exist: specify a folder of images or a video file")
    try:
        frames = tuple(_read_frames(source, resizing, interval_s, limit))
    except (av.FFmpegError, OSError, IndexError) as problem:
        reason = getattr(problem, "strerror", problem)
        raise FootageError(f"{source} cannot be read as a video ({reason})") from problem
    if not frames:
        raise FootageError(f"{source} has no frame that can be decoded")
    return Footage(frames, video=True)


def _read_images(folder: Path, resizing: Resizing, limit: int) -> Iterator[NDArray[np.uint8]]:
    try:
        files = sorted(each for each in folder.iterdir() if each.suffix.lower() in _SUFFIXES)
        for file in files[:limit]:
            yield resizing.apply(decode_image(file.read_bytes(), str(file)))
    except DatasetError as problem:
        raise FootageError(str(problem)) from problem
    except OSError as problem:
        raise FootageError(f"{folder} cannot be read: {problem}") from problem


def _read_frames(
    file: Path, resizing: Resizing, interval_s: float, limit: int
) -> Iterator[NDArray[np.uint8]]:
    # With an explicit scheme, a colon in the file name is not taken for a protocol.
    options = {"protocol_whitelist": "file,crypto,data"}
    with av.open(f"file:{file}", options=options, metadata_errors="replace") as container:
        video = container.streams.video[0]
        video.thread_type = "AUTO"
        due_s, count = float("-inf"), 0
        for frame in container.decode(video):
            if frame.time is None or frame.time < due_s:
                continue
            pixels = frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False)
            yield resizing.apply(pixels)
            due_s, count = frame.time + interval_s, count + 1
            if count == limit:
                return
