"""The captioner for the model-randomisation test: its weights may change after it was loaded."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from inference.captioners.lstm.model import LstmCaptionModel
from models.graph import graph

_DECODER_STAGES = (
    ("output", ("output", "word_bias", "embedding")),
    ("LSTM", ("lstm", "start_hidden", "start_cell")),
    ("attention", ("query", "key")),
    ("projection", ("project", "project_norm")),
)
"""Parts of the decoder from the top down, with their layers."""


class VariableLstmCaptionModel(LstmCaptionModel):
    """A captioner whose encoder runs in Keras, so that it follows changes of its weights."""

    def __init__(self, folder: Path) -> None:
        """Load the captioner.

        Raises:
            models.checkpoint.CheckpointError: If the folder holds no usable captioner.
        """
        self._graph: Callable[[Any], Any] | None = None
        super().__init__(folder)

    def encode_pixels(  # noqa: D102 (inherited)
        self, pixels: NDArray[np.uint8 | np.float32]
    ) -> NDArray[np.float32]:
        if self._graph is None:
            encoder = self.captioner.encoder
            self._graph = graph(
                lambda pixels: encoder(pixels),
                input_signature=[tf.TensorSpec((None, *encoder.input_shape[1:]), tf.float32)],
            )
        return np.asarray(self._graph(tf.constant(pixels, tf.float32)))

    def weight_stages(self) -> Iterator[tuple[str, list[Any]]]:  # noqa: D102
        decoder = self.captioner.decoder
        for stage, layers in _DECODER_STAGES:
            yield stage, [weight for weight in decoder.weights if _layer(weight.path) in layers]
        blocks: dict[str, list[Any]] = {}
        for layer in self.captioner.encoder.layers:
            if layer.weights:
                blocks.setdefault(_block(layer.name), []).extend(layer.weights)
        yield from reversed(blocks.items())


def _layer(path: str) -> str:
    return path.removeprefix("decoder/").partition("/")[0]


def _block(layer: str) -> str:
    """Return the encoder's block that a layer belongs to: "block7" for "block7_expand_norm"."""
    found = re.match(r"(block\d+[a-z]?|[a-z]+)", layer)
    return found[1] if found else layer
