"""Tests of cached features, with a network that averages colours."""

import shutil
from pathlib import Path

import keras
import numpy as np
import pytest

from models.datasets import DatasetError, open_dataset
from models.preprocessing import augmented_view, resize_to_square
from models.training.data import cached_features, derived_features
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


def test_features_are_in_the_order_of_the_examples(
    data: Path, encoder: keras.Model, tmp_path: Path
) -> None:
    dataset = open_dataset(data)
    examples = dataset.examples("train")[::-1]

    features = cached_features(tmp_path / "run" / "features.npy", encoder, dataset, examples)

    assert features.shape == (40, 1, 2, 2, 3)
    assert features.dtype == np.float16
    for example, feature in zip(examples, features, strict=True):
        quarters = (
            resize_to_square(dataset.image(example.name), 8).reshape(2, 4, 2, 4, 3).mean((1, 3))
        )
        np.testing.assert_allclose(feature[0], quarters, rtol=1e-3)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["features.npy"]


def test_views_of_an_image_are_adjacent(data: Path, encoder: keras.Model, tmp_path: Path) -> None:
    dataset = open_dataset(data)
    examples = dataset.examples("train")

    features = cached_features(tmp_path / "a.npy", encoder, dataset, examples, views=3)

    assert features.shape == (40, 3, 2, 2, 3)
    np.testing.assert_array_equal(features[:, 1], features[:, 0, :, ::-1])
    for example, feature in zip(examples, features[:, 2], strict=True):
        crop = np.ascontiguousarray(augmented_view(dataset.image(example.name), example.name, 2))
        quarters = resize_to_square(crop, 8).reshape(2, 4, 2, 4, 3).mean((1, 3))
        np.testing.assert_allclose(feature, quarters, rtol=1e-3)


def test_derived_features_are_computed_from_the_cached_ones(
    data: Path, encoder: keras.Model, tmp_path: Path
) -> None:
    dataset = open_dataset(data)
    examples = dataset.examples("train")
    features = cached_features(tmp_path / "a.npy", encoder, dataset, examples, views=3)
    inputs = keras.Input((2, 2, 3))
    mean = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(inputs))
    mean.compile(jit_compile=False)

    means = derived_features(tmp_path / "b.npy", mean, features)

    assert means.shape == (40, 3, 3)
    np.testing.assert_allclose(means, features.mean((2, 3), dtype=np.float32), rtol=1e-3)


def test_cached_features_are_read_without_the_images(
    data: Path, encoder: keras.Model, tmp_path: Path
) -> None:
    dataset = open_dataset(data)
    examples = dataset.examples("train")
    first = np.array(cached_features(tmp_path / "features.npy", encoder, dataset, examples))
    shutil.rmtree(data / "Images")

    again = cached_features(tmp_path / "features.npy", encoder, dataset, examples)

    np.testing.assert_array_equal(again, first)


def test_features_of_other_examples_are_recomputed(
    data: Path, encoder: keras.Model, tmp_path: Path
) -> None:
    dataset = open_dataset(data)
    examples = dataset.examples("train")
    cached_features(tmp_path / "features.npy", encoder, dataset, examples[:3])

    assert len(cached_features(tmp_path / "features.npy", encoder, dataset, examples)) == 40


def test_unreadable_image_leaves_no_partial_file(
    data: Path, encoder: keras.Model, tmp_path: Path
) -> None:
    dataset = open_dataset(data)
    damaged = data / "Images" / NAMES[36]
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:20])
    with pytest.raises(DatasetError, match=r"36\.png"):
        cached_features(tmp_path / "features.npy", encoder, dataset, dataset.examples("train"))
    assert not (tmp_path / "features.npy").exists()

    damaged.write_bytes(whole)

    cached_features(tmp_path / "features.npy", encoder, dataset, dataset.examples("train"))
    assert not list(tmp_path.glob("*.partial"))
