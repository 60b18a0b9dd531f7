"""Tests of the fit of tags' probabilities."""

from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest

from models.calibration.confidence import logistic
from models.calibration.tag_calibration import (
    cross_validate,
    find_threshold,
    fit,
    measure,
    measure_agreement,
    silence,
    which_told,
)
from models.calibration.tags import TagCalibration, kinds

TAGS = TagCalibration(0.75, -0.5, {"cup": 0.125}, 0.25)
NAMES = [kind.name for kind in kinds()]
NOTHING = np.full((1, len(NAMES)), -30.0)
"""Evidence in a blank picture that arouses no tag."""


def planted(pictures: int, doubts: dict[str, float]) -> tuple[Any, Any]:
    """Evidence, and mentions that follow it with slope 0.7, offset -1 and these doubts."""
    random = np.random.default_rng(0)
    evidence = random.normal(-2, 3, (pictures, len(NAMES)))
    taken = np.array([doubts.get(name, 0.0) for name in NAMES])
    there = random.uniform(size=evidence.shape) < logistic(0.7 * evidence - 1 - taken)
    return evidence, there


def test_fit_finds_what_was_planted() -> None:
    calibration = fit(*planted(2000, {"dog": 2.0, "cup": 0.9}))

    assert calibration.slope == pytest.approx(0.7, rel=0.03)
    # All other tags' doubts are 0 or, by chance, a little more, which the offset makes good.
    assert calibration.offset == pytest.approx(-1, abs=0.2)
    assert calibration.doubts["dog"] == pytest.approx(2.0, abs=0.4)
    assert calibration.doubts["cup"] == pytest.approx(0.9, abs=0.3)
    others = [calibration.doubts.get(name, 0.0) for name in NAMES if name not in ("dog", "cup")]
    assert min(others) == 0 and max(others) < 0.4


def test_tag_that_is_mentioned_more_than_seen_is_not_raised() -> None:
    evidence, there = planted(500, {"dog": -3.0})
    calibration = fit(evidence, there)

    assert "dog" not in calibration.doubts
    # The doubts that are left are those that the slope and the offset were fitted with.
    assert calibration.probabilities(evidence).mean() == pytest.approx(there.mean(), rel=1e-3)


def test_few_pictures_raise_few_doubts() -> None:
    evidence, there = planted(400, {"dog": 2.0})
    some = fit(evidence, there).doubts["dog"]
    fewer = fit(evidence[:25], there[:25]).doubts.get("dog", 0.0)

    assert fewer < 0.6 * some


def test_probabilities_are_shares_on_pictures_that_were_not_fitted() -> None:
    evidence, there = planted(500, {"dog": 2.0})

    probabilities, told = cross_validate(evidence, there, NOTHING, 0.75)

    for low in np.arange(0.1, 0.9, 0.1):
        some = (probabilities >= low) & (probabilities < low + 0.1)
        assert there[some].mean() == pytest.approx(probabilities[some].mean(), abs=0.02)
    assert told.sum(axis=1).max() <= 5


def test_threshold_is_the_lowest_that_is_right_often_enough() -> None:
    probabilities = np.array([[0.9, 0.2, 0.5], [0.8, 0.7, 0.1]])
    there = np.array([[True, False, True], [False, True, False]])

    # Right from the top: 1/1, 1/2, 2/3, 3/4, 3/5, 3/6.
    assert find_threshold(probabilities, there, 0.75) == 0.5
    assert find_threshold(probabilities, there, 0.6) == 0.2
    assert find_threshold(probabilities, there, 0.76) == 0.9


def test_tags_that_are_never_right_enough_have_no_threshold() -> None:
    with pytest.raises(ValueError, match="--precision"):
        find_threshold(np.array([[0.9, 0.2]]), np.array([[False, True]]), 0.75)


def test_network_agrees_with_itself() -> None:
    scores = np.random.default_rng(0).normal(0, 3, (20, 1000))

    agreement = measure_agreement(scores, scores, TAGS)

    assert asdict(agreement) == {"same_class": 1.0, "divergence": 0.0, "same_tags": 1.0}


def test_agreement_is_that_of_a_plain_loop() -> None:
    random = np.random.default_rng(1)
    published = random.normal(0, 3, (20, 1000))
    scores = published + random.normal(0, 1, published.shape)

    agreement = measure_agreement(scores, published, TAGS)

    divergences, same = [], []
    for own, other in zip(scores, published, strict=True):
        p, q = np.exp(other) / np.exp(other).sum(), np.exp(own) / np.exp(own).sum()
        divergences.append(sum(p * np.log(p / q)))
        same.append(own.argmax() == other.argmax())
    assert agreement.divergence == pytest.approx(np.mean(divergences))
    assert agreement.same_class == np.mean(same)
    assert 0 < agreement.same_tags < 1


def test_figures_are_those_of_a_plain_loop() -> None:
    evidence, there = planted(30, {})
    probabilities = logistic(evidence - 1)
    told = probabilities > 0.9

    figures = measure(evidence, probabilities, told, there)

    bins: dict[int, list[float]] = {}
    for p, right in zip(probabilities, there, strict=True):
        for index in sorted(range(len(p)), key=lambda i: -p[i])[:5]:
            bins.setdefault(int(15 * p[index]), []).append(p[index] - right[index])
    assert figures.ece == pytest.approx(sum(abs(sum(gaps)) for gaps in bins.values()) / 150)
    losses = -np.log(np.where(there, probabilities, 1 - probabilities))
    assert figures.log_loss == pytest.approx(losses.sum() / 30)
    assert figures.brier == pytest.approx(((probabilities - there) ** 2).sum() / 30)
    assert figures.tags == told.sum() / 30
    assert figures.coverage == sum(map(any, told)) / 30
    assert figures.precision == (told & there).sum() / told.sum()
    assert figures.pictures == 30


def test_pictures_are_not_measured_with_what_was_fitted_on_them() -> None:
    evidence, there = planted(40, {})
    probabilities, told = cross_validate(evidence, there, NOTHING, 0.5)
    fitted = fit(evidence, there).probabilities(evidence)

    log_losses = [measure(evidence, p, told, there).log_loss for p in (probabilities, fitted)]

    assert log_losses[0] > 1.01 * log_losses[1]


def test_tags_are_doubted_until_blank_pictures_do_not_arouse_them() -> None:
    blank = NOTHING.repeat(2, axis=0)
    blank[0, NAMES.index("dog")] = 9.0
    blank[1, NAMES.index("cup")] = -0.5

    silenced = silence(TAGS, blank)

    assert not which_told(blank, silenced).any()
    assert which_told(blank, TAGS).sum() == 2
    assert silenced.doubts.keys() == {"dog", "cup"}
    assert silenced.doubts["cup"] > TAGS.doubts["cup"]
    assert replace(silenced, doubts=TAGS.doubts) == TAGS


def test_quiet_blank_pictures_raise_no_doubt() -> None:
    assert silence(TAGS, NOTHING) == TAGS


def test_tags_of_blank_pictures_are_not_told_in_the_measurement_either() -> None:
    evidence, there = planted(200, {})
    blank = NOTHING.copy()
    blank[0, NAMES.index("dog")] = 40.0

    _, told = cross_validate(evidence, there, blank, 0.5)

    assert told.any() and not told[:, NAMES.index("dog")].any()
    assert cross_validate(evidence, there, NOTHING, 0.5)[1][:, NAMES.index("dog")].any()
