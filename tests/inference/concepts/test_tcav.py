from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binom

from inference.concepts.tcav import LEVEL, Cavs, examine, holm, random_sets, verdicts
from inference.concepts.tcav import Tested as Found
from inference.progress import finish

CHANNELS, SCENES = 32, 60


class World:
    """Patches of correlated channels, and a word that leans on one direction of them."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.mixing = self.rng.normal(size=(CHANNELS, CHANNELS)) / np.sqrt(CHANNELS)
        self.leaning = self.rng.normal(size=CHANNELS)

    def patches(self, count: int) -> NDArray[np.float32]:
        """So many at random, [count, CHANNELS]."""
        return np.asarray(self.rng.normal(size=(count, CHANNELS)) @ self.mixing + 1, np.float32)

    def tested(self, concept: NDArray[np.float32], draws: int = 199) -> Found:
        """Put a concept to the test."""
        # What scenes have in common is as large as what they do not: as of the shipped captioner.
        slopes = self.leaning + self.rng.normal(size=(SCENES, CHANNELS))
        sets, others = random_sets(self.patches(100)), self.patches(100)
        return finish(examine(slopes.astype(np.float32), concept, others, sets, self.rng, draws))


def test_random_concepts_are_taken_for_concepts_as_rarely_as_stated() -> None:
    worlds = [World(seed) for seed in range(120)]
    p = np.array([world.tested(world.patches(40)).p for world in worlds])

    for level in (0.05, 0.2):
        most = binom.ppf(0.999, len(p), level)
        assert np.count_nonzero(p <= level) <= most


@pytest.mark.parametrize(("sign", "verdict"), [(1, "supports"), (-1, "opposes")])
def test_planted_concepts_are_recovered(sign: int, verdict: str) -> None:
    found, tested = [], []
    for seed in range(10):
        world = World(seed)
        # Where the vector is to point once the channels' correlations are taken off.
        planted = world.mixing.T @ world.mixing @ world.leaning / np.linalg.norm(world.leaning)
        concept = world.patches(40) + np.float32(4 * sign) * planted.astype(np.float32)
        tested.append(world.tested(concept, draws=999))
        found += [each.verdict for each in verdicts(tested[-1:])]

    assert sum(each == verdict for each in found) >= 9
    assert np.mean([each.tcav for each in tested]) == pytest.approx((1 + sign) / 2, abs=0.1)
    assert np.mean([each.tcav_random for each in tested]) == pytest.approx(0.5, abs=0.15)


def test_a_concept_that_scenes_differ_about_has_no_effect() -> None:
    world = World(0)
    world.leaning[:] = 0
    concept = world.patches(40) + 3 * np.eye(CHANNELS, dtype=np.float32)[0]

    tested = world.tested(concept)

    assert tested.p > LEVEL
    assert tested.tcav == pytest.approx(0.5, abs=0.2)


def some(p: float, scenes: int = 40, accuracy: float = 0.9, tcav: float = 1.0) -> Found:
    return Found(Cavs(np.ones((2, 3), np.float32), accuracy), tcav, 0.5, p, scenes)


def test_below_40_scenes_there_is_not_enough_evidence() -> None:
    few, enough = verdicts([some(0.0001, scenes=39), some(0.0001)])

    assert (few.verdict, few.p, few.scenes) == ("not enough evidence", None, 39)
    assert enough.verdict == "supports"


def test_a_concept_that_is_not_told_from_random_patches_has_no_evidence() -> None:
    (found,) = verdicts([some(0.0001, accuracy=0.6)])

    assert found.verdict == "not enough evidence"
    assert found.p is None


def test_verdicts_are_corrected_for_the_tests_of_the_run_and_no_others() -> None:
    tests = [some(0.02), some(0.03, tcav=0.0)]

    assert [each.verdict for each in verdicts(tests)] == ["supports", "opposes"]
    assert [each.p for each in verdicts(tests)] == pytest.approx([0.04, 0.04])
    assert {each.verdict for each in verdicts([*tests, some(0.9)])} == {"no effect"}
    no_tests = [replace(some(0.0001), scenes=39)] * 20
    assert [each.p for each in verdicts([*no_tests, *tests])][20:] == pytest.approx([0.04, 0.04])


def test_p_is_corrected_after_holm() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1, 1]
    assert holm([]) == []
