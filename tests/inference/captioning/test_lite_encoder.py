from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from inference.captioning.lite_encoder import LiteEncoder, identity, lite_encoder
from inference.quantize import to_int8
from models.captioner.captioner import Captioner
from models.checkpoint import load
from models.encoders.registry import make_encoder
from tests.inference.conftest import SIDE, photographs
from web.settings.server import DEFAULT_CAPTIONER


@pytest.fixture(scope="module")
def shipped() -> Captioner:
    return load(DEFAULT_CAPTIONER)[0]


def test_grids_are_those_that_tensorflow_computes(shipped: Captioner) -> None:
    pictures = photographs(shipped.config.image_size)

    grids = lite_encoder(shipped.encoder, threads=2)(pictures)

    expected = np.asarray(shipped.encoder(pictures.astype(np.float32)))
    assert grids.shape == expected.shape
    assert grids.dtype == np.float32
    assert expected.std() > 0.3
    np.testing.assert_allclose(grids, expected, atol=5e-4)
    np.testing.assert_allclose(grids.mean((1, 2)), expected.mean((1, 2)), atol=5e-5)


def test_tensorflows_gradient_is_that_of_what_litert_computes(shipped: Captioner) -> None:
    picture = photographs(shipped.config.image_size)[:1].astype(np.float32)
    encode = lite_encoder(shipped.encoder, threads=2)
    random = np.random.default_rng(0)
    weight = random.normal(size=shipped.encoder.output_shape[1:])
    pixels = tf.constant(picture)
    with tf.GradientTape() as tape:
        tape.watch(pixels)
        weighted = tf.reduce_sum(shipped.encoder(pixels) * weight)
    gradient = np.asarray(tape.gradient(weighted, pixels))

    # A step up the gradient, small against where the activations bend.
    step = gradient * (0.02 / np.abs(gradient).max())
    change = ((encode(picture + step) - encode(picture - step)) * weight).sum()

    np.testing.assert_allclose(change, 2 * (gradient * step).sum(), rtol=0.1)


def test_a_batch_is_its_pictures_one_by_one(captioner: Captioner, own_cache: Path) -> None:
    encode = lite_encoder(captioner.encoder, threads=1)
    pictures = photographs(SIDE)

    together = encode(pictures)

    alone = np.concatenate([encode(picture[None]) for picture in pictures])
    np.testing.assert_array_equal(together, alone)
    assert together.std(axis=0).max() > 0.1


def test_grids_outlive_the_next_call(captioner: Captioner, own_cache: Path) -> None:
    encode = lite_encoder(captioner.encoder, threads=1)
    first, second = photographs(SIDE)[:2]

    grid = encode(first[None])
    kept = grid.copy()
    encode(second[None])

    np.testing.assert_array_equal(grid, kept)


def test_a_conversion_is_read_back_the_next_time(captioner: Captioner, own_cache: Path) -> None:
    pictures = photographs(SIDE)
    first = lite_encoder(captioner.encoder, threads=1)(pictures)
    (file,) = (path for path in own_cache.rglob("*") if path.is_file())
    written = file.stat().st_ino

    again = lite_encoder(captioner.encoder, threads=1)(pictures)

    np.testing.assert_array_equal(again, first)
    assert [path.stat().st_ino for path in own_cache.rglob("*") if path.is_file()] == [written]


def test_other_weights_or_layers_are_another_conversion() -> None:
    encoder = make_encoder("efficientnet-lite0", SIDE)
    first = identity(encoder)
    assert identity(encoder) == first

    kernel = encoder.get_layer("head").kernel
    kernel.assign_add(np.full(kernel.shape, 1e-3))
    assert identity(encoder) != first
    kernel.assign_sub(np.full(kernel.shape, 1e-3))

    larger = make_encoder("efficientnet-lite0", SIDE + 32)
    larger.set_weights(encoder.get_weights())
    assert identity(larger) != identity(encoder)


def test_keras_own_encoders_are_converted_too(own_cache: Path) -> None:
    keras.utils.set_random_seed(0)
    encoder = make_encoder("efficientnetv2-b0", SIDE)
    pictures = photographs(SIDE)

    grids = lite_encoder(encoder, threads=1)(pictures)

    expected = np.asarray(encoder(pictures.astype(np.float32)))
    assert expected.std() > 0
    np.testing.assert_allclose(grids, expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.filterwarnings("ignore:Statistics for quantized inputs")
def test_int8_grids_are_near_those_in_float32(shipped: Captioner) -> None:
    pictures = photographs(shipped.config.image_size)

    grids = LiteEncoder(to_int8(shipped.encoder, pictures), threads=2)(pictures)

    expected = np.asarray(shipped.encoder(pictures.astype(np.float32)))
    assert grids.shape == expected.shape
    assert grids.dtype == np.float32
    # Measured: a fifth of the mean, and a correlation of 0.98.
    assert np.abs(grids - expected).mean() < 0.3 * expected.mean()
    assert np.corrcoef(grids.ravel(), expected.ravel())[0, 1] > 0.95
