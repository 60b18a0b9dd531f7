"""Pictures to seek concepts in: a folder of them, or the frames of a video file.

Which frames of a video show the same scene, and so are one sample and not several.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from inference.captioning import CUT, Features
from models.datasets import DatasetError, decode_image
from models.preprocessing import squeeze

_ENDINGS = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})


class FootageError(ValueError):
    """The source holds nothing that can be read; the message says why."""


@dataclass(frozen=True, slots=True, eq=False)
class Footage:
    """What was read."""

    pictures: tuple[NDArray[np.uint8], ...]
    """RGB, uint8 [S, S, 3] each, S the captioner's own; one at least."""
    video: bool
    """Whether they are frames of one video, in order: neighbours may show the same scene."""


def read_footage(source: Path, side: int, every: float, most: int) -> Footage:
    """Read pictures.

    Args:
        source: A folder of pictures, those of its own folders left out, or a video file.
        side: Of the captioner's pictures, in pixels.
        every: Seconds between frames that are taken from a video, above 0.
        most: Pictures that are read at most, from the first on.

    Raises:
        FootageError: If there is no such source, it holds no picture, or one cannot be read.
    """
    if source.is_dir():
        pictures = tuple(_photographs(source, side, most))
        if not pictures:
            raise FootageError(f"{source} holds no picture: JPEG, PNG, WebP, BMP or TIFF")
        return Footage(pictures, video=False)
    if not source.is_file():
        raise FootageError(f"there is no {source}: give a folder of pictures or a video file")
    try:
        frames = tuple(_frames(source, side, every, most))
    except (av.FFmpegError, OSError, IndexError) as problem:
        raise FootageError(
            f"{source} is no video that can be read ({getattr(problem, 'strerror', problem)})"
        ) from problem
    if not frames:
        raise FootageError(f"{source} holds no picture that can be decoded")
    return Footage(frames, video=True)


def _photographs(folder: Path, side: int, most: int) -> Iterator[NDArray[np.uint8]]:
    try:
        files = sorted(each for each in folder.iterdir() if each.suffix.lower() in _ENDINGS)
        for file in files[:most]:
            yield squeeze(decode_image(file.read_bytes(), str(file)), side)
    except DatasetError as problem:
        raise FootageError(str(problem)) from problem
    except OSError as problem:
        raise FootageError(f"{folder} cannot be read: {problem}") from problem


def _frames(file: Path, side: int, every: float, most: int) -> Iterator[NDArray[np.uint8]]:
    # With the scheme spelt out, a colon in the name makes no protocol of it.
    options = {"protocol_whitelist": "file,crypto,data"}
    with av.open(f"file:{file}", options=options, metadata_errors="replace") as container:
        video = container.streams.video[0]
        video.thread_type = "AUTO"
        due_s, taken = float("-inf"), 0
        for frame in container.decode(video):
            if frame.time is None or frame.time < due_s:
                continue
            yield squeeze(frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False), side)
            due_s, taken = frame.time + every, taken + 1
            if taken == most:
                return


def scenes(frames: Sequence[Features]) -> NDArray[np.int32]:
    """Group frames into scenes.

    Frames that are nearer than a cut to each other are of one scene, and so are those that others
    join: a view that slowly changes is one scene, and so is one that is cut away from and back to.

    Args:
        frames: `inference.captioning.steadiness.features` of each, one at least.

    Returns:
        int32 [N]: the scene of each frame, from 0, none left out.
    """
    vectors = np.array(frames, np.float64)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    units = vectors / np.where(norms > 0, norms, 1)
    _, labels = connected_components(1 - units @ units.T < CUT, directed=False)
    return np.asarray(labels, np.int32)
