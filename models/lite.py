"""Networks in LiteRT.

LiteRT is the former TensorFlow Lite (ai.google.dev/edge/litert); its XNNPACK kernels run a single
image faster than TensorFlow. The weights are those of the Keras network, with each batch
normalisation folded into the convolution before it.
"""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from models.graph import graph


class LiteNetwork:
    """A converted network with one input and one output, ready to run."""

    def __init__(self, model: bytes, threads: int) -> None:
        """Load a model.

        Args:
            model: A TensorFlow Lite flatbuffer, for one image per call.
            threads: How many threads it runs in.
        """
        self._interpreter = Interpreter(model_content=model, num_threads=threads)
        self._interpreter.allocate_tensors()
        (inputs,) = self._interpreter.get_input_details()
        (outputs,) = self._interpreter.get_output_details()
        self._inputs, self._outputs = inputs["index"], outputs["index"]

    def __call__(self, inputs: NDArray[np.uint8 | np.floating]) -> NDArray[np.float32]:
        """Run the network.

        Args:
            inputs: [B, ...], for an encoder RGB in 0..255, [B, S, S, 3], S its input size.

        Returns:
            float32 [B, ...], for an encoder [B, rows, columns, channels].
        """
        # One by one: a batch takes as long, and would need its own working memory.
        return np.concatenate([self._run(item[None]) for item in inputs])

    def _run(self, item: NDArray[np.uint8 | np.floating]) -> NDArray[np.float32]:
        self._interpreter.set_tensor(self._inputs, item.astype(np.float32, copy=False))
        self._interpreter.invoke()
        return np.asarray(self._interpreter.get_tensor(self._outputs))


def make_converter(network: keras.Model) -> Any:
    """Return a `tf.lite.TFLiteConverter` of a network, for one image per call."""
    inputs = tf.TensorSpec((1, *network.input_shape[1:]), tf.float32)
    run = graph(lambda inputs: network(inputs)).get_concrete_function(inputs)
    return tf.lite.TFLiteConverter.from_concrete_functions([run])
