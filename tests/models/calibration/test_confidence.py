"""Tests of confidence, and of fitting and measuring calibration."""

import numpy as np
import pytest
from numpy.typing import NDArray

from models.calibration.confidence import (
    CONFIDENCE_FEATURES,
    ConfidenceCalibration,
    confidence_features,
    expected_calibration_error,
    fit_logistic,
    is_mostly_right,
    logistic,
    rank_correlation,
)


def test_features_are_of_the_words_and_of_the_grid() -> None:
    grid = np.zeros((2, 2, 3), np.float32)
    grid[..., 0], grid[0, :, 1] = 3.0, 8.0

    found = confidence_features(np.array([-0.5, -2.0, -0.5], np.float32), grid)

    assert dict(zip(CONFIDENCE_FEATURES, found.tolist(), strict=True)) == pytest.approx(
        {"mean_log_prob": -1.0, "lowest_log_prob": -2.0, "words": 2, "activity": 5.0}
    )


def test_confidence_is_the_logistic_of_the_weighted_features() -> None:
    calibration = ConfidenceCalibration(
        1.5, (2.0, 0.5, -0.1, 0.0), offset=1.0, threshold=0.3, prefix_threshold=0.2
    )

    found = calibration.confidence(np.array([[-1.0, -2.0, 5.0, 9.0], [0.0, 0.0, 0.0, 0.0]]))

    np.testing.assert_allclose(found, 1 / (1 + np.exp([2.5, -1.0])))


@pytest.mark.parametrize("fields", [{"weights": (1.0,)}, {"temperature": 0.0}])
def test_invalid_calibration_is_refused(fields: dict[str, object]) -> None:
    values = {"temperature": 1.0, "weights": (0.0,) * 4, "offset": 0.0, "threshold": 0.0}

    with pytest.raises(
        ValueError, match="a confidence calibration needs 4 weights and a temperature above 0"
    ):
        ConfidenceCalibration(**{**values, "prefix_threshold": 0.0, **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("caption", "right"),
    [
        ("A dog runs in the grass", True),
        ("A dog is running in the snow", True),
        ("A cat runs in the snow", False),
        ("In the", False),
    ],
)
def test_caption_is_mostly_right_if_the_references_have_most_of_its_content_words(
    caption: str, right: bool
) -> None:
    assert is_mostly_right(caption, ("A brown dog plays.", "Running through grass")) == right


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


def test_certain_predictions_have_no_error_if_right_and_all_if_wrong() -> None:
    certain = np.ones(10)

    assert expected_calibration_error(certain, np.ones(10, bool)) == 0
    assert expected_calibration_error(certain, np.zeros(10, bool)) == 1


def test_logistic_does_not_overflow() -> None:
    np.testing.assert_allclose(logistic(np.array([-1e4, 0.0, 1e4])), [0, 0.5, 1])


def test_logistic_fit_recovers_the_weights() -> None:
    random = np.random.default_rng(1)
    features = random.normal(5, 3, (20000, 2))
    outcomes = random.random(20000) < logistic(features @ [0.8, -0.5] - 1.0)

    assert fit_logistic(features, outcomes) == pytest.approx([0.8, -0.5, -1.0], abs=0.08)


def test_rank_correlation_is_spearmans_with_ties() -> None:
    random = np.random.default_rng(2)
    a = random.integers(0, 6, 200).astype(np.float64)
    b = (a + random.integers(0, 5, 200)).astype(np.float64)

    def ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.array([(values < v).sum() + ((values == v).sum() + 1) / 2 for v in values])

    expected = np.corrcoef(ranks(a), ranks(b))[0, 1]
    assert rank_correlation(a, b) == pytest.approx(expected)
    assert rank_correlation(a, -np.exp(a)) == pytest.approx(-1)
    assert rank_correlation(a, np.zeros(200)) == 0
