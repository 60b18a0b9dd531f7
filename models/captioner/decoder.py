"""The decoder: an LSTM that looks at the encoder's grid before it says each word.

Soft attention after Xu et al., "Show, Attend and Tell" (ICML 2015), asked by the state that has
read the word before, as in Luong et al., "Effective Approaches to Attention-based Neural Machine
Translation" (EMNLP 2015), whose input feeding hands each context on to the next step; scaled dot
products in several heads after Vaswani et al., "Attention Is All You Need" (NeurIPS 2017).
Shapes below: B images, K captions of each, T words, N cells of the grid, W the width, V words.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import keras
from keras import KerasTensor, layers, ops

from models.language import START


@dataclass(frozen=True, slots=True)
class DecoderConfig:
    """What fixes a decoder's shape, and how it is regularised in training."""

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
            raise ValueError(f"width {self.width} does not divide into {self.heads} heads")


class Memory(NamedTuple):
    """What the decoder keeps of a picture: computed once, read at each step."""

    keys: KerasTensor
    """[B, heads, W/heads, N]"""
    values: KerasTensor
    """[B, heads, N, W/heads]"""
    mean: KerasTensor
    """[B, W], the mean of the projected cells."""


class State(NamedTuple):
    """What one step hands to the next, each [B, K, W]."""

    hidden: KerasTensor
    cell: KerasTensor
    context: KerasTensor
    """What the step before read from the grid."""


class Step(NamedTuple):
    """What a step says."""

    logits: KerasTensor
    """[B, K, V]"""
    attention: KerasTensor
    """[B, K, heads, N], each head's weights summing to 1."""
    state: State


class Recital(NamedTuple):
    """What is read before each word of captions that are given."""

    read: KerasTensor
    """[B, K, T, 2W]: the hidden state that has read the words before, then the context."""
    attention: KerasTensor
    """[B, K, T, heads, N], each head's weights summing to 1."""


class Decoder(keras.Model):  # type: ignore[misc]  # Keras has no types.
    """From a grid [B, rows, columns, channels] and words to the next word's logits."""

    def __init__(self, config: DecoderConfig, **kwargs: Any) -> None:
        """Make the layers; their weights come with the first call, or with `build`."""
        super().__init__(**kwargs)
        self.config = config
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
        """Create the weights for grids of so many channels."""
        width = self.config.width
        self.project.build((None, None, channels))
        self.project_norm.build((None, None, width))
        for layer in (self.key, self.query, self.start_hidden, self.start_cell):
            layer.build((None, width))
        self.embedding.build((None, None))
        self.lstm.build((None, self.config.embedding + width))
        self.output_projection.build((None, 2 * width))
        self.built = True

    def remember(self, grid: KerasTensor, training: bool = False) -> Memory:
        """Read the grid once, before the first word."""
        rows, columns, channels = grid.shape[1:]
        cells = ops.reshape(grid, (-1, rows * columns, channels))
        cells = self.project_norm(self.project(cells))
        cells = self.grid_dropout(cells, training=training)
        return Memory(
            keys=ops.transpose(self._split(self.key(cells)), (0, 2, 3, 1)),
            values=ops.transpose(self._split(cells), (0, 2, 1, 3)),
            mean=ops.mean(cells, axis=1),
        )

    def start(self, memory: Memory, captions: int) -> State:
        """The state before the first word, the same for each of an image's captions."""
        parts = (self.start_hidden(memory.mean), self.start_cell(memory.mean), memory.mean)
        dtype = memory.mean.dtype
        return State(*(ops.cast(ops.repeat(p[:, None], captions, axis=1), dtype) for p in parts))

    def step(self, tokens: KerasTensor, state: State, memory: Memory) -> Step:
        """Read the words before [B, K] and tell the next."""
        read, attention, state = self.advance(self.embedding(tokens), state, memory)
        return Step(self.logits(read), attention, state)

    def call(self, inputs: tuple[KerasTensor, KerasTensor], training: bool = False) -> KerasTensor:
        """Teacher-forced logits [B, K, T, V] of the words, given (grid, words [B, K, T])."""
        grid, tokens = inputs
        return self.logits(self.recite(grid, tokens, training).read, training)

    def recite(self, grid: KerasTensor, tokens: KerasTensor, training: bool = False) -> Recital:
        """Tell what is read before each of the words [B, K, T], given those before them."""
        memory = self.remember(grid, training=training)
        captions, length = tokens.shape[1:]
        before = ops.concatenate([ops.full_like(tokens[..., :1], START), tokens[..., :-1]], axis=-1)
        embedded = self.embedding_dropout(self.embedding(before), training=training)
        state = self.start(memory, captions)
        read, attention = [], []
        for position in range(length):
            now, looked, state = self.advance(embedded[:, :, position], state, memory)
            read.append(now)
            attention.append(looked)
        return Recital(ops.stack(read, axis=2), ops.stack(attention, axis=2))

    def advance(
        self, embedded: KerasTensor, state: State, memory: Memory
    ) -> tuple[KerasTensor, KerasTensor, State]:
        """One step: [B, K, E] in; out what was read [B, K, 2W], the attention, the state."""
        captions, width = embedded.shape[1], self.config.width
        inputs = ops.concatenate([embedded, state.context], axis=-1)
        flat = [ops.reshape(part, (-1, part.shape[-1])) for part in (inputs, *state[:2])]
        _, (hidden, cell) = self.lstm(flat[0], flat[1:])
        # The cell may compute in half the precision that its state is kept in.
        hidden, cell = (
            ops.cast(ops.reshape(part, (-1, captions, width)), embedded.dtype)
            for part in (hidden, cell)
        )
        query = ops.transpose(self._split(self.query(hidden)), (0, 2, 1, 3))
        scale = (width // self.config.heads) ** -0.5
        attention = ops.softmax(ops.matmul(query, memory.keys) * scale)
        context = ops.transpose(ops.matmul(attention, memory.values), (0, 2, 1, 3))
        context = ops.reshape(context, (-1, captions, width))
        read = ops.concatenate([hidden, context], axis=-1)
        return read, ops.transpose(attention, (0, 2, 1, 3)), State(hidden, cell, context)

    def logits(self, read: KerasTensor, training: bool = False) -> KerasTensor:
        """Words' logits by the embedding itself (Press and Wolf, EACL 2017)."""
        read = self.output_dropout(read, training=training)
        words = ops.transpose(self.embedding.embeddings)
        return ops.matmul(self.output_projection(read), words) + self.word_bias

    def logits_of(self, read: KerasTensor, words: KerasTensor) -> KerasTensor:
        """The logits of one word each: given read [..., 2W] and words [...], [...]."""
        said = self.output_projection(read) * self.embedding(words)
        return ops.sum(said, axis=-1) + ops.take(self.word_bias, words)

    def _split(self, x: KerasTensor) -> KerasTensor:
        """[B, N, W] to [B, N, heads, W/heads]."""
        heads = self.config.heads
        return ops.reshape(x, (-1, x.shape[1], heads, self.config.width // heads))
