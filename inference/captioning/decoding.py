"""A decoder as compiled graphs, and the conversion of its results to captions."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from inference.captioning.caption import (
    Alternative,
    Caption,
    Tag,
    Timing,
    Word,
    low_confidence_fallback,
)
from models.calibration import ConfidenceCalibration, confidence_features
from models.captioner import BeamCaption, BeamConfig, Decoder, teacher_forced_captions
from models.captioner.beam_search import beam_search
from models.checkpoint import ModelCard
from models.graph import graph
from models.language import END, PAD, Vocabulary, sentence

ALTERNATIVES = 3
"""Runners-up of each word."""

_HYSTERESIS = 0.1
"""How far the confidence must cross the threshold before the same caption is replaced by its
fallback, or shown whole again."""

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


class CaptionBuilder:
    """Converts a decoder's results to captions in words."""

    def __init__(self, vocabulary: Vocabulary, calibration: ConfidenceCalibration | None) -> None:
        """Set the vocabulary and the calibration; without one no caption has a confidence."""
        self._names = vocabulary.words
        self._calibration = calibration

    def build(
        self,
        found: BeamCaption,
        grid: NDArray[np.float32],
        tags: tuple[Tag, ...],
        timing: Timing,
        previous: Caption | None = None,
    ) -> Caption:
        """Build the caption of one image.

        Args:
            found: The image's row of each array: [T, ...].
            grid: [rows, columns, channels], from which the caption was decoded.
            tags: The image's tags.
            timing: How long it took.
            previous: The stream's previous caption, if this one has the same words. Near the
                threshold it keeps the previous fallback, or none if there was none.
        """
        tokens = found.tokens.tolist()
        length = tokens.index(END) if END in tokens else len(tokens)
        words = tuple(self._word(found, position) for position in range(length))
        confidence = self._confidence(found.search_log_probs[: length + 1], grid)
        whole = Caption(
            text=sentence(word.text for word in words),
            confidence=None if confidence is None else round(confidence, 4),
            words=words,
            tags=tags,
            fallback=None,
            guess="",
            kept=False,
            timing_ms=timing,
        )
        calibration = self._calibration
        if calibration is None or confidence is None:
            return whole
        if confidence >= calibration.threshold + _hysteresis(previous):
            return whole
        return low_confidence_fallback(whole, calibration.prefix_threshold)

    def _confidence(
        self, log_probs: NDArray[np.float32], grid: NDArray[np.float32]
    ) -> float | None:
        if self._calibration is None:
            return None
        return float(self._calibration.confidence(confidence_features(log_probs, grid)))

    def _word(self, found: BeamCaption, position: int) -> Word:
        token = int(found.tokens[position])
        others = zip(
            found.alternative_tokens[position],
            found.alternative_log_probs[position],
            strict=True,
        )
        alternatives = [
            Alternative(self._names[other], round(math.exp(log_prob), 4))
            for other, log_prob in others
            if other not in (token, END)
        ]
        prob = round(math.exp(float(found.log_probs[position])), 4)
        return Word(self._names[token], prob, tuple(alternatives[:ALTERNATIVES]))


def _hysteresis(previous: Caption | None) -> float:
    if previous is None:
        return 0.0
    return -_HYSTERESIS if previous.fallback is None else _HYSTERESIS
