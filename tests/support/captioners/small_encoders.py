"""Encoders of the real architectures that are quick to build, to run and to store."""

from collections.abc import Iterator
from contextlib import contextmanager

import keras
import numpy as np
import pytest
from keras.src.applications.efficientnet_v2 import DEFAULT_BLOCKS_ARGS

from models.encoders import efficientnet_lite, registry
from tests.support.oracle.synthetic_weights import make_array

THIN_LITE = "efficientnet-lite-thin"
"""An EfficientNet-Lite with one block per stage and a quarter of the channels; the grid has all."""


@contextmanager
def thin_lite() -> Iterator[None]:
    """Make `THIN_LITE` known for a while, in this process: others need a published encoder."""
    with pytest.MonkeyPatch.context() as patch:
        thin = efficientnet_lite.Variant(width=0.25, depth=0.25, image_size=96)
        patch.setitem(efficientnet_lite.VARIANTS, THIN_LITE, thin)
        patch.setitem(registry.IMAGE_SIZES, THIN_LITE, thin.image_size)
        yield


def assign_synthetic_weights(encoder: keras.Model) -> None:
    """Give an encoder weights with which each image has a grid of its own.

    The normalisations are those of pictures of coloured squares, as if it were trained on them.
    """
    for weight in encoder.weights:
        path = weight.path.replace("gamma", "weight")
        # PyTorch's order, by which the weights of kernels are scaled.
        order = (3, 2, 0, 1) if len(weight.shape) == 4 else (0,)
        array = make_array(path, tuple(np.array(weight.shape)[list(order)]))
        weight.assign(array.transpose(np.argsort(order)))
    for layer in encoder.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    side = encoder.input_shape[1]
    squares = np.random.RandomState(0).uniform(0, 255, (32, 4, 4, 3)).astype(np.float32)
    encoder(squares.repeat(side // 4, axis=1).repeat(side // 4, axis=2), training=True)


@contextmanager
def shallow_v2(*names: str) -> Iterator[None]:
    """Build the EfficientNetV2 of these names with one block per stage, before it is scaled.

    They are built by Keras's own code, for a while; others stay deep.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name in names:
            for stage in DEFAULT_BLOCKS_ARGS[name]:
                patch.setitem(stage, "num_repeat", 1)
        yield
