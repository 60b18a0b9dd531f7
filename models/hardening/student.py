"""A second captioner that shares its encoder, or all but its last blocks, with the captioner.

Hardening trains two: one on attacked images, and as a control one on noisy images.
"""

import re
from functools import cached_property
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from models.captioner import Captioner, Decoder

_BLOCK = re.compile(r"(block\d+[a-z]?)_")
"""Names of an encoder's layers that belong to a block, in EfficientNet-Lite and EfficientNetV2."""


class Student:
    """A copy of a captioner's decoder and, on request, of its encoder's last blocks."""

    head: keras.Model
    """From pixels to features: the captioner's own layers, which are never trained."""
    tail: keras.Model
    """From features to the grid; a copy that may be trained if `blocks` is above 0."""
    decoder: Decoder

    def __init__(self, captioner: Captioner, blocks: int) -> None:
        """Copy the captioner's weights.

        Args:
            captioner: Stays as it is.
            blocks: How many of the encoder's last blocks are copied, with all layers after them.
                With 0 the encoder is the captioner's own.

        Raises:
            ValueError: If the encoder has fewer blocks.
        """
        self.blocks = blocks
        self._whole = captioner.encoder
        self.head, self.tail = split_encoder(captioner.encoder, blocks)
        if blocks:
            own = self.tail
            self.tail = keras.models.clone_model(own)
            self.tail.set_weights(own.get_weights())
        self.decoder = Decoder(captioner.config.decoder, name="student")
        self.decoder.build_for(captioner.encoder.output_shape[-1])
        self.decoder.set_weights(captioner.decoder.get_weights())
        self.decoder.distinct_words = captioner.decoder.distinct_words

    @cached_property
    def encoder(self) -> keras.Model:
        """From pixels to the grid: the captioner's own encoder if `blocks` is 0."""
        if not self.blocks:
            return self._whole
        return keras.Model(self.head.input, self.tail(self.head.output))

    @property
    def weights(self) -> list[Any]:
        """The variables that make it another captioner."""
        return [*(self.tail.weights if self.blocks else ()), *self.decoder.weights]

    @property
    def variables(self) -> list[Any]:
        """The weights, and the state of dropout's random numbers."""
        return [*(self.tail.variables if self.blocks else ()), *self.decoder.variables]

    def get_weights(self) -> list[NDArray[np.float32]]:
        """Return the values of `weights`."""
        return [np.asarray(weight) for weight in self.weights]

    def set_weights(self, values: list[NDArray[np.float32]]) -> None:
        """Set the values of `weights`."""
        for weight, value in zip(self.weights, values, strict=True):
            weight.assign(value)


def split_encoder(encoder: keras.Model, blocks: int) -> tuple[keras.Model, keras.Model]:
    """Cut an encoder before its last blocks.

    With 0 blocks it is cut before the last one all the same, since the features there are several
    times smaller than the grid; an encoder without named blocks is cut at the grid.

    Returns:
        The layers before the cut, and those after it; their weights are the encoder's.

    Raises:
        ValueError: If the encoder has fewer blocks.
    """
    of_layers = [match[1] if (match := _BLOCK.match(each.name)) else "" for each in encoder.layers]
    names = list(dict.fromkeys(filter(None, of_layers)))
    if blocks >= max(1, len(names)):
        raise ValueError(
            f"the encoder has {len(names)} blocks; train fewer than that with --encoder-blocks"
        )
    if not names:
        return encoder, keras.Sequential([keras.Input(encoder.output_shape[1:])])
    first = of_layers.index(names[-max(1, blocks)])
    cut = encoder.layers[first - 1].output
    return keras.Model(encoder.input, cut), keras.Model(cut, encoder.output)
