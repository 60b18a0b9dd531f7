"""The network against an independent computation, and its file."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import erf

from inference.explanations.map_head import (
    FILE,
    HeadCard,
    MapHead,
    initial_parameters,
    load_head,
    save_head,
)
from models.calibration import rank_correlation
from models.digests import weights_sha256

Array = NDArray[np.float64]
Single = NDArray[np.float32]
Inputs = tuple[Single, Single, NDArray[np.int32], Single]

GRID, CHANNELS, WIDTH, TOKENS, HEADS = (4, 5), 6, 7, 9, 3


def make_head(width: int = WIDTH) -> MapHead:
    """Make a head whose parameters are all far from 0, so that each counts."""
    random = np.random.default_rng(0)
    shapes = initial_parameters(
        random, GRID, CHANNELS, width, TOKENS, features=12, heads=HEADS, filters=4
    )
    drawn = {name: random.normal(0, 0.5, each.shape) for name, each in shapes.items()}
    return MapHead(drawn, "readcam")


def inputs(images: int, places: int, width: int = WIDTH) -> Inputs:
    random = np.random.default_rng(3)
    return (
        random.normal(0, 1, (images, *GRID, CHANNELS)).astype(np.float32),
        random.normal(0, 1, (images, places, width)).astype(np.float32),
        random.integers(1, TOKENS, (images, places)).astype(np.int32),
        random.normal(0, 1, (images, places, *GRID)).astype(np.float32),
    )


def plain_map(head: MapHead, cells: Single, state: Single, token: int, base: Single) -> Array:
    """Compute one token's map cell by cell, in double precision."""
    own = {name: each.numpy().astype(np.float64) for name, each in head.parameters.items()}

    def normalise(vector: Array) -> Array:
        return np.asarray((vector - vector.mean()) / np.sqrt(vector.var() + 1e-3))

    word = normalise(own["word"][token] + state @ own["state"]).reshape(HEADS, -1)
    share = np.maximum(base, 0) / np.maximum(base, 0).mean()
    standard = (base - base.mean()) / base.std()
    planes = np.zeros((GRID[0] + 4, GRID[1] + 4, HEADS + 2))
    for row, column in np.ndindex(GRID):
        projected = cells[row, column] @ own["cell"] + own["offset"] + own["position"][row, column]
        products = (normalise(projected).reshape(HEADS, -1) * word).sum(axis=1)
        planes[row + 2, column + 2] = [*products, standard[row, column], share[row, column]]
    mixed = np.zeros((GRID[0] + 2, GRID[1] + 2, 4))
    for row, column in np.ndindex(GRID):
        around = planes[row + 1 : row + 4, column + 1 : column + 4]
        z = np.einsum("rck,rckf->f", around, own["mix"]) + own["mix_bias"]
        mixed[row + 1, column + 1] = z * (1 + erf(z / np.sqrt(2))) / 2
    phi = np.zeros(GRID)
    for row, column in np.ndindex(GRID):
        refined = (mixed[row : row + 3, column : column + 3] * own["refine"][..., 0]).sum()
        constant, of_standard, of_share = own["scale"]
        phi[row, column] = (
            constant + of_standard * standard[row, column] + of_share * share[row, column] + refined
        )
    return np.asarray((phi - phi.min()) / phi.size)


@pytest.mark.parametrize("width", [WIDTH, 0])
def test_maps_equal_those_computed_cell_by_cell(width: int) -> None:
    head = make_head(width)
    cells, hidden, tokens, base = inputs(2, 3, width)

    maps = head(cells, hidden, tokens, base)

    assert maps.shape == base.shape
    for row, place in np.ndindex(2, 3):
        expected = plain_map(
            head, cells[row], hidden[row, place], int(tokens[row, place]), base[row, place]
        )
        np.testing.assert_allclose(maps[row, place], expected, rtol=1e-3, atol=1e-4)


def test_a_new_head_starts_from_the_maps_of_the_base_method() -> None:
    random = np.random.default_rng(5)
    shape = GRID, CHANNELS, WIDTH, TOKENS
    cells, hidden, tokens, base = inputs(2, 3)

    maps = MapHead(initial_parameters(random, *shape), "readcam")(cells, hidden, tokens, base)

    for new, old in zip(maps.reshape(6, -1), base.reshape(6, -1), strict=True):
        assert rank_correlation(new, old) > 0.8


def test_padding_and_empty_base_maps_have_finite_maps() -> None:
    cells, hidden, tokens, base = inputs(1, 3)
    tokens[0, 2], base[0, 1:] = 0, 0

    maps = make_head()(cells, hidden, tokens, base)

    assert np.isfinite(maps).all()
    assert not maps[0, 2].any()
    assert maps[0, 1].any()


def test_a_stored_head_gives_the_same_maps_in_half_precision(folder: Path) -> None:
    head = make_head()
    head.parameters["word"].assign(
        np.where(np.arange(TOKENS)[:, None] % 2, head.parameters["word"], 0)
    )
    card = HeadCard(weights_sha256(folder), 10, 16, 0.6, 0.5)

    path = save_head(folder, head, card)

    assert path == folder / FILE
    loaded = load_head(folder)
    assert loaded
    assert loaded.base == "readcam"
    given = inputs(2, 3)
    np.testing.assert_allclose(loaded(*given), head(*given), rtol=0.02, atol=0.001)
    with np.load(path) as stored:
        assert stored["known"].tolist() == [1, 3, 5, 7]
        assert stored["cell"].dtype == np.float16
        assert json.loads(str(stored["card"]))["images"] == 10
    assert [each.name for each in folder.iterdir() if "partial" in each.name] == []


def test_a_head_that_cannot_be_used_is_left_out(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert load_head(folder) is None
    assert not caplog.records
    save_head(folder, make_head(), HeadCard("0" * 64, 10, 16, 0.6, 0.5))
    (folder / "other").mkdir()
    content = (folder / FILE).read_bytes()
    for damaged, reason in (
        (content, "it was made for other weights"),
        (content[:1000], "it is damaged"),
        (b"", "it is damaged"),
    ):
        (folder / FILE).write_bytes(damaged)
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            assert load_head(folder) is None
        assert f"{folder / FILE} is left out: {reason}" in caplog.text
        assert "train it again: python -m inference.explanations.learn" in caplog.text
