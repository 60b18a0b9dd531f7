"""BLIP's image encoder: a vision transformer.

Dosovitskiy et al., "An Image is Worth 16x16 Words" (ICLR 2021), as in Li et al., "BLIP" (ICML
2022).
Shapes: B images, S pixels a side, N patches, C channels, H heads of C/H channels.
"""

from collections.abc import Sequence
from typing import Any

import keras
from keras import KerasTensor, layers, ops

from models.blip.config import VisionConfig


def vision_transformer(
    config: VisionConfig, scale: Sequence[float], offset: Sequence[float]
) -> keras.Model:
    """Build the encoder, with weights that are still zero.

    Args:
        config: Its architecture.
        scale: What red, green and blue are multiplied with to normalize them.
        offset: What is then added.

    Returns:
        A model from RGB pixels in 0..255 [B, S, S, 3] to tokens [B, 1 + N, C]: the class token,
        then the patches, row by row.
    """
    size, width, patch = config.image_size, config.hidden_size, config.patch_size
    pixels = keras.Input((size, size, 3), name="pixels")
    x = layers.Rescaling(list(scale), list(offset), name="normalize")(pixels)
    x = layers.Conv2D(width, patch, strides=patch, kernel_initializer="zeros", name="patches")(x)
    x = TokenEmbedding(name="embedding")(x)  # [B, side, side, C] -> [B, 1 + N, C]
    for index in range(config.num_hidden_layers):
        x = VisionBlock(
            config.num_attention_heads,
            config.intermediate_size,
            config.layer_norm_eps,
            name=f"block{index}",
        )(x)
    x = layers.LayerNormalization(epsilon=config.layer_norm_eps, name="norm")(x)
    return keras.Model(pixels, x, name="blip")


class TokenEmbedding(layers.Layer):  # type: ignore[misc]  # Keras has no types.
    """Prepends the class token and adds each position's embedding."""

    def build(self, shape: tuple[int, ...]) -> None:
        """Create the weights for patches [B, rows, columns, C]."""
        _, rows, columns, width = shape
        self.class_token = self.add_weight(
            shape=(1, 1, width), initializer="zeros", name="class_token"
        )
        self.positions = self.add_weight(
            shape=(1, 1 + rows * columns, width), initializer="zeros", name="positions"
        )

    def call(self, patches: KerasTensor) -> KerasTensor:
        """[B, rows, columns, C] to [B, 1 + rows * columns, C]."""
        _, rows, columns, width = patches.shape
        x = ops.reshape(patches, (-1, rows * columns, width))
        first = ops.zeros_like(x[:, :1]) + self.class_token
        return ops.concatenate([first, x], axis=1) + self.positions


class VisionBlock(layers.Layer):  # type: ignore[misc]
    """A transformer block that normalizes before attention and before its two-layer network."""

    def __init__(self, heads: int, hidden: int, epsilon: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.heads, self.hidden, self.epsilon = heads, hidden, epsilon
        self.norm1 = layers.LayerNormalization(epsilon=epsilon, name="norm1")
        self.norm2 = layers.LayerNormalization(epsilon=epsilon, name="norm2")
        self.expand = dense(hidden, "expand")

    def build(self, shape: tuple[int, ...]) -> None:
        """Create the weights for tokens [B, N, C]."""
        width = shape[-1]
        self.qkv = dense(3 * width, "qkv")
        self.project = dense(width, "project")
        self.contract = dense(width, "contract")
        for layer in (self.norm1, self.norm2, self.qkv, self.project, self.expand):
            layer.build(shape)
        self.contract.build((*shape[:-1], self.hidden))

    def call(self, x: KerasTensor) -> KerasTensor:
        """[B, N, C] to [B, N, C]."""
        x = x + self._attend(self.norm1(x))
        return x + self.contract(ops.gelu(self.expand(self.norm2(x)), approximate=False))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        own = {"heads": self.heads, "hidden": self.hidden, "epsilon": self.epsilon}
        return {**super().get_config(), **own}

    def _attend(self, x: KerasTensor) -> KerasTensor:
        count, width = x.shape[1:]
        q, k, v = (
            ops.reshape(part, (-1, count, self.heads, width // self.heads))
            for part in ops.split(self.qkv(x), 3, axis=-1)
        )
        q = ops.transpose(q, (0, 2, 1, 3)) * (width // self.heads) ** -0.5  # [B, H, N, C/H]
        k = ops.transpose(k, (0, 2, 3, 1))  # [B, H, C/H, N]
        v = ops.transpose(v, (0, 2, 1, 3))  # [B, H, N, C/H]
        weights = ops.softmax(ops.matmul(q, k))  # [B, H, N, N]
        mixed = ops.transpose(ops.matmul(weights, v), (0, 2, 1, 3))  # [B, N, H, C/H]
        return self.project(ops.reshape(mixed, (-1, count, width)))


def dense(width: int, name: str) -> layers.Dense:
    """Return a dense layer whose weights are to be loaded: drawing them would take seconds."""
    return layers.Dense(width, kernel_initializer="zeros", name=name)
