"""BLIP's vision transformer: in LiteRT for captions, and in Keras where gradients are needed."""

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from inference.captioning import Precision
from inference.captioning.encoder_cache import cached_conversion
from inference.captioning.lite_encoder import LiteEncoder, make_converter
from models.blip import Blip
from models.graph import graph

Array = NDArray[np.float32]


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
        name = f"blip-{blip.encoder_digest()[:32]}-{tf.__version__}.{precision}"
        self._lite = LiteEncoder(cached_conversion(name, lambda: convert(blip, precision)), threads)
        self._gradient: Any = None

    def __call__(self, pixels: NDArray[np.uint8 | np.float32]) -> Array:
        """Encode RGB pixels in 0..255, [B, S, S, 3]: [B, 1 + N, C]."""
        return self._lite(pixels)

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


def convert(blip: Blip, precision: Precision) -> bytes:
    """Convert the encoder to a TensorFlow Lite flatbuffer."""
    converter = make_converter(blip.load_encoder())
    if precision == "int8":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    return bytes(converter.convert())


def _pixel_gradient(encoder: Any, pixels: tf.Tensor, encoding_gradient: tf.Tensor) -> tf.Tensor:
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(pixels)
        encoding = encoder(pixels, training=False)
    return tape.gradient(encoding, pixels, output_gradients=encoding_gradient)
