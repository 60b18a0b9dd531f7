"""The parts of training: loss, optimizer, averaging, checkpoints."""

import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import KerasTensor, ops
from numpy.typing import NDArray


class CaptionLoss(keras.losses.Loss):  # type: ignore[misc]  # Keras has no types.
    """Weighted cross-entropy per word, with label smoothing (Szegedy et al., 2016)."""

    def __init__(self, smoothing: float) -> None:
        """Move `smoothing` of each word's probability to all words alike."""
        super().__init__(name="caption_loss", reduction="none")
        self._smoothing = smoothing

    def call(self, targets: KerasTensor, logits: KerasTensor) -> KerasTensor:
        """Compute the loss in nats from targets [B, K, T, 2] and logits [B, K, T, V]."""
        tokens, weights = ops.cast(targets[..., 0], "int32"), targets[..., 1]
        log_probs = ops.log_softmax(logits)
        said = ops.take_along_axis(log_probs, tokens[..., None], axis=-1)[..., 0]
        loss = -(1 - self._smoothing) * said
        if self._smoothing:
            loss -= self._smoothing * ops.mean(log_probs, axis=-1)
        return ops.sum(loss * weights)


class SlowerFor(keras.optimizers.AdamW):  # type: ignore[misc]
    """AdamW (Loshchilov and Hutter, ICLR 2019), at a lower rate for some of the variables."""

    def __init__(self, slow: list[Any], factor: float, **arguments: Any) -> None:
        """Train the `slow` variables at `factor` times the learning rate, without decay."""
        super().__init__(**arguments)
        self._slow, self._factor = {variable.path for variable in slow}, factor
        self.exclude_from_weight_decay(var_list=slow, var_names=["bias", "gamma", "beta"])

    def build(self, variables: list[Any]) -> None:
        """Note which of the variables, in the optimizer's own order, go slower."""
        self._factors = [self._factor if v.path in self._slow else 1.0 for v in variables]
        super().build(variables)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Take one variable's step."""
        factor = self._factors[self._get_variable_index(variable)]
        super().update_step(gradient, variable, learning_rate * factor)


class MovingAverage(keras.callbacks.Callback):  # type: ignore[misc]
    """An exponential moving average of what is trained (Polyak and Juditsky, 1992)."""

    def __init__(self, momentum: float) -> None:
        """Keep `momentum` of the average at each batch."""
        super().__init__()
        self._momentum = momentum
        self.batches = 0
        """How many batches the average has taken in."""
        self.weights: list[NDArray[np.float32]] = []

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Take in the weights as they are now."""
        now = _arrays(self.model.trainable_variables)
        if not self.weights:
            self.weights = now
        self.batches += 1
        # Early on, an average of few batches must not cling to the first.
        momentum = min(self._momentum, self.batches / (self.batches + 10))
        for mean, value in zip(self.weights, now, strict=True):
            mean += (1 - momentum) * (value - mean)

    @contextlib.contextmanager
    def swapped_in(self) -> Iterator[None]:
        """Give the model the average for a while."""
        variables = self.model.trainable_variables
        raw = _arrays(variables)
        _assign(variables, self.weights)
        try:
            yield
        finally:
            _assign(variables, raw)


class Checkpoint:
    """Everything that a stopped run needs to go on: weights, average, optimizer, history."""

    def __init__(self, path: Path) -> None:
        """Keep the checkpoint in this `.npz` file, replaced whole."""
        self._path = path

    def save(
        self, model: keras.Model, average: MovingAverage, history: list[dict[str, float]]
    ) -> None:
        """Write the state at the end of an epoch."""
        arrays = {
            "weights": _arrays(model.trainable_variables),
            "average": average.weights,
            "optimizer": _arrays(model.optimizer.variables),
        }
        flat: dict[str, Any] = {
            f"{kind}/{i}": a for kind, group in arrays.items() for i, a in enumerate(group)
        }
        partial = self._path.with_suffix(".partial.npz")
        np.savez(partial, history=json.dumps(history), batches=average.batches, **flat)
        partial.rename(self._path)

    def restore(self, model: keras.Model, average: MovingAverage) -> list[dict[str, float]]:
        """Put the state back where there is one; return the history, empty when there is none."""
        if not self._path.exists():
            return []
        with np.load(self._path, allow_pickle=False) as arrays:

            def group(kind: str) -> list[NDArray[Any]]:
                count = sum(name.startswith(f"{kind}/") for name in arrays.files)
                return [arrays[f"{kind}/{index}"] for index in range(count)]

            model.optimizer.build(model.trainable_variables)
            _assign(model.trainable_variables, group("weights"))
            _assign(model.optimizer.variables, group("optimizer"))
            average.weights = group("average")
            average.batches = int(arrays["batches"])
            history: list[dict[str, float]] = json.loads(str(arrays["history"]))
            return history


def _arrays(variables: Sequence[Any]) -> list[NDArray[Any]]:
    return [np.array(ops.convert_to_numpy(variable)) for variable in variables]


def _assign(variables: Sequence[Any], arrays: Sequence[NDArray[Any]]) -> None:
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)
