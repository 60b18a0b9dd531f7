"""An independent NumPy implementation of the decoder: one caption of one image."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.captioner.decoder import Decoder

Array = NDArray[np.float64]


class NumpyState(NamedTuple):
    """The recurrent state between two steps, each part [W]."""

    hidden: Array
    cell: Array
    context: Array


class NumpyDecoder:
    """A decoder in double precision, for one image."""

    def __init__(self, decoder: Decoder, grid: NDArray[np.float32]) -> None:
        """Copy the decoder's weights, and project a grid [rows, columns, channels]."""
        self.heads = decoder.config.heads
        self.project, self.project_bias = _weights(decoder.project)
        self.gamma, self.beta = _weights(decoder.project_norm)
        (self.key,), (self.query,) = _weights(decoder.key), _weights(decoder.query)
        self.start_hidden, self.start_cell = (
            _weights(decoder.start_hidden),
            _weights(decoder.start_cell),
        )
        (self.embedding,) = _weights(decoder.embedding)
        self.kernel, self.recurrent_kernel, self.bias = _weights(decoder.lstm)
        self.output, self.output_bias = _weights(decoder.output_projection)
        self.word_bias = np.asarray(decoder.word_bias, np.float64)
        self.distinct = set(np.flatnonzero(decoder.distinct_words).tolist())

        cells = grid.reshape(-1, grid.shape[-1]) @ self.project + self.project_bias
        deviation = np.sqrt(cells.var(axis=-1, keepdims=True) + 1e-3)
        self.cells = (cells - cells.mean(axis=-1, keepdims=True)) / deviation
        self.cells = self.cells * self.gamma + self.beta

    def start(self) -> NumpyState:
        """Return the state before the first word."""
        mean = self.cells.mean(axis=0)
        hidden, cell = (np.tanh(mean @ w + b) for w, b in (self.start_hidden, self.start_cell))
        return NumpyState(hidden, cell, mean)

    def step(self, token: int, state: NumpyState) -> tuple[Array, Array, NumpyState]:
        """Read one word; return the next word's logits [V], the attention [heads, N], the state."""
        inputs = np.concatenate([self.embedding[token], state.context])
        gates = inputs @ self.kernel + state.hidden @ self.recurrent_kernel + self.bias
        enter, keep, candidate, leave = np.split(gates, 4)
        cell = _sigmoid(keep) * state.cell + _sigmoid(enter) * np.tanh(candidate)
        hidden = _sigmoid(leave) * np.tanh(cell)
        attention, context = [], []
        for head in np.split(np.arange(len(hidden)), self.heads):
            query, keys = (hidden @ self.query)[head], (self.cells @ self.key)[:, head]
            weights = np.exp(keys @ query / np.sqrt(len(head)))
            weights /= weights.sum()
            attention.append(weights)
            context.append(weights @ self.cells[:, head])
        read = np.concatenate([hidden, *context])
        logits = (read @ self.output + self.output_bias) @ self.embedding.T + self.word_bias
        return logits, np.stack(attention), NumpyState(hidden, cell, np.concatenate(context))


def _weights(layer: object) -> list[Array]:
    return [np.asarray(weight, np.float64) for weight in layer.get_weights()]  # type: ignore[attr-defined]


def _sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))
