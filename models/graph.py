"""Compiled TensorFlow graphs."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf


def graph(
    function: Callable[..., Any],
    input_signature: Sequence[tf.TensorSpec] | None = None,
    *,
    reduce_retracing: bool = False,
) -> Any:
    """Compile a function of tensors at its first call, with the arguments of `tf.function`.

    AutoGraph is off. It searches for Python branches and loops that depend on tensors, which takes
    half the compilation time, and there are none: `keras.ops.while_loop` is not a Python loop.
    """
    return tf.function(
        function,
        input_signature=input_signature,
        autograph=False,
        reduce_retracing=reduce_retracing,
    )
