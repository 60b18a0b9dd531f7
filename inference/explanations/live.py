"""The maps that come with each caption: of all its words at once, for next to nothing."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from inference.explanations.gradients import Graphs
from inference.explanations.map import CaptionMaps, Map
from inference.explanations.objective import Terms
from models.captioner import BeamCaption
from models.language import END, PAD

LIVE: Literal["gradcam", "hirescam", "readcam"] = "readcam"
"""The method, a field of `Cams`."""


def live_maps(
    graphs: Graphs, grids: NDArray[np.float32], captions: Sequence[BeamCaption]
) -> list[CaptionMaps]:
    """Explain every word of captions of different pictures.

    Args:
        graphs: The captioner's.
        grids: float32 [B, rows, columns, channels].
        captions: Of each grid, as it was found or retold: each part [T, ...].

    Returns:
        The maps of each caption, of all the words before its end.
    """
    tokens = np.stack([caption.tokens for caption in captions]).astype(np.int32)
    words = np.where(tokens == END, PAD, tokens)
    counts = (words != PAD).sum(axis=1)
    longest = counts.max()
    hidden = np.stack([caption.hidden for caption in captions])[:, :longest]
    words = words[:, :longest]
    maps = graphs.direct_cam(LIVE, grids, hidden, Terms(words, np.full_like(words, PAD)))
    return [_maps(of_one[:count]) for of_one, count in zip(maps, counts, strict=True)]


def _maps(signed: NDArray[np.float32]) -> CaptionMaps:
    """The caption's own: as the gradient of the sum of the logits is the sum of the gradients."""
    words = tuple(Map(np.maximum(word, 0)) for word in signed)
    return CaptionMaps(LIVE, words, Map(np.maximum(signed.sum(axis=0), 0)))
