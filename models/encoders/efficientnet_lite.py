"""EfficientNet-Lite, a convolutional encoder that returns its last grid of features.

Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks" (ICML 2019),
in the Lite variant of TensorFlow's `efficientnet/lite`: no squeeze-and-excite, ReLU6 instead of
swish, and a stem and a head that do not scale with the width.
"""

import math
from dataclasses import dataclass

import keras
from keras import KerasTensor, layers


@dataclass(frozen=True, slots=True)
class Variant:
    """How a member of the family scales the base network."""

    width: float
    depth: float
    image_size: int


VARIANTS = {
    "efficientnet-lite0": Variant(width=1.0, depth=1.0, image_size=224),
    "efficientnet-lite1": Variant(width=1.0, depth=1.1, image_size=240),
    "efficientnet-lite2": Variant(width=1.1, depth=1.2, image_size=260),
}


GRID_CHANNELS = 1280
_STEM_CHANNELS = 32
_CHANNEL_DIVISOR = 8
_BATCH_NORM_EPSILON = 1e-3


@dataclass(frozen=True, slots=True)
class _Stage:
    repeats: int
    kernel: int
    stride: int
    expansion: int
    channels: int


_STAGES = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)


def efficientnet_lite(name: str, image_size: int | None = None) -> keras.Model:
    """Build an encoder with untrained weights.

    Args:
        name: A key of `VARIANTS`.
        image_size: Side of the square input in pixels; the variant's own if None.

    Returns:
        A model from RGB pixels in 0..255, [B, S, S, 3], to the grid after the head's batch
        normalisation and ReLU6, float32 [B, ceil(S/32), ceil(S/32), 1280] in 0..6.

    Raises:
        ValueError: If the name is unknown.
    """
    if name not in VARIANTS:
        raise ValueError(f"unknown encoder {name!r}; choose one of {', '.join(VARIANTS)}")
    variant = VARIANTS[name]
    side = image_size or variant.image_size
    pixels = keras.Input((side, side, 3), name="pixels")
    x = layers.Rescaling(1 / 128, offset=-127 / 128, name="normalize")(pixels)
    x = _conv(x, _STEM_CHANNELS, kernel=3, stride=2, name="stem")
    index = 0
    for position, stage in enumerate(_STAGES):
        fixed = position in (0, len(_STAGES) - 1)
        repeats = stage.repeats if fixed else math.ceil(stage.repeats * variant.depth)
        for repeat in range(repeats):
            x = _block(x, stage, stage.stride if repeat == 0 else 1, variant.width, f"block{index}")
            index += 1
    grid = _conv(x, GRID_CHANNELS, kernel=1, stride=1, name="head")
    return keras.Model(pixels, grid, name=name)


def _block(x: KerasTensor, stage: _Stage, stride: int, width: float, name: str) -> KerasTensor:
    """Add an inverted residual bottleneck (Sandler et al., "MobileNetV2", CVPR 2018)."""
    inputs = x
    channels = _scaled(stage.channels, width)
    if stage.expansion != 1:
        x = _conv(x, x.shape[-1] * stage.expansion, kernel=1, stride=1, name=f"{name}_expand")
    x = layers.DepthwiseConv2D(
        stage.kernel, strides=stride, padding="same", use_bias=False, name=f"{name}_depthwise"
    )(x)
    x = _normalize(x, f"{name}_depthwise")
    x = layers.ReLU(6.0, name=f"{name}_depthwise_relu6")(x)
    x = layers.Conv2D(channels, 1, use_bias=False, name=f"{name}_project")(x)
    x = _normalize(x, f"{name}_project")
    if stride == 1 and inputs.shape[-1] == channels:
        x = layers.Add(name=f"{name}_add")([x, inputs])
    return x


def _conv(x: KerasTensor, channels: int, *, kernel: int, stride: int, name: str) -> KerasTensor:
    convolution = layers.Conv2D(
        channels, kernel, strides=stride, padding="same", use_bias=False, name=name
    )
    x = _normalize(convolution(x), name)
    return layers.ReLU(6.0, name=f"{name}_relu6")(x)


def _normalize(x: KerasTensor, name: str) -> KerasTensor:
    return layers.BatchNormalization(epsilon=_BATCH_NORM_EPSILON, name=f"{name}_norm")(x)


def _scaled(channels: int, width: float) -> int:
    scaled = channels * width
    rounded = max(
        _CHANNEL_DIVISOR,
        int(scaled + _CHANNEL_DIVISOR / 2) // _CHANNEL_DIVISOR * _CHANNEL_DIVISOR,
    )
    return rounded + _CHANNEL_DIVISOR if rounded < 0.9 * scaled else rounded
