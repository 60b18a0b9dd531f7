from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from inference.captioning.lite_encoder import (
    encoder_digest,
    lite_encoder,
)
from inference.quantize import to_int8
from models.captioner.captioner import Captioner
from models.catalogue import SHIPPED_FOLDER
from models.checkpoint import load
from models.encoders.registry import make_encoder
from models.lite import LiteNetwork
from tests.inference.conftest import SIDE, photographs
from tests.support.captioners.small_encoders import shallow_v2


@pytest.fixture(scope="module")
def shipped() -> Captioner:
    return load(SHIPPED_FOLDER)[0]


def test_grids_are_those_that_tensorflow_computes(shipped: Captioner) -> None:
    images = photographs(shipped.config.image_size)

    grids = lite_encoder(shipped.encoder, threads=2)(images)

    expected = np.asarray(shipped.encoder(images.astype(np.float32)))
    assert grids.shape == expected.shape
    assert grids.dtype == np.float32
    assert expected.std() > 0.3
    np.testing.assert_allclose(grids, expected, atol=5e-4)
    np.testing.assert_allclose(grids.mean((1, 2)), expected.mean((1, 2)), atol=5e-5)


def test_tensorflows_gradient_is_that_of_what_litert_computes(shipped: Captioner) -> None:
    image = photographs(shipped.config.image_size)[:1].astype(np.float32)
    encode = lite_encoder(shipped.encoder, threads=2)
    random = np.random.default_rng(0)
    weight = random.normal(size=shipped.encoder.output_shape[1:])
    pixels = tf.constant(image)
    with tf.GradientTape() as tape:
        tape.watch(pixels)
        weighted = tf.reduce_sum(shipped.encoder(pixels) * weight)
    gradient = np.asarray(tape.gradient(weighted, pixels))

    # A step up the gradient, small against where the activations bend.
    step = gradient * (0.02 / np.abs(gradient).max())
    change = ((encode(image + step) - encode(image - step)) * weight).sum()

    np.testing.assert_allclose(change, 2 * (gradient * step).sum(), rtol=0.1)


def test_a_batch_equals_its_images_one_by_one(captioner: Captioner, empty_cache: Path) -> None:
    encode = lite_encoder(captioner.encoder, threads=1)
    images = photographs(SIDE)

    together = encode(images)

    alone = np.concatenate([encode(image[None]) for image in images])
    np.testing.assert_array_equal(together, alone)
    assert together.std(axis=0).max() > 0.1


def test_grids_are_not_overwritten_by_the_next_call(
    captioner: Captioner, empty_cache: Path
) -> None:
    encode = lite_encoder(captioner.encoder, threads=1)
    first, second = photographs(SIDE)[:2]

    grid = encode(first[None])
    kept = grid.copy()
    encode(second[None])

    np.testing.assert_array_equal(grid, kept)


def test_a_cached_conversion_is_read_back(captioner: Captioner, empty_cache: Path) -> None:
    images = photographs(SIDE)
    first = lite_encoder(captioner.encoder, threads=1)(images)
    (file,) = (path for path in empty_cache.rglob("*") if path.is_file())
    written = file.stat().st_ino

    again = lite_encoder(captioner.encoder, threads=1)(images)

    np.testing.assert_array_equal(again, first)
    assert [path.stat().st_ino for path in empty_cache.rglob("*") if path.is_file()] == [written]


def test_other_weights_or_layers_have_another_digest() -> None:
    encoder = make_encoder("efficientnet-lite0", SIDE)
    first = encoder_digest(encoder)
    assert encoder_digest(encoder) == first

    kernel = encoder.get_layer("head").kernel
    kernel.assign_add(np.full(kernel.shape, 1e-3))
    assert encoder_digest(encoder) != first
    kernel.assign_sub(np.full(kernel.shape, 1e-3))

    larger = make_encoder("efficientnet-lite0", SIDE + 32)
    larger.set_weights(encoder.get_weights())
    assert encoder_digest(larger) != encoder_digest(encoder)


def test_keras_own_encoders_are_converted_too(empty_cache: Path) -> None:
    keras.utils.set_random_seed(0)
    with shallow_v2("efficientnetv2-b0"):
        encoder = make_encoder("efficientnetv2-b0", SIDE)
    images = photographs(SIDE)

    grids = lite_encoder(encoder, threads=1)(images)

    expected = np.asarray(encoder(images.astype(np.float32)))
    assert expected.std() > 0
    np.testing.assert_allclose(grids, expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.filterwarnings("ignore:Statistics for quantized inputs")
def test_int8_grids_are_near_those_in_float32(shipped: Captioner) -> None:
    images = photographs(shipped.config.image_size)

    grids = LiteNetwork(to_int8(shipped.encoder, images), threads=2)(images)

    expected = np.asarray(shipped.encoder(images.astype(np.float32)))
    assert grids.shape == expected.shape
    assert grids.dtype == np.float32
    # Measured: a fifth of the mean, and a correlation of 0.98.
    assert np.abs(grids - expected).mean() < 0.3 * expected.mean()
    assert np.corrcoef(grids.ravel(), expected.ravel())[0, 1] > 0.95
