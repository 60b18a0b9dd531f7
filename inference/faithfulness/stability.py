"""Stability: whether the map of a word stays the same while the caption does.

Neighbouring frames of a video are nearly the same, and so should be the maps of the same word.
Frames come from a video, or from a slow pan over photographs.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.captioning.model import CaptionModel
from inference.faithfulness.measurement import Sample, WordMaps, object_maps
from inference.faithfulness.metrics import order_by_importance, top_cells
from models.calibration import rank_correlation
from models.preprocessing import Resizing

PAN_FRAMES = 4
"""Frames of a pan over one photograph."""
PAN_WINDOW = 0.85
"""Side of the window that moves over a photograph, as a share of the photograph's side."""
INTERVAL_S = 0.5
"""Time between the frames that are taken from a video."""

Frames = list[NDArray[np.uint8]]
"""Frames of one scene, in order: RGB, uint8 [side, side, 3]."""


@dataclass(frozen=True, slots=True)
class Stability:
    """Similarity of the maps of the same word in neighbouring frames."""

    pairs: int
    """Neighbouring frames with the same caption that contains an object word."""
    changed: int
    """Neighbouring frames with different captions; they are not compared."""
    correlations: tuple[float, ...]
    """For each pair, the rank correlation over the cells, in -1..1: the mean over object words."""
    overlaps: tuple[float, ...]
    """For each pair, the intersection over union of the top fifths of the cells, likewise."""


class VideoError(ValueError):
    """The file cannot be read as a video."""


def pan(photograph: NDArray[np.uint8], resizing: Resizing) -> Frames:
    """Move a window over a photograph, from the upper left to the lower right.

    Args:
        photograph: RGB, uint8 [H, W, 3].
        resizing: The captioner's.
    """
    height, width = photograph.shape[:2]
    room = 1 - PAN_WINDOW
    frames = []
    for position in np.linspace(0, 1, PAN_FRAMES):
        row, column = round(position * room * height), round(position * room * width)
        window = photograph[
            row : row + round(PAN_WINDOW * height), column : column + round(PAN_WINDOW * width)
        ]
        frames.append(resizing.apply(np.ascontiguousarray(window)))
    return frames


def read_video(path: Path, resizing: Resizing) -> Frames:
    """Read a frame of a video every `INTERVAL_S` seconds.

    Args:
        path: The file.
        resizing: The captioner's.

    Raises:
        VideoError: If the file cannot be read as a video.
    """
    video = cv2.VideoCapture(str(path))
    try:
        step = max(1, round(INTERVAL_S * (video.get(cv2.CAP_PROP_FPS) or 25)))
        frames = [resizing.apply(frame) for frame in _every_nth_frame(video, step)]
    finally:
        video.release()
    if len(frames) < 2:
        raise VideoError(f"{path} cannot be read as a video of at least two frames")
    return frames


def measure_stability(
    model: CaptionModel, scenes: Sequence[Sequence[Sample]], maps: WordMaps
) -> Stability:
    """Compare the maps of object words between neighbouring frames with the same caption.

    Args:
        model: The captioner.
        scenes: Captioned frames in order; frames of different scenes are not neighbours.
        maps: What explains the words.
    """
    neighbours = [pair for frames in scenes for pair in pairwise(frames)]
    same = [pair for pair in neighbours if pair[0].words == pair[1].words]
    found = [[object_maps(model, frame, maps) for frame in pair] for pair in same]
    compared = [list(zip(*pair, strict=True)) for pair in found if pair[0]]
    return Stability(
        pairs=len(compared),
        changed=len(neighbours) - len(same),
        correlations=tuple(
            float(np.mean([rank_correlation(*pair) for pair in each])) for each in compared
        ),
        overlaps=tuple(float(np.mean([top_overlap(*pair) for pair in each])) for each in compared),
    )


def top_overlap(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Return the intersection over union of the top cells of two maps."""
    random = np.random.default_rng(0)
    regions = [top_cells(order_by_importance(values, random)) for values in (a, b)]
    return float((regions[0] & regions[1]).sum() / (regions[0] | regions[1]).sum())


def _every_nth_frame(video: cv2.VideoCapture, step: int) -> Iterator[NDArray[np.uint8]]:
    index = 0
    while video.grab():
        if index % step == 0:
            read, frame = video.retrieve()
            if read:
                yield np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), np.uint8)
        index += 1
