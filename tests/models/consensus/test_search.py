"""Tests of the choice among the captions of a beam, against a plain search and agreement."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from models.captioner.beam_search import BeamCaption, BeamConfig
from models.captioner.decoder import Decoder
from models.consensus.index import Consensus, ConsensusConfig
from models.consensus.search import CaptionSearch, with_agreement
from models.language import END, PAD
from tests.models.conftest import CHANNELS, WORDS, MakeDecoder, random_grids
from tests.support.oracle.numpy_decoder import NumpyDecoder
from tests.support.oracle.plain_beam_search import plain_beam_search
from tests.support.oracle.plain_consensus import plain_agreement

BEAM = BeamConfig(width=4, max_length=6)
CONFIG = ConsensusConfig(neighbours=3, sharpness=4.0, weight=20.0)
GRIDS = random_grids(8, seed=1)
IMAGES = 12


def training_images() -> tuple[NDArray[np.float32], list[list[list[int]]]]:
    """Return features of images, and captions of random words."""
    random = np.random.default_rng(2)
    captions = [
        [[*random.integers(END + 2, len(WORDS), 5).tolist(), END] for _ in range(2)]
        for _ in range(IMAGES)
    ]
    return random_grids(IMAGES, seed=3).mean(axis=(1, 2)), captions


@pytest.fixture(scope="module")
def consensus() -> Consensus:
    pooled, captions = training_images()
    return Consensus.fit(pooled, captions, CONFIG, dimensions=CHANNELS, minimum_images=1)


def plain_choice(
    decoder: Decoder, grid: NDArray[np.float32]
) -> tuple[list[list[int]], list[float]]:
    """Return the beam's captions, best first by search and agreement, and their sums."""
    pooled, captions = training_images()
    beam = plain_beam_search(NumpyDecoder(decoder, grid), BEAM)
    query = grid.mean(axis=(0, 1))
    sums = [
        each.rank(BEAM.length_power)
        + CONFIG.weight
        * plain_agreement(pooled, captions, query, each.tokens, CONFIG.neighbours, CONFIG.sharpness)
        for each in beam
    ]
    order = sorted(range(len(beam)), key=lambda index: -sums[index])
    return [beam[index].tokens for index in order], [sums[index] for index in order]


def row(captions: BeamCaption, index: int) -> BeamCaption:
    return BeamCaption(*(part[index] for part in captions))


def words(tokens: Sequence[int]) -> list[int]:
    return [int(token) for token in tokens if token != PAD]


def test_the_caption_has_the_highest_sum_of_score_and_agreement(
    make_decoder: MakeDecoder, consensus: Consensus
) -> None:
    decoder = make_decoder(seed=5)
    first = CaptionSearch(decoder, BEAM)(GRIDS)

    found = CaptionSearch(decoder, BEAM, consensus)(GRIDS)

    changed = 0
    for index, grid in enumerate(GRIDS):
        expected, sums = plain_choice(decoder, grid)
        each = row(found, index)
        ranking = each.ranking()
        assert [words(each.beam[place]) for place in ranking] == expected
        assert words(each.tokens) == expected[0]
        np.testing.assert_allclose((each.scores + each.agreement)[ranking], sums, atol=0.05)
        # Scores, probabilities and hidden states are those of the chosen caption.
        is_word = each.tokens != PAD
        mean = each.search_log_probs[is_word].sum() / is_word.sum() ** BEAM.length_power
        assert mean == pytest.approx(each.scores[ranking[0]], abs=1e-3)
        assert words(row(first, index).tokens) == words(each.beam[0])
        changed += ranking[0] != 0
    assert 0 < changed < len(GRIDS)


def test_without_a_consensus_the_caption_is_the_searchs_first(make_decoder: MakeDecoder) -> None:
    decoder = make_decoder(seed=5)

    found = CaptionSearch(decoder, BEAM)(GRIDS)

    for index, grid in enumerate(GRIDS):
        beam = plain_beam_search(NumpyDecoder(decoder, grid), BEAM)
        each = row(found, index)
        assert [words(each.beam[place]) for place in each.ranking()] == [b.tokens for b in beam]
        assert words(each.tokens) == beam[0].tokens
        assert not each.agreement.any()


def test_images_together_and_alone_get_the_same_choice(
    make_decoder: MakeDecoder, consensus: Consensus
) -> None:
    search = CaptionSearch(make_decoder(seed=5), BEAM, consensus)

    together = search(GRIDS)

    for index, grid in enumerate(GRIDS):
        alone = search(grid[None])
        np.testing.assert_array_equal(alone.tokens[0], together.tokens[index])
        np.testing.assert_allclose(alone.agreement[0], together.agreement[index], rtol=1e-4)


def test_places_of_the_beam_that_no_caption_fills_are_not_chosen(
    make_decoder: MakeDecoder, consensus: Consensus
) -> None:
    # Captions of one word: fewer than the beam is wide.
    wide = BeamConfig(width=12, max_length=1)

    found = CaptionSearch(make_decoder(seed=5), wide, consensus)(GRIDS[:2])

    for index in range(2):
        each = row(found, index)
        assert 1 < len(each.ranking()) < 12
        assert each.scores[each.ranking()].min() > -100


def test_the_agreement_of_a_given_caption_is_that_of_the_search(
    make_decoder: MakeDecoder, consensus: Consensus
) -> None:
    found = CaptionSearch(make_decoder(seed=5), BEAM, consensus)(GRIDS)
    given = found._replace(beam=found.tokens[:, None], agreement=np.zeros((len(GRIDS), 1)))

    again = with_agreement(given, GRIDS, consensus).agreement

    best = [row(found, index).ranking()[0] for index in range(len(GRIDS))]
    np.testing.assert_allclose(again[:, 0], found.agreement[np.arange(len(GRIDS)), best])
