"""Tests of fitting and measuring calibration."""

import numpy as np
import pytest
from numpy.typing import NDArray

from models.calibration.confidence import (
    expected_calibration_error,
    fit_logistic,
    logistic,
    rank_correlation,
)


def test_calibration_error_is_the_mean_gap_of_the_bins() -> None:
    random = np.random.default_rng(0)
    probabilities, outcomes = random.random(500), random.random(500) < 0.4

    expected = 0.0
    for low in np.arange(15) / 15:
        inside = (probabilities >= low) & (probabilities < low + 1 / 15)
        if inside.any():
            gap = abs(probabilities[inside].mean() - outcomes[inside].mean())
            expected += gap * inside.mean()
    assert expected_calibration_error(probabilities, outcomes) == pytest.approx(expected)


def test_sure_and_right_has_no_error_and_sure_and_wrong_has_all() -> None:
    sure = np.ones(10)

    assert expected_calibration_error(sure, np.ones(10, bool)) == 0
    assert expected_calibration_error(sure, np.zeros(10, bool)) == 1


def test_logistic_does_not_overflow() -> None:
    np.testing.assert_allclose(logistic(np.array([-1e4, 0.0, 1e4])), [0, 0.5, 1])


def test_planted_weights_are_found() -> None:
    random = np.random.default_rng(1)
    evidence = random.normal(5, 3, (20000, 2))
    outcomes = random.random(20000) < logistic(evidence @ [0.8, -0.5] - 1.0)

    assert fit_logistic(evidence, outcomes) == pytest.approx([0.8, -0.5, -1.0], abs=0.08)


def test_rank_correlation_is_spearmans_ties_and_all() -> None:
    random = np.random.default_rng(2)
    a = random.integers(0, 6, 200).astype(np.float64)
    b = (a + random.integers(0, 5, 200)).astype(np.float64)

    def ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.array([(values < v).sum() + ((values == v).sum() + 1) / 2 for v in values])

    wanted = np.corrcoef(ranks(a), ranks(b))[0, 1]
    assert rank_correlation(a, b) == pytest.approx(wanted)
    assert rank_correlation(a, -np.exp(a)) == pytest.approx(-1)
