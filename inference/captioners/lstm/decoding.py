"""A decoder as compiled graphs."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from inference.captioning.decoding import ALTERNATIVES
from inference.captioning.objective import TokenScores
from models.captioner import (
    BeamCaption,
    BeamConfig,
    Decoder,
    teacher_forced_captions,
    teacher_forced_scores,
)
from models.checkpoint import ModelCard
from models.consensus import Consensus
from models.consensus.search import CaptionSearch, with_agreement
from models.graph import graph
from models.language import PAD


class CompiledDecoder:
    """The graphs of one decoder, each compiled on first use."""

    def __init__(
        self,
        decoder: Decoder,
        shape: tuple[int, ...],
        card: ModelCard,
        consensus: Consensus | None = None,
    ) -> None:
        """Wrap a decoder; nothing is compiled yet.

        Args:
            decoder: The decoder.
            shape: Of a grid: rows, columns and channels.
            card: Has the parameters of the beam search and the calibration.
            consensus: Chooses among the captions of the beam search, if there is one.
        """
        self._decoder, self._card = decoder, card
        self._consensus = consensus
        self._searches: dict[int, CaptionSearch] = {}
        config = self._beam_config(card.beam.width)
        self._rescore = graph(
            lambda grids, tokens: teacher_forced_captions(decoder, grids, tokens, config),
            input_signature=[
                tf.TensorSpec((None, *shape), tf.float32),
                tf.TensorSpec((None, config.max_length), tf.int32),
            ],
        )
        self._token_scores = graph(
            lambda grids, tokens, candidates: teacher_forced_scores(
                decoder, grids, tokens, candidates, config
            ),
            input_signature=[
                tf.TensorSpec((None, *shape), tf.float32),
                tf.TensorSpec((None,), tf.int32),
                tf.TensorSpec((None, None), tf.int32),
            ],
        )

    def search(self, grids: NDArray[np.float32], beam_width: int | None = None) -> BeamCaption:
        """Find the best caption of each grid; see `CaptionModel.search`."""
        width = self._card.beam.width if beam_width is None else beam_width
        if width not in self._searches:
            config = self._beam_config(width)
            self._searches[width] = CaptionSearch(self._decoder, config, self._consensus)
        return self._searches[width](grids)

    def rescore(self, grids: NDArray[np.float32], captions: Sequence[Sequence[int]]) -> BeamCaption:
        """Compute the log-probabilities of given captions; see `CaptionModel.rescore`."""
        tokens = np.full((len(captions), self._card.beam.max_length), PAD, np.int32)
        for row, caption in zip(tokens, captions, strict=True):
            row[: len(caption)] = caption
        found = BeamCaption(*(np.asarray(part) for part in self._rescore(grids, tokens)))
        return with_agreement(found, grids, self._consensus) if self._consensus else found

    def token_scores(
        self, grids: NDArray[np.float32], tokens: NDArray[np.int32], candidates: NDArray[np.int32]
    ) -> TokenScores:
        """Score a caption's tokens given grids; see `CaptionModel.token_scores`."""
        found = self._token_scores(grids, tokens, candidates)
        return TokenScores(*(np.asarray(part) for part in found))

    def _beam_config(self, width: int) -> BeamConfig:
        calibration = self._card.confidence
        return replace(
            self._card.beam,
            width=width,
            alternatives=ALTERNATIVES + 1,
            temperature=calibration.temperature if calibration else 1.0,
        )
