"""What is trained: the decoder, and the part of the encoder after the features that are cached."""

from typing import Any, NamedTuple

import keras
from keras import KerasTensor, layers, ops

from models.captioner import Decoder


class Inputs(NamedTuple):
    """A batch, as `Learner` takes it: B pictures, K captions of each, T words."""

    features: Any
    """float32 [B, ...], what the encoder makes of the pictures up to the cut."""
    tokens: Any
    """int32 [B, K, T]"""
    pooled: Any
    """float32 [B, channels], the mean over the cells of the grid that the encoder made before it
    was trained; zeros where there is no picture, or nobody asks."""


class Learner(keras.Model):  # type: ignore[misc]  # Keras has no types.
    """From cached features and words to the next words' logits."""

    def __init__(
        self,
        decoder: Decoder,
        tail: keras.Model | None = None,
        classifier: keras.layers.Dense | None = None,
        keep_classes: float = 0.0,
    ) -> None:
        """Take the parts of a captioner; it learns as they do.

        Args:
            decoder: Its decoder.
            tail: The part of its encoder that reads the cached features; None when they are grids.
            classifier: The encoder's own classifier, which stays as it is.
            keep_classes: How much it costs, for each nat between the class probabilities before
                and now, to change what the classifier says (Li and Hoiem, "Learning without
                Forgetting", ECCV 2016).

        Raises:
            ValueError: If classes are to be kept without a tail or a classifier.
        """
        super().__init__()
        if keep_classes and (tail is None or classifier is None):
            raise ValueError("keep_classes is for a cut encoder with classes: set both, or not it")
        self.decoder, self.tail, self.classifier = decoder, tail, classifier
        if classifier is not None:
            classifier.trainable = False
        self._keep_classes = keep_classes

    def grid(self, features: KerasTensor) -> KerasTensor:
        """The grid [B, rows, columns, channels] of the cached features."""
        # Batch statistics of a few pictures would undo what the encoder knows.
        return features if self.tail is None else self.tail(features, training=False)

    def call(self, inputs: Inputs, training: bool = False) -> KerasTensor:
        """Teacher-forced logits [B, K, T, V]."""
        features, tokens, pooled = inputs
        grid = self.grid(features)
        if self._keep_classes:
            self.add_loss(self._keep_classes * self._classes_lost(grid, pooled))
        return ops.cast(self.decoder((grid, tokens), training=training), "float32")

    def _classes_lost(self, grid: KerasTensor, pooled: KerasTensor) -> KerasTensor:
        """Nats from the class probabilities before to those now, where there is a picture."""
        before = ops.log_softmax(self.classifier(pooled))  # type: ignore[misc]
        now = ops.log_softmax(self.classifier(ops.mean(grid, axis=(1, 2))))  # type: ignore[misc]
        lost = ops.sum(ops.exp(before) * (before - now), axis=-1)
        pictures = ops.cast(ops.any(pooled != 0, axis=-1), lost.dtype)
        return ops.sum(lost * pictures) / ops.maximum(ops.sum(pictures), 1.0)


def split_encoder(encoder: keras.Model, cut: str) -> tuple[keras.Model, keras.Model | None]:
    """Split the encoder after a layer: two models that share its layers; no second when "".

    Raises:
        ValueError: If there is no such layer, or the rest reads more than its output.
    """
    if not cut:
        return encoder, None
    try:
        features = encoder.get_layer(cut).output
        return keras.Model(encoder.input, features), keras.Model(features, encoder.output)
    except ValueError as problem:
        raise ValueError(f"the encoder {encoder.name} cannot be cut after {cut!r}") from problem


def use_precision(learner: Learner, precision: str) -> None:
    """Let the decoder's matrix products run in a Keras dtype policy, such as mixed_bfloat16."""
    policy = keras.DTypePolicy(precision)
    for layer in learner.decoder.layers:
        if isinstance(layer, layers.Dense | layers.LSTMCell):
            layer.dtype_policy = policy


def tune_pointwise(encoder: keras.Model, *, tuned: bool) -> None:
    """Let the convolutions of a single cell be trained, or nothing; the rest stays as it is.

    They hold most of the weights, and a depthwise convolution's gradient is slow on a processor.
    """
    for layer in encoder.layers:
        pointwise = isinstance(layer, layers.Conv2D) and tuple(layer.kernel_size) == (1, 1)
        layer.trainable = tuned and pointwise
