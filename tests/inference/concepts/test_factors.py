import numpy as np
import pytest

from inference.concepts.factors import SILU_FLOOR, agreement, explained, factorise, lifted, nmf
from inference.explanations.subject import Subject
from inference.progress import finish
from models.language.vocabulary import PAD


def test_planted_parts_are_recovered() -> None:
    random = np.random.default_rng(0)
    looks = np.zeros((3, 30), np.float32)
    for part in range(3):
        looks[part, 10 * part : 10 * part + 8] = random.uniform(1, 2, 8)
    amounts = random.uniform(0, 1, (40, 3)).astype(np.float32) * (random.random((40, 3)) < 0.5)

    found, shapes = finish(nmf(amounts @ looks, 3, seed=0))

    alike = np.corrcoef(np.concatenate([looks, shapes]))[:3, 3:]
    order = alike.argmax(axis=1)
    assert sorted(order) == [0, 1, 2]
    assert alike.max(axis=1).min() > 0.99
    np.testing.assert_allclose(found @ shapes, amounts @ looks, atol=0.05)
    assert not shapes[:, 28:].any()  # Channels that no cell uses.


def test_all_parts_together_are_the_grid_and_say_the_caption(subject: Subject) -> None:
    found = subject.model.search(subject.grid[None]).tokens[0]
    tokens = tuple(int(token) for token in found if token != PAD)
    said = Subject(subject.model, subject.image, tokens)
    cells = subject.grid.shape[0] * subject.grid.shape[1]

    whole = finish(factorise(said, [], cells, seed=0))

    assert whole.explained > 0.99
    assert whole.caption == subject.model.text(found)
    assert whole.agreement == 1
    assert len(whole.components) == cells
    assert all(each.map.values.min() >= 0 for each in whole.components)


def test_fewer_parts_explain_less_and_come_by_importance(subjects: list[Subject]) -> None:
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


def test_importance_is_what_the_words_lose_without_the_part(subject: Subject) -> None:
    # One part is all of the grid that is made: what is left has nothing of it.
    factors = finish(factorise(subject, [], 1, seed=0))
    (part,) = factors.components

    cells = np.maximum(subject.grid.reshape(-1, subject.grid.shape[-1]), 0)
    amounts, looks = finish(nmf(cells, 1, seed=0))
    rest = np.maximum(subject.grid - (amounts @ looks).reshape(subject.grid.shape), 0)
    told = subject.model.retell(rest[None], [subject.tokens]).log_probs[0]
    words = len(subject.words)
    lost = np.asarray(subject.told.log_probs)[:words] - np.asarray(told)[:words]
    assert part.importance == pytest.approx(float(lost.mean()), abs=1e-4)


def test_agreement_is_the_share_of_words_that_are_said_again() -> None:
    assert agreement("A dog runs on grass", "A dog runs on grass") == 1
    assert agreement("A dog runs on grass", "Two dogs run") == 0
    assert agreement("A dog runs on grass", "A dog sleeps on red grass") == pytest.approx(4 / 5)


def test_grids_below_zero_are_lifted_if_silu_made_them_and_refused_otherwise() -> None:
    grid = np.zeros((2, 2, 3), np.float32)
    assert lifted(grid) == 0
    assert lifted(grid - 0.27) == SILU_FLOOR
    with pytest.raises(ValueError, match="only grids after ReLU"):
        lifted(grid - 0.3)


def test_a_picture_of_one_kind_of_cell_is_explained() -> None:
    assert explained(np.ones((2, 2, 3), np.float32), np.ones((2, 2, 3), np.float32)) == 1
