"""The test of a map's region: its calibration where the truth is known, and its verdicts."""

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from inference.explanations.check import Check, compare_places, correct_checks
from inference.explanations.placements import Cells, is_elsewhere, placements

SIDE = 9
CHECK = Check(0.2, 0.9, 0.1, (0.3, 0.5, 0.8), 110, 144, 0.01, 1.0)


def blob(random: np.random.Generator) -> Cells:
    """The top fifth of a smooth random map, as most maps have it."""
    values = ndimage.gaussian_filter(random.normal(size=(SIDE, SIDE)), 1.5, mode="wrap")
    return np.asarray(values >= np.sort(values, axis=None)[-16])


def smooth(random: np.random.Generator) -> NDArray[np.float64]:
    """What each cell adds to a word's log-probability: an object somewhere, and noise."""
    cells = np.zeros((SIDE, SIDE))
    cells[tuple(random.integers(SIDE, size=2))] = random.uniform(5, 60)
    blurred = ndimage.gaussian_filter(cells, 1.2, mode="constant")
    return np.asarray(blurred + random.normal(0, 0.02, cells.shape))


def rough(random: np.random.Generator) -> NDArray[np.float64]:
    return np.asarray(random.exponential(size=(SIDE, SIDE)) ** 2 / 4)


def check(region: Cells, importance: NDArray[np.float64]) -> Check:
    """Check a region where blanking cells lowers the log-probability by their importance."""
    places = placements(region, 164)
    log_probs = np.array([-0.1 - importance[each].sum() for each in places])
    return compare_places(places, np.exp(log_probs), np.exp(-0.1))


@pytest.mark.parametrize(("truth", "trials"), [(smooth, 400), (rough, 150)])
def test_a_region_at_a_random_place_holds_up_as_seldom_as_stated(
    truth: Callable[[np.random.Generator], NDArray[np.float64]], trials: int
) -> None:
    random = np.random.default_rng(3)
    found = []
    for _ in range(trials):
        places = placements(blob(random), 1_000)
        chosen = check(places[random.integers(len(places))], truth(random))
        if chosen.p is not None:
            found.append(chosen.p)

    assert len(found) > 0.9 * trials
    # Uniform: within 3.5 standard errors at each level.
    for level in (0.02, 0.05, 0.1, 0.3, 0.5, 0.8):
        error = np.sqrt(level * (1 - level) / len(found))
        assert np.mean(np.array(found) <= level) == pytest.approx(level, abs=3.5 * error)


def test_p_is_the_share_of_places_that_stand_out_as_much() -> None:
    random = np.random.default_rng(5)
    places = placements(blob(random), 164)
    probs = random.uniform(0.001, 0.9, len(places))
    result = compare_places(places, probs, 0.95)

    scores: list[float] = []
    for one in places:
        others = [
            np.log(prob)
            for other, prob in zip(places, probs, strict=True)
            if (one & other).sum() <= 4
        ]
        scores.append((np.log(probs[len(scores)]) - np.mean(others)) / np.std(others))
    elsewhere = probs[is_elsewhere(places)[0]]
    assert result.p == pytest.approx(np.mean(np.array(scores) <= scores[0]), abs=0.008)
    assert result.elsewhere == pytest.approx(
        (elsewhere.min(), np.median(elsewhere), elsewhere.max()), abs=1e-4
    )
    assert (result.regions, result.places) == (len(elsewhere), len(places))
    assert result.regions >= 40


def test_what_matters_holds_up_and_what_does_not_fails() -> None:
    random = np.random.default_rng(0)
    region = np.zeros((SIDE, SIDE), bool)
    region[1:5, 2:6] = True
    matters = 0.3 * region + random.uniform(0, 0.02, region.shape)

    good = check(region, matters)
    assert good.verdict == "holds up"
    assert good.p is not None
    assert good.p < 0.05
    assert check(np.roll(region, (4, 0), (0, 1)), matters).verdict == "fails"
    # A word that nothing changes says nothing about its map.
    flat = compare_places(placements(region, 164), np.full(72, 0.4), 0.4)
    assert (flat.p, flat.verdict) == (1.0, "fails")


def test_a_word_that_gains_does_not_hold_up() -> None:
    assert CHECK.verdict == "holds up"
    assert replace(CHECK, blanked=0.9).verdict == "cannot tell"
    assert replace(CHECK, p=0.05).verdict == "holds up"
    assert replace(CHECK, p=0.051).verdict == "cannot tell"
    assert replace(CHECK, p=0.7, p_fails=0.05).verdict == "fails"


@pytest.mark.parametrize("rows", [1, 2])
def test_without_other_regions_a_map_cannot_be_checked(rows: int) -> None:
    region = np.zeros((rows, 9), bool)
    region[:, :5] = True
    places = placements(region, 164)

    result = compare_places(places, np.linspace(0.1, 0.9, len(places)), 0.95)

    assert (result.verdict, result.p, result.elsewhere) == ("cannot be checked", None, None)
    assert correct_checks({3: result, 4: CHECK}) == {3: result, 4: CHECK}
    assert Check.from_json(json.loads(json.dumps(result.to_json(), allow_nan=False))) == result


def test_words_that_are_checked_together_are_corrected() -> None:
    p = {0: 0.03, 4: 0.01, 7: 0.5}
    checks = {key: replace(CHECK, p=each, p_fails=1 - each) for key, each in p.items()}

    corrected = correct_checks(checks)

    assert {key: each.p for key, each in corrected.items()} == {0: 0.06, 4: 0.03, 7: 0.5}
    assert {each.p_fails for each in corrected.values()} == {1.0}
    assert [each.verdict for each in corrected.values()] == [
        "cannot tell",
        "holds up",
        "cannot tell",
    ]
    assert correct_checks({}) == {}


def test_check_survives_json() -> None:
    values = json.loads(json.dumps(CHECK.to_json(), allow_nan=False))

    assert values["verdict"] == "holds up"
    assert Check.from_json(values) == CHECK
