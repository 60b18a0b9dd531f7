"""The model that is trained, with its loss, optimizer, weight average and saved state."""

import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import KerasTensor, layers, ops
from numpy.typing import NDArray

from models.captioner import Decoder


class Inputs(NamedTuple):
    """A batch of inputs to `TrainingModel`: B images, K captions of each, T words."""

    features: Any
    """float32 [B, ...], the encoder's features of the images at the cut."""
    tokens: Any
    """int32 [B, K, T]"""
    pooled: Any
    """float32 [B, channels], the mean over the cells of the grid from the untrained encoder; zeros
    for captions without an image, or if it is not needed."""


class TrainingModel(keras.Model):  # type: ignore[misc]  # Keras has no types.
    """From cached features and words to the logits of the next words."""

    def __init__(
        self,
        decoder: Decoder,
        tail: keras.Model | None = None,
        classifier: keras.layers.Dense | None = None,
        keep_classes: float = 0.0,
    ) -> None:
        """Combine the parts of a captioner. Training changes their weights.

        Args:
            decoder: The captioner's decoder.
            tail: The part of the encoder after the cached features; None if they are grids.
            classifier: The encoder's own classifier, which is not changed.
            keep_classes: Weight of the loss, in nats, for changing the class probabilities (Li and
                Hoiem, "Learning without Forgetting", ECCV 2016).

        Raises:
            ValueError: If keep_classes is set without a tail or a classifier.
        """
        super().__init__()
        if keep_classes and (tail is None or classifier is None):
            raise ValueError("keep_classes needs cut and classes; set both, or set it to 0")
        self.decoder, self.tail, self.classifier = decoder, tail, classifier
        if classifier is not None:
            classifier.trainable = False
        self._keep_classes = keep_classes

    def create_variables(self, inputs: Inputs) -> None:
        """Create the variables of the compiled model and of its optimizer.

        TensorFlow would trace a training step that creates them twice.
        """
        self(inputs)
        self.optimizer.build(self.trainable_variables)

    def grid(self, features: KerasTensor) -> KerasTensor:
        """Return the grid [B, rows, columns, channels] of the cached features."""
        # Batch statistics of small batches would destroy what the encoder has learnt.
        return features if self.tail is None else self.tail(features, training=False)

    def call(self, inputs: Inputs, training: bool = False) -> KerasTensor:
        """Return the teacher-forced logits [B, K, T, V]."""
        features, tokens, pooled = inputs
        grid = self.grid(features)
        if self._keep_classes:
            self.add_loss(self._keep_classes * self._class_divergence(grid, pooled))
        return ops.cast(self.decoder((grid, tokens), training=training), "float32")

    def _class_divergence(self, grid: KerasTensor, pooled: KerasTensor) -> KerasTensor:
        """Mean KL divergence in nats of the current class probabilities from the original ones."""
        before = ops.log_softmax(self.classifier(pooled))  # type: ignore[misc]
        now = ops.log_softmax(self.classifier(ops.mean(grid, axis=(1, 2))))  # type: ignore[misc]
        divergence = ops.sum(ops.exp(before) * (before - now), axis=-1)
        has_image = ops.cast(ops.any(pooled != 0, axis=-1), divergence.dtype)
        return ops.sum(divergence * has_image) / ops.maximum(ops.sum(has_image), 1.0)


def split_encoder(encoder: keras.Model, cut: str) -> tuple[keras.Model, keras.Model | None]:
    """Split the encoder after a layer into two models that share its layers.

    Returns:
        The models before and after the layer; the whole encoder and None if `cut` is "".

    Raises:
        ValueError: If there is no such layer, or the rest needs more than its output.
    """
    if not cut:
        return encoder, None
    try:
        features = encoder.get_layer(cut).output
        return keras.Model(encoder.input, features), keras.Model(features, encoder.output)
    except ValueError as problem:
        raise ValueError(f"the encoder {encoder.name} cannot be cut after {cut!r}") from problem


def set_precision(model: TrainingModel, precision: str) -> None:
    """Set the Keras dtype policy of the decoder's matrix products, such as mixed_bfloat16."""
    policy = keras.DTypePolicy(precision)
    for layer in model.decoder.layers:
        if isinstance(layer, layers.Dense | layers.LSTMCell):
            layer.dtype_policy = policy


def set_pointwise_trainable(encoder: keras.Model, *, trainable: bool) -> None:
    """Make only the encoder's 1x1 convolutions trainable, or nothing.

    They hold most of the weights, and a depthwise convolution's gradient is slow on a CPU.
    """
    for layer in encoder.layers:
        pointwise = isinstance(layer, layers.Conv2D) and tuple(layer.kernel_size) == (1, 1)
        layer.trainable = trainable and pointwise


class CaptionLoss(keras.losses.Loss):  # type: ignore[misc]  # Keras has no types.
    """Weighted cross-entropy per word, with label smoothing (Szegedy et al., 2016)."""

    def __init__(self, smoothing: float) -> None:
        """Spread the share `smoothing` of each target evenly over all words."""
        super().__init__(name="caption_loss", reduction="none")
        self._smoothing = smoothing

    def call(self, targets: KerasTensor, logits: KerasTensor) -> KerasTensor:
        """Compute the loss in nats from targets [B, K, T, 2] and logits [B, K, T, V]."""
        tokens, weights = ops.cast(targets[..., 0], "int32"), targets[..., 1]
        log_probs = ops.log_softmax(logits)
        word_log_probs = ops.take_along_axis(log_probs, tokens[..., None], axis=-1)[..., 0]
        loss = -(1 - self._smoothing) * word_log_probs
        if self._smoothing:
            loss -= self._smoothing * ops.mean(log_probs, axis=-1)
        return ops.sum(loss * weights)


class TwoRateAdamW(keras.optimizers.AdamW):  # type: ignore[misc]
    """AdamW (Loshchilov and Hutter, ICLR 2019) with a lower rate for some of the variables."""

    def __init__(self, slow: list[Any], factor: float, **arguments: Any) -> None:
        """Train the `slow` variables at `factor` times the learning rate, without weight decay."""
        super().__init__(**arguments)
        self._slow, self._factor = {variable.path for variable in slow}, factor
        self.exclude_from_weight_decay(var_list=slow, var_names=["bias", "gamma", "beta"])

    def build(self, variables: list[Any]) -> None:
        """Determine the factor of each variable, in the optimizer's order."""
        self._factors = [self._factor if v.path in self._slow else 1.0 for v in variables]
        super().build(variables)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Update one variable."""
        factor = self._factors[self._get_variable_index(variable)]
        super().update_step(gradient, variable, learning_rate * factor)


class MovingAverage(keras.callbacks.Callback):  # type: ignore[misc]
    """Exponential moving average of the trained weights (Polyak and Juditsky, 1992)."""

    def __init__(self, momentum: float) -> None:
        """Keep `momentum` of the average at each batch."""
        super().__init__()
        self._momentum = momentum
        self.batches = 0
        """Number of batches in the average."""
        self.weights: list[NDArray[np.float32]] = []

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Add the current weights to the average."""
        now = _arrays(self.model.trainable_variables)
        if not self.weights:
            self.weights = now
        self.batches += 1
        # Start with a lower momentum, or the first batches would dominate for too long.
        momentum = min(self._momentum, self.batches / (self.batches + 10))
        for mean, value in zip(self.weights, now, strict=True):
            mean += (1 - momentum) * (value - mean)

    @contextlib.contextmanager
    def swapped_in(self) -> Iterator[None]:
        """Give the model the averaged weights inside the context."""
        variables = self.model.trainable_variables
        raw = _arrays(variables)
        _assign(variables, self.weights)
        try:
            yield
        finally:
            _assign(variables, raw)


class TrainingState:
    """A file with everything needed to resume a run: weights, average, optimizer and history."""

    def __init__(self, path: Path) -> None:
        """Use this `.npz` file, which is always replaced as a whole."""
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
        """Restore the state if there is one; return the history, empty if there is none.

        The model's variables and its optimizer's must have been created.
        """
        if not self._path.exists():
            return []
        with np.load(self._path, allow_pickle=False) as arrays:

            def group(kind: str) -> list[NDArray[Any]]:
                count = sum(name.startswith(f"{kind}/") for name in arrays.files)
                return [arrays[f"{kind}/{index}"] for index in range(count)]

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
