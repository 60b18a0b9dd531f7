"""A decoder as compiled graphs: the search for captions, and how likely given ones are."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from inference.reading import ALTERNATIVES
from models.beam_search import BeamCaption, BeamConfig, beam_search
from models.decoder import Decoder
from models.graph import graph
from models.release import Card
from models.teacher_forcing import tell
from models.vocabulary import END, PAD

_Graph = Callable[..., BeamCaption]


class Decoding:
    """The graphs of one decoder, each compiled when it is first used."""

    def __init__(self, decoder: Decoder, shape: tuple[int, ...], card: Card) -> None:
        """Take a decoder, the shape of a grid [rows, columns, channels], and how to search."""
        self._decoder, self._shape, self._card = decoder, shape, card
        self._searches: dict[tuple[int, bool], _Graph] = {}
        self._tell = self._compiled_telling()

    def warm_up(self) -> None:
        """Compile the graphs for several pictures at once, before somebody waits for them."""
        grids = np.zeros((2, *self._shape), np.float32)
        self.search(grids)
        self.retell(grids[:1], [(END,)])

    def search(self, grids: NDArray[np.float32], beam_width: int | None = None) -> BeamCaption:
        """Find the best caption of each grid; see `CaptionModel.search`."""
        width = self._card.beam.width if beam_width is None else beam_width
        found = self._compiled(width, single=len(grids) == 1)(tf.constant(grids))
        return BeamCaption(*(np.asarray(part) for part in found))

    def retell(self, grids: NDArray[np.float32], captions: Sequence[Sequence[int]]) -> BeamCaption:
        """Tell how likely captions are that may not be the best; see `CaptionModel.retell`."""
        tokens = np.full((len(captions), self._card.beam.max_length), PAD, np.int32)
        for row, caption in zip(tokens, captions, strict=True):
            row[: len(caption)] = caption
        return BeamCaption(*(np.asarray(part) for part in self._tell(grids, tokens)))

    def _compiled(self, width: int, *, single: bool) -> _Graph:
        """The search as a graph: one for single pictures, which are the rule, one for several."""
        if (width, single) not in self._searches:
            config = self._beam(width)
            search = graph(lambda grids: beam_search(self._decoder, grids, config))
            spec = tf.TensorSpec((1 if single else None, *self._shape), tf.float32)
            self._searches[width, single] = search.get_concrete_function(spec)
        return self._searches[width, single]

    def _compiled_telling(self) -> _Graph:
        config = self._beam(self._card.beam.width)
        compiled: _Graph = graph(
            lambda grids, tokens: tell(self._decoder, grids, tokens, config),
            input_signature=[
                tf.TensorSpec((None, *self._shape), tf.float32),
                tf.TensorSpec((None, config.max_length), tf.int32),
            ],
        )
        return compiled

    def _beam(self, width: int) -> BeamConfig:
        doubt = self._card.doubt
        return replace(
            self._card.beam,
            width=width,
            alternatives=ALTERNATIVES + 1,
            temperature=doubt.temperature if doubt else 1.0,
        )
