"""Consensus: the candidate that agrees best with how people described similar pictures.

Devlin et al., "Exploring Nearest Neighbor Approaches for Image Captioning" (arXiv:1505.04467, 2015)
and Mao et al., "Deep Captioning with Multimodal Recurrent Neural Networks" (ICLR 2015). The
neighbours of a picture are the training images with the most similar encoder features; a
candidate's agreement is its mean CIDEr similarity (Vedantam et al., CVPR 2015) to their captions,
without clipping and length penalty, so that each image's captions can be summed in advance.
The index holds 8-bit features and n-gram weights, and no picture.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_ORDERS = (1, 2, 3, 4)
"""CIDEr uses n-grams of 1 to 4 words, the end of the sentence among them."""

_TOKEN_BITS = 16
"""An n-gram is a number of 64 bits: its tokens from the last to the first, 16 bits each."""

_TINY = 1e-9

_HIGHEST = 127
"""Largest absolute value of a stored feature; a stored n-gram weight reaches twice as high."""


@dataclass(frozen=True, slots=True)
class ConsensusConfig:
    """How candidates are ranked."""

    neighbours: int = 60
    """Number of similar images."""
    weight: float = 1.0
    """Weight of the agreement, in 0..1, beside the search's score."""
    sharpness: float = 10.0
    """A neighbour counts by exp(sharpness * cosine similarity)."""


class Consensus:
    """An index of training images, and the agreement of captions with it."""

    def __init__(self, arrays: dict[str, NDArray[np.generic]], config: ConsensusConfig) -> None:
        """Use the arrays of `fit`."""
        self._arrays, self.config = arrays, config
        self._features = arrays["features"].astype(np.float32)
        self._features /= np.linalg.norm(self._features, axis=1, keepdims=True)
        self._basis = arrays["basis"].astype(np.float32)
        self._centre = arrays["centre"].astype(np.float32)
        self._ngrams = arrays["ngrams"].astype(np.uint64)
        self._idf = arrays["idf"].astype(np.float32)
        self._starts = arrays["starts"].astype(np.int64)
        self._columns = arrays["columns"].astype(np.int64)
        self._weights = arrays["weights"].astype(np.float32) / (2 * _HIGHEST)
        self._highest_idf = math.log(len(self._features))

    @classmethod
    def fit(
        cls,
        pooled: NDArray[np.floating],
        captions: Sequence[Sequence[Sequence[int]]],
        config: ConsensusConfig,
        *,
        dimensions: int = 256,
        minimum_images: int = 1,
    ) -> "Consensus":
        """Build an index.

        Args:
            pooled: [N, channels], each image's grid averaged over its cells.
            captions: Each image's captions as token ids, with the end and without padding.
            config: How candidates are ranked.
            dimensions: Principal components of the features that are kept.
            minimum_images: N-grams of fewer images are left out.
        """
        centre = pooled.mean(axis=0, dtype=np.float64)
        centred = pooled - centre
        _, vectors = np.linalg.eigh(centred.T @ centred)
        basis = vectors[:, ::-1][:, :dimensions]
        features = centred @ basis
        features /= np.linalg.norm(features, axis=1, keepdims=True)
        scale = np.abs(features).max(axis=1, keepdims=True) / _HIGHEST
        frequency = Counter(
            ngram for texts in captions for ngram in {g for text in texts for g in ngrams_of(text)}
        )
        idf = {ngram: math.log(len(captions) / count) for ngram, count in frequency.items()}
        kept = sorted(ngram for ngram, count in frequency.items() if count >= minimum_images)
        column = {ngram: index for index, ngram in enumerate(kept)}
        rows = [_mean_vector(texts, idf, column) for texts in captions]
        lengths = [len(row) for row in rows]
        return cls(
            {
                "features": np.rint(features / scale).astype(np.int8),
                "basis": basis.astype(np.float16),
                "centre": centre.astype(np.float16),
                "ngrams": np.array(kept, np.uint64),
                "idf": np.array([idf[ngram] for ngram in kept], np.float16),
                "starts": np.concatenate([[0], np.cumsum(lengths)]).astype(np.uint32),
                "columns": np.array([c for row in rows for c in row], np.uint32),
                "weights": np.rint(
                    2 * _HIGHEST * np.array([w for row in rows for w in row.values()])
                ).astype(np.uint8),
            },
            config,
        )

    def save(self, path: Path) -> None:
        """Write the index as a compressed `.npz` file."""
        arrays = self._arrays
        np.savez_compressed(path, allow_pickle=False, **arrays)  # type: ignore[arg-type]

    def neighbours(
        self, pooled: NDArray[np.floating]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Find the most similar training images.

        Args:
            pooled: [channels].

        Returns:
            Their indices int64 [neighbours], and their shares float32 [neighbours], whose sum is 1.
        """
        query = (pooled - self._centre) @ self._basis
        similarity = self._features @ (query / np.linalg.norm(query))
        nearest = np.argpartition(-similarity, self.config.neighbours)[: self.config.neighbours]
        shares = np.exp(self.config.sharpness * (similarity[nearest] - similarity.max()))
        return nearest, shares / shares.sum()

    def agreement(
        self, pooled: NDArray[np.floating], captions: Sequence[Sequence[int]]
    ) -> NDArray[np.float32]:
        """Measure how much captions agree with those of similar pictures.

        Args:
            pooled: [channels], the picture's grid averaged over its cells.
            captions: Token ids, with the end and without padding.

        Returns:
            float32 [captions], in 0..1.
        """
        nearest, shares = self.neighbours(pooled)
        vectors = [self._vector(caption) for caption in captions]
        wanted = np.unique(np.concatenate([columns for columns, _ in vectors]))
        consensus = self._consensus(nearest, shares, wanted)
        return np.array(
            [
                consensus[np.searchsorted(wanted, columns)] @ weights / len(_ORDERS)
                for columns, weights in vectors
            ],
            np.float32,
        )

    def _vector(self, caption: Sequence[int]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Columns of a caption's n-grams and their TF-IDF, each order normalised."""
        columns, parts = [], []
        for order in _ORDERS:
            counts = Counter(_ngrams(caption, order))
            ngrams = np.array(list(counts), np.uint64)
            at = np.searchsorted(self._ngrams[:-1], ngrams)
            known = self._ngrams[at] == ngrams
            idf = np.where(known, self._idf[at], self._highest_idf)
            weights = np.array(list(counts.values()), np.float32) * idf
            weights /= max(float(np.linalg.norm(weights)), _TINY)
            columns.append(at[known])
            parts.append(weights[known])
        return np.concatenate(columns), np.concatenate(parts)

    def _consensus(
        self,
        images: NDArray[np.int64],
        shares: NDArray[np.float32],
        columns: NDArray[np.int64],
    ) -> NDArray[np.float64]:
        """The images' weights of the n-grams in some columns, averaged by their shares."""
        spans = [slice(*self._starts[image : image + 2]) for image in images]
        found = np.concatenate([self._columns[span] for span in spans])
        weights = np.concatenate(
            [share * self._weights[span] for share, span in zip(shares, spans, strict=True)]
        )
        at = np.searchsorted(columns[:-1], found)
        same = columns[at] == found
        return np.bincount(at[same], weights[same], minlength=len(columns))


def _mean_vector(
    texts: Sequence[Sequence[int]], idf: dict[int, float], column: dict[int, int]
) -> dict[int, float]:
    """The mean over captions of their TF-IDF vectors, each order normalised; by column."""
    mean: Counter[int] = Counter()
    for text in texts:
        for order in _ORDERS:
            counts = Counter(_ngrams(text, order))
            norm = math.sqrt(sum((n * idf[g]) ** 2 for g, n in counts.items()))
            for ngram, count in counts.items():
                if norm and ngram in column:
                    mean[column[ngram]] += count * idf[ngram] / (norm * len(texts))
    return {c: mean[c] for c in sorted(mean)}


def ngrams_of(caption: Sequence[int]) -> list[int]:
    """Return a caption's n-grams of all orders as numbers."""
    return [ngram for order in _ORDERS for ngram in _ngrams(caption, order)]


def _ngrams(caption: Sequence[int], order: int) -> list[int]:
    found = []
    for start in range(len(caption) - order + 1):
        number = 0
        for token in caption[start : start + order]:
            number = number << _TOKEN_BITS | int(token)
        found.append(number)
    return found
