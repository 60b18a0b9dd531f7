"""CIDEr-D of single captions, as a reward to train for.

Vedantam et al., "CIDEr: Consensus-based Image Description Evaluation" (CVPR 2015): the variant D
of `pycocoevalcap`, with the document frequencies of the training captions. Works on token ids, the
end among them, so that a caption which breaks off has no reward for the end that it lacks.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.language import END, PAD

_ORDERS = 4


_SIGMA = 6.0


_SCALE = 10.0


_Ngram = tuple[int, ...]


class _Vector(NamedTuple):
    """A caption's n-grams weighted by term frequency and inverse document frequency."""

    weights: list[dict[_Ngram, float]]
    norms: list[float]
    length: int


class CiderD:
    """Scores captions against those that people wrote of the same picture."""

    def __init__(self, references: Sequence[Iterable[Sequence[int]]]) -> None:
        """Take each picture's reference captions as token ids (the end included, padding not).

        The document frequency of an n-gram is the number of pictures with it in a reference.
        """
        counted = [[_count(trim(caption)) for caption in captions] for captions in references]
        frequency = Counter(
            ngram for captions in counted for ngram in {g for caption in captions for g in caption}
        )
        documents = math.log(max(len(counted), 2))
        self._rarest = documents
        self._rarity = {ngram: documents - math.log(count) for ngram, count in frequency.items()}
        self._references = [[self._weigh(caption) for caption in captions] for captions in counted]

    def score(self, picture: int, caption: Sequence[int]) -> float:
        """Score one caption of the picture at that position of the references, in 0..10.

        Args:
            picture: The picture's position.
            caption: Token ids; what follows the end is left out.
        """
        said = self._weigh(_count(trim(caption)))
        references = self._references[picture]
        return _SCALE * float(np.mean([_similarity(said, other) for other in references]))

    def scores(self, pictures: Sequence[int], captions: NDArray[np.int32]) -> NDArray[np.float32]:
        """Score captions [B, K, T] of B pictures; float32 [B, K]."""
        return np.array(
            [
                [self.score(picture, caption) for caption in said]
                for picture, said in zip(pictures, captions.tolist(), strict=True)
            ],
            np.float32,
        )

    def _weigh(self, counts: Counter[_Ngram]) -> _Vector:
        weights: list[dict[_Ngram, float]] = [{} for _ in range(_ORDERS)]
        for ngram, count in counts.items():
            weights[len(ngram) - 1][ngram] = count * self._rarity.get(ngram, self._rarest)
        norms = [math.sqrt(sum(w * w for w in order.values())) for order in weights]
        length = sum(count for ngram, count in counts.items() if len(ngram) == 2)
        return _Vector(weights, norms, length)


def trim(caption: Sequence[int]) -> list[int]:
    """Leave out what follows the end, and padding."""
    kept = []
    for token in caption:
        if token == PAD:
            break
        kept.append(int(token))
        if token == END:
            break
    return kept


def _count(caption: Sequence[int]) -> Counter[_Ngram]:
    return Counter(
        tuple(caption[start : start + order])
        for order in range(1, _ORDERS + 1)
        for start in range(len(caption) - order + 1)
    )


def _similarity(said: _Vector, reference: _Vector) -> float:
    """The mean over the orders of clipped cosines, less for another length."""
    total = 0.0
    for order in range(_ORDERS):
        norm = said.norms[order] * reference.norms[order]
        if norm:
            others = reference.weights[order]
            shared = sum(
                min(weight, others[ngram]) * others[ngram]
                for ngram, weight in said.weights[order].items()
                if ngram in others
            )
            total += shared / norm
    gap = said.length - reference.length
    return total / _ORDERS * math.exp(-(gap**2) / (2 * _SIGMA**2))
