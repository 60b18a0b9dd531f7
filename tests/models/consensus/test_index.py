"""Tests of consensus, against a plain computation with dictionaries of word tuples."""

import numpy as np
import pytest
from numpy.typing import NDArray

from models.consensus.index import Consensus, ConsensusConfig
from models.language import UNKNOWN
from tests.support.oracle.plain_consensus import plain_agreement

CAPTIONS = [
    [[5, 6, 7, 2], [5, 8, 7, 2]],
    [[9, 6, 7, 2]],
    [[5, 6, 10, 11, 12, 2], [13, 6, 7, 2], [5, 5, 5, 2]],
    [[14, 15, 2], [14, 16, 2]],
    [[17, 18, 19, 2]],
]
CANDIDATES = [
    *([5, 6, 7, 2], [14, 15, 2], [5, 6, 10, 11, 12, 2], [40, 41, 2], [5, 6, 40, 2]),
    *([17, 18, 19, 6, 7, 2], [5, 5, 7, 2]),
]
NEIGHBOURS = 3


@pytest.fixture(scope="module")
def pooled() -> NDArray[np.float32]:
    return np.random.default_rng(0).uniform(0, 6, (5, 24)).astype(np.float32)


def fit(pooled: NDArray[np.float32], config: ConsensusConfig, minimum_images: int = 1) -> Consensus:
    return Consensus.fit(pooled, CAPTIONS, config, dimensions=5, minimum_images=minimum_images)


@pytest.fixture(scope="module")
def consensus(pooled: NDArray[np.float32]) -> Consensus:
    return fit(pooled, ConsensusConfig(neighbours=NEIGHBOURS, sharpness=2.0))


@pytest.mark.parametrize("query", range(5))
@pytest.mark.parametrize("neighbours", [1, NEIGHBOURS, 99])
def test_agreement_is_the_mean_cider_d_with_the_captions_of_the_nearest_images(
    consensus: Consensus, pooled: NDArray[np.float32], query: int, neighbours: int
) -> None:
    other = consensus.configured(ConsensusConfig(neighbours=neighbours, sharpness=2.0))

    agreement = other.agreement(pooled[query], CANDIDATES)

    expected = [
        plain_agreement(pooled, CAPTIONS, pooled[query], each, neighbours, 2.0)
        for each in CANDIDATES
    ]
    np.testing.assert_allclose(agreement, expected, atol=2e-3)
    assert any(expected)


def test_an_images_own_captions_agree_completely_with_it(pooled: NDArray[np.float32]) -> None:
    consensus = fit(pooled, ConsensusConfig(neighbours=1))

    assert consensus.agreement(pooled[4], [[17, 18, 19, 2]]) == pytest.approx([1.0], abs=2e-3)


def test_rare_and_unknown_ngrams_can_be_left_out(pooled: NDArray[np.float32]) -> None:
    config = ConsensusConfig(neighbours=1, sharpness=0.0)
    whole, small = (fit(pooled, config, minimum_images=number) for number in (1, 2))
    texts = [
        [[UNKNOWN if token == 18 else token for token in text] for text in texts]
        for texts in CAPTIONS
    ]
    unknown = Consensus.fit(pooled, texts, config, dimensions=5, minimum_images=1)

    for query, caption in ((0, [5, 6, 7, 2]), (4, [17, 18, 19, 2])):
        large, reduced = (
            float(index.agreement(pooled[query], [caption])[0]) for index in (whole, small)
        )
        assert 0 <= reduced < large
    assert len(small.arrays["ngrams"]) < len(whole.arrays["ngrams"])
    # Its unknown word still counts in the length of the image's own caption.
    assert unknown.agreement(pooled[4], [[17, 18, 19, 2]])[0] < 0.5
    tokens = {
        int(ngram) >> 16 * place & 0xFFFF
        for ngram in unknown.arrays["ngrams"]
        for place in range(4)
    }
    assert UNKNOWN not in tokens
    assert 17 in tokens
