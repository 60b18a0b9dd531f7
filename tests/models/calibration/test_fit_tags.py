"""Tests of fitting and measuring tag calibrations."""

from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest

from models.calibration.fit_tags import (
    Evidence,
    cross_validate,
    fit,
    measure,
    measure_agreement,
    shown_tags,
    suppress_on_blank,
)
from models.calibration.logistic import logistic
from models.calibration.tags import TagCalibration
from models.tag_kinds import tag_kinds

TAGS = TagCalibration(0.75, -0.5, {"cup": 0.125}, 0.25)
NAMES = [kind.name for kind in tag_kinds()]
NOTHING = np.full((1, len(NAMES)), -30.0)
"""Log-odds of a blank image that raise no penalty."""


def of_one_dataset(log_odds: Any, mentioned: Any) -> Evidence:
    return Evidence(log_odds, mentioned, np.zeros(len(log_odds), int))


def simulated(images: int, penalties: dict[str, float]) -> tuple[Any, Any]:
    """Draw log-odds, and mentions with slope 0.7, offset -1 and these penalties."""
    random = np.random.default_rng(0)
    log_odds = random.normal(-2, 3, (images, len(NAMES)))
    subtracted = np.array([penalties.get(name, 0.0) for name in NAMES])
    mentioned = random.uniform(size=log_odds.shape) < logistic(0.7 * log_odds - 1 - subtracted)
    return log_odds, mentioned


def test_fit_recovers_the_parameters() -> None:
    calibration = fit(*simulated(2000, {"dog": 2.0, "cup": 0.9}))

    assert calibration.slope == pytest.approx(0.7, rel=0.03)
    # By chance other tags' penalties may be slightly above 0, for which the offset compensates.
    assert calibration.offset == pytest.approx(-1, abs=0.2)
    assert calibration.penalties["dog"] == pytest.approx(2.0, abs=0.4)
    assert calibration.penalties["cup"] == pytest.approx(0.9, abs=0.3)
    others = [calibration.penalties.get(name, 0.0) for name in NAMES if name not in ("dog", "cup")]
    assert min(others) == 0 and max(others) < 0.4


def test_tag_that_is_mentioned_more_often_than_predicted_has_no_penalty() -> None:
    log_odds, mentioned = simulated(500, {"dog": -3.0})
    calibration = fit(log_odds, mentioned)

    assert "dog" not in calibration.penalties
    # The rounded penalties are those that the slope and the offset were fitted with.
    assert calibration.probabilities(log_odds).mean() == pytest.approx(mentioned.mean(), rel=1e-3)


def test_few_images_give_small_penalties() -> None:
    log_odds, mentioned = simulated(400, {"dog": 2.0})
    some = fit(log_odds, mentioned).penalties["dog"]
    fewer = fit(log_odds[:25], mentioned[:25]).penalties.get("dog", 0.0)

    assert fewer < 0.6 * some


def test_probabilities_are_calibrated_on_images_that_were_not_fitted() -> None:
    log_odds, mentioned = simulated(500, {"dog": 2.0})

    probabilities, shown = cross_validate(of_one_dataset(log_odds, mentioned), NOTHING, 0.75)

    for low in np.arange(0.1, 0.9, 0.1):
        some = (probabilities >= low) & (probabilities < low + 0.1)
        assert mentioned[some].mean() == pytest.approx(probabilities[some].mean(), abs=0.02)
    assert shown.sum(axis=1).max() <= 5


def test_network_agrees_with_itself() -> None:
    scores = np.random.default_rng(0).normal(0, 3, (20, 1000))

    agreement = measure_agreement(scores, scores, TAGS)

    assert asdict(agreement) == {"same_class": 1.0, "divergence": 0.0, "same_tags": 1.0}


def test_agreement_equals_that_of_a_plain_loop() -> None:
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


def test_figures_equal_those_of_a_plain_loop() -> None:
    log_odds, mentioned = simulated(30, {})
    probabilities = logistic(log_odds - 1)
    shown = probabilities > 0.9

    figures = measure(log_odds, probabilities, shown, mentioned)

    bins: dict[int, list[float]] = {}
    for p, right in zip(probabilities, mentioned, strict=True):
        for index in sorted(range(len(p)), key=lambda i: -p[i])[:5]:
            bins.setdefault(int(15 * p[index]), []).append(p[index] - right[index])
    assert figures.ece == pytest.approx(sum(abs(sum(gaps)) for gaps in bins.values()) / 150)
    losses = -np.log(np.where(mentioned, probabilities, 1 - probabilities))
    assert figures.log_loss == pytest.approx(losses.sum() / 30)
    assert figures.brier == pytest.approx(((probabilities - mentioned) ** 2).sum() / 30)
    assert figures.tags == shown.sum() / 30
    assert figures.coverage == sum(map(any, shown)) / 30
    assert figures.precision == (shown & mentioned).sum() / shown.sum()
    commonest = NAMES.index(figures.commonest)
    assert shown[:, commonest].sum() == max(shown[:, index].sum() for index in range(len(NAMES)))
    others = [(i, k) for i, k in zip(*np.nonzero(shown), strict=True) if k != commonest]
    assert figures.precision_without_commonest == np.mean([mentioned[each] for each in others])
    assert figures.images == 30


def test_images_are_measured_with_fits_on_other_images() -> None:
    log_odds, mentioned = simulated(40, {})
    probabilities, shown = cross_validate(of_one_dataset(log_odds, mentioned), NOTHING, 0.5)
    fitted = fit(log_odds, mentioned).probabilities(log_odds)

    log_losses = [measure(log_odds, p, shown, mentioned).log_loss for p in (probabilities, fitted)]

    assert log_losses[0] > 1.01 * log_losses[1]


def test_penalties_are_raised_until_blank_images_have_no_tags() -> None:
    blank = NOTHING.repeat(2, axis=0)
    blank[0, NAMES.index("dog")] = 9.0
    blank[1, NAMES.index("cup")] = -0.5

    suppressed = suppress_on_blank(TAGS, blank)

    assert not shown_tags(blank, suppressed).any()
    assert shown_tags(blank, TAGS).sum() == 2
    assert suppressed.penalties.keys() == {"dog", "cup"}
    assert suppressed.penalties["cup"] > TAGS.penalties["cup"]
    assert replace(suppressed, penalties=TAGS.penalties) == TAGS


def test_blank_images_without_tags_raise_no_penalty() -> None:
    assert suppress_on_blank(TAGS, NOTHING) == TAGS


def test_cross_validation_suppresses_tags_of_blank_images_too() -> None:
    log_odds, mentioned = simulated(200, {})
    blank = NOTHING.copy()
    blank[0, NAMES.index("dog")] = 40.0

    _, shown = cross_validate(of_one_dataset(log_odds, mentioned), blank, 0.5)

    assert shown.any() and not shown[:, NAMES.index("dog")].any()
    assert cross_validate(of_one_dataset(log_odds, mentioned), NOTHING, 0.5)[1][
        :, NAMES.index("dog")
    ].any()
