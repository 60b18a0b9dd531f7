"""BLIP's text decoder: a causal BERT with cross-attention to the image's tokens.

Li et al., "BLIP" (ICML 2022); Devlin et al., "BERT" (NAACL 2019), whose layers normalize after
each residual connection; Vaswani et al., "Attention Is All You Need" (NeurIPS 2017).
Shapes: B images, K captions of each, T tokens, N image tokens of C channels, W the width, H heads
of D = W/H, V the vocabulary, P the longest caption that a cache holds.
"""

from typing import NamedTuple

import keras
from keras import KerasTensor, layers, ops

from models.blip.config import TextConfig
from models.blip.vision import dense

_MASKED = -1e9
"""Added to the score of a token that must not be attended to."""


class KeysValues(NamedTuple):
    """What attention reads. Keys are stored transposed, as each step multiplies by them."""

    keys: KerasTensor
    """[..., H, D, N]"""
    values: KerasTensor
    """[..., H, N, D]"""


Memory = tuple[KeysValues, ...]
"""Each layer's keys [B, H, D, N] and values [B, H, N, D] of the image's tokens: computed once an
image, read by every caption at every step."""

Cache = tuple[KeysValues, ...]
"""Each layer's keys [B, K, H, D, P] and values [B, K, H, P, D] of the captions' tokens so far."""


class Read(NamedTuple):
    """What attention read: the very tensors that the result was computed from."""

    queries: KerasTensor
    """[..., H, T, D], scaled."""
    weights: KerasTensor
    """[..., H, T, N]: each head's sum to 1."""
    mixed: KerasTensor
    """[..., H, T, D]: the values, weighted and added."""


class TeacherForced(NamedTuple):
    """The decoder along given captions."""

    hidden: KerasTensor
    """[B, T, W]: what each token is predicted from; see `Decoder.logits`."""
    reads: tuple[Read, ...]
    """What each layer's cross-attention read of the image to predict each token; that of the
    prompt comes first."""


class Decoder(keras.Model):  # type: ignore[misc]  # Keras has no types.
    """From image tokens [B, N, C] and a caption's tokens to the next token's logits."""

    def __init__(self, config: TextConfig, channels: int, *, tied: bool) -> None:
        """Create the weights, which are zero.

        Args:
            config: The architecture.
            channels: Of the image's tokens.
            tied: Whether the output weights are the word embedding (Press and Wolf, EACL 2017).
        """
        super().__init__(name="decoder")
        self.config = config
        width = config.hidden_size
        self.words = self._weight("words", config.vocab_size, width)
        self.positions = self._weight("positions", config.max_position_embeddings, width)
        self.embedding_norm = _norm(config, "embedding_norm")
        self.blocks = [
            Block(config, channels, name=f"block{index}")
            for index in range(config.num_hidden_layers)
        ]
        self.transform = dense(width, "transform")
        self.transform.build((None, width))
        self.transform_norm = _norm(config, "transform_norm")
        self.output_words = (
            self.words if tied else self._weight("output_words", config.vocab_size, width)
        )
        self.output_bias = self._weight("output_bias", config.vocab_size)
        self.built = True

    def embed(self, tokens: KerasTensor, positions: KerasTensor) -> KerasTensor:
        """Return what the first layer reads, [..., T, W]: tokens [..., T], positions [T] or []."""
        words = ops.take(self.words, tokens, axis=0)
        return self.embedding_norm(words + ops.take(self.positions, positions, axis=0))

    def build_memory(self, image_tokens: KerasTensor) -> Memory:
        """Project the image's tokens [B, N, C], once for all captions and steps."""
        return tuple(block.cross_attention.project(image_tokens) for block in self.blocks)

    def empty_cache(self, memory: Memory, captions: int, length: int) -> Cache:
        """Return the cache of `captions` captions of each image, for `length` tokens each."""
        keys = memory[0].keys
        batch, (heads, depth) = ops.shape(keys)[0], keys.shape[1:3]
        empty = KeysValues(
            ops.zeros((batch, captions, heads, depth, length), keys.dtype),
            ops.zeros((batch, captions, heads, length, depth), keys.dtype),
        )
        return (empty,) * len(self.blocks)

    def step(
        self, tokens: KerasTensor, position: KerasTensor, cache: Cache, memory: Memory
    ) -> tuple[KerasTensor, Cache]:
        """Read the token [B, K] at a position.

        Returns:
            What the next token is predicted from [B, K, W], see `logits`; and the cache with the
            token added.
        """
        x = self.embed(tokens, position)  # [B, K, W]
        extended = []
        for block, past, image in zip(self.blocks, cache, memory, strict=True):
            x, past = block.step(x, position, past, image)
            extended.append(past)
        return x, tuple(extended)

    def teacher_force(
        self,
        tokens: KerasTensor,
        memory: Memory,
        *,
        own_gradient: bool = False,
        prompt: tuple[int, ...] = (),
    ) -> TeacherForced:
        """Run along given captions, all positions at once, each given the tokens before it.

        Args:
            tokens: int [B, T]: each caption's tokens, the end token, then padding.
            memory: Of the images; see `build_memory`.
            own_gradient: Hold constant, in self-attention, the keys and values of all positions but
                a token's own. No value changes, but the gradient of a sum over the tokens then is,
                with respect to a token's row of the attention, the gradient of that token's own
                term: one backward pass gives the exact gradient of every token.
            prompt: The tokens between the start token and the caption.
        """
        start = ops.convert_to_tensor([self.config.bos_token_id, *prompt], tokens.dtype)
        read = ops.concatenate([ops.zeros_like(tokens[:, :1]) + start, tokens[:, :-1]], axis=-1)
        places = ops.arange(ops.shape(read)[1])
        x = self.embed(read, places)
        mask = ops.where(places > places[:, None], _MASKED, 0.0)
        reads = []
        for block, image in zip(self.blocks, memory, strict=True):
            text = block.attention.project(x)
            x = block.read_text(x, text, mask, own_gradient=own_gradient)
            x, read_image = block.read_image(x, image)
            x = block.transform(x)
            reads.append(read_image)
        return TeacherForced(x[:, len(prompt) :], tuple(reads))

    def logits(self, hidden: KerasTensor) -> KerasTensor:
        """Return the logits [..., V] of every token that may follow: hidden [..., W]."""
        return ops.matmul(self.readout(hidden), ops.transpose(self.output_words)) + self.output_bias

    def token_logits(self, hidden: KerasTensor, tokens: KerasTensor) -> KerasTensor:
        """Return the logit of one token each: hidden [..., W] and tokens [...] to [...]."""
        products = self.readout(hidden) * ops.take(self.output_words, tokens, axis=0)
        return ops.sum(products, axis=-1) + ops.take(self.output_bias, tokens)

    def readout(self, hidden: KerasTensor) -> KerasTensor:
        """[..., W] to [..., W], whose product with a token's output weights is its logit."""
        return self.transform_norm(ops.gelu(self.transform(hidden), approximate=False))

    def _weight(self, name: str, *shape: int) -> keras.Variable:
        return self.add_weight(shape=shape, initializer="zeros", name=name)


class Block(layers.Layer):  # type: ignore[misc]
    """One layer: attention to the caption so far, attention to the image, a two-layer network."""

    def __init__(self, config: TextConfig, channels: int, name: str) -> None:
        super().__init__(name=name)
        width, hidden = config.hidden_size, config.intermediate_size
        self.attention = Attention(config, width, "attention")
        self.attention_norm = _norm(config, "attention_norm")
        self.cross_attention = Attention(config, channels, "cross_attention")
        self.cross_attention_norm = _norm(config, "cross_attention_norm")
        self.expand = dense(hidden, "expand")
        self.expand.build((None, width))
        self.contract = dense(width, "contract")
        self.contract.build((None, hidden))
        self.norm = _norm(config, "norm")
        self.built = True

    def step(
        self, x: KerasTensor, position: KerasTensor, past: KeysValues, image: KeysValues
    ) -> tuple[KerasTensor, KeysValues]:
        """Read one token [B, K, W] of each caption; return [B, K, W] and its layer's cache."""
        places = ops.arange(past.keys.shape[-1])
        here = places == position
        x = x[:, :, None]  # Each caption attends to itself: [B, K, 1, W].
        new = self.attention.project(x)
        text = KeysValues(
            ops.where(here, new.keys, past.keys),
            ops.where(here[:, None], new.values, past.values),
        )
        x = self.read_text(x, text, ops.where(places > position, _MASKED, 0.0))[:, :, 0]
        x, _ = self.read_image(x, image)
        return self.transform(x), text

    def read_text(
        self, x: KerasTensor, text: KeysValues, mask: KerasTensor, *, own_gradient: bool = False
    ) -> KerasTensor:
        """Attend from x [..., T, W] to the M tokens of its caption.

        `mask` [T, M] or [M] is added to the scores. For `own_gradient`, which needs M = T, see
        `Decoder.teacher_force`.
        """
        attend = self.attention.attend_own if own_gradient else self.attention.attend
        mixed, _ = attend(x, text, mask)
        return self.attention_norm(mixed + x)

    def read_image(self, x: KerasTensor, image: KeysValues) -> tuple[KerasTensor, Read]:
        """Attend from x [B, T, W] to the image's N tokens; return x and what was read."""
        mixed, read = self.cross_attention.attend(x, image)
        return self.cross_attention_norm(mixed + x), read

    def transform(self, x: KerasTensor) -> KerasTensor:
        """Apply the two-layer network to x [..., W]."""
        return self.norm(self.contract(ops.gelu(self.expand(x), approximate=False)) + x)


class Attention(layers.Layer):  # type: ignore[misc]
    """Multi-head scaled dot-product attention."""

    def __init__(self, config: TextConfig, channels: int, name: str) -> None:
        """Create the weights, to attend to tokens of this number of channels."""
        super().__init__(name=name)
        width = config.hidden_size
        self.heads, self.depth = config.num_attention_heads, width // config.num_attention_heads
        self.query, self.key, self.value, self.output_projection = (
            dense(width, part) for part in ("query", "key", "value", "output_projection")
        )
        self.query.build((None, width))
        self.key.build((None, channels))
        self.value.build((None, channels))
        self.output_projection.build((None, width))
        self.built = True

    def project(self, tokens: KerasTensor) -> KeysValues:
        """Project tokens [..., N, C]."""
        keys = ops.moveaxis(self._split(self.key(tokens)), -3, -1)
        values = ops.swapaxes(self._split(self.value(tokens)), -3, -2)
        return KeysValues(keys, values)

    def attend(
        self, x: KerasTensor, memory: KeysValues, mask: KerasTensor | float = 0.0
    ) -> tuple[KerasTensor, Read]:
        """Attend from x [..., T, W]; return the mixture [..., T, W] and what was read."""
        queries = self._queries(x)
        weights = ops.softmax(ops.matmul(queries, memory.keys) + mask)
        mixed = ops.matmul(weights, memory.values)
        return self._join(mixed), Read(queries, weights, mixed)

    def attend_own(
        self, x: KerasTensor, memory: KeysValues, mask: KerasTensor
    ) -> tuple[KerasTensor, Read]:
        """Attend as `attend`, from tokens to themselves.

        Gradients flow back through each token's own key and value alone.
        """
        queries = self._queries(x)
        keys, values = (ops.stop_gradient(part) for part in memory)
        places = ops.arange(ops.shape(x)[-2])
        own = places == places[:, None]
        own_scores = ops.sum(queries * ops.swapaxes(memory.keys, -1, -2), axis=-1, keepdims=True)
        weights = ops.softmax(ops.where(own, own_scores, ops.matmul(queries, keys)) + mask)
        own_weights = ops.sum(ops.where(own, weights, 0.0), axis=-1, keepdims=True)
        # The second term is zero; its gradient is that of the own value.
        mixed = ops.matmul(weights, values) + own_weights * (memory.values - values)
        return self._join(mixed), Read(queries, weights, mixed)

    def _queries(self, x: KerasTensor) -> KerasTensor:
        """[..., T, W] to [..., H, T, D], scaled."""
        return ops.swapaxes(self._split(self.query(x)), -3, -2) * self.depth**-0.5

    def _split(self, x: KerasTensor) -> KerasTensor:
        """[..., N, W] to [..., N, H, D]."""
        return ops.reshape(x, (*ops.shape(x)[:-1], self.heads, self.depth))

    def _join(self, x: KerasTensor) -> KerasTensor:
        """[..., H, T, D] to [..., T, W]."""
        x = ops.swapaxes(x, -3, -2)
        joined = ops.reshape(x, (*ops.shape(x)[:-2], self.heads * self.depth))
        return self.output_projection(joined)


def _norm(config: TextConfig, name: str) -> layers.LayerNormalization:
    norm = layers.LayerNormalization(epsilon=config.layer_norm_eps, name=name)
    norm.build((None, config.hidden_size))
    return norm
