import numpy as np
import pytest

from inference.explanations.map import Map
from inference.explanations.masking import check_map, top_cells
from inference.explanations.score import target_score
from inference.explanations.target import Target
from inference.progress import finish
from tests.support.captioners.lstm import LstmCaptionedImage


def test_the_top_of_the_map_is_blanked(subject: LstmCaptionedImage) -> None:
    values = np.zeros((4, 4), np.float32)
    values[1, 2], values[1, 3], values[2, 2] = 3, 2, 1
    check = finish(check_map(subject, Map(values), 1))

    hidden = subject.pixels.astype(np.float32)
    for row, column in ((1, 2), (1, 3), (2, 2)):
        hidden[row * 32 :, column * 32 :][:32, :32] = subject.mean_colour
    grids = np.stack([subject.grid, subject.model.encode_pixels(hidden[None])[0]])
    whole, without = target_score(subject, Target("word", 1)).probabilities(grids)
    assert check.share == pytest.approx(3 / 16, abs=1e-4)
    assert check.prob == pytest.approx(whole, abs=2e-4)
    assert check.blanked == pytest.approx(without, abs=2e-4)

    # All places of the region on the grid: 16 shifts, also mirrored.
    mirrored = values[:, ::-1]
    places = {
        np.roll(each, (down, right), (0, 1)).tobytes()
        for each in (values, mirrored)
        for down in range(4)
        for right in range(4)
    }
    assert check.places <= len(places) == 32
    assert check.regions < check.places


def test_a_check_is_deterministic_and_reports_progress(subject: LstmCaptionedImage) -> None:
    values = np.random.default_rng(0).random((64, 64)).astype(np.float32)
    works = [check_map(subject, Map(values), 0) for _ in range(2)]

    done = list(works[0])
    assert done == sorted(done)
    assert done[-1] == 1
    assert finish(works[1]) == finish(check_map(subject, Map(values), 0))


def test_a_missing_word_cannot_be_checked(subject: LstmCaptionedImage) -> None:
    with pytest.raises(ValueError, match="none at index 30"):
        check_map(subject, Map(np.zeros((4, 4), np.float32)), 30)


def test_the_top_is_a_fifth_of_the_cells_of_any_map() -> None:
    fine = np.zeros((90, 90), np.float32)
    fine[20:30, 40:50] = 1
    assert top_cells(Map(fine), (9, 9))[2, 4]
    for values in (fine, np.zeros((9, 9), np.float32), np.eye(2, dtype=np.float32)):
        assert top_cells(Map(values), (9, 9)).sum() == 16
    flat = top_cells(Map(np.zeros((9, 9), np.float32)), (9, 9))
    assert flat[5:].any()
