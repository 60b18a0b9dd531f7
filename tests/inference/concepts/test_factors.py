import numpy as np
import pytest

from inference.concepts.factors import (
    SILU_FLOOR,
    agreement,
    explained_variance,
    factorise,
    nmf,
    silu_offset,
)
from inference.progress import finish
from models.language import END, PAD
from tests.support.captioners.lstm import LstmCaptionedImage


def test_planted_components_are_found() -> None:
    random = np.random.default_rng(0)
    patterns = np.zeros((3, 30), np.float32)
    for part in range(3):
        patterns[part, 10 * part : 10 * part + 8] = random.uniform(1, 2, 8)
    weights = random.uniform(0, 1, (40, 3)).astype(np.float32) * (random.random((40, 3)) < 0.5)

    found_weights, found_patterns = finish(nmf(weights @ patterns, 3, seed=0))

    alike = np.corrcoef(np.concatenate([patterns, found_patterns]))[:3, 3:]
    order = alike.argmax(axis=1)
    assert sorted(order) == [0, 1, 2]
    assert alike.max(axis=1).min() > 0.99
    np.testing.assert_allclose(found_weights @ found_patterns, weights @ patterns, atol=0.05)
    assert not found_patterns[:, 28:].any()  # Unused channels.


def test_full_rank_factorisation_reconstructs_the_caption(subject: LstmCaptionedImage) -> None:
    found = subject.model.search(subject.grid[None]).tokens[0]
    tokens = tuple(int(token) for token in found if token != PAD)
    searched = LstmCaptionedImage(subject.model, subject.image, tokens)
    cells = subject.grid.shape[0] * subject.grid.shape[1]

    whole = finish(factorise(searched, [], cells, seed=0))

    assert whole.explained > 0.99
    assert whole.caption == subject.model.text(found)
    assert whole.agreement == 1
    assert len(whole.components) == cells
    assert all(each.map.values.min() >= 0 for each in whole.components)


def test_components_are_sorted_by_importance(subjects: list[LstmCaptionedImage]) -> None:
    subject = subjects[0]
    steps = []
    work = factorise(subject, [each.grid for each in subjects[1:]], 3, seed=0)
    while True:
        try:
            steps.append(next(work))
        except StopIteration as end:
            factors = end.value
            break

    assert len(factors.components) == 3
    assert 0 < factors.explained < 0.99
    importances = [each.importance for each in factors.components]
    assert importances == sorted(importances, reverse=True)
    assert steps == sorted(steps)
    assert 0 <= steps[0] <= steps[-1] <= 1


def test_a_caption_without_words_has_nothing_to_lose(subject: LstmCaptionedImage) -> None:
    wordless = LstmCaptionedImage(subject.model, subject.image, (END,))

    factors = finish(factorise(wordless, [], 3, seed=0))

    assert [(each.importance, each.words) for each in factors.components] == [(0.0, ())] * 3
    assert 0 < factors.explained < 1


def test_importance_is_the_loss_without_the_component(subject: LstmCaptionedImage) -> None:
    # With rank 1, the single component is the whole reconstruction.
    factors = finish(factorise(subject, [], 1, seed=0))
    (component,) = factors.components

    cells = np.maximum(subject.grid.reshape(-1, subject.grid.shape[-1]), 0)
    weights, patterns = finish(nmf(cells, 1, seed=0))
    rest = np.maximum(subject.grid - (weights @ patterns).reshape(subject.grid.shape), 0)
    log_probs = subject.model.rescore(rest[None], [subject.tokens]).log_probs[0]
    words = len(subject.words)
    losses = np.asarray(subject.rescored.log_probs)[:words] - np.asarray(log_probs)[:words]
    assert component.importance == pytest.approx(float(losses.mean()), abs=1e-4)


def test_agreement_is_the_share_of_kept_words() -> None:
    assert agreement("A dog runs on grass", "A dog runs on grass") == 1
    assert agreement("A dog runs on grass", "Two dogs run") == 0
    assert agreement("A dog runs on grass", "A dog sleeps on red grass") == pytest.approx(4 / 5)


def test_negative_grids_are_offset_if_silu_can_produce_them() -> None:
    grid = np.zeros((2, 2, 3), np.float32)
    assert silu_offset(grid) == 0
    assert silu_offset(grid - 0.27) == SILU_FLOOR
    assert silu_offset(grid - 0.3) is None


def test_constant_grid_is_fully_explained() -> None:
    assert explained_variance(np.ones((2, 2, 3), np.float32), np.ones((2, 2, 3), np.float32)) == 1
