"""BLIP's vision transformer: in LiteRT for captions, and in Keras where gradients are needed."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from inference.captioners.blip.conversion import cached_parts
from inference.captioning import Precision
from models.blip import Blip, VisionBlock
from models.graph import graph
from models.lite import LiteNetwork, make_converter

Array = NDArray[np.float32]

_BLOCKS = 2
"""Blocks of each part of the converted encoder."""
_FORMAT = 1
"""Of cached conversions: to be raised if the encoder's layers or the file's format change."""


class BlipEncoder:
    """The encoder of one captioner.

    The Keras model is as large as the converted one. It is loaded when the first gradient is asked
    for, and for the conversion, whose result is cached.
    """

    def __init__(self, blip: Blip, precision: Precision, threads: int) -> None:
        """Load the converted encoder from the cache, or convert it.

        Args:
            blip: The captioner.
            precision: `int8` quantizes weights alone (dynamic-range quantization), so it needs no
                images to calibrate with.
            threads: How many threads it runs in.

        Raises:
            models.checkpoint.CheckpointError: If its weights cannot be loaded.
        """
        self._blip = blip
        name = f"blip-{blip.encoder_digest()[:32]}-{_FORMAT}-{tf.__version__}.{precision}"
        models = cached_parts(name, lambda: convert(blip, precision))
        self._parts = [LiteNetwork(model, threads) for model in models]
        self._gradient: Any = None

    def __call__(self, pixels: NDArray[np.uint8 | np.float32]) -> Array:
        """Encode RGB pixels in 0..255, [B, S, S, 3]: [B, 1 + N, C]."""
        x = pixels
        for part in self._parts:
            x = part(x)
        return np.asarray(x, np.float32)

    def pixel_gradient(self, pixels: Array, encoding_gradient: Array) -> Array:
        """Backpropagate a gradient at an encoding, [1 + N, C], to its pixels, [S, S, 3]."""
        if self._gradient is None:
            encoder = self._blip.encoder
            self._gradient = graph(
                lambda *inputs: _pixel_gradient(encoder, *inputs),
                input_signature=[
                    tf.TensorSpec((1, *encoder.input_shape[1:]), tf.float32),
                    tf.TensorSpec((1, *encoder.output_shape[1:]), tf.float32),
                ],
            )
        return np.asarray(self._gradient(pixels[None], encoding_gradient[None])[0])


def convert(blip: Blip, precision: Precision) -> Iterator[bytes]:
    """Convert the encoder to TensorFlow Lite flatbuffers, each of which reads the one before.

    Each interpreter needs 26 MB beside its weights.
    """
    for part in _parts(blip.load_encoder()):
        converter = make_converter(part)
        if precision == "int8":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        yield bytes(converter.convert())


def _parts(encoder: keras.Model) -> Iterator[keras.Model]:
    blocks = [layer for layer in encoder.layers if isinstance(layer, VisionBlock)]
    ends = [block.output for block in blocks[_BLOCKS - 1 : -1 : _BLOCKS]]
    for start, end in pairwise((encoder.input, *ends, encoder.output)):
        yield keras.Model(start, end)


def _pixel_gradient(encoder: Any, pixels: tf.Tensor, encoding_gradient: tf.Tensor) -> tf.Tensor:
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(pixels)
        encoding = encoder(pixels, training=False)
    return tape.gradient(encoding, pixels, output_gradients=encoding_gradient)
