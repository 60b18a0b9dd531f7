from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from inference.explanations.learn.masked_scores import draw_masks, masked_scores, read_scores
from models.datasets import Dataset, Example
from tests.inference.conftest import photographs
from tests.support.captioners.subwords import COLUMNS, END, ROWS, SIDE, SubwordCaptionModel
from tests.support.oracle.plain_subwords import encode, log_probs

MASKS = 8


class Photographs(Dataset):
    """The test photographs, which count how often they are read."""

    def __init__(self) -> None:
        self.images = photographs(SIDE)
        self.read = 0
        super().__init__(Example(str(index), "train", ("a",)) for index in range(len(self.images)))

    def image(self, name: str) -> NDArray[np.uint8]:  # noqa: D102 (inherited)
        self.read += 1
        return np.asarray(self.images[int(name)])


@pytest.fixture(scope="module")
def model() -> SubwordCaptionModel:
    return SubwordCaptionModel()


def test_scores_equal_those_of_images_masked_by_hand(
    model: SubwordCaptionModel, tmp_path: Path
) -> None:
    dataset = Photographs()
    (path,) = masked_scores(model, dataset, ["1", "4"], MASKS, tmp_path)
    scores = read_scores(path)

    for row, index in enumerate((1, 4)):
        image = dataset.images[index]
        encoding = model.encode([image])
        tokens = model.search(encoding).tokens[0].tolist()
        words = tokens[: tokens.index(END)]
        assert scores.tokens[row, : len(words)].tolist() == words
        assert not scores.tokens[row, len(words) :].any()
        np.testing.assert_allclose(scores.cells[row], model.cells(encoding)[0], atol=1e-2)
        caption = (*words, END)
        for mask in range(MASKS):
            shown = cv2.resize(
                scores.visible[row, mask].astype(np.uint8),
                (SIDE, SIDE),
                interpolation=cv2.INTER_NEAREST,
            )
            hidden = (
                cv2.GaussianBlur(image, (0, 0), SIDE / 12, borderType=cv2.BORDER_REPLICATE)
                if scores.blurred[row, mask]
                else np.rint(image.mean(axis=(0, 1)))
            )
            masked = np.where(shown[..., None] == 1, image, hidden)
            expected = log_probs(model, encode(model, masked), caption)[:-1]
            np.testing.assert_allclose(
                scores.masked[row, mask, : len(words)], expected, rtol=1e-3, atol=1e-3
            )
        # Two complementary masks under the mean colour, two under the blur, and so on.
        assert scores.blurred[row].tolist() == [False, False, True, True] * 2
        np.testing.assert_array_equal(scores.visible[row, ::2], ~scores.visible[row, 1::2])


def test_an_interrupted_run_continues(
    model: SubwordCaptionModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inference.explanations.learn.masked_scores.CHUNK", 2)
    dataset, names = Photographs(), ["0", "1", "2", "3"]
    run = masked_scores(model, dataset, names, 2, tmp_path)
    first = next(run)
    run.close()
    (tmp_path / "unfinished.partial").write_bytes(b"cut off")
    assert dataset.read == 2

    again = list(masked_scores(model, dataset, names, 2, tmp_path))

    assert again[0] == first
    assert dataset.read == 4
    longer = list(masked_scores(model, dataset, [*names, "4"], 2, tmp_path))
    assert longer[:2] == again
    assert dataset.read == 5
    # Other masks, and images of the same names elsewhere, have files of their own.
    assert not {*again} & {*masked_scores(model, dataset, names[:2], 4, tmp_path)}
    assert not {*again} & {*masked_scores(model, dataset, names[:2], 2, tmp_path, ["elsewhere"])}


def test_masks_show_any_share_and_half_of_them_follow_a_word() -> None:
    corner = np.zeros((1, 9, 9), np.float32)
    corner[:, :3, :3] = 1
    masks = draw_masks(corner, (9, 9), 2000, np.random.default_rng(0))

    np.testing.assert_array_equal(masks[::2], ~masks[1::2])
    shares = masks.mean(axis=(1, 2))
    assert np.histogram(shares, 4, (0, 1))[0] == pytest.approx([500] * 4, abs=80)
    inside = masks[:, :3, :3].mean(axis=(1, 2)) - shares
    # How far the corner is shown more, or less, than the rest.
    guided = np.arange(len(masks)) // 4 % 2 == 1
    assert np.abs(inside[guided]).mean() > 1.3 * np.abs(inside[~guided]).mean()
    # Neighbours are mostly shown together.
    same = (masks[:, :, 1:] == masks[:, :, :-1]).mean()
    assert same > 0.75


def test_masks_fit_grids_of_any_shape() -> None:
    none = np.zeros((0, ROWS, COLUMNS), np.float32)

    masks = draw_masks(none, (ROWS, COLUMNS), 200, np.random.default_rng(1))

    assert masks.shape == (200, ROWS, COLUMNS)
    assert set(masks.sum(axis=(1, 2)).tolist()) == set(range(1, ROWS * COLUMNS))
