"""Concepts and components of a captioner with sub-words, a class token and values of both signs."""

import numpy as np
import pytest

from inference.concepts import ConceptParams
from inference.concepts.analysis import analyse
from inference.concepts.discovery import DiscoveryParams, discover
from inference.concepts.factors import factorise
from inference.concepts.tcav import logit_gradient
from inference.explanations.captioned_image import CaptionedImage
from inference.progress import finish
from tests.inference.conftest import photographs
from tests.support.captioners.subwords import COLUMNS, PIECES, ROWS, SIDE, SubwordCaptionModel
from tests.support.oracle.plain_subwords import log_probs, next_logits

CAPTION = tuple(map(PIECES.index, ("a", "snow", "##board", "##er", "'", "s", "dog", "[END]")))
PLACES = [(0, 1), (1, 4), (4, 6), (6, 7)]


@pytest.fixture(scope="module")
def model() -> SubwordCaptionModel:
    return SubwordCaptionModel()


@pytest.fixture(scope="module")
def subject(model: SubwordCaptionModel) -> CaptionedImage:
    return CaptionedImage(model, photographs(SIDE)[4], CAPTION)


def test_cells_of_both_signs_are_factorised(
    model: SubwordCaptionModel, subject: CaptionedImage
) -> None:
    assert subject.cells.min() < -0.3

    whole = finish(factorise(subject, [], ROWS * COLUMNS, seed=0))

    assert whole.explained > 0.99
    assert whole.caption == model.text(CAPTION)
    assert all(each.map.values.shape == (ROWS, COLUMNS) for each in whole.components)
    assert all(each.map.values.min() >= 0 for each in whole.components)


def test_importance_is_the_words_loss_without_the_component(
    model: SubwordCaptionModel, subject: CaptionedImage
) -> None:
    (component,) = finish(factorise(subject, [], 1, seed=0)).components

    # NMF of rank 1 of the positive and the negative part, by alternating least squares.
    cells = subject.cells.reshape(ROWS * COLUMNS, -1).astype(np.float64)
    split = np.concatenate([np.maximum(cells, 0), np.maximum(-cells, 0)], axis=1)
    pattern = split.mean(axis=0)
    for _ in range(200):
        weights = split @ pattern / (pattern @ pattern)
        pattern = weights @ split / (weights @ weights)
    positive, negative = np.split(pattern, 2)
    rest = cells - np.outer(weights, positive - negative)
    without = np.concatenate([subject.grid[:1], rest])
    losses = [
        (log_probs(model, subject.grid, CAPTION) - log_probs(model, without, CAPTION))[a:b].sum()
        for a, b in PLACES
    ]
    assert component.importance == pytest.approx(np.mean(losses), rel=0.05, abs=0.01)


def test_the_gradient_of_a_word_is_that_of_its_tokens_at_the_cells(
    model: SubwordCaptionModel, subject: CaptionedImage
) -> None:
    given = logit_gradient(model, subject.grid, CAPTION, 1)

    def z(change: np.ndarray) -> float:
        moved = subject.grid.astype(np.float64)
        moved[1:] += change / (ROWS * COLUMNS)
        logits = next_logits(model, moved, CAPTION)
        return float(sum(logits[place, CAPTION[place]] for place in range(1, 4)))

    step = 1e-4 * np.eye(len(given))
    expected = [(z(each) - z(-each)) / 2e-4 for each in step]
    np.testing.assert_allclose(given, expected, rtol=1e-3, atol=1e-4)


def test_concepts_of_a_word_of_several_tokens_are_discovered(model: SubwordCaptionModel) -> None:
    images = list(photographs(SIDE))
    captions = [model.caption(image).text for image in images]
    params = DiscoveryParams(clusters=3, random_concepts=19)

    found = finish(discover(model, images, "snowboarder", params, video=True))

    assert found.matching == sum("snowboarder" in caption for caption in captions) > 0
    assert found.patches > 0
    assert all(
        each.direction.shape == (model.cells(model.encode(images)).shape[-1],)
        for each in found.concepts
    )


def test_a_captioner_without_a_bank_says_so_and_is_still_factorised(
    model: SubwordCaptionModel, subject: CaptionedImage
) -> None:
    findings = finish(analyse(model, subject.image, CAPTION, ConceptParams(rank=2)))

    assert [word.text for word in findings.words] == ["snowboarder", "dog"]
    assert "has no concept bank" in findings.notes[0]
    assert findings.factors
    assert len(findings.factors.components) == 2
