"""From what the search found to a caption with its words, its tags and its doubt."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.caption import Alternative, Caption, Tag, Timing, Word
from inference.doubtful import without_doubt
from models.beam_search import BeamCaption
from models.doubt import Doubt, evidence
from models.vocabulary import END, Vocabulary, sentence

ALTERNATIVES = 3
"""Other words that are told in the place of each."""
_HESITATION = 0.1
"""How far beyond the threshold the confidence must be for the same caption to be doubted, or to be
said again."""


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
