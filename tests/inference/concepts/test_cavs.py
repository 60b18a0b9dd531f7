import numpy as np
import pytest
from sklearn.covariance import LedoitWolf

from inference.concepts.tcav import RandomSets, fit_cavs, make_random_sets, shrunk_covariance


def test_covariance_matches_scikit_learn() -> None:
    points = np.random.default_rng(0).normal(2, [1, 2, 3, 4, 5, 6] * 5, (20, 30))
    vectors = np.random.default_rng(1).normal(size=(3, 30))

    found = shrunk_covariance(points.astype(np.float32)).solve(vectors.astype(np.float32))

    np.testing.assert_allclose(found, vectors @ LedoitWolf().fit(points).precision_, rtol=1e-3)


def test_vectors_point_to_the_concept() -> None:
    rng = np.random.default_rng(2)
    patches = rng.normal(size=(500, 16)).astype(np.float32)
    concept = patches[:40] + 3 * np.eye(16, dtype=np.float32)[5]

    found = fit_cavs(concept, patches[300:], make_random_sets(patches[40:300]))

    assert found.vectors.shape == (20, 16)
    assert np.linalg.norm(found.direction) == pytest.approx(1)
    assert found.direction.argmax() == 5
    assert found.accuracy > 0.85


def test_accuracy_of_random_patches_is_chance() -> None:
    """Leave-one-out accuracy: otherwise this many channels would separate any patches."""
    rng = np.random.default_rng(3)
    accuracies = []
    for _ in range(10):
        patches = rng.normal(size=(400, 200)).astype(np.float32)
        accuracies.append(
            fit_cavs(patches[:40], patches[240:], make_random_sets(patches[40:240])).accuracy
        )
    assert np.mean(accuracies) == pytest.approx(0.5, abs=0.04)


def test_accuracy_matches_explicit_leave_one_out() -> None:
    rng = np.random.default_rng(4)
    concept, others, drawn = (
        rng.normal(mean, 1, (size, 6)).astype(np.float32)
        for mean, size in ((0.6, 9), (0, 30), (0, 60))
    )
    sets = make_random_sets(drawn)
    correct = []
    for place in range(len(concept)):
        rest = np.delete(concept, place, axis=0).mean(axis=0)
        middles = (rest + sets.means) / 2
        vectors = sets.covariance.solve(rest - sets.means)
        correct.append((((concept[place] - middles) * vectors).sum(axis=1) > 0).mean())
    mean = concept.mean(axis=0)
    vectors = sets.covariance.solve(mean - sets.means)
    others_correct = ((others[:, None] - (mean + sets.means) / 2) * vectors).sum(axis=2) < 0

    assert fit_cavs(concept, others, sets).accuracy == pytest.approx(
        (np.mean(correct) + others_correct.mean()) / 2
    )


def test_constant_channels_give_finite_directions() -> None:
    sets = make_random_sets(np.zeros((40, 8), np.float32))
    concept = np.zeros((5, 8), np.float32)
    assert isinstance(sets, RandomSets)
    assert np.isfinite(fit_cavs(concept, concept, sets).direction).all()


def test_too_few_patches_are_refused() -> None:
    with pytest.raises(ValueError, match="20 random sets need 40 patches, not 39"):
        make_random_sets(np.zeros((39, 8), np.float32))
