"""Tests of the reward, against `pycocoevalcap`'s CIDEr-D."""

import numpy as np
import pytest
from pycocoevalcap.cider.cider import Cider

from models.language.vocabulary import END, PAD
from models.training.self_critical import CiderD, trim

Captions = list[list[int]]


@pytest.fixture
def references() -> list[Captions]:
    """Five captions each of twelve pictures: words 4..40, the frequent ones more frequent."""
    random = np.random.default_rng(3)

    def caption() -> list[int]:
        return [*(4 + random.geometric(0.12, random.integers(4, 12)) % 37).tolist(), END]

    return [[caption() for _ in range(5)] for _ in range(12)]


def oracle(references: list[Captions], said: Captions) -> list[float]:
    def text(tokens: list[int]) -> str:
        return " ".join(map(str, tokens))

    _, scores = Cider().compute_score(
        {i: [text(caption) for caption in captions] for i, captions in enumerate(references)},
        {i: [text(caption)] for i, caption in enumerate(said)},
    )
    return list(map(float, scores))


def test_scores_are_those_of_the_published_metric(references: list[Captions]) -> None:
    random = np.random.default_rng(4)
    said = [[*captions[0][:-1][: random.integers(2, 9)], 7, END] for captions in references]

    cider = CiderD(references)

    found = [cider.score(picture, caption) for picture, caption in enumerate(said)]
    assert found == pytest.approx(oracle(references, said), abs=1e-6)
    assert max(found) > 0.5


def test_words_that_no_reference_has_are_the_rarest(references: list[Captions]) -> None:
    said = [[*captions[0][:-1], 99, 98, END] for captions in references]

    cider = CiderD(references)

    found = [cider.score(picture, caption) for picture, caption in enumerate(said)]
    assert found == pytest.approx(oracle(references, said), abs=1e-6)


def test_what_follows_the_end_does_not_count(references: list[Captions]) -> None:
    caption = references[0][0]
    padded = np.array(
        [[(caption + tail)[:16] + [PAD] * (16 - len(caption + tail)) for tail in ([9, 9], [])]],
        np.int32,
    )

    scores = CiderD(references).scores([0], padded)

    assert scores.shape == (1, 2)
    assert scores[0, 0] == scores[0, 1] > 0
    assert trim([5, END, 6]) == [5, END]
    assert trim([5, PAD, 6]) == [5]


def test_caption_that_breaks_off_is_worth_less_than_the_whole(references: list[Captions]) -> None:
    cider = CiderD(references)
    whole = references[2][1]

    assert cider.score(2, whole) > cider.score(2, whole[:-1])
