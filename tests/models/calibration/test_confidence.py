"""Tests of confidence, and of fitting and measuring calibration."""

import numpy as np
import pytest
from numpy.typing import NDArray

from models.calibration.confidence import (
    CONFIDENCE_FEATURES,
    ConfidenceCalibration,
    confidence_features,
    is_mostly_right,
)
from models.calibration.logistic import (
    expected_calibration_error,
    fit_logistic,
    logistic,
    rank_correlation,
)
from models.calibration.word_confidence import (
    WORD_FEATURES,
    CaptionEvidence,
    WordCalibration,
    WordEvidence,
)

WORDS = WordCalibration((0.0,) * len(WORD_FEATURES), 0.0, {"dog": 2.0})
EVIDENCE = CaptionEvidence(
    tuple(WordEvidence(text, -0.5, ()) for text in ("a", "dog", "runs")), -0.5, 12.0, 30.0, ()
)


def test_features_are_the_mean_confidence_of_the_words_and_those_of_the_image() -> None:
    found = confidence_features(EVIDENCE, np.array([0.5, 0.8]))

    assert dict(zip(CONFIDENCE_FEATURES, found.tolist(), strict=True)) == pytest.approx(
        {"word_confidence": 0.65, "activity": 12.0, "evenness": 30.0}
    )
    assert confidence_features(EVIDENCE, np.empty(0))[0] == 0


def test_a_caption_is_assessed_by_its_words() -> None:
    calibration = ConfidenceCalibration(1.5, WORDS, (4.0, 0.1, -0.1), 1.0, 0.3, 0.5)

    confidence, words = calibration.assess(EVIDENCE)

    dog = 1 / (1 + np.exp(-2))
    assert list(words) == pytest.approx([None, dog, 0.5])
    assert confidence == pytest.approx(1 / (1 + np.exp(-(4 * (dog + 0.5) / 2 + 1.2 - 3 + 1))))


@pytest.mark.parametrize("fields", [{"weights": (1.0,)}, {"temperature": 0.0}])
def test_invalid_calibration_is_refused(fields: dict[str, object]) -> None:
    values = {"temperature": 1.0, "words": WORDS, "weights": (0.0,) * 3, "offset": 0.0}

    with pytest.raises(
        ValueError, match="a confidence calibration needs 3 weights and a temperature above 0"
    ):
        ConfidenceCalibration(
            **{**values, "threshold": 0.0, "word_threshold": 0.5, **fields}  # type: ignore[arg-type]
        )


@pytest.mark.parametrize(
    ("caption", "right"),
    [
        ("A dog runs in the grass", True),
        ("A dog is running in the snow", True),
        ("A puppy jogs in the snow", True),
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
