"""Functions of tensors as compiled TensorFlow graphs."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf


def graph(
    function: Callable[..., Any],
    input_signature: Sequence[tf.TensorSpec] | None = None,
    *,
    reduce_retracing: bool = False,
) -> Any:
    """Compile a function when it is first called; the arguments are those of `tf.function`.

    AutoGraph is off: it looks for branches and loops of Python's that depend on tensors, which
    takes half the time of compiling, and there are none (`keras.ops.while_loop` is no such loop).
    """
    return tf.function(
        function,
        input_signature=input_signature,
        autograph=False,
        reduce_retracing=reduce_retracing,
    )
