from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from inference.captioning.wording import Wording
from inference.explanations.learn.fitting import fit
from inference.explanations.learn.masked_scores import MaskedScores, draw_masks
from models.calibration import rank_correlation
from models.language import END, SPECIAL_WORDS

GRID, CHANNELS, WIDTH, PLACES, MASKS = (4, 3), 8, 3, 4, 12
WORDS = ("dog", "of", "ball", "tree")
WORDING = Wording((*SPECIAL_WORDS, *WORDS), END, range(len(SPECIAL_WORDS)))

Array = NDArray[np.float32]


class Captioner:
    """A captioner whose words depend on the visible cells by a known sum."""

    def __init__(self) -> None:
        random = np.random.default_rng(0)
        self.of_word = random.normal(0, 1, (len(WORDING.pieces), CHANNELS))
        self.of_state = random.normal(0, 0.5, (WIDTH, CHANNELS))

    def shares(self, cells: Array, hidden: Array, tokens: NDArray[np.int32]) -> Array:
        """Return what each cell contributes to each word: [T, rows, columns], with a sum of 1."""
        sought = self.of_word[tokens] + hidden @ self.of_state
        scores = np.einsum("rck,tk->trc", cells, sought) / 2
        weights = np.exp(scores)
        return np.asarray(weights / weights.sum(axis=(1, 2), keepdims=True), np.float32)

    def scores(self, images: int, random: np.random.Generator) -> MaskedScores:
        """Score images; what the base method says of them is noise."""
        cells = random.normal(0, 1, (images, *GRID, CHANNELS)).astype(np.float16)
        hidden = random.normal(0, 1, (images, PLACES, WIDTH)).astype(np.float16)
        tokens = random.integers(
            len(SPECIAL_WORDS), len(WORDING.pieces), (images, PLACES), np.int32
        )
        nothing = np.zeros((0, *GRID), np.float32)
        visible = np.stack([draw_masks(nothing, GRID, MASKS, random) for _ in range(images)])
        whole = random.uniform(0.2, 0.9, (images, PLACES)).astype(np.float32)
        inputs = zip(cells.astype(np.float32), hidden.astype(np.float32), tokens, strict=True)
        shares = np.stack([self.shares(*each) for each in inputs])
        sums = np.einsum("pmrc,ptrc->pmt", visible, shares)
        masked = whole[:, None] * (0.05 + 0.9 * sums)
        return MaskedScores(
            cells=cells,
            hidden=hidden,
            tokens=tokens,
            base=random.normal(0, 1, (images, PLACES, *GRID)).astype(np.float32),
            whole=np.log(whole),
            visible=visible,
            blurred=np.zeros((images, MASKS), bool),
            masked=np.log(masked).astype(np.float32),
        )


@pytest.fixture(scope="module")
def captioner() -> Captioner:
    return Captioner()


@pytest.fixture
def write(captioner: Captioner, tmp_path: Path) -> Callable[[int], list[Path]]:
    """A function that writes the scores of images, 50 to a file."""

    def write(images: int) -> list[Path]:
        random, paths = np.random.default_rng(1), []
        for start in range(0, images, 50):
            paths.append(tmp_path / f"{start}.npz")
            np.savez(paths[-1], **captioner.scores(min(50, images - start), random)._asdict())
        return paths

    return write


def test_a_fitted_head_recovers_what_masking_would_show(
    captioner: Captioner, write: Callable[[int], list[Path]]
) -> None:
    reported: list[float] = []

    found = fit(write(600), WORDING, "base", 25, reported.append)

    assert found.images == 540
    assert len(reported) == 25
    assert found.explained == max(reported) > 0.75
    # A constant alone predicts that more is more.
    assert found.explained_by_base < 0.7
    assert found.head.base == "base"
    new = captioner.scores(40, np.random.default_rng(2))
    cells, hidden = new.cells.astype(np.float32), new.hidden.astype(np.float32)
    maps = found.head(cells, hidden, new.tokens, new.base)
    alike = [
        rank_correlation(
            maps[row, place].ravel(),
            captioner.shares(cells[row], hidden[row], new.tokens[row])[place].ravel(),
        )
        for row in range(40)
        for place in range(PLACES)
    ]
    assert np.mean(alike) > 0.7


def test_a_fit_is_repeatable_and_words_that_were_not_seen_have_no_features(
    write: Callable[[int], list[Path]],
) -> None:
    paths = write(40)

    one, other = (fit(paths, WORDING, "base", 1, lambda _: None) for _ in range(2))

    for name, values in one.head.parameters.items():
        np.testing.assert_array_equal(values.numpy(), other.head.parameters[name].numpy())
    word = one.head.parameters["word"].numpy()
    assert not word[: len(SPECIAL_WORDS)].any()
    assert word[len(SPECIAL_WORDS) :].any(axis=1).all()


def test_too_few_images_are_refused(write: Callable[[int], list[Path]]) -> None:
    with pytest.raises(ValueError, match="4 images are too few to fit maps to"):
        fit(write(4), WORDING, "base", 1, lambda _: None)


def test_scores_that_are_not_finite_are_refused(captioner: Captioner, tmp_path: Path) -> None:
    scores = captioner.scores(20, np.random.default_rng(0))
    path = tmp_path / "scores.npz"
    np.savez(path, **scores._replace(whole=scores.whole * np.nan)._asdict())

    with pytest.raises(ValueError, match="the fit diverged: no epoch gave finite maps"):
        fit([path], WORDING, "base", 1, lambda _: None)
