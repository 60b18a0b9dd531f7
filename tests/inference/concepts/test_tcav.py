from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binom, binomtest

from inference.concepts.tcav import (
    concept_direction,
    group_scenes,
    mean_per_scene,
    run_tcav,
)
from inference.concepts.verdicts import TcavFigures, verdicts
from inference.progress import finish

CHANNELS, SCENES, PATCHES, MEMBERS = 64, 60, 400, 40


class World:
    """Patches of correlated channels with heavy tails, and a word that depends on a direction.

    The first `MEMBERS` patches are those of a concept.
    """

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        spread = np.exp(-np.arange(CHANNELS) / 16)
        self.mixing = self.rng.normal(size=(CHANNELS, CHANNELS)) * spread
        self.patches = self.rng.standard_t(5, (PATCHES, CHANNELS)) @ self.mixing.T + 1
        self.dependence = self.rng.normal(size=CHANNELS)

    def plant(self, direction: NDArray[np.float64]) -> None:
        """Make the concept's patches similar: as far from the rest as the patches vary."""
        length = np.sqrt((self.patches.std(axis=0) ** 2).sum()) / np.linalg.norm(direction)
        self.patches[:MEMBERS] += length * direction

    def test(self, draws: int = 199) -> TcavFigures:
        """Test the concept."""
        # Scenes share as much as they differ, as with the shipped captioner.
        gradients = self.dependence + self.rng.normal(size=(SCENES, CHANNELS))
        work = run_tcav(
            gradients.astype(np.float32),
            self.patches.astype(np.float32),
            [np.arange(MEMBERS)],
            self.rng,
            draws,
            random_runs=0,
        )
        return finish(work).results[0]


@pytest.mark.parametrize("similar", [False, True])
def test_random_concepts_keep_the_significance_level(similar: bool) -> None:
    """Random sets of patches, and similar patches in a direction that is random among them."""
    p = []
    for seed in range(80):
        world = World(seed)
        if similar:
            world.plant(world.mixing @ world.rng.normal(size=CHANNELS))
        p.append(world.test().p)

    for level in (0.05, 0.2):
        assert np.count_nonzero(np.array(p) <= level) <= binom.ppf(0.999, len(p), level)


@pytest.mark.parametrize(("sign", "verdict"), [(1, "supports"), (-1, "opposes")])
def test_concepts_that_matter_are_found(sign: int, verdict: str) -> None:
    found = []
    for seed in range(10):
        world = World(seed)
        world.plant(sign * world.dependence)
        found += [world.test(draws=999)]

    assert sum(each.verdict == verdict for each in verdicts(found)) >= 9
    assert all(sign * each.effect > 2.5 for each in found)
    assert np.mean([each.tcav for each in found]) == pytest.approx((1 + sign) / 2, abs=0.05)


def test_p_is_that_of_all_sets_of_patches() -> None:
    rng = np.random.default_rng(1)
    patches = rng.standard_t(4, (11, 5)).astype(np.float32)
    gradients = (rng.normal(size=5) + 0.2 * rng.normal(size=(50, 5))).astype(np.float32)
    concepts = [np.array([0, 4, 7]), np.array([1, 2, 3, 9])]

    work = run_tcav(gradients, patches, concepts, rng, 20_000, random_runs=0)

    for concept, found in zip(concepts, finish(work).results, strict=True):
        effects = {}
        for members in combinations(range(11), len(concept)):
            difference = patches[list(members)].mean(axis=0) - patches.mean(axis=0)
            effects[members] = gradients.mean(axis=0) @ difference / np.linalg.norm(difference)
        sizes = np.abs(list(effects.values()))
        own = effects[tuple(concept)]
        derivatives = gradients @ concept_direction(patches, concept)
        positive = np.count_nonzero(derivatives > 0)
        signs = binomtest(positive, 50).pvalue
        exact = max(np.mean(sizes >= abs(own) - 1e-6), signs)
        assert found.tcav == positive / 50
        assert found.effect == pytest.approx(own / np.sqrt(np.mean(sizes**2)), rel=0.02)
        assert found.p == pytest.approx(exact, abs=0.015)


def test_false_positive_rate_of_the_corrected_tests_is_measured() -> None:
    rates = []
    for seed in range(5):
        world = World(seed)
        gradients = world.dependence + world.rng.normal(size=(SCENES, CHANNELS))
        work = run_tcav(
            gradients.astype(np.float32),
            world.patches.astype(np.float32),
            [np.arange(MEMBERS), np.arange(100, 112)],
            world.rng,
            1000,
            random_runs=400,
        )
        rates.append(finish(work).false_positives)

    assert all(each and (each.runs, each.concepts) == (400, 800) for each in rates)
    false = sum(each.false_runs for each in rates if each)
    # The sign test makes the rate lower than the level, but not by much.
    assert binom.ppf(0.001, 2000, 0.03) <= false <= binom.ppf(0.999, 2000, 0.05)


def test_scenes_that_disagree_with_their_mean_show_nothing() -> None:
    """A few scenes of large derivatives are not most scenes."""
    world = World(0)
    world.plant(world.dependence)
    gradients = np.outer(np.where(np.arange(SCENES) < 15, 10, -1), world.dependence)

    work = run_tcav(
        gradients.astype(np.float32),
        world.patches.astype(np.float32),
        [np.arange(MEMBERS)],
        world.rng,
        199,
        random_runs=0,
    )

    (found,) = finish(work).results
    assert found.effect > 2.5
    assert (found.tcav, found.p) == (0.25, 1)


def test_directions_lead_from_all_patches_to_the_concepts() -> None:
    patches = np.random.default_rng(2).normal(5, 1, (50, 8)).astype(np.float32)
    patches[3:9, 6] += 4

    found = concept_direction(patches, np.arange(3, 9))

    others = np.delete(patches, np.arange(3, 9), axis=0).mean(axis=0)
    difference = patches[3:9].mean(axis=0) - others
    np.testing.assert_allclose(found, difference / np.linalg.norm(difference), atol=1e-5)
    assert found.argmax() == 6
    assert np.isfinite(concept_direction(np.ones((5, 8), np.float32), np.arange(2))).all()


def test_patches_that_are_alike_have_no_effect() -> None:
    alike = np.ones((20, 8), np.float32)
    work = run_tcav(alike[:, :8], alike, [np.arange(12)], np.random.default_rng(0), 99, 0)

    (found,) = finish(work).results

    assert found.p == 1
    assert np.isfinite(found.effect)


def test_word_without_concepts_has_no_results() -> None:
    patches = np.ones((20, 8), np.float32)

    found = finish(run_tcav(patches, patches, [], np.random.default_rng(0)))

    assert found.results == ()
    assert found.false_positives is None


def test_similar_frames_are_one_scene() -> None:
    rng = np.random.default_rng(0)
    views = rng.random((3, 1280)) ** 4
    frames = [
        (views[view] * rng.normal(1, 0.05, 1280)).astype(np.float16)
        for view in (0, 0, 1, 1, 1, 0, 2)
    ]

    labels = group_scenes(frames)

    # A view that the video cuts back to is not a new scene.
    assert labels.tolist() == [0, 0, 1, 1, 1, 0, 2]


def test_slowly_changing_view_is_one_scene() -> None:
    one, other = np.random.default_rng(1).random((2, 1280)) ** 4
    frames = [
        (one * (1 - share) + other * share).astype(np.float16) for share in np.linspace(0, 1, 9)
    ]

    assert set(group_scenes(frames)) == {0}
    assert len(set(group_scenes([frames[0], frames[-1]]))) == 2


def test_gradients_are_averaged_per_scene() -> None:
    gradients = np.array([[1, 0], [3, 2], [5, 5]], np.float32)

    found = mean_per_scene(gradients, np.array([7, 7, 2], np.int32))

    np.testing.assert_array_equal(found, [[5, 5], [2, 1]])
