"""A decoder as compiled graphs."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from inference.captioning.decoding import ALTERNATIVES
from models.captioner import BeamCaption, BeamConfig, Decoder, teacher_forced_captions
from models.captioner.beam_search import beam_search
from models.checkpoint import ModelCard
from models.graph import graph
from models.language import END, PAD

_Graph = Callable[..., BeamCaption]


class CompiledDecoder:
    """The graphs of one decoder, each compiled on first use."""

    def __init__(self, decoder: Decoder, shape: tuple[int, ...], card: ModelCard) -> None:
        """Wrap a decoder; nothing is compiled yet.

        Args:
            decoder: The decoder.
            shape: Of a grid: rows, columns and channels.
            card: Has the parameters of the beam search and the calibration.
        """
        self._decoder, self._shape, self._card = decoder, shape, card
        self._searches: dict[tuple[int, bool], _Graph] = {}
        self._rescore = self._compile_rescore()

    def warm_up(self) -> None:
        """Compile the search for several grids and the rescoring, which takes seconds."""
        grids = np.zeros((2, *self._shape), np.float32)
        self.search(grids)
        self.rescore(grids[:1], [(END,)])

    def search(self, grids: NDArray[np.float32], beam_width: int | None = None) -> BeamCaption:
        """Find the best caption of each grid; see `CaptionModel.search`."""
        width = self._card.beam.width if beam_width is None else beam_width
        found = self._search(width, single=len(grids) == 1)(tf.constant(grids))
        return BeamCaption(*(np.asarray(part) for part in found))

    def rescore(self, grids: NDArray[np.float32], captions: Sequence[Sequence[int]]) -> BeamCaption:
        """Compute the log-probabilities of given captions; see `CaptionModel.rescore`."""
        tokens = np.full((len(captions), self._card.beam.max_length), PAD, np.int32)
        for row, caption in zip(tokens, captions, strict=True):
            row[: len(caption)] = caption
        return BeamCaption(*(np.asarray(part) for part in self._rescore(grids, tokens)))

    def _search(self, width: int, *, single: bool) -> _Graph:
        """Return the graph of the search: one for a single grid, the usual case, one for more."""
        if (width, single) not in self._searches:
            config = self._beam_config(width)
            search = graph(lambda grids: beam_search(self._decoder, grids, config))
            spec = tf.TensorSpec((1 if single else None, *self._shape), tf.float32)
            self._searches[width, single] = search.get_concrete_function(spec)
        return self._searches[width, single]

    def _compile_rescore(self) -> _Graph:
        config = self._beam_config(self._card.beam.width)
        compiled: _Graph = graph(
            lambda grids, tokens: teacher_forced_captions(self._decoder, grids, tokens, config),
            input_signature=[
                tf.TensorSpec((None, *self._shape), tf.float32),
                tf.TensorSpec((None, config.max_length), tf.int32),
            ],
        )
        return compiled

    def _beam_config(self, width: int) -> BeamConfig:
        calibration = self._card.confidence
        return replace(
            self._card.beam,
            width=width,
            alternatives=ALTERNATIVES + 1,
            temperature=calibration.temperature if calibration else 1.0,
        )
