"""A decoder as compiled graphs: the search for captions, and how likely given ones are.

From what the search found to a caption with its words, its tags and its doubt.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from inference.captioning.caption import Alternative, Caption, Tag, Timing, Word, without_doubt
from models.calibration import Doubt, evidence
from models.captioner import BeamCaption, BeamConfig, Decoder, tell
from models.captioner.beam_search import beam_search
from models.checkpoint import Card
from models.graph import graph
from models.language import END, PAD, Vocabulary, sentence

_Graph = Callable[..., BeamCaption]

ALTERNATIVES = 3
"""Other words that are told in the place of each."""

_HESITATION = 0.1
"""How far beyond the threshold the confidence must be for the same caption to be doubted, or to be
said again."""


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


class Reader:
    """Reads captions in the words of a vocabulary."""

    def __init__(self, vocabulary: Vocabulary, doubt: Doubt | None) -> None:
        """Take the vocabulary, and how to be in doubt; without, every caption is said whole."""
        self._names = vocabulary.words
        self._doubt = doubt

    def read(
        self,
        found: BeamCaption,
        grid: NDArray[np.float32],
        tags: tuple[Tag, ...],
        timing: Timing,
        before: Caption | None = None,
    ) -> Caption:
        """Read one picture's caption.

        Args:
            found: The picture's row of each part, as arrays: [T, ...].
            grid: [rows, columns, channels], what the caption was found in.
            tags: What is surely in the picture.
            timing: How long it took.
            before: How the stream's last picture was captioned, if this caption is no other: what
                was sure is not doubted at once, nor the other way about.
        """
        tokens = found.tokens.tolist()
        said = tokens.index(END) if END in tokens else len(tokens)
        words = tuple(self._word(found, position) for position in range(said))
        confidence = self._confidence(found.search_log_probs[: said + 1], grid)
        whole = Caption(
            text=sentence(word.text for word in words),
            confidence=round(confidence, 4),
            words=words,
            tags=tags,
            fallback=None,
            guess="",
            kept=False,
            timing_ms=timing,
        )
        if self._doubt is None or confidence >= self._doubt.threshold + _hesitation(before):
            return whole
        return without_doubt(whole, self._doubt.beginning)

    def _confidence(self, log_probs: NDArray[np.float32], grid: NDArray[np.float32]) -> float:
        if self._doubt is None:
            return math.exp(float(log_probs.mean()))
        return float(self._doubt.confidence(evidence(log_probs, grid)))

    def _word(self, found: Any, position: int) -> Word:
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


def _hesitation(before: Caption | None) -> float:
    if before is None:
        return 0.0
    return -_HESITATION if before.fallback is None else _HESITATION
