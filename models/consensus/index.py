"""Consensus: the candidate that agrees best with how people described similar images.

Devlin et al., "Exploring Nearest Neighbor Approaches for Image Captioning" (arXiv:1505.04467, 2015)
and Mao et al., "Deep Captioning with Multimodal Recurrent Neural Networks" (ICLR 2015). The
neighbours of an image are the training images with the most similar encoder features; a candidate's
agreement is its mean CIDEr-D similarity (Vedantam et al., CVPR 2015) to their captions. The index
holds 8-bit features and the n-grams of captions, and no image.
"""

import copy
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.language import UNKNOWN

_ORDERS = (1, 2, 3, 4)
"""CIDEr uses n-grams of 1 to 4 words, the end of the sentence among them."""

_TOKEN_BITS = 16
"""An n-gram is a number of 64 bits: its tokens from the last to the first, 16 bits each. Its order
can be read from the number, as no token of a caption is 0."""

_FIRST_OF_ORDER = np.array([1 << _TOKEN_BITS * order for order in _ORDERS[:-1]], np.uint64)
"""The least n-grams of 2, 3 and 4 words."""

_LENGTH_DEVIATION = 6.0
"""Standard deviation of CIDEr-D's penalty for another length, in words."""

_HIGHEST = 127
"""Largest absolute value of a stored feature."""

_TINY = 1e-9


@dataclass(frozen=True, slots=True)
class ConsensusConfig:
    """How candidates are ranked."""

    neighbours: int = 60
    """Number of similar images."""
    sharpness: float = 10.0
    """A neighbour counts by exp(sharpness * cosine similarity)."""
    weight: float = 32.0
    """Factor of the agreement, in 0..1, when it is added to the search's score."""

    def __post_init__(self) -> None:
        if self.neighbours < 1 or not 0 <= self.sharpness < math.inf:
            raise ValueError("consensus: neighbours must be 1 or more and sharpness 0 or more")
        if not 0 <= self.weight < math.inf:
            raise ValueError("consensus: weight must be 0 or more")


class _Candidate(NamedTuple):
    """A caption whose agreement is measured."""

    columns: NDArray[np.int64]
    """Of its n-grams that the index has."""
    tf_idf: NDArray[np.float32]
    """Of these n-grams."""
    norms: NDArray[np.float32]
    """[orders], of all of its n-grams."""
    length: int


class Consensus:
    """An index of training images, and the agreement of captions with it."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]], config: ConsensusConfig) -> None:
        """Use the arrays of `fit`.

        Raises:
            KeyError: If an array is missing.
            ValueError: If they do not belong together.
        """
        self.config = config
        self.arrays = dict(arrays)
        """The contents of the file."""
        _check(arrays)
        self._features = arrays["features"].astype(np.float32)
        norms = np.linalg.norm(self._features, axis=1, keepdims=True)
        self._features /= np.maximum(norms, _TINY)
        self._basis = arrays["basis"].astype(np.float32)
        self._centre = arrays["centre"].astype(np.float32)
        self._ngrams = arrays["ngrams"]
        self._idf = np.log(self.images / arrays["frequency"]).astype(np.float32)
        self._order = _order(self._ngrams)
        self._captions = _starts(arrays["captions"])
        self._entries = _starts(arrays["entries"])
        self._columns = arrays["columns"].astype(np.int32)
        self._counts = arrays["counts"]
        self._lengths = arrays["lengths"].astype(np.float32)
        self._norms = arrays["norms"].astype(np.float32)

    @property
    def images(self) -> int:
        """Number of training images."""
        return len(self.arrays["features"])

    @property
    def channels(self) -> int:
        """Number of channels of the grids."""
        return len(self.arrays["centre"])

    def configured(self, config: ConsensusConfig) -> "Consensus":
        """Return the same index with another configuration."""
        other = copy.copy(self)
        other.config = config
        return other

    @classmethod
    def fit(
        cls,
        pooled: NDArray[np.floating],
        captions: Sequence[Sequence[Sequence[int]]],
        config: ConsensusConfig,
        *,
        dimensions: int,
        minimum_images: int,
    ) -> "Consensus":
        """Build an index.

        Args:
            pooled: [N, channels], each image's grid averaged over its cells.
            captions: Each image's captions as token ids, with the end and without padding.
            config: How candidates are ranked.
            dimensions: Principal components of the features that are kept, at most.
            minimum_images: N-grams of fewer images are left out.
        """
        frequency = Counter(
            chain.from_iterable(set(chain(*map(_ngrams, texts))) for texts in captions)
        )
        # No candidate has an unknown word.
        kept = sorted(
            ngram
            for ngram, count in frequency.items()
            if count >= minimum_images and not _has_unknown(ngram)
        )
        column = {ngram: index for index, ngram in enumerate(kept)}
        texts = list(chain.from_iterable(captions))
        counted = (Counter(ngram for ngram in _ngrams(text) if ngram in column) for text in texts)
        rows = [{column[ngram]: count for ngram, count in each.items()} for each in counted]
        return cls(
            {
                **_reduce(pooled, dimensions),
                "ngrams": np.array(kept, np.uint64),
                "frequency": np.array([frequency[ngram] for ngram in kept], np.uint32),
                "captions": np.array(list(map(len, captions)), np.uint16),
                "entries": np.array(list(map(len, rows)), np.uint16),
                "columns": np.array([each for row in rows for each in sorted(row)], np.uint32),
                "counts": np.array([row[each] for row in rows for each in sorted(row)], np.uint8),
                "lengths": np.array(list(map(len, texts)), np.uint16),
                "norms": np.array(
                    [_order_norms(text, frequency, len(captions)) for text in texts], np.float16
                ),
            },
            config,
        )

    def neighbours(
        self, pooled: NDArray[np.floating]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Find the most similar training images.

        Args:
            pooled: [channels].

        Returns:
            Their indices int64 [neighbours], all images if there are fewer, and their shares
            float32 [neighbours], whose sum is 1.
        """
        # Not by BLAS, whose threads wait actively for more work and slow down the encoder's.
        query = np.einsum("c,cd->d", pooled - self._centre, self._basis)
        query /= max(float(np.linalg.norm(query)), _TINY)
        similarity = np.einsum("nd,d->n", self._features, query)
        count = min(self.config.neighbours, len(similarity))
        nearest = np.argpartition(-similarity, count - 1)[:count]
        shares = np.exp(self.config.sharpness * (similarity[nearest] - similarity.max()))
        return nearest, shares / shares.sum()

    def agreement(
        self, pooled: NDArray[np.floating], captions: Sequence[Sequence[int]]
    ) -> NDArray[np.float32]:
        """Measure how much captions agree with those of similar images.

        Args:
            pooled: [channels], the image's grid averaged over its cells.
            captions: Token ids, with the end and without padding.

        Returns:
            float32 [captions], in 0..1.
        """
        images, image_shares = self.neighbours(pooled)
        first, last = self._captions[images], self._captions[images + 1]
        references = _ranges(first, last)
        shares = np.repeat(image_shares / np.maximum(last - first, 1), last - first)
        first, last = self._entries[references], self._entries[references + 1]
        entries = _ranges(first, last)
        owners = np.repeat(np.arange(len(references)), last - first)
        candidates = [self._candidate(caption) for caption in captions]
        wanted = np.zeros(len(self._ngrams), bool)
        for candidate in candidates:
            wanted[candidate.columns] = True
        used = wanted[self._columns[entries]]
        entries, owners = entries[used], owners[used]
        columns = self._columns[entries]
        tf_idf = self._counts[entries] * self._idf[columns]
        order = self._order[columns]
        unit = tf_idf / np.maximum(self._norms[references[owners], order], _TINY)
        lengths = self._lengths[references]
        found = []
        for candidate in candidates:
            own = np.zeros(len(self._ngrams), np.float32)
            own[candidate.columns] = candidate.tf_idf
            parts = np.minimum(own[columns], tf_idf) * unit / candidate.norms[order]
            similarity = np.bincount(owners, parts, minlength=len(references)) / len(_ORDERS)
            deviation = (lengths - candidate.length) / _LENGTH_DEVIATION
            found.append(np.sum(shares * similarity * np.exp(-(deviation**2) / 2)))
        return np.array(found, np.float32)

    def _candidate(self, caption: Sequence[int]) -> _Candidate:
        counts = Counter(_ngrams(caption))
        ngrams = np.array(list(counts), np.uint64)
        at = np.minimum(np.searchsorted(self._ngrams, ngrams), len(self._ngrams) - 1)
        known = self._ngrams[at] == ngrams
        # An n-gram that is left out counts like one of a single image.
        idf = np.where(known, self._idf[at], math.log(self.images))
        tf_idf = np.array(list(counts.values()), np.float32) * idf
        order = _order(ngrams)
        norms = np.sqrt(np.bincount(order, tf_idf**2, minlength=len(_ORDERS)))
        return _Candidate(
            at[known],
            tf_idf[known].astype(np.float32),
            np.maximum(norms, _TINY).astype(np.float32),
            len(caption),
        )


def _ngrams(caption: Sequence[int]) -> list[int]:
    """Return a caption's n-grams of all orders as numbers."""
    found = []
    for order in _ORDERS:
        for start in range(len(caption) - order + 1):
            number = 0
            for token in caption[start : start + order]:
                number = number << _TOKEN_BITS | int(token)
            found.append(number)
    return found


def _order(ngrams: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return the index in `_ORDERS` of each n-gram's order."""
    order: NDArray[np.int64] = np.searchsorted(_FIRST_OF_ORDER, ngrams, "right")
    return order


def _has_unknown(ngram: int) -> bool:
    mask = (1 << _TOKEN_BITS) - 1
    return any(ngram >> _TOKEN_BITS * place & mask == UNKNOWN for place in range(len(_ORDERS)))


def _order_norms(caption: Sequence[int], frequency: Mapping[int, int], images: int) -> list[float]:
    """Return the norms of a caption's TF-IDF, one for each order."""
    squares = [0.0] * len(_ORDERS)
    for ngram, count in Counter(_ngrams(caption)).items():
        order = (ngram.bit_length() - 1) // _TOKEN_BITS
        squares[order] += (count * math.log(images / frequency[ngram])) ** 2
    return [math.sqrt(square) for square in squares]


def _reduce(pooled: NDArray[np.floating], dimensions: int) -> dict[str, NDArray[Any]]:
    """Return features in 8 bits, and what computes them: the centre and the basis."""
    centre = pooled.mean(axis=0, dtype=np.float64)
    centred = pooled - centre
    _, vectors = np.linalg.eigh(centred.T @ centred)
    basis = vectors[:, ::-1][:, :dimensions]
    features = centred @ basis
    # Only their directions matter.
    scale = np.maximum(np.abs(features).max(axis=1, keepdims=True), _TINY) / _HIGHEST
    return {
        "features": np.rint(features / scale).astype(np.int8),
        "basis": basis.astype(np.float16),
        "centre": centre.astype(np.float16),
    }


def _starts(lengths: NDArray[Any]) -> NDArray[np.int64]:
    """Return where parts of these lengths start, and the end: [N + 1]."""
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])


def _ranges(first: NDArray[np.int64], last: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the numbers of several ranges, one after the other."""
    lengths = last - first
    ends = np.cumsum(lengths)
    count = int(ends[-1]) if len(ends) else 0
    shifts: NDArray[np.int64] = np.repeat(first - ends + lengths, lengths)
    return np.arange(count) + shifts


def _check(arrays: Mapping[str, NDArray[Any]]) -> None:
    """Check that arrays belong together, as in `Consensus`."""
    images, channels, kept = (len(arrays[name]) for name in ("features", "centre", "ngrams"))
    captions, dimensions = len(arrays["lengths"]), arrays["basis"].shape[-1]
    shapes = {
        "features": (images, dimensions),
        "basis": (channels, dimensions),
        "centre": (channels,),
        "ngrams": (kept,),
        "frequency": (kept,),
        "captions": (images,),
        "entries": (captions,),
        "columns": (int(arrays["entries"].sum(dtype=np.int64)),),
        "counts": arrays["columns"].shape,
        "lengths": (int(arrays["captions"].sum(dtype=np.int64)),),
        "norms": (captions, len(_ORDERS)),
    }
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            raise ValueError(f"{name} has the shape {arrays[name].shape} instead of {shape}")
        if not np.isfinite(arrays[name]).all():
            raise ValueError(f"{name} has values that are not finite")
    if not (images and kept and dimensions):
        raise ValueError("there are no images, no n-grams or no features")
    if arrays["columns"].max(initial=0) >= kept or arrays["frequency"].min() < 1:
        raise ValueError("there are n-grams without a number or a frequency")
    ngrams = arrays["ngrams"]
    if ngrams.dtype != np.uint64 or (ngrams[1:] <= ngrams[:-1]).any():
        raise ValueError("the n-grams are not in order")
