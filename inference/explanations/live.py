"""The maps that come with each caption: of all its words at once, at almost no cost."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from inference.explanations.gradients import Graphs
from inference.explanations.map import CaptionMaps, Map
from inference.explanations.objective import LogitTerms
from models.captioner import BeamCaption
from models.language import END, PAD

LIVE_METHOD: Literal["gradcam", "hirescam", "readcam"] = "readcam"
"""Name of the method, a field of `ClassActivationMaps`."""


def live_maps(
    graphs: Graphs, grids: NDArray[np.float32], captions: Sequence[BeamCaption]
) -> list[CaptionMaps]:
    """Explain every word of the captions of different images.

    Args:
        graphs: Graphs of the captioner.
        grids: float32 [B, rows, columns, channels].
        captions: The caption of each grid, from the search or rescored: each array [T, ...].

    Returns:
        The maps of each caption, with a map for each word before the end token.
    """
    tokens = np.stack([caption.tokens for caption in captions]).astype(np.int32)
    words = np.where(tokens == END, PAD, tokens)
    counts = (words != PAD).sum(axis=1)
    longest = counts.max()
    hidden = np.stack([caption.hidden for caption in captions])[:, :longest]
    words = words[:, :longest]
    maps = graphs.direct_cam(
        LIVE_METHOD, grids, hidden, LogitTerms(words, np.full_like(words, PAD))
    )
    return [_maps(each[:count]) for each, count in zip(maps, counts, strict=True)]


def _maps(signed: NDArray[np.float32]) -> CaptionMaps:
    """Rectify the words' maps, and sum them for the caption's, as gradients of sums are sums."""
    words = tuple(Map(np.maximum(word, 0)) for word in signed)
    return CaptionMaps(LIVE_METHOD, words, Map(np.maximum(signed.sum(axis=0), 0)))
