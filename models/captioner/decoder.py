"""The decoder: an LSTM that attends to the encoder's grid at each word.

Soft attention after Xu et al., "Show, Attend and Tell" (ICML 2015). The query is the state that has
read the previous word, as in Luong et al., "Effective Approaches to Attention-based Neural Machine
Translation" (EMNLP 2015), whose input feeding passes each context on to the next step. Multi-head
scaled dot products after Vaswani et al., "Attention Is All You Need" (NeurIPS 2017).
Shapes: B images, K captions of each, T words, N cells of the grid, W the width, V words.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import KerasTensor, layers, ops
from numpy.typing import NDArray

from models.language import START


@dataclass(frozen=True, slots=True)
class DecoderConfig:
    """The architecture of a decoder, and its dropout rates in training."""

    vocabulary_size: int
    width: int = 512
    """Units of the LSTM, of the attention and of a projected cell."""
    embedding: int = 256
    heads: int = 8
    embedding_dropout: float = 0.3
    grid_dropout: float = 0.2
    output_dropout: float = 0.5

    def __post_init__(self) -> None:
        if self.heads < 1 or self.width < 1 or self.width % self.heads:
            raise ValueError(
                f"width {self.width} is not divisible by {self.heads} heads; change width or heads"
            )


class Memory(NamedTuple):
    """The projected grid: computed once for an image, read at each step."""

    keys: KerasTensor
    """[B, heads, W/heads, N]"""
    values: KerasTensor
    """[B, heads, N, W/heads]"""
    mean: KerasTensor
    """[B, W], the mean of the projected cells."""


class State(NamedTuple):
    """The recurrent state between two steps, each part [B, K, W]."""

    hidden: KerasTensor
    cell: KerasTensor
    context: KerasTensor
    """The previous step's attention-weighted sum of the cells."""


class Step(NamedTuple):
    """The output of a step."""

    logits: KerasTensor
    """[B, K, V]"""
    attention: KerasTensor
    """[B, K, heads, N], each head's weights summing to 1."""
    state: State


class TeacherForcedSteps(NamedTuple):
    """The decoder's readouts and attention at each word of given captions."""

    readouts: KerasTensor
    """[B, K, T, 2W]: the hidden state after the previous words, then the context."""
    attention: KerasTensor
    """[B, K, T, heads, N], each head's weights summing to 1."""


class Decoder(keras.Model):  # type: ignore[misc]  # Keras has no types.
    """From a grid [B, rows, columns, channels] and words to the next word's logits."""

    distinct_words: NDArray[np.bool_]
    """Which words a caption should not have twice close together, [V]; by default none. The search
    uses it, see `BeamConfig.blocked_window`."""

    def __init__(self, config: DecoderConfig, **kwargs: Any) -> None:
        """Create the layers. Their weights are created by the first call or by `build_for`."""
        super().__init__(**kwargs)
        self.config = config
        self.distinct_words = np.zeros(config.vocabulary_size, bool)
        width = config.width
        self.project = layers.Dense(width, name="project")
        self.project_norm = layers.LayerNormalization(name="project_norm")
        self.key = layers.Dense(width, use_bias=False, name="key")
        self.query = layers.Dense(width, use_bias=False, name="query")
        self.start_hidden = layers.Dense(width, activation="tanh", name="start_hidden")
        self.start_cell = layers.Dense(width, activation="tanh", name="start_cell")
        self.embedding = layers.Embedding(
            config.vocabulary_size, config.embedding, name="embedding"
        )
        self.lstm = layers.LSTMCell(width, name="lstm")
        self.output_projection = layers.Dense(config.embedding, name="output")
        self.grid_dropout = layers.Dropout(config.grid_dropout)
        self.embedding_dropout = layers.Dropout(config.embedding_dropout)
        self.output_dropout = layers.Dropout(config.output_dropout)
        self.word_bias = self.add_weight(
            shape=(config.vocabulary_size,), initializer="zeros", name="word_bias"
        )

    def build_for(self, channels: int) -> None:
        """Create the weights for grids with this number of channels."""
        width = self.config.width
        self.project.build((None, None, channels))
        self.project_norm.build((None, None, width))
        for layer in (self.key, self.query, self.start_hidden, self.start_cell):
            layer.build((None, width))
        self.embedding.build((None, None))
        self.lstm.build((None, self.config.embedding + width))
        self.output_projection.build((None, 2 * width))
        self.built = True

    def build_memory(self, grid: KerasTensor, training: bool = False) -> Memory:
        """Project the grid, once for all steps."""
        rows, columns, channels = grid.shape[1:]
        cells = ops.reshape(grid, (-1, rows * columns, channels))
        cells = self.project_norm(self.project(cells))
        cells = self.grid_dropout(cells, training=training)
        return Memory(
            keys=ops.transpose(self._split_heads(self.key(cells)), (0, 2, 3, 1)),
            values=ops.transpose(self._split_heads(cells), (0, 2, 1, 3)),
            mean=ops.mean(cells, axis=1),
        )

    def initial_state(self, memory: Memory, captions: int) -> State:
        """Return the state before the first word, the same for each of an image's captions."""
        parts = (self.start_hidden(memory.mean), self.start_cell(memory.mean), memory.mean)
        dtype = memory.mean.dtype
        return State(*(ops.cast(ops.repeat(p[:, None], captions, axis=1), dtype) for p in parts))

    def step(self, tokens: KerasTensor, state: State, memory: Memory) -> Step:
        """Read the previous words [B, K] and predict the next ones."""
        readout, attention, state = self.advance(self.embedding(tokens), state, memory)
        return Step(self.logits(readout), attention, state)

    def call(self, inputs: tuple[KerasTensor, KerasTensor], training: bool = False) -> KerasTensor:
        """Return the teacher-forced logits [B, K, T, V] for (grid, words [B, K, T])."""
        grid, tokens = inputs
        return self.logits(self.teacher_force(grid, tokens, training).readouts, training)

    def teacher_force(
        self, grid: KerasTensor, tokens: KerasTensor, training: bool = False
    ) -> TeacherForcedSteps:
        """Run the decoder along the words [B, K, T], each given the words before it."""
        memory = self.build_memory(grid, training=training)
        captions, length = tokens.shape[1:]
        before = ops.concatenate([ops.full_like(tokens[..., :1], START), tokens[..., :-1]], axis=-1)
        embedded = self.embedding_dropout(self.embedding(before), training=training)
        state = self.initial_state(memory, captions)
        readouts, attentions = [], []
        for position in range(length):
            readout, attention, state = self.advance(embedded[:, :, position], state, memory)
            readouts.append(readout)
            attentions.append(attention)
        return TeacherForcedSteps(ops.stack(readouts, axis=2), ops.stack(attentions, axis=2))

    def advance(
        self, embedded: KerasTensor, state: State, memory: Memory
    ) -> tuple[KerasTensor, KerasTensor, State]:
        """Take one step from embedded words [B, K, E].

        Returns:
            The readout [B, K, 2W], the attention [B, K, heads, N] and the new state.
        """
        captions, width = embedded.shape[1], self.config.width
        inputs = ops.concatenate([embedded, state.context], axis=-1)
        flat = [ops.reshape(part, (-1, part.shape[-1])) for part in (inputs, *state[:2])]
        _, (hidden, cell) = self.lstm(flat[0], flat[1:])
        # The LSTM may compute in half the precision that its state is kept in.
        hidden, cell = (
            ops.cast(ops.reshape(part, (-1, captions, width)), embedded.dtype)
            for part in (hidden, cell)
        )
        query = ops.transpose(self._split_heads(self.query(hidden)), (0, 2, 1, 3))
        scale = (width // self.config.heads) ** -0.5
        attention = ops.softmax(ops.matmul(query, memory.keys) * scale)
        context = ops.transpose(ops.matmul(attention, memory.values), (0, 2, 1, 3))
        context = ops.reshape(context, (-1, captions, width))
        readout = ops.concatenate([hidden, context], axis=-1)
        return readout, ops.transpose(attention, (0, 2, 1, 3)), State(hidden, cell, context)

    def logits(self, readout: KerasTensor, training: bool = False) -> KerasTensor:
        """Return the logits of all words [..., V] for a readout [..., 2W].

        The output weights are the word embedding (Press and Wolf, EACL 2017).
        """
        readout = self.output_dropout(readout, training=training)
        words = ops.transpose(self.embedding.embeddings)
        return ops.matmul(self.output_projection(readout), words) + self.word_bias

    def word_logits(self, readout: KerasTensor, words: KerasTensor) -> KerasTensor:
        """Return the logit of one word each: readout [..., 2W] and words [...] to [...]."""
        products = self.output_projection(readout) * self.embedding(words)
        return ops.sum(products, axis=-1) + ops.take(self.word_bias, words)

    def _split_heads(self, x: KerasTensor) -> KerasTensor:
        """[B, N, W] to [B, N, heads, W/heads]."""
        heads = self.config.heads
        return ops.reshape(x, (-1, x.shape[1], heads, self.config.width // heads))
