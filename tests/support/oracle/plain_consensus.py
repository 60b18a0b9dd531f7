"""The agreement of captions with those of similar images, with dictionaries of word tuples."""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Text = Sequence[int]


def plain_agreement(
    pooled: NDArray[np.floating],
    captions: Sequence[Sequence[Text]],
    query: NDArray[np.floating],
    candidate: Text,
    neighbours: int,
    sharpness: float,
) -> float:
    """Return the mean CIDEr-D of a candidate with the captions of the images nearest to `query`.

    Args:
        pooled: Features of the images, [N, channels].
        captions: Of each image.
        query: [channels].
        candidate: The caption.
        neighbours: Number of images.
        sharpness: An image counts by exp(sharpness * cosine similarity).
    """
    centre = pooled.mean(axis=0, dtype=np.float64)
    unit = [(each - centre) / np.linalg.norm(each - centre) for each in [*pooled, query]]
    cosines = np.array([each @ unit[-1] for each in unit[:-1]])
    nearest = sorted(range(len(cosines)), key=lambda index: -cosines[index])[:neighbours]
    shares = np.exp(sharpness * cosines[nearest])
    images = [
        {gram for text in texts for n in range(1, 5) for gram in _grams(text, n)}
        for texts in captions
    ]
    return float(
        sum(
            share * _cider_d(candidate, text, images) / len(captions[image])
            for share, image in zip(shares / shares.sum(), nearest, strict=True)
            for text in captions[image]
        )
    )


def _cider_d(candidate: Text, reference: Text, images: Sequence[set[tuple[int, ...]]]) -> float:
    """CIDEr-D by its paper's formula, without the factor of 10."""
    total = 0.0
    for order in (1, 2, 3, 4):
        own, other = (
            {
                gram: count * math.log(len(images) / max(1, sum(gram in each for each in images)))
                for gram, count in Counter(_grams(text, order)).items()
            }
            for text in (candidate, reference)
        )
        norms = math.hypot(*own.values()) * math.hypot(*other.values())
        if norms:
            clipped = sum(
                min(own[gram], other[gram]) * other[gram] for gram in own if gram in other
            )
            total += clipped / norms / 4
    return total * math.exp(-((len(candidate) - len(reference)) ** 2) / (2 * 6**2))


def _grams(text: Text, order: int) -> list[tuple[int, ...]]:
    return [tuple(text[i : i + order]) for i in range(len(text) - order + 1)]
