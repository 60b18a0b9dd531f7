"""The encoder in LiteRT.

LiteRT is the former TensorFlow Lite (ai.google.dev/edge/litert); its XNNPACK kernels run a single
image faster than TensorFlow. The weights are those of the Keras encoder, with each batch
normalisation folded into the convolution before it.
"""

import hashlib
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from inference.captioning.encoder_cache import cached_conversion
from models.graph import graph


class LiteEncoder:
    """A converted encoder, ready to run."""

    def __init__(self, model: bytes, threads: int) -> None:
        """Load a model.

        Args:
            model: A TensorFlow Lite flatbuffer.
            threads: How many threads it runs in.
        """
        self._interpreter = Interpreter(model_content=model, num_threads=threads)
        self._interpreter.allocate_tensors()
        (pixels,) = self._interpreter.get_input_details()
        (grid,) = self._interpreter.get_output_details()
        self._pixels, self._grid = pixels["index"], grid["index"]

    def __call__(self, pixels: NDArray[np.uint8 | np.float32]) -> NDArray[np.float32]:
        """Compute grids.

        Args:
            pixels: RGB in 0..255, [B, S, S, 3], S the encoder's input size.

        Returns:
            float32 [B, rows, columns, channels].
        """
        # One by one: a batch takes as long, and would need its own working memory.
        return np.concatenate([self._run(image[None]) for image in pixels])

    def _run(self, image: NDArray[np.uint8 | np.float32]) -> NDArray[np.float32]:
        self._interpreter.set_tensor(self._pixels, image.astype(np.float32, copy=False))
        self._interpreter.invoke()
        return np.asarray(self._interpreter.get_tensor(self._grid))


def lite_encoder(encoder: keras.Model, threads: int) -> LiteEncoder:
    """Convert an encoder in single precision, or load its conversion from the cache."""
    name = f"{encoder.name}-{encoder_digest(encoder)[:32]}.float32"
    model = cached_conversion(name, lambda: bytes(make_converter(encoder).convert()))
    return LiteEncoder(model, threads)


def make_converter(encoder: keras.Model) -> Any:
    """Return a `tf.lite.TFLiteConverter` of an encoder, for one image per call."""
    pixels = tf.TensorSpec((1, *encoder.input_shape[1:]), tf.float32)
    run = graph(lambda pixels: encoder(pixels)).get_concrete_function(pixels)
    return tf.lite.TFLiteConverter.from_concrete_functions([run])


def encoder_digest(encoder: keras.Model) -> str:
    """Return a hexadecimal SHA-256 of the layers, the weights and the version of TensorFlow."""
    digest = hashlib.sha256(f"{tf.__version__} {encoder.to_json()}".encode())
    for variable in encoder.weights:
        digest.update(np.ascontiguousarray(keras.ops.convert_to_numpy(variable)).data)
    return digest.hexdigest()
