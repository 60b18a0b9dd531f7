"""Stability: whether the map of a word stays where it is while the caption stays what it is.

Neighbouring frames of a video show nearly the same, and what explains one word should nearly be the
same too. Frames come from a video, or from a slow pan over photographs.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.captioning.model import CaptionModel
from inference.faithfulness.cells import by_importance
from inference.faithfulness.curves import top
from inference.faithfulness.measurement import Said, object_maps
from inference.faithfulness.randomisation import correlation
from models.preprocessing import squeeze

PAN_FRAMES = 4
"""Of each photograph."""
PAN_WINDOW = 0.85
"""Side of the window that moves over a photograph, as part of the photograph's."""
EVERY_S = 0.5
"""Between frames of a video."""

Frames = list[NDArray[np.uint8]]
"""Of one scene, in order: RGB, uint8 [side, side, 3]."""


@dataclass(frozen=True, slots=True)
class Stability:
    """How alike the maps of the same word are in neighbouring frames."""

    pairs: int
    """Neighbouring frames with the same caption, which names an object."""
    changed: int
    """Neighbouring frames with another caption, which are left out."""
    correlations: tuple[float, ...]
    """Rank correlation of the cells, in -1..1: the mean over each pair's object words."""
    overlaps: tuple[float, ...]
    """Likewise what the two most important fifths have in common, as part of their union."""


class VideoError(ValueError):
    """The file is no video that can be read."""


def pan(photograph: NDArray[np.uint8], side: int) -> Frames:
    """Move a window over a photograph, from the upper left to the lower right.

    Args:
        photograph: RGB, uint8 [H, W, 3].
        side: Of the frames, in pixels.
    """
    height, width = photograph.shape[:2]
    room = 1 - PAN_WINDOW
    frames = []
    for part in np.linspace(0, 1, PAN_FRAMES):
        row, column = round(part * room * height), round(part * room * width)
        window = photograph[
            row : row + round(PAN_WINDOW * height), column : column + round(PAN_WINDOW * width)
        ]
        frames.append(squeeze(np.ascontiguousarray(window), side))
    return frames


def read_video(path: Path, side: int) -> Frames:
    """Read a frame of a video every `EVERY_S`.

    Args:
        path: The file.
        side: Of the frames, in pixels.

    Raises:
        VideoError: If the file is no video.
    """
    video = cv2.VideoCapture(str(path))
    try:
        step = max(1, round(EVERY_S * (video.get(cv2.CAP_PROP_FPS) or 25)))
        frames = [squeeze(frame, side) for frame in _every(video, step)]
    finally:
        video.release()
    if len(frames) < 2:
        raise VideoError(f"{path} is no video of two frames or more that can be read")
    return frames


def stability(model: CaptionModel, scenes: Sequence[Sequence[Said]], method: str) -> Stability:
    """Compare the maps of object words between neighbouring frames of the same caption.

    Args:
        model: The captioner.
        scenes: Captioned frames in order; those of different scenes are no neighbours.
        method: A name of `inference.explanations.methods.METHODS`.
    """
    neighbours = [pair for frames in scenes for pair in pairwise(frames)]
    same = [pair for pair in neighbours if pair[0].words == pair[1].words]
    maps = [[object_maps(model, frame, method) for frame in pair] for pair in same]
    told = [list(zip(*pair, strict=True)) for pair in maps if pair[0]]
    return Stability(
        pairs=len(told),
        changed=len(neighbours) - len(same),
        correlations=tuple(float(np.mean([correlation(*pair) for pair in each])) for each in told),
        overlaps=tuple(float(np.mean([overlap(*pair) for pair in each])) for each in told),
    )


def overlap(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """What the most important cells of two maps have in common, as part of their union."""
    random = np.random.default_rng(0)
    regions = [top(by_importance(values, random)) for values in (a, b)]
    return float((regions[0] & regions[1]).sum() / (regions[0] | regions[1]).sum())


def _every(video: cv2.VideoCapture, step: int) -> Iterator[NDArray[np.uint8]]:
    index = 0
    while video.grab():
        if index % step == 0:
            read, frame = video.retrieve()
            if read:
                yield np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), np.uint8)
        index += 1
