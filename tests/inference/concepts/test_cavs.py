import numpy as np
import pytest
from sklearn.covariance import LedoitWolf

from inference.concepts.tcav import RandomSets, cavs, random_sets, shrunk


def test_the_covariance_is_that_of_ledoit_and_wolf() -> None:
    points = np.random.default_rng(0).normal(2, [1, 2, 3, 4, 5, 6] * 5, (20, 30))
    vectors = np.random.default_rng(1).normal(size=(3, 30))

    found = shrunk(points.astype(np.float32)).solve(vectors.astype(np.float32))

    np.testing.assert_allclose(found, vectors @ LedoitWolf().fit(points).precision_, rtol=1e-3)


def test_vectors_point_from_random_patches_to_the_concept() -> None:
    rng = np.random.default_rng(2)
    patches = rng.normal(size=(500, 16)).astype(np.float32)
    concept = patches[:40] + 3 * np.eye(16, dtype=np.float32)[5]

    found = cavs(concept, patches[300:], random_sets(patches[40:300]))

    assert found.vectors.shape == (20, 16)
    assert np.linalg.norm(found.direction) == pytest.approx(1)
    assert found.direction.argmax() == 5
    assert found.accuracy > 0.85


def test_random_patches_are_told_from_others_as_by_chance() -> None:
    """Each is left out when it is told: else so many channels would tell all of them."""
    rng = np.random.default_rng(3)
    accuracies = []
    for _ in range(10):
        patches = rng.normal(size=(400, 200)).astype(np.float32)
        accuracies.append(cavs(patches[:40], patches[240:], random_sets(patches[40:240])).accuracy)
    assert np.mean(accuracies) == pytest.approx(0.5, abs=0.04)


def test_the_accuracy_is_that_of_classifiers_that_were_fitted_without_the_patch() -> None:
    rng = np.random.default_rng(4)
    concept, others, drawn = (
        rng.normal(mean, 1, (size, 6)).astype(np.float32)
        for mean, size in ((0.6, 9), (0, 30), (0, 60))
    )
    sets = random_sets(drawn)
    rights = []
    for place in range(len(concept)):
        rest = np.delete(concept, place, axis=0).mean(axis=0)
        middles = (rest + sets.means) / 2
        vectors = sets.covariance.solve(rest - sets.means)
        rights.append((((concept[place] - middles) * vectors).sum(axis=1) > 0).mean())
    mean = concept.mean(axis=0)
    vectors = sets.covariance.solve(mean - sets.means)
    away = ((others[:, None] - (mean + sets.means) / 2) * vectors).sum(axis=2) < 0

    assert cavs(concept, others, sets).accuracy == pytest.approx(
        (np.mean(rights) + away.mean()) / 2
    )


def test_channels_that_never_answer_do_no_harm() -> None:
    sets = random_sets(np.zeros((40, 8), np.float32))
    concept = np.zeros((5, 8), np.float32)
    assert isinstance(sets, RandomSets)
    assert np.isfinite(cavs(concept, concept, sets).direction).all()


def test_too_few_patches_for_the_sets_are_refused() -> None:
    with pytest.raises(ValueError, match="20 random sets need 40 patches, not 39"):
        random_sets(np.zeros((39, 8), np.float32))
