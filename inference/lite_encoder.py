"""The encoder through LiteRT, whose XNNPACK kernels serve one picture faster than TensorFlow's.

Google, "LiteRT" (ai.google.dev/edge/litert), once TensorFlow Lite. The weights are the Keras
encoder's, with each batch normalisation folded into the convolution before it.
"""

import hashlib
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from inference.conversion_cache import converted
from models.graph import graph


class LiteEncoder:
    """A converted encoder, ready to run."""

    def __init__(self, model: bytes, threads: int) -> None:
        """Load what `convert` returned, to run in so many threads."""
        self._interpreter = Interpreter(model_content=model, num_threads=threads)
        self._interpreter.allocate_tensors()
        (pixels,) = self._interpreter.get_input_details()
        (grid,) = self._interpreter.get_output_details()
        self._pixels, self._grid = pixels["index"], grid["index"]

    def __call__(self, pixels: NDArray[np.uint8 | np.float32]) -> NDArray[np.float32]:
        """Compute grids.

        Args:
            pixels: RGB in 0..255, [B, S, S, 3], S the encoder's own.

        Returns:
            float32 [B, rows, columns, channels].
        """
        # One after the other: a batch takes as long, and would need its own working memory.
        return np.concatenate([self._run(picture[None]) for picture in pixels])

    def _run(self, picture: NDArray[np.uint8 | np.float32]) -> NDArray[np.float32]:
        self._interpreter.set_tensor(self._pixels, picture.astype(np.float32, copy=False))
        self._interpreter.invoke()
        return np.asarray(self._interpreter.get_tensor(self._grid))


def lite_encoder(encoder: keras.Model, threads: int) -> LiteEncoder:
    """Convert an encoder in single precision, or take its conversion from the cache."""
    name = f"{encoder.name}-{identity(encoder)[:32]}.float32"
    return LiteEncoder(converted(name, lambda: bytes(converter(encoder).convert())), threads)


def converter(encoder: keras.Model) -> Any:
    """Prepare the conversion of an encoder, of one picture a call: a `tf.lite.TFLiteConverter`."""
    pixels = tf.TensorSpec((1, *encoder.input_shape[1:]), tf.float32)
    run = graph(lambda pixels: encoder(pixels)).get_concrete_function(pixels)
    return tf.lite.TFLiteConverter.from_concrete_functions([run])


def identity(encoder: keras.Model) -> str:
    """Tell encoders apart, by layers and weights, and what converts them: hexadecimal digits."""
    digest = hashlib.sha256(f"{tf.__version__} {encoder.to_json()}".encode())
    for variable in encoder.weights:
        digest.update(np.ascontiguousarray(keras.ops.convert_to_numpy(variable)).data)
    return digest.hexdigest()
