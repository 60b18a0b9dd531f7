"""Tests of consensus, against a plain computation with dictionaries of word tuples."""

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from models.consensus import Consensus, ConsensusConfig

CAPTIONS = [
    [[5, 6, 7, 2], [5, 8, 7, 2]],
    [[9, 6, 7, 2]],
    [[5, 6, 10, 11, 12, 2], [13, 6, 7, 2], [5, 5, 5, 2]],
    [[14, 15, 2], [14, 16, 2]],
    [[17, 18, 19, 2]],
]
CANDIDATES = [[5, 6, 7, 2], [14, 15, 2], [5, 6, 10, 11, 12, 2], [40, 41, 2], [5, 6, 40, 2]]
NEIGHBOURS = 3


@pytest.fixture(scope="module")
def pooled() -> NDArray[np.float32]:
    return np.random.default_rng(0).uniform(0, 6, (5, 24)).astype(np.float32)


@pytest.fixture(scope="module")
def consensus(pooled: NDArray[np.float32]) -> Consensus:
    config = ConsensusConfig(neighbours=NEIGHBOURS, sharpness=2.0)
    return Consensus.fit(pooled, CAPTIONS, config, dimensions=5)


def plain_vector(caption: list[int], order: int) -> dict[tuple[int, ...], float]:
    """TF-IDF of a caption's n-grams, of length 1."""
    images = [
        {
            tuple(text[i : i + n])
            for text in texts
            for n in (1, 2, 3, 4)
            for i in range(len(text) - n + 1)
        }
        for texts in CAPTIONS
    ]
    counts = Counter(tuple(caption[i : i + order]) for i in range(len(caption) - order + 1))
    vector = {
        gram: count * math.log(len(images) / max(1, sum(gram in image for image in images)))
        for gram, count in counts.items()
    }
    norm = math.sqrt(sum(value * value for value in vector.values()))
    return {gram: value / norm for gram, value in vector.items()} if norm else {}


def plain_agreement(pooled: NDArray[np.float32], query: int, caption: list[int]) -> float:
    centred = (pooled - pooled.mean(axis=0)).astype(np.float64)
    unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    cosines = unit @ unit[query]
    nearest = sorted(range(len(cosines)), key=lambda i: -cosines[i])[:NEIGHBOURS]
    shares = np.exp(2.0 * cosines[nearest])
    total = 0.0
    for share, image in zip(shares / shares.sum(), nearest, strict=True):
        for text in CAPTIONS[image]:
            for order in (1, 2, 3, 4):
                own, other = plain_vector(caption, order), plain_vector(text, order)
                cosine = sum(value * other.get(gram, 0.0) for gram, value in own.items())
                total += share * cosine / (4 * len(CAPTIONS[image]))
    return float(total)


@pytest.mark.parametrize("query", range(5))
def test_agreement_is_the_mean_similarity_to_the_captions_of_the_nearest_images(
    consensus: Consensus, pooled: NDArray[np.float32], query: int
) -> None:
    agreement = consensus.agreement(pooled[query], CANDIDATES)

    expected = [plain_agreement(pooled, query, candidate) for candidate in CANDIDATES]
    np.testing.assert_allclose(agreement, expected, atol=0.01)
    assert any(expected)


def test_stored_index_gives_the_same_agreement(
    consensus: Consensus, pooled: NDArray[np.float32], tmp_path: Path
) -> None:
    consensus.save(tmp_path / "consensus.npz")

    with np.load(tmp_path / "consensus.npz") as arrays:
        again = Consensus(dict(arrays), consensus.config)

    np.testing.assert_array_equal(
        again.agreement(pooled[0], CANDIDATES), consensus.agreement(pooled[0], CANDIDATES)
    )


def test_rare_ngrams_can_be_left_out(pooled: NDArray[np.float32]) -> None:
    config = ConsensusConfig(neighbours=1, sharpness=0.0)
    whole = Consensus.fit(pooled, CAPTIONS, config, dimensions=5)
    small = Consensus.fit(pooled, CAPTIONS, config, dimensions=5, minimum_images=2)

    (large, unknown), (reduced, none) = (
        index.agreement(pooled[0], [[5, 6, 7, 2], [17, 18, 19, 2]]) for index in (whole, small)
    )

    assert unknown == none == pytest.approx(0, abs=0.02)
    assert 0 < reduced < large
