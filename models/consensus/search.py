"""The search of a captioner as its users see it: beam search, then the choice by consensus.

Everything that shows, calibrates or scores captions searches with `CaptionSearch`. The beam search
is a graph, the choice NumPy: it costs no further pass through the encoder or the decoder.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from models.captioner import BeamCaption, BeamConfig, Decoder
from models.captioner.beam_search import beam_captions, beam_search
from models.consensus.index import Consensus
from models.graph import graph
from models.language import PAD

Grids = NDArray[np.floating]


class CaptionSearch:
    """Captions grids [B, rows, columns, channels]. Later changes of the weights take effect."""

    def __init__(
        self, decoder: Decoder, beam: BeamConfig, consensus: Consensus | None = None
    ) -> None:
        """Prepare the search; its graphs are compiled at the first grids.

        Args:
            decoder: The decoder.
            beam: The parameters of the beam search.
            consensus: Chooses among the beam's captions; without it the one that ranks first is
                taken.
        """
        self._consensus = consensus
        search = beam_captions if consensus else beam_search
        self._function = graph(lambda grids: search(decoder, grids, beam))
        self._graphs: dict[tuple[int | None, ...], Callable[..., BeamCaption]] = {}

    def __call__(self, grids: Grids) -> BeamCaption:
        """Find the caption of each grid, as arrays."""
        grids = np.asarray(grids, np.float32)
        found = self._graph(grids.shape)(tf.constant(grids))
        captions = BeamCaption(*(np.asarray(part) for part in found))
        if self._consensus is None:
            return captions
        return choose(captions, grids, self._consensus)

    def _graph(self, shape: tuple[int, ...]) -> Callable[..., BeamCaption]:
        """Return the graph: one for a single grid, the usual case, and one for more."""
        key = (1 if shape[0] == 1 else None, *shape[1:])
        if key not in self._graphs:
            spec = tf.TensorSpec(key, tf.float32)
            self._graphs[key] = self._function.get_concrete_function(spec)
        return self._graphs[key]


def choose(captions: BeamCaption, grids: Grids, consensus: Consensus) -> BeamCaption:
    """Choose each image's caption: that with the highest sum of score and weighted agreement.

    Args:
        captions: All captions of each beam, as arrays, see `beam_captions`.
        grids: [B, rows, columns, channels].
        consensus: Measures the agreement.
    """
    captions = with_agreement(captions, grids, consensus)
    best = np.array([BeamCaption(*row).ranking()[0] for row in zip(*captions, strict=True)])
    rows = np.arange(len(best))
    return captions.pick(lambda part: part[rows, best])


def with_agreement(captions: BeamCaption, grids: Grids, consensus: Consensus) -> BeamCaption:
    """Set the agreement of captions of any kind; see `choose`."""
    agreement = [
        consensus.agreement(grid.mean(axis=(0, 1)), [row[row != PAD].tolist() for row in beam])
        for grid, beam in zip(grids, captions.beam, strict=True)
    ]
    weighted: Any = consensus.config.weight * np.stack(agreement)
    return captions._replace(agreement=weighted)
