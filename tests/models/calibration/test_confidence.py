"""Tests of how sure a captioner is."""

import numpy as np
import pytest

from models.calibration.confidence import EVIDENCE, Doubt, evidence, is_mostly_right


def test_evidence_is_of_the_words_and_of_the_picture() -> None:
    grid = np.zeros((2, 2, 3), np.float32)
    grid[..., 0], grid[0, :, 1] = 3.0, 8.0

    found = evidence(np.array([-0.5, -2.0, -0.5], np.float32), grid)

    assert dict(zip(EVIDENCE, found.tolist(), strict=True)) == pytest.approx(
        {"mean_log_prob": -1.0, "lowest_log_prob": -2.0, "words": 2, "activity": 5.0}
    )


def test_confidence_is_the_logistic_of_the_weighted_evidence() -> None:
    doubt = Doubt(1.5, (2.0, 0.5, -0.1, 0.0), offset=1.0, threshold=0.3, beginning=0.2)

    found = doubt.confidence(np.array([[-1.0, -2.0, 5.0, 9.0], [0.0, 0.0, 0.0, 0.0]]))

    np.testing.assert_allclose(found, 1 / (1 + np.exp([2.5, -1.0])))


@pytest.mark.parametrize("fields", [{"weights": (1.0,)}, {"temperature": 0.0}])
def test_doubt_that_cannot_be_is_refused(fields: dict[str, object]) -> None:
    values = {"temperature": 1.0, "weights": (0.0,) * 4, "offset": 0.0, "threshold": 0.0}

    with pytest.raises(ValueError, match="a doubt needs 4 weights and a temperature above 0"):
        Doubt(**{**values, "beginning": 0.0, **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("caption", "right"),
    [
        ("A dog runs in the grass", True),
        ("A dog is running in the snow", True),
        ("A cat runs in the snow", False),
        ("In the", False),
    ],
)
def test_caption_is_mostly_right_if_most_of_its_content_is_in_the_human_ones(
    caption: str, right: bool
) -> None:
    assert is_mostly_right(caption, ("A brown dog plays.", "Running through grass")) == right
