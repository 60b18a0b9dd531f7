"""Tests of the stored grids, with an encoder that takes means of colours."""

import shutil
from pathlib import Path

import keras
import numpy as np
import pytest

from models.datasets import DatasetError, open_dataset
from models.grids import cached_grids
from models.pictures import squeeze
from tests.models.conftest import MakeFlickr8k

NAMES = [f"{number}.png" for number in range(40)]  # More than a batch, less than two.


@pytest.fixture
def data(tmp_path: Path, make_flickr8k: MakeFlickr8k) -> Path:
    folder = tmp_path / "data"
    make_flickr8k(folder, {"train": {name: ["a dog"] for name in NAMES}})
    return folder


@pytest.fixture(scope="module")
def encoder() -> keras.Model:
    """Pixels [B, 8, 8, 3] to the means of their quarters [B, 2, 2, 3]."""
    pixels = keras.Input((8, 8, 3))
    model = keras.Model(pixels, keras.layers.AveragePooling2D(4)(pixels))
    model.compile(jit_compile=False)
    return model


def test_grids_are_the_encoders_in_the_order_of_the_examples(
    data: Path, encoder: keras.Model, tmp_path: Path
) -> None:
    dataset = open_dataset(data)
    examples = dataset.examples("train")[::-1]

    grids = cached_grids(tmp_path / "run" / "grids.npy", encoder, dataset, examples)

    assert grids.shape == (40, 2, 2, 3)
    assert grids.dtype == np.float16
    for example, grid in zip(examples, grids, strict=True):
        quarters = squeeze(dataset.image(example.name), 8).reshape(2, 4, 2, 4, 3).mean((1, 3))
        np.testing.assert_allclose(grid, quarters, rtol=1e-3)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["grids.npy"]


def test_mirrored_grids_are_of_the_flipped_pictures(
    data: Path, encoder: keras.Model, tmp_path: Path
) -> None:
    dataset = open_dataset(data)
    examples = dataset.examples("train")

    plain = cached_grids(tmp_path / "a.npy", encoder, dataset, examples)
    mirrored = cached_grids(tmp_path / "b.npy", encoder, dataset, examples, mirrored=True)

    np.testing.assert_array_equal(mirrored, plain[:, :, ::-1])
    assert not np.array_equal(mirrored, plain)


def test_stored_grids_are_read_and_no_picture_with_them(
    data: Path, encoder: keras.Model, tmp_path: Path
) -> None:
    dataset = open_dataset(data)
    examples = dataset.examples("train")
    first = np.array(cached_grids(tmp_path / "grids.npy", encoder, dataset, examples))
    shutil.rmtree(data / "Images")

    again = cached_grids(tmp_path / "grids.npy", encoder, dataset, examples)

    np.testing.assert_array_equal(again, first)


def test_grids_of_other_examples_are_made_anew(
    data: Path, encoder: keras.Model, tmp_path: Path
) -> None:
    dataset = open_dataset(data)
    examples = dataset.examples("train")
    cached_grids(tmp_path / "grids.npy", encoder, dataset, examples[:3])

    assert len(cached_grids(tmp_path / "grids.npy", encoder, dataset, examples)) == 40


def test_picture_that_cannot_be_read_leaves_no_half_of_a_file(
    data: Path, encoder: keras.Model, tmp_path: Path
) -> None:
    dataset = open_dataset(data)
    damaged = data / "Images" / NAMES[36]
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:20])
    with pytest.raises(DatasetError, match=r"36\.png"):
        cached_grids(tmp_path / "grids.npy", encoder, dataset, dataset.examples("train"))
    assert not (tmp_path / "grids.npy").exists()

    damaged.write_bytes(whole)

    cached_grids(tmp_path / "grids.npy", encoder, dataset, dataset.examples("train"))
    assert not list(tmp_path.glob("*.partial"))
