from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binom

from inference.concepts.tcav import (
    Cavs,
    TcavResult,
    group_scenes,
    make_random_sets,
    mean_per_scene,
    run_tcav,
    verdicts,
)
from inference.progress import finish
from inference.significance import SIGNIFICANCE_LEVEL

CHANNELS, SCENES = 32, 60


class World:
    """Patches of correlated channels, and a word that depends on one direction of them."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.mixing = self.rng.normal(size=(CHANNELS, CHANNELS)) / np.sqrt(CHANNELS)
        self.dependence = self.rng.normal(size=CHANNELS)

    def patches(self, count: int) -> NDArray[np.float32]:
        """Draw random patches, [count, CHANNELS]."""
        return np.asarray(self.rng.normal(size=(count, CHANNELS)) @ self.mixing + 1, np.float32)

    def test_concept(self, concept: NDArray[np.float32], draws: int = 199) -> TcavResult:
        """Test a concept."""
        # Scenes share as much as they differ, as with the shipped captioner.
        gradients = self.dependence + self.rng.normal(size=(SCENES, CHANNELS))
        sets, others = make_random_sets(self.patches(100)), self.patches(100)
        return finish(
            run_tcav(gradients.astype(np.float32), concept, others, sets, self.rng, draws)
        )


def test_false_positives_keep_the_significance_level() -> None:
    worlds = [World(seed) for seed in range(120)]
    p = np.array([world.test_concept(world.patches(40)).p for world in worlds])

    for level in (0.05, 0.2):
        most = binom.ppf(0.999, len(p), level)
        assert np.count_nonzero(p <= level) <= most


@pytest.mark.parametrize(("sign", "verdict"), [(1, "supports"), (-1, "opposes")])
def test_planted_concepts_are_found(sign: int, verdict: str) -> None:
    found, tested = [], []
    for seed in range(10):
        world = World(seed)
        # The direction of the vector after the channels' correlations are removed.
        planted = (
            world.mixing.T @ world.mixing @ world.dependence / np.linalg.norm(world.dependence)
        )
        concept = world.patches(40) + np.float32(4 * sign) * planted.astype(np.float32)
        tested.append(world.test_concept(concept, draws=999))
        found += [each.verdict for each in verdicts(tested[-1:])]

    assert sum(each == verdict for each in found) >= 9
    assert np.mean([each.tcav for each in tested]) == pytest.approx((1 + sign) / 2, abs=0.1)
    assert np.mean([each.tcav_random for each in tested]) == pytest.approx(0.5, abs=0.15)


def test_concept_with_mixed_scenes_has_no_effect() -> None:
    world = World(0)
    world.dependence[:] = 0
    concept = world.patches(40) + 3 * np.eye(CHANNELS, dtype=np.float32)[0]

    tested = world.test_concept(concept)

    assert tested.p > SIGNIFICANCE_LEVEL
    assert tested.tcav == pytest.approx(0.5, abs=0.2)


def result(p: float, scenes: int = 40, accuracy: float = 0.9, tcav: float = 1.0) -> TcavResult:
    return TcavResult(Cavs(np.ones((2, 3), np.float32), accuracy), tcav, 0.5, p, scenes)


def test_fewer_than_40_scenes_are_not_enough_evidence() -> None:
    few, enough = verdicts([result(0.0001, scenes=39), result(0.0001)])

    assert (few.verdict, few.p, few.scenes) == ("not enough evidence", None, 39)
    assert enough.verdict == "supports"


def test_concept_close_to_random_patches_has_no_evidence() -> None:
    (found,) = verdicts([result(0.0001, accuracy=0.6)])

    assert found.verdict == "not enough evidence"
    assert found.p is None


def test_verdicts_are_corrected_for_the_tests_of_the_run_only() -> None:
    tests = [result(0.02), result(0.03, tcav=0.0)]

    assert [each.verdict for each in verdicts(tests)] == ["supports", "opposes"]
    assert [each.p for each in verdicts(tests)] == pytest.approx([0.04, 0.04])
    assert {each.verdict for each in verdicts([*tests, result(0.9)])} == {"not shown"}
    no_tests = [replace(result(0.0001), scenes=39)] * 20
    assert [each.p for each in verdicts([*no_tests, *tests])][20:] == pytest.approx([0.04, 0.04])


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
